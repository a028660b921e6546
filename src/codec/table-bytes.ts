/**
 * A structure table as bytes: what is persisted in L2 and lies in the shared region. Little endian.
 *
 *    0        4    5    6                8         12
 *    +--------+----+----+----------------+---------+------------------+--------------------------------+- - -
 *    | "PCST" | 01 | 00 | structures u16 | id u32  | keys u16         | keyBytes u16 | key in UTF-8    | …
 *    +--------+----+----+----------------+---------+------------------+--------------------------------+- - -
 *                                                  \___ for each structure: its keys, in the order of the object ___/
 *
 * `id` is the first four bytes of the SHA-256 of everything from offset 12, read little endian, plus 16 where that is below 16:
 * the same table has the same id in every process, and a damaged one has a wrong id.
 */
import { isAscii as isAsciiBytes } from 'node:buffer';
import { createHash } from 'node:crypto';
import { corrupt } from './corrupt.ts';
import { isNumbered } from './work-budget.ts';

/** Ids below this are reserved for schemas that need no table. */
export const FIRST_TABLE_ID = 16;
export const MAX_TABLE_BYTES = 1024 * 1024;
/** Largest object that may become a structure; larger ones are dictionaries. */
export const MAX_KEYS_PER_STRUCTURE = 96;
/** Of all structures of a table together: reading a table stays a matter of milliseconds. */
export const MAX_TABLE_KEYS = 8_192;
/**
 * Field names that are in no table, beside those that begin with a digit: `__proto__` is refused everywhere, and msgpackr uses the other two for itself (it keeps the
 * keys of a shape under `__keys__` among the shape's continuations, and asks records for their hasOwnProperty).
 */
export const RESERVED_KEYS: ReadonlySet<string> = new Set(['__proto__', '__keys__', 'hasOwnProperty']);
const HEADER_BYTES = 12;
/** "PCST" read as a little-endian u32. */
const MAGIC = 0x54534350;
const FORMAT = 1;

export type Structure = readonly string[];

export function writeTable(structures: readonly Structure[]): { id: number; bytes: Uint8Array } {
  const parts: Buffer[] = [Buffer.alloc(HEADER_BYTES)];
  for (const keys of structures) {
    parts.push(u16(keys.length));
    for (const key of keys) {
      const text = Buffer.from(key, 'utf8');
      parts.push(u16(text.length), text);
    }
  }
  // Memory of its own, not Buffer's pool: tables are posted to other threads.
  const bytes = new Uint8Array(Buffer.concat(parts));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  bytes[4] = FORMAT;
  view.setUint16(6, structures.length, true);
  const id = idOf(bytes);
  view.setUint32(8, id, true);
  return { id, bytes };
}

/** Throws ERR_L2_CORRUPT for anything that `writeTable` would not have written. */
export function readTable(bytes: Uint8Array, maxStructures: number): { id: number; structures: Structure[] } {
  const bad = (why: string) => corrupt(`structure table: ${why}`, 'schema');
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_TABLE_BYTES) throw bad(`${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC || bytes[4] !== FORMAT || bytes[5] !== 0) throw bad('not a table of this format');
  const id = view.getUint32(8, true);
  if (id !== idOf(bytes)) throw bad('its id is not the hash of its content');
  const count = view.getUint16(6, true);
  if (count > maxStructures) throw bad(`${count} structures are over the cap of ${maxStructures}`);
  // A copy: native code that makes text must never see shared memory.
  const copy = new Uint8Array(bytes);
  const text = Buffer.prototype.latin1Slice.call(copy, 0, copy.length);
  // Nearly every table: its lengths are below 0x80, too.
  const ascii = isAscii(copy, HEADER_BYTES, copy.length);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const structures: Structure[] = [];
  let keysLeft = MAX_TABLE_KEYS;
  let at = HEADER_BYTES;
  const next = (): number => {
    if (at + 2 > bytes.length) throw bad('it ends in the middle');
    at += 2;
    return view.getUint16(at - 2, true);
  };
  for (let s = 0; s < count; s++) {
    const keyCount = next();
    if (keyCount === 0 || keyCount > MAX_KEYS_PER_STRUCTURE) throw bad(`a structure of ${keyCount} keys`);
    if ((keysLeft -= keyCount) < 0) throw bad(`more than ${MAX_TABLE_KEYS} keys`);
    const keys: string[] = [];
    for (let k = 0; k < keyCount; k++) {
      const length = next();
      if (at + length > bytes.length) throw bad('it ends in the middle');
      let key = text.slice(at, at + length);
      if (!ascii && !isAscii(copy, at, at + length)) {
        try {
          key = decoder.decode(copy.subarray(at, at + length));
        } catch (error) {
          throw corrupt('structure table: a key is not UTF-8', 'schema', error);
        }
      }
      if (isNumbered(key)) throw bad(`key ${JSON.stringify(key)}`);
      keys.push(key);
      at += length;
    }
    const different = new Set(keys);
    if (different.size !== keyCount) throw bad('the same key twice in a structure');
    for (const key of RESERVED_KEYS) if (different.has(key)) throw bad(`key ${JSON.stringify(key)}`);
    structures.push(Object.freeze(keys));
  }
  if (at !== bytes.length) throw bad('bytes after its end');
  return { id, structures };
}

/** Whether all bytes are; a native search, as fast in a new process as later. */
const isAscii = (bytes: Uint8Array, from: number, to: number): boolean => isAsciiBytes(bytes.subarray(from, to));

function idOf(bytes: Uint8Array): number {
  const hash = createHash('sha256').update(bytes.subarray(HEADER_BYTES)).digest().readUInt32LE(0);
  return hash < FIRST_TABLE_ID ? hash + FIRST_TABLE_ID : hash;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

/** One string for one list of keys: lengths first, so that no two lists share it. */
export function shapeKey(keys: Structure): string {
  return `${keys.map((key) => key.length).join(',')}:${keys.join('')}`;
}
