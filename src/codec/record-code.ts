/**
 * Code for one structure's records, made of what its fields have held so far. For each field come the questions that were answered with
 * yes before, the most frequent first; any other value goes the general way, so the notes decide the speed and never the result. Some fields
 * make a function, and each list makes two of its own: short functions are compiled soon.
 *
 * The generated text holds field names (as JSON strings, of a table that was checked: no `__proto__`, none that begins with a digit) and
 * pieces of this file; nothing of it comes from a value.
 */
import { cursor, cut, textBetween } from './cursor.ts';
import { setOwnField } from './own-fields.ts';
import { firstUse, type Readers, type ReadRecord, type RecordReaders } from './record-reader.ts';
import { arrayOf, plainObjectMaker } from './siteless.ts';
import { WORK } from './work-budget.ts';

/** Lists of up to here are read by code made for their field. */
const SHORT_LIST = 4;
const MANY = 255;
/** So many fields are read by one function: the engine's time over a function grows faster than its length, and one field that holds something new undoes it all. */
const FIELDS_A_PART = 8;
/** Of each function. */
const START = 'const b=c.bytes,w=c.view,e=c.end;let p=c.at,t=0,q=0;';

/** What a field has held, or the first elements of its lists: a part of the structure's notes. */
interface FieldNotes {
  /** How often values of this kind. */
  times(kind: number): number;
  /** First byte of the records, MANY if they were of several structures, 0 before the first. */
  readonly record: number;
  /** What the first elements of lists were; of lists in lists nothing is noted. */
  readonly elements: FieldNotes | undefined;
}

interface Kind {
  /** Whether a value that begins so is of the kind. */
  holds(token: number): boolean;
  /** `if(…)…` that reads one into the variable `v`: `b` bytes, `w` their DataView, `p` position, `e` end, `t` first byte, `c` cursor, `s` textBetween. */
  code(v: string, notes: FieldNotes, records: RecordReaders): string;
}

const isRecord = (token: number) => token >= 0x40 && token < 0x80;
const isShortList = (token: number) => token >= 0x90 && token <= 0x90 + SHORT_LIST;

const KINDS: readonly Kind[] = [
  { holds: (t) => t === 0xcb, code: (v) => `if(t===0xcb){if(p+8>e)throw cut();${v}=w.getFloat64(p);p+=8}` },
  { holds: (t) => t < 0x40, code: (v) => `if(t<0x40)${v}=t` },
  { holds: (t) => t >= 0xa0 && t < 0xc0, code: (v) => `if(t>=0xa0&&t<0xc0){q=p+(t&31);if(q>e)throw cut();${v}=s(p,q);p=q}` },
  { holds: (t) => t === 0xd9, code: (v) => `if(t===0xd9){if(p>=e||(q=p+1+b[p])>e)throw cut();${v}=s(p+1,q);p=q}` },
  { holds: (t) => t === 0xcc, code: (v) => `if(t===0xcc){if(p>=e)throw cut();${v}=b[p++]}` },
  { holds: (t) => t === 0xcd, code: (v) => `if(t===0xcd){if(p+2>e)throw cut();${v}=b[p]<<8|b[p+1];p+=2}` },
  { holds: isRecord, code: recordCode },
  { holds: isShortList, code: listCode },
  { holds: (t) => t > 0x90 + SHORT_LIST && t < 0xa0, code: (v) => `if(t>=0x90&&t<0xa0){c.at=p;${v}=array(t&15);p=c.at}` },
  { holds: (t) => t === 0xd7, code: (v) => `if(t===0xd7&&p+9<=e&&b[p]===255){${v}=timestamp64(p+1);p+=9}` },
  { holds: (t) => t === 0xd6, code: (v) => `if(t===0xd6&&p+5<=e&&b[p]===255){${v}=timestamp32(p+1);p+=5}` },
  { holds: (t) => t === 0xc0, code: (v) => `if(t===0xc0)${v}=null` },
  { holds: (t) => t === 0xc2 || t === 0xc3, code: (v) => `if(t===0xc2||t===0xc3)${v}=t===0xc3` },
];

/** By first byte: which kind, or -1. */
const KIND_OF = Int8Array.from({ length: 256 }, (_, token) => KINDS.findIndex(({ holds }) => holds(token)));

/** Of each field: how often each kind, and the first byte of its records; behind that the same of its lists' first elements. Few records are noted: a byte holds any count. */
const PART_BYTES = KINDS.length + 1;
const FIELD_BYTES = 2 * PART_BYTES;
export const newNotes = (fields: number): Uint8Array => new Uint8Array(fields * FIELD_BYTES);

/** Takes note of the value that begins at `at`. */
export function note(notes: Uint8Array, field: number, at: number): void {
  noteKind(notes, field * FIELD_BYTES, at);
  const token = cursor.bytes[at];
  if (isShortList(token) && token > 0x90) noteKind(notes, field * FIELD_BYTES + PART_BYTES, at + 1);
}

function noteKind(notes: Uint8Array, part: number, at: number): void {
  if (at >= cursor.end) return;
  const token = cursor.bytes[at];
  const kind = KIND_OF[token];
  if (kind < 0) return;
  notes[part + kind]++;
  const record = part + KINDS.length;
  if (isRecord(token)) notes[record] = notes[record] === 0 || notes[record] === token ? token : MANY;
}

function notesOf(notes: Uint8Array, part: number): FieldNotes {
  const isField = part % FIELD_BYTES === 0;
  return {
    times: (kind) => notes[part + kind],
    record: notes[part + KINDS.length],
    elements: isField ? notesOf(notes, part + PART_BYTES) : undefined,
  };
}

/** Of one structure its reader is called where the code stands, and the engine may put its code there. */
function recordCode(v: string, { record }: FieldNotes, records: RecordReaders): string {
  // From 0x60 on the number of a large table goes on in a second byte; and hostile bytes name records that the table does not have.
  if (record === MANY || (record >= 0x60 && records.made.length > 32) || record - 0x40 >= records.made.length) return `if(t>=0x40&&t<0x80){c.at=p;${v}=record(t);p=c.at}`;
  // The code takes it for made.
  records.at(record - 0x40);
  const reader = `r[${record - 0x40}]`;
  return `if(t===${record}){c.at=p;if(c.counted!==0&&${reader}.usedIn!==c.counted)firstUse(${reader});enter(${reader}.work);${v}=${reader}.read();c.depth--;p=c.at}`;
}

const areNoted = ({ times }: FieldNotes) => KINDS.some((_, kind) => times(kind) > 0);

/** A short list is read by functions of its own: one for its elements, one that makes it. */
function listCode(v: string, { elements }: FieldNotes): string {
  return `if(t>=0x90&&t<=${0x90 + SHORT_LIST}){c.at=p;${v}=${elements !== undefined && areNoted(elements) ? `list_${v}` : 'array'}(t&15);p=c.at}`;
}

function listReader(v: string, elements: FieldNotes, records: RecordReaders): string {
  const made = Array.from({ length: SHORT_LIST + 1 }, (_, n) => `${n < SHORT_LIST ? `n===${n}?` : ''}a(${Array.from({ length: n }, () => `element_${v}()`).join()})`).join(':');
  return `function element_${v}(){${START}let v;${valueCode('v', elements, records)};c.at=p;return v}
function list_${v}(n){if(n>c.end-c.at)throw cut();enter(${WORK.container});const l=${made};c.depth--;return f(l)}`;
}

function valueCode(v: string, notes: FieldNotes, records: RecordReaders): string {
  const asked = KINDS.map(({ code }, kind) => ({ code, times: notes.times(kind) })).filter(({ times }) => times > 0).sort((a, b) => b.times - a.times);
  return `if(p>=e)throw cut();t=b[p++];${[...asked.map(({ code }) => code(v, notes, records)), `{c.at=p;${v}=value(t);p=c.at}`].join('\nelse ')}`;
}

/** Undefined where the process forbids code from text. */
export function recordReadingCode(keys: readonly string[], notes: Uint8Array, readers: Readers, records: RecordReaders): ReadRecord | undefined {
  const names = keys.map((key) => JSON.stringify(key));
  // Such as `toString`.
  const isInherited = keys.map((key) => key in Object.prototype);
  const inherits = names.filter((_, i) => !isInherited[i]).map((name) => `${name} in o`).join('||') || 'false';
  const ofFields = keys.map((_, i) => notesOf(notes, i * FIELD_BYTES));
  const lists = ofFields.map(({ elements }, i) => (elements !== undefined && areNoted(elements) ? listReader(`v${i}`, elements, records) : '')).join('\n');
  const parts = Array.from({ length: Math.ceil(keys.length / FIELDS_A_PART) }, (_, k) => {
    const fields = keys.map((_, i) => i).slice(k * FIELDS_A_PART, (k + 1) * FIELDS_A_PART);
    return `function part${k}(o){${START}let ${fields.map((i) => `v${i}`).join()};
${fields.map((i) => valueCode(`v${i}`, ofFields[i], records)).join('\n')}
c.at=p;${fields.map((i) => (isInherited[i] ? `ownOne(o,${names[i]},v${i});` : `o[${names[i]}]=v${i};`)).join('')}}`;
  });
  // Asked of an object whose kind the compiler knows, that no name is inherited costs nothing until Object.prototype is changed.
  const source = `'use strict';
${plainObjectMaker('R', keys)}
${lists}
${parts.join('\n')}
return function(){const o=new R;if(${inherits})return f(own(o));${parts.map((_, k) => `part${k}(o);`).join('')}return f(o)}`;
  const readOwn = (object: object) => {
    for (const key of keys) setOwnField(object, key, readers.element());
    return object;
  };
  const given = { firstUse, c: cursor, f: Object.freeze, cut, s: textBetween, a: arrayOf, r: records.made, own: readOwn, ownOne: setOwnField, ...readers };
  try {
    return new Function(...Object.keys(given), source)(...Object.values(given)) as ReadRecord;
  } catch {
    return undefined;
  }
}
