/** What holds no other values: bytes, Dates, big integers, and the number of a record that is going to be defined. */
import { corrupt } from './corrupt.ts';
import { cursor, skip, spend } from './cursor.ts';
import { frozenDate } from './frozen-types.ts';
import { MAX_BIGINT_BITS } from './profile-walk.ts';
import { WORK, bigintWork } from './work-budget.ts';

/** msgpackr's extension types. */
export const EXTENSION = { undefined: 0x00, bigint: 0x42, record: 0x72, set: 0x73, typedArray: 0x74, timestamp: 0xff } as const;
/** Of typed arrays there is one kind. */
const UINT8_ARRAY = 1;
const MAX_BIGINT_BYTES = MAX_BIGINT_BITS / 8 + 8;

/** A copy, never a view: the caller may change it, and the source is the cache's. */
export function readBinary(length: number): Uint8Array {
  const from = skip(length);
  spend(WORK.binary);
  cursor.hadBinary = true;
  const copy = cursor.bytes.slice(from, from + length);
  return cursor.portable ? copy : Buffer.from(copy.buffer);
}

export function readTypedArray(from: number, length: number): Uint8Array {
  if (length === 0 || cursor.bytes[from] !== UINT8_ARRAY) throw corrupt('a typed array that is no Uint8Array', 'value');
  spend(WORK.binary);
  cursor.hadBinary = true;
  return cursor.bytes.slice(from + 1, from + length);
}

/** The msgpack timestamp extension: 32, 64 or 96 bits; one byte stands for an invalid Date. */
export function readTimestamp(from: number, length: number): Date {
  spend(WORK.date);
  if (length === 1 && !cursor.portable) return frozenDate(NaN);
  const date = frozenDate(timestampMs(from, length));
  if (Number.isNaN(date.getTime())) throw corrupt('a timestamp out of range', 'value');
  return date;
}

/** The form that nearly every Date has, its 8 bytes known to be there. */
export function readTimestamp64(from: number): Date {
  spend(WORK.date);
  const date = frozenDate(timestamp64Ms(from));
  if (Number.isNaN(date.getTime())) throw corrupt('a timestamp out of range', 'value');
  return date;
}

/** Of whole seconds, its 4 bytes known to be there. */
export function readTimestamp32(from: number): Date {
  spend(WORK.date);
  return frozenDate(cursor.view.getUint32(from) * 1_000);
}

function timestampMs(from: number, length: number): number {
  const { view } = cursor;
  if (length === 4) return view.getUint32(from) * 1_000;
  if (length === 8) return timestamp64Ms(from);
  if (length === 12) return (view.getInt32(from + 4) * 0x1_0000_0000 + view.getUint32(from + 8)) * 1_000 + Math.trunc(view.getUint32(from) / 1_000_000);
  throw corrupt('a timestamp of an unknown length', 'value');
}

/** 30 bits of nanoseconds, 34 of seconds. */
function timestamp64Ms(from: number): number {
  const { view } = cursor;
  const high = view.getUint32(from);
  return ((high & 0x3) * 0x1_0000_0000 + view.getUint32(from + 4)) * 1_000 + Math.trunc((high >>> 2) / 1_000_000);
}

/** Two's complement, big endian. */
export function readBigInt(from: number, length: number): bigint {
  if (length === 0 || length > MAX_BIGINT_BYTES) throw corrupt('a bigint out of range', 'value');
  spend(bigintWork(length));
  const hex = Buffer.prototype.hexSlice.call(cursor.bytes, from, from + length);
  return BigInt.asIntN(length * 8, BigInt(`0x${hex}`));
}

/** As msgpackr writes it, in a byte or two. */
export function readRecordNumber(from: number, length: number): number {
  const low = cursor.bytes[from];
  if (length === 0 || low < 0x40 || low > 0x7f || (length === 2 && low < 0x60)) throw corrupt('a record definition without a number', 'value');
  return length === 1 ? low - 0x40 : 32 + (low & 0x1f) + (cursor.bytes[from + 1] << 5);
}
