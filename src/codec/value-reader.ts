/**
 * msgpack -> deeply frozen value. A strict reader of exactly what ProfileCodec writes with msgpackr: records of the structure
 * table, and of extensions only timestamp, undefined, Set, big integers, Uint8Array and (where Maps are) inline records.
 * Everything else is ERR_L2_CORRUPT. It is our own, and not msgpackr's Unpackr, because the bytes may be hostile: msgpackr
 * builds RegExp, Error and typed arrays, follows bundle pointers backwards, and compiles code for field names in the value
 * (RELIABILITY, section 4); its extensions are global to the module; and values have to be frozen, here while they are built.
 * test/codec/value-reader.test.ts holds the two readers against each other.
 *
 * The state of the one decode under way is in module variables: nothing here calls out, so decodes cannot interleave.
 */
import { corrupt } from './corrupt.ts';
import { addTo, frozenDate, openMap, openSet, putInto } from './frozen-types.ts';
import { MAX_BIGINT_BITS, MAX_DEPTH, workAllowed } from './profile-walk.ts';

/**
 * A structured value may begin with 0xc1, which begins no msgpack value, and a byte of flags. Without it, maps are objects and
 * every string is ASCII, so that strings are cut out of the text without a look at their bytes.
 */
export const PREFIX = 0xc1;
export const PREFIX_BYTES = 2;
/** Maps are JavaScript Maps, and objects whose shape is not in the table are inline records. */
export const PREFIX_MAPS = 1;
/** Some string is not ASCII. */
export const PREFIX_UNICODE = 2;

type ReadRecord = () => object;
const freeze = Object.freeze;
const latin1Slice = Buffer.prototype.latin1Slice;
const utf8Slice = Buffer.prototype.utf8Slice;

/** Strings are cut out of one text of this many bytes, so that a small string of a huge profile keeps little alive. */
const TEXT_WINDOW_BYTES = 8_192;
/** Readings of a structure before code is made for it. */
const COMPILE_AFTER_READS = 4;
const MAX_BIGINT_BYTES = MAX_BIGINT_BITS / 8 + 8;

let src: Uint8Array = new Uint8Array(0);
let at = 0;
let end = 0;
let depth = 0;
/** Containers, Dates and written-out fields that may still be made: see `workAllowed`. */
let work = 0;
let text = '';
let textStart = 0;
let textEnd = 0;
let records: readonly ReadRecord[] | undefined;
let inline: Array<readonly string[] | undefined> | undefined;
let portable = false;
let binary = false;
let ascii = false;

const f64 = new Float64Array(1);
const f64Words = new Uint32Array(f64.buffer);
const f32 = new Float32Array(f64.buffer);
const LOW_WORD = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1;

/** Reads values written with one table (or with none: `structures` undefined). */
export class ValueReader {
  readonly #records: readonly ReadRecord[] | undefined;
  readonly #portable: boolean;
  /** The last value read holds a Uint8Array or Buffer, which cannot be frozen. */
  hadBinary = false;

  constructor(structures: readonly (readonly string[])[] | undefined, isPortable: boolean) {
    this.#records = structures?.map((keys) => recordReader(keys));
    this.#portable = isPortable;
  }

  /** `bytes` is private memory: nobody changes it during the call, and the result shares nothing with it. */
  read(bytes: Uint8Array, start: number, stop: number): object {
    // One hidden class for every decode: a Buffer would make each access polymorphic.
    src = bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    at = start;
    end = stop;
    depth = 0;
    work = workAllowed(stop - start);
    textStart = textEnd = start;
    records = this.#records;
    portable = this.#portable;
    inline = undefined;
    binary = false;
    ascii = !portable;
    try {
      if (!portable && src[at] === PREFIX) readPrefix();
      const value = read();
      if (at !== end) throw corrupt('bytes after the end of the value', 'value');
      if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
        throw corrupt('the value is no object', 'value');
      }
      this.hadBinary = binary;
      return value;
    } finally {
      src = NO_BYTES;
      text = '';
      inline = undefined;
    }
  }
}

const NO_BYTES = new Uint8Array(0);
const cut = () => corrupt('the value ends in the middle', 'value');

function readPrefix(): void {
  at++;
  const flags = u8();
  if (flags === 0 || flags > (PREFIX_MAPS | PREFIX_UNICODE)) throw corrupt('unknown flags before the value', 'value');
  ascii = (flags & PREFIX_UNICODE) === 0;
  if ((flags & PREFIX_MAPS) !== 0) inline = [];
}

function read(): unknown {
  if (at >= end) throw cut();
  const token = src[at++];
  if (token < 0x40) return token;
  if (token < 0x80) return records === undefined && inline === undefined ? smallInt(token) : readRecord(token);
  if (token < 0x90) return readMap(token & 0x0f);
  if (token < 0xa0) return readArray(token & 0x0f);
  if (token < 0xc0) return readString(token & 0x1f);
  if (token >= 0xe0) return token - 0x100;
  if (token === 0xcb) return readFloat64();
  switch (token) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: return readBinary(u8());
    case 0xc5: return readBinary(u16());
    case 0xc6: return readBinary(u32());
    case 0xc7: return readExtension(u8());
    case 0xc8: return readExtension(u16());
    case 0xc9: return readExtension(u32());
    case 0xca: return readFloat32();
    case 0xcc: return u8();
    case 0xcd: return u16();
    case 0xce: return u32();
    case 0xcf: return (BigInt(u32()) << 32n) | BigInt(u32());
    case 0xd0: return (u8() << 24) >> 24;
    case 0xd1: return (u16() << 16) >> 16;
    case 0xd2: return u32() | 0;
    case 0xd3: return BigInt.asIntN(64, (BigInt(u32()) << 32n) | BigInt(u32()));
    case 0xd4: return readExtension(1);
    case 0xd5: return readExtension(2);
    case 0xd6: return readExtension(4);
    case 0xd7: return readExtension(8);
    case 0xd8: return readExtension(16);
    case 0xd9: return readString(u8());
    case 0xda: return readString(u16());
    case 0xdb: return readString(u32());
    case 0xdc: return readArray(u16());
    case 0xdd: return readArray(u32());
    case 0xde: return readMap(u16());
    case 0xdf: return readMap(u32());
    default: throw corrupt(`byte 0x${token.toString(16)} begins no value`, 'value');
  }
}

function smallInt(token: number): number {
  if (portable) return token;
  throw corrupt('a record without a structure table', 'value');
}

function u8(): number {
  if (at >= end) throw cut();
  return src[at++];
}

function u16(): number {
  const from = at;
  if (from + 2 > end) throw cut();
  at = from + 2;
  const bytes = src;
  return (bytes[from] << 8) | bytes[from + 1];
}

function u32(): number {
  const from = at;
  if (from + 4 > end) throw cut();
  at = from + 4;
  const bytes = src;
  return ((bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3]) >>> 0;
}

function readFloat64(): number {
  const from = at;
  if (from + 8 > end) throw cut();
  at = from + 8;
  const bytes = src;
  f64Words[1 - LOW_WORD] = (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
  f64Words[LOW_WORD] = (bytes[from + 4] << 24) | (bytes[from + 5] << 16) | (bytes[from + 6] << 8) | bytes[from + 7];
  return f64[0];
}

function readFloat32(): number {
  f64Words[0] = u32();
  return f32[0];
}

function readString(length: number): string {
  const from = at;
  const to = from + length;
  if (to > end) throw cut();
  at = to;
  if (!ascii && !isAscii(from, to)) return utf8Slice.call(src, from, to);
  if (to > textEnd || from < textStart) moveText(from, to);
  return text.slice(from - textStart, to - textStart);
}

function isAscii(from: number, to: number): boolean {
  const bytes = src;
  for (let i = from; i < to; i++) if (bytes[i] > 0x7f) return false;
  return true;
}

function moveText(from: number, to: number): void {
  textStart = from;
  textEnd = Math.max(to, Math.min(end, from + TEXT_WINDOW_BYTES));
  text = latin1Slice.call(src, textStart, textEnd);
}

function readBinary(length: number): Uint8Array {
  if (length > end - at) throw cut();
  spend(1);
  binary = true;
  at += length;
  // A copy, never a view: the caller may change it, and `src` is the cache's.
  return portable ? src.slice(at - length, at) : Buffer.from(src.slice(at - length, at).buffer);
}

function spend(units: number): void {
  if ((work -= units) < 0) throw corrupt('more objects and fields than any profile of its size', 'value');
}

function enter(): void {
  spend(1);
  if (++depth > MAX_DEPTH) throw corrupt(`more than ${MAX_DEPTH} levels`, 'value');
}

function readArray(length: number): readonly unknown[] {
  if (length > end - at) throw cut();
  enter();
  // Grown as it fills: nothing is allocated for a length that lies.
  const array: unknown[] = [];
  for (let i = 0; i < length; i++) array[i] = read();
  depth--;
  return freeze(array);
}

function readMap(length: number): object {
  if (length * 2 > end - at) throw cut();
  enter();
  spend(length);
  if (inline !== undefined) {
    const map = openMap();
    for (let i = 0; i < length; i++) putInto(map, read(), read());
    depth--;
    return freeze(map);
  }
  const object: Record<string, unknown> = {};
  let sparse = false;
  for (let i = 0; i < length; i++) {
    const key = readKey();
    if (!sparse && isIndex(key)) sparse = makeSparse(object);
    object[key] = read();
  }
  depth--;
  return freeze(object);
}

/** Whether the engine would hold room for all numbers up to this one: 4 KB for the six bytes of `{"322": 0}`. */
function isIndex(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 0x30 && first <= 0x39 && key.length >= 2 && key.length <= 4;
}

/** One far number, and the engine keeps this object's numbered fields in a table instead. */
function makeSparse(object: Record<string, unknown>): true {
  object[4_294_967_294] = 0;
  delete object[4_294_967_294];
  return true;
}

/**
 * Field names of maps, which come again and again: the bytes are compared with those of the last name in the same place of a
 * small table, and the string of then is used, already known to the engine as a name.
 */
const KEY_CACHE_SIZE = 1_024;
const MAX_CACHED_KEY_BYTES = 31;
const keyCache: Array<{ bytes: Uint8Array; key: string } | undefined> = Array.from({ length: KEY_CACHE_SIZE });

function readKey(): string {
  const length = at < end ? src[at] - 0xa0 : 0;
  if (length < 1 || length > MAX_CACHED_KEY_BYTES || at + length >= end) return checkKey(read());
  const bytes = src;
  const from = at + 1;
  const place = (length * 33 + bytes[from] * 7 + bytes[from + length - 1] * 31 + bytes[from + (length >> 1)] * 101) & (KEY_CACHE_SIZE - 1);
  const cached = keyCache[place];
  if (cached !== undefined && cached.bytes.length === length) {
    const known = cached.bytes;
    let i = 0;
    while (i < length && known[i] === bytes[from + i]) i++;
    if (i === length) {
      at = from + length;
      return cached.key;
    }
  }
  const wasAscii = ascii;
  // The table outlives this value and whether it called itself ASCII.
  ascii = false;
  const key = checkKey(read());
  ascii = wasAscii;
  keyCache[place] = { bytes: bytes.slice(from, from + length), key };
  return key;
}

function checkKey(key: unknown): string {
  if (typeof key !== 'string' || key === '__proto__') throw corrupt('a field name that no profile has', 'value');
  return key;
}

function readRecord(token: number): object {
  // As msgpackr numbers them: one byte up to 0x7f, and past 32 shared structures the upper half takes a second byte.
  const index = token < 0x60 || (records?.length ?? 0) <= 32 ? token - 0x40 : 32 + (token & 0x1f) + (u8() << 5);
  const shared = records?.[index];
  if (shared === undefined) {
    const keys = inline?.[index];
    if (keys === undefined) throw corrupt(`structure ${index} is not in the table`, 'value');
    return readInline(keys);
  }
  enter();
  const value = shared();
  depth--;
  return value;
}

function readInline(keys: readonly string[]): object {
  enter();
  spend(keys.length);
  const object: Record<string, unknown> = {};
  let sparse = false;
  for (const key of keys) {
    if (!sparse && isIndex(key)) sparse = makeSparse(object);
    object[key] = read();
  }
  depth--;
  return freeze(object);
}

/** Definition of an inline record: its number, its keys, then its first values. */
function defineInline(index: number): object {
  if (inline === undefined || index < (records?.length ?? 0)) throw corrupt('a record definition where none may be', 'value');
  const token = u8();
  const length = token >= 0x90 && token < 0xa0 ? token & 0x0f : token === 0xdc ? u16() : token === 0xdd ? u32() : -1;
  if (length < 0 || length > end - at) throw corrupt('a record definition without its keys', 'value');
  const keys: string[] = [];
  for (let i = 0; i < length; i++) keys.push(readKey());
  inline[index] = keys;
  return readInline(keys);
}

function readExtension(length: number): unknown {
  const type = u8();
  if (length > end - at) throw cut();
  const from = at;
  if (type === 0x72 && length <= 2) {
    const low = u8();
    if (low < 0x40 || low > 0x7f || (length === 2 && low < 0x60)) throw corrupt('a record definition without a number', 'value');
    return defineInline(length === 1 ? low - 0x40 : 32 + (low & 0x1f) + (u8() << 5));
  }
  at += length;
  if (type === 0xff) return readTimestamp(from, length);
  if (type === 0x00 && length === 1) return undefined;
  if (!portable) {
    if (type === 0x73 && length === 1) return readSet();
    if (type === 0x42) return readBigInt(from, length);
    if (type === 0x74 && length >= 1 && src[from] === 1) {
      spend(1);
      binary = true;
      return src.slice(from + 1, at);
    }
  }
  throw corrupt(`extension ${type} is of no profile`, 'value');
}

function readSet(): ReadonlySet<unknown> {
  const array = read();
  if (!Array.isArray(array)) throw corrupt('a Set without its values', 'value');
  const set = openSet();
  for (const value of array) addTo(set, value);
  return freeze(set);
}

/** The msgpack timestamp extension: 32, 64 or 96 bits; one byte stands for an invalid Date. */
function readTimestamp(from: number, length: number): Date {
  spend(1);
  const after = at;
  at = from;
  let ms: number;
  if (length === 4) {
    ms = u32() * 1_000;
  } else if (length === 8) {
    const high = u32();
    ms = ((high & 0x3) * 0x100000000 + u32()) * 1_000 + Math.trunc((high >>> 2) / 1_000_000);
  } else if (length === 12) {
    const nanos = u32();
    ms = ((u32() | 0) * 0x100000000 + u32()) * 1_000 + Math.trunc(nanos / 1_000_000);
  } else if (length === 1 && !portable) {
    at = after;
    return frozenDate(NaN);
  } else {
    throw corrupt('a timestamp of an unknown length', 'value');
  }
  at = after;
  const date = frozenDate(ms);
  if (Number.isNaN(date.getTime())) throw corrupt('a timestamp out of range', 'value');
  return date;
}

function readBigInt(from: number, length: number): bigint {
  if (length === 0 || length > MAX_BIGINT_BYTES) throw corrupt('a bigint out of range', 'value');
  const hex = Buffer.prototype.hexSlice.call(src, from, from + length);
  return BigInt.asIntN(length * 8, BigInt(`0x${hex}`));
}

/** Slow at first; code of its own once it is clear that the structure is in use. Keys come from a table that was checked. */
function recordReader(keys: readonly string[]): ReadRecord {
  let reads = 0;
  let compiled: ReadRecord | undefined;
  return () => {
    if (compiled !== undefined) return compiled();
    if (++reads > COMPILE_AFTER_READS) compiled = compile(keys);
    const object: Record<string, unknown> = {};
    for (const key of keys) object[key] = read();
    return freeze(object);
  };
}

function compile(keys: readonly string[]): ReadRecord | undefined {
  const fields = keys.map((key) => `${JSON.stringify(key)}:r()`).join(',');
  try {
    return new Function('r', 'f', `return function(){return f({${fields}})}`)(read, freeze) as ReadRecord;
  } catch {
    // Code generation is forbidden in this process: the slow way stays right.
    return undefined;
  }
}
