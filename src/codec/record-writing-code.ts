/**
 * Code that writes the fields of one structure's records, field by field: the engine knows where each of them lies in the object, and what it is
 * asked for stands where it is used. Numbers are written in place; all else is the writer's.
 *
 * The generated text holds field names (as JSON strings) and pieces of this file; nothing of it comes from a value.
 */
import type { Shape } from './shape-index.ts';

/** No number takes more bytes, and null takes one. */
const FIXED_FIELD_BYTES = 9;
/** Larger ones are dictionaries, or better lists. */
const MAX_CODE_FIELDS = 256;

/** What the code needs of the writer. */
export interface RecordTarget {
  readonly bytes: Uint8Array;
  /** Of the same bytes. */
  readonly view: DataView;
  /** Where the next byte goes. */
  at: number;
  /** Any number. */
  number(value: number): void;
  string(text: string): boolean;
  /** Whatever stands in field i of an object of this shape. */
  field(value: unknown, shape: Shape, i: number, depth: number): boolean;
}

/** `object` has the fields of the shape and no others. `depth` is that of its fields. False when the writer gives up. */
export type WriteFields = (object: object, target: RecordTarget, depth: number) => boolean;

/**
 * @param endBytes nothing of fixed size is written beyond.
 * @returns undefined where the process forbids code from text.
 */
export function recordWritingCode(shape: Shape, endBytes: number): WriteFields | undefined {
  const { keys } = shape;
  if (keys.length > MAX_CODE_FIELDS) return undefined;
  // Of what has no fixed size nobody knows beforehand how far it goes.
  const last = (i: number) => endBytes - (keys.length - i) * FIXED_FIELD_BYTES;
  const fields = keys.map((key, i) => `v=o[${JSON.stringify(key)}];
if(typeof v==='number'){if(v>>0===v&&v>=0&&v<64)b[p++]=v;else if(v>>0===v||v>>>0===v){c.at=p;c.number(v);p=c.at}else{b[p]=0xcb;w.setFloat64(p+1,v);p+=9}}
else if(typeof v==='string'){c.at=p;if(!c.string(v)||(p=c.at)>${last(i)})return false}
else if(v===null)b[p++]=0xc0
else{c.at=p;if(!c.field(v,s,${i},d)||(p=c.at)>${last(i)})return false}`);
  const source = `'use strict';
return function(o,c,d){const b=c.bytes,w=c.view;let p=c.at,v;if(p>${last(0)})return false
${fields.join('\n')}
c.at=p;return true}`;
  try {
    return new Function('s', source)(shape) as WriteFields;
  } catch {
    return undefined;
  }
}
