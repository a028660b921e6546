/**
 * Decoders of the structure table's records, one for each structure.
 *
 * A record is its fields' values one behind the other. The first few are read plainly, into a copy of a template that has all the
 * fields already, and what each field held is noted. Then code is made for the structure: a constructor (siteless.ts says why no
 * literal), and for each field first the questions that were answered with yes so far; any other value goes the general way, so the
 * notes decide the speed and never the result. Where a process forbids the making of code (`--disallow-code-generation-from-strings`),
 * and for structures with fields such as `toString`, records go on being read plainly, at about half the speed.
 *
 * The generated text holds field names (as JSON strings, of a table that was checked: no `__proto__`, none that begins with a
 * digit) and pieces of FAST below; nothing of it comes from a value.
 */
import { corrupt } from './corrupt.ts';
import { cursor, cut, textBetween } from './cursor.ts';
import { plainObjectMaker } from './siteless.ts';
import { recordWork } from './work-budget.ts';

type ReadRecord = () => object;
export interface RecordReader {
  /** Units to be spent before it is read. */
  readonly work: number;
  readonly read: ReadRecord;
}
/** Each reads what begins with a byte that has been read already. */
export interface Readers {
  value(token: number): unknown;
  record(token: number): unknown;
  array(length: number): unknown;
  /** A timestamp of 64 bits at `from`, the bytes of which are there. */
  timestamp64(from: number): unknown;
}

const freeze = Object.freeze;
/** Records read plainly before there is code. */
const RECORDS_BEFORE_CODE = 32;
/**
 * How much one value may prepare: fields of structures that it is the first to use in this thread (a microsecond or two each), and units of
 * code (0.1 ms and more for each structure). A hostile table has 512 structures. What was prepared stays so; code comes with a later value.
 */
const MAX_NEW_FIELDS = 512;
const MAX_CODE_UNITS = 256;
const codeUnits = (fields: number) => 32 + fields;
let newFields = 0;
let codeUnitsLeft = 0;

/** Before each value. */
export function beginRecords(): void {
  newFields = MAX_NEW_FIELDS;
  codeUnitsLeft = MAX_CODE_UNITS;
}

/** What a field may hold and how that is read: `b` bytes, `w` their DataView, `p` position, `e` end, `t` first byte, `c` cursor, `s` textBetween. */
const FAST: ReadonlyArray<{ holds: (token: number) => boolean; code: (v: string) => string }> = [
  { holds: (t) => t === 0xcb, code: (v) => `if(t===0xcb){if(p+8>e)throw cut();${v}=w.getFloat64(p);p+=8}` },
  { holds: (t) => t < 0x40, code: (v) => `if(t<0x40)${v}=t` },
  { holds: (t) => t >= 0xa0 && t < 0xc0, code: (v) => `if(t>=0xa0&&t<0xc0){q=p+(t&31);if(q>e)throw cut();${v}=s(p,q);p=q}` },
  { holds: (t) => t === 0xd9, code: (v) => `if(t===0xd9){if(p>=e||(q=p+1+b[p])>e)throw cut();${v}=s(p+1,q);p=q}` },
  { holds: (t) => t === 0xcc, code: (v) => `if(t===0xcc){if(p>=e)throw cut();${v}=b[p++]}` },
  { holds: (t) => t === 0xcd, code: (v) => `if(t===0xcd){if(p+2>e)throw cut();${v}=b[p]<<8|b[p+1];p+=2}` },
  { holds: (t) => t >= 0x40 && t < 0x80, code: (v) => `if(t>=0x40&&t<0x80){c.at=p;${v}=record(t);p=c.at}` },
  { holds: (t) => t >= 0x90 && t < 0xa0, code: (v) => `if(t>=0x90&&t<0xa0){c.at=p;${v}=array(t&15);p=c.at}` },
  { holds: (t) => t === 0xd7, code: (v) => `if(t===0xd7&&p+9<=e&&b[p]===255){${v}=timestamp64(p+1);p+=9}` },
  { holds: (t) => t === 0xc0, code: (v) => `if(t===0xc0)${v}=null` },
  { holds: (t) => t === 0xc2 || t === 0xc3, code: (v) => `if(t===0xc2||t===0xc3)${v}=t===0xc3` },
];

export function recordReader(keys: readonly string[], readers: Readers): RecordReader {
  /** By field: how often each piece of FAST would have done. */
  const seen = keys.map(() => FAST.map(() => 0));
  let template: Record<string, unknown> | undefined;
  let records = 0;
  let compiled: ReadRecord | undefined;
  let mayCompile = true;
  const read = () => {
    if (compiled !== undefined) return compiled();
    records++;
    if (mayCompile && records >= RECORDS_BEFORE_CODE && codeUnitsLeft >= codeUnits(keys.length)) {
      codeUnitsLeft -= codeUnits(keys.length);
      compiled = compile(keys, seen, readers);
      mayCompile = false;
    }
    const record = { ...(template ??= newTemplate(keys)) };
    for (let i = 0; i < keys.length; i++) {
      if (cursor.at >= cursor.end) throw cut();
      const token = cursor.bytes[cursor.at++];
      if (records < RECORDS_BEFORE_CODE) note(seen[i], token);
      record[keys[i]] = readers.value(token);
    }
    return freeze(record);
  };
  return { work: recordWork(keys.length), read };
}

function newTemplate(keys: readonly string[]): Record<string, unknown> {
  if ((newFields -= keys.length) < 0) throw corrupt('more new structures than any profile has', 'value');
  // JSON.parse makes an object of fields, not a table of them, however many there are.
  return JSON.parse(`{${keys.map((key) => `${JSON.stringify(key)}:null`).join(',')}}`) as Record<string, unknown>;
}

function note(counts: number[], token: number): void {
  const kind = FAST.findIndex(({ holds }) => holds(token));
  if (kind >= 0) counts[kind]++;
}

function compile(keys: readonly string[], seen: readonly number[][], readers: Readers): ReadRecord | undefined {
  const values = keys.map((_, i) => `v${i}`);
  const maker = plainObjectMaker('R', keys, values);
  if (maker === undefined) return undefined;
  const fields = keys.map((_, i) => {
    const asked = FAST.map((fast, kind) => ({ code: fast.code(`v${i}`), times: seen[i][kind] })).filter(({ times }) => times > 0).sort((a, b) => b.times - a.times);
    const general = `{c.at=p;v${i}=value(t);p=c.at}`;
    return `if(p>=e)throw cut();t=b[p++];${[...asked.map(({ code }) => code), general].join('\nelse ')}`;
  });
  const source = `'use strict';
${maker}
return function(){const b=c.bytes,w=c.view,e=c.end;let p=c.at,t=0,q=0,${values.join(',')};
${fields.join('\n')}
c.at=p;return f(new R(${values.join(',')}))}`;
  try {
    const { value, record, array, timestamp64 } = readers;
    return new Function('c', 'f', 'cut', 's', 'value', 'record', 'array', 'timestamp64', source)(cursor, freeze, cut, textBetween, value, record, array, timestamp64) as ReadRecord;
  } catch {
    return undefined;
  }
}
