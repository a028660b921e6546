/**
 * msgpack -> deeply frozen value. A strict reader of exactly what ProfileCodec writes with msgpackr: records of the structure
 * table, and of extensions only timestamp, undefined, Set, big integers, Uint8Array and (where Maps are) inline records.
 * Everything else is ERR_L2_CORRUPT. It is our own, and not msgpackr's Unpackr, because the bytes may be hostile: msgpackr
 * builds RegExp, Error and typed arrays, follows bundle pointers backwards, and compiles code for field names in the value
 * (RELIABILITY, section 4); its extensions are global to the module; and values have to be frozen, here while they are built.
 * test/codec/value-reader.test.ts holds the two readers against each other.
 *
 * This file knows which byte begins what, and the values that hold values; record-reader.ts the records of the table,
 * name-reader.ts field names, extension-reader.ts the rest, value-prefix.ts what may stand before it all, cursor.ts where the decode stands.
 */
import { corrupt } from './corrupt.ts';
import { cursor, cut, openCursor, skip, spend, textBetween, u16, u32, u8 } from './cursor.ts';
import { EXTENSION, readBigInt, readBinary, readRecordNumber, readTimestamp, readTimestamp32, readTimestamp64, readTypedArray } from './extension-reader.ts';
import { addTo, openMap, openSet, putInto } from './frozen-types.ts';
import { keyWork } from './key-work.ts';
import { forgetNames, readName, trimNames } from './name-reader.ts';
import { inheritedHasChanged, mustDefine, setOwnField } from './own-fields.ts';
import { MAX_DEPTH } from './profile-walk.ts';
import { beginRecords, firstUse, RecordReaders, type Readers } from './record-reader.ts';
import { arrayOf, arrayToFill } from './siteless.ts';
import { keepNumbersSparse } from './sparse-numbers.ts';
import { PREFIX, readPrefix } from './value-prefix.ts';
import { WORK, arrayWork, isNumbered } from './work-budget.ts';

const freeze = Object.freeze;
/** A larger value is not kept alive for the sake of its hidden classes. */
const MAX_SPECIMEN_BYTES = 16 * 1024;
/** Of the decode under way: the table's records, and the shapes that the value itself defines (undefined: it may not). */
let records: RecordReaders | undefined;
let inlineShapes: Map<number, readonly string[]> | undefined;
let inheritedKnown = false;

/** Reads values written with one table (or with none: `structures` undefined). */
export class ValueReader {
  readonly #records: RecordReaders | undefined;
  readonly #portable: boolean;
  /** The last value read holds a Uint8Array or Buffer, which cannot be frozen. */
  hadBinary = false;
  /**
   * The last value, so that one of its kind is always alive: hidden classes go with the last object of theirs, and with them the code that was
   * compiled for them. A collection that found every profile dropped made the next decodes cost 2.5 times as much (codec-costs.md).
   */
  specimen: object | undefined;

  constructor(structures: readonly (readonly string[])[] | undefined, isPortable: boolean) {
    this.#portable = isPortable;
    this.#records = structures && new RecordReaders(structures, READERS);
  }

  /** `bytes` is private memory: nobody changes it during the call, and the result shares nothing with it. */
  read(bytes: Uint8Array, start: number, stop: number): object {
    openCursor(bytes, start, stop, this.#portable);
    records = this.#records;
    inlineShapes = undefined;
    inheritedKnown = false;
    trimNames();
    beginRecords();
    try {
      if (!this.#portable && cursor.bytes[start] === PREFIX && readPrefix()) inlineShapes = new Map();
      const first = cursor.bytes[cursor.at];
      const value = readNext();
      if (cursor.at !== stop) throw corrupt('bytes after the end of the value', 'value');
      const isRecord = this.#records !== undefined && first >= 0x40 && first < 0x80;
      if (!isRecord && !isPlainObject(value)) throw corrupt('the value is no object', 'value');
      this.hadBinary = cursor.hadBinary;
      if (stop - start <= MAX_SPECIMEN_BYTES) this.specimen = value as object;
      return value as object;
    } finally {
      cursor.text = '';
      inlineShapes = undefined;
    }
  }
}

/** Asking for a prototype is a call into the engine: not done for records. */
const isPlainObject = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

function readNext(): unknown {
  if (cursor.at >= cursor.end) throw cut();
  return readValue(cursor.bytes[cursor.at++]);
}

/** The value that begins with `token`, which has been read. */
function readValue(token: number): unknown {
  if (token < 0x40) return token;
  if (token < 0x80) return records === undefined && inlineShapes === undefined ? smallInt(token) : readRecord(token);
  if (token < 0x90) return readMap(token & 0x0f);
  if (token < 0xa0) return readArray(token & 0x0f);
  if (token < 0xc0) return readString(token & 0x1f);
  if (token >= 0xe0) return token - 0x100;
  if (token === 0xcb) return cursor.view.getFloat64(skip(8));
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
    case 0xca: return cursor.view.getFloat32(skip(4));
    case 0xcc: return u8();
    case 0xcd: return u16();
    case 0xce: return u32();
    case 0xcf: return cursor.view.getBigUint64(skip(8));
    case 0xd0: return cursor.view.getInt8(skip(1));
    case 0xd1: return cursor.view.getInt16(skip(2));
    case 0xd2: return cursor.view.getInt32(skip(4));
    case 0xd3: return cursor.view.getBigInt64(skip(8));
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
  if (cursor.portable) return token;
  throw corrupt('a record without a structure table', 'value');
}

function readString(length: number): string {
  if (length === 0) return '';
  const from = skip(length);
  return textBetween(from, from + length);
}

function enter(units: number): void {
  spend(units);
  if (++cursor.depth > MAX_DEPTH) throw corrupt(`more than ${MAX_DEPTH} levels`, 'value');
}

function readArray(length: number): readonly unknown[] {
  if (length > cursor.end - cursor.at) throw cut();
  enter(arrayWork(length));
  const array = length <= 4 ? shortArray(length) : longArray(length);
  cursor.depth--;
  return freeze(array);
}

function shortArray(length: number): unknown[] {
  switch (length) {
    case 0: return arrayOf();
    case 1: return arrayOf(readElement());
    case 2: return arrayOf(readElement(), readElement());
    case 3: return arrayOf(readElement(), readElement(), readElement());
    default: return arrayOf(readElement(), readElement(), readElement(), readElement());
  }
}

/** As `readNext`; what lists hold most is read without its many questions. */
function readElement(): unknown {
  const { at, end, bytes } = cursor;
  if (at >= end) throw cut();
  const token = bytes[at];
  if (token >= 0xa0 && token < 0xc0) {
    const to = at + 1 + (token & 0x1f);
    if (to > end) throw cut();
    cursor.at = to;
    return textBetween(at + 1, to);
  }
  if (token === 0xcb) {
    if (at + 9 > end) throw cut();
    cursor.at = at + 9;
    return cursor.view.getFloat64(at + 1);
  }
  cursor.at = at + 1;
  return token >= 0x40 && token < 0x80 && records !== undefined ? readRecord(token) : readValue(token);
}

/** A length that lies is at most the bytes that are left, and has been paid for. */
function longArray(length: number): unknown[] {
  const array = arrayToFill(length);
  for (let i = 0; i < length; i++) array[i] = readElement();
  return array;
}

function readMap(length: number): object {
  if (length * 2 > cursor.end - cursor.at) throw cut();
  enter(inlineShapes === undefined ? WORK.container : WORK.collection);
  const value = inlineShapes === undefined ? readObject(length) : readJsMap(length);
  cursor.depth--;
  return freeze(value);
}

function readJsMap(length: number): Map<unknown, unknown> {
  spend(length * WORK.entry);
  const keys = arrayToFill(length);
  const values = arrayToFill(length);
  for (let i = 0; i < length; i++) {
    keys[i] = readNext();
    values[i] = readNext();
  }
  spend(keyWork(keys));
  const map = openMap();
  for (let i = 0; i < length; i++) putInto(map, keys[i], values[i]);
  return map;
}

function readObject(length: number): object {
  lookAtInherited();
  const object: Record<string, unknown> = {};
  let numbered = false;
  for (let i = 0; i < length; i++) {
    const name = readName(i);
    const { inheritedName } = cursor;
    if (!numbered && isNumbered(name)) numbered = keepNumbersSparse(object);
    if (inheritedName) setOwnField(object, name, readNext());
    else object[name] = readNext();
  }
  return object;
}

/** Before the first field name of a value. */
function lookAtInherited(): void {
  if (!inheritedKnown && inheritedHasChanged()) forgetNames();
  inheritedKnown = true;
}

function readRecord(token: number): object {
  // As msgpackr numbers them: one byte up to 0x7f, and past 32 shared structures the upper half takes a second byte.
  const index = token < 0x60 || (records?.made.length ?? 0) <= 32 ? token - 0x40 : 32 + (token & 0x1f) + (u8() << 5);
  const ofTable = records !== undefined && index < records.made.length ? (records.made[index] ?? records.at(index)) : undefined;
  if (ofTable === undefined) {
    const names = inlineShapes?.get(index);
    if (names === undefined) throw corrupt(`structure ${index} is not in the table`, 'value');
    spend(names.length * WORK.namedField);
    return readInline(names);
  }
  if (cursor.counted !== 0 && ofTable.usedIn !== cursor.counted) firstUse(ofTable);
  enter(ofTable.work);
  const value = ofTable.read();
  cursor.depth--;
  return value;
}

const READERS: Readers = { value: readValue, element: readElement, record: readRecord, array: readArray, timestamp64: readTimestamp64, timestamp32: readTimestamp32, enter, lookAtInherited };

function readInline(names: readonly string[]): object {
  enter(WORK.container);
  const object: Record<string, unknown> = {};
  let numbered = false;
  for (const name of names) {
    if (!numbered && isNumbered(name)) numbered = keepNumbersSparse(object);
    if (mustDefine(name)) setOwnField(object, name, readNext());
    else object[name] = readNext();
  }
  cursor.depth--;
  return freeze(object);
}

/** Definition of an inline record: its number, its names, then its first values. */
function defineInline(index: number): object {
  if (inlineShapes === undefined || index < (records?.made.length ?? 0)) throw corrupt('a record definition where none may be', 'value');
  const token = u8();
  const length = token >= 0x90 && token < 0xa0 ? token & 0x0f : token === 0xdc ? u16() : token === 0xdd ? u32() : -1;
  if (length < 0 || length > cursor.end - cursor.at) throw corrupt('a record definition without its names', 'value');
  lookAtInherited();
  // Each name is going to cost a unit.
  if (length > cursor.work) spend(length);
  const names = arrayToFill(length) as string[];
  for (let i = 0; i < length; i++) names[i] = readName(i);
  inlineShapes.set(index, names);
  return readInline(names);
}

function readExtension(length: number): unknown {
  const type = u8();
  const from = skip(length);
  if (type === EXTENSION.timestamp) return readTimestamp(from, length);
  if (type === EXTENSION.undefined && length === 1) return undefined;
  if (!cursor.portable) {
    if (type === EXTENSION.set && length === 1) return readSet();
    if (type === EXTENSION.bigint) return readBigInt(from, length);
    if (type === EXTENSION.typedArray) return readTypedArray(from, length);
    if (type === EXTENSION.record && length <= 2) return defineInline(readRecordNumber(from, length));
  }
  throw corrupt(`extension ${type} is of no profile`, 'value');
}

function readSet(): ReadonlySet<unknown> {
  spend(WORK.collection);
  const array = readNext();
  if (!Array.isArray(array)) throw corrupt('a Set without its values', 'value');
  spend(array.length * WORK.entry + keyWork(array));
  const set = openSet();
  for (const value of array) addTo(set, value);
  return freeze(set);
}
