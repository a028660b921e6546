/**
 * Where the decode under way stands. One for the thread: nothing in a decode calls out, so decodes cannot interleave, and the
 * compiler knows the address of every field. The functions here read what has a fixed size, and strings.
 */
import { corrupt } from './corrupt.ts';
import { UNCOUNTED_BYTES, WORK, workAllowed } from './work-budget.ts';

const latin1Slice = Buffer.prototype.latin1Slice;
const utf8Slice = Buffer.prototype.utf8Slice;

/** Strings are cut out of one text of this many bytes, so that a small string of a huge profile keeps little alive. */
const TEXT_WINDOW_BYTES = 8_192;
/** Numbers that the engine keeps without a box; they begin anew. */
const MAX_VALUE_NUMBER = 2 ** 30 - 1;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));

export class Cursor {
  bytes: Uint8Array = NO_BYTES;
  /** Over all of `bytes`, for numbers of more than a byte. */
  view: DataView = NO_VIEW;
  /** Next byte to be read, and the first that is not part of the value. */
  at = 0;
  end = 0;
  /** Containers around the value that is being read. */
  depth = 0;
  /** Number of the value, so that what is used in it for the first time can be told. */
  value = 0;
  /** The same where its structures are counted; 0 in a small value. */
  counted = 0;
  /** Structures of the table that it has used so far. */
  structuresUsed = 0;
  /** What may still be made: see `workAllowed`. */
  work = 0;
  /** Plain msgpack of any writer: no structure table, no extension of our own. */
  portable = false;
  /** No string has a byte above 0x7f: they are cut out without a look at them. */
  ascii = false;
  hadBinary = false;
  /** The field name that was read last is one of Object.prototype's, too. */
  inheritedName = false;
  /** bytes[textStart..textEnd) as text. */
  text = '';
  textStart = 0;
  textEnd = 0;
}

export const cursor = new Cursor();

/** What L1 hands over is the same memory each time. */
let lastBytes = NO_BYTES;
let lastPlain = NO_BYTES;
let lastView = NO_VIEW;

export function openCursor(bytes: Uint8Array, start: number, stop: number, portable: boolean): void {
  if (bytes !== lastBytes) {
    lastBytes = bytes;
    // One hidden class for every decode: a Buffer would make each access polymorphic.
    lastPlain = bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  cursor.bytes = lastPlain;
  cursor.view = lastView;
  cursor.at = start;
  cursor.end = stop;
  cursor.depth = 0;
  cursor.structuresUsed = 0;
  cursor.value = (cursor.value % MAX_VALUE_NUMBER) + 1;
  cursor.counted = stop - start > UNCOUNTED_BYTES ? cursor.value : 0;
  cursor.work = workAllowed(stop - start);
  cursor.portable = portable;
  cursor.ascii = !portable;
  cursor.hadBinary = false;
  cursor.textStart = cursor.textEnd = start;
}

export const cut = () => corrupt('the value ends in the middle', 'value');

export function spend(units: number): void {
  if ((cursor.work -= units) < 0) throw corrupt('more objects and fields than any profile of its size', 'value');
}

/** Passes over `count` bytes. @returns where they begin */
export function skip(count: number): number {
  const from = cursor.at;
  const to = from + count;
  if (to > cursor.end) throw cut();
  cursor.at = to;
  return from;
}

export const u8 = (): number => cursor.bytes[skip(1)];
export const u16 = (): number => cursor.view.getUint16(skip(2));
export const u32 = (): number => cursor.view.getUint32(skip(4));

/** bytes[from..to) as a string; the caller has seen to it that they lie before the end. */
export function textBetween(from: number, to: number): string {
  if (!cursor.ascii && !isAscii(from, to)) {
    spend(WORK.unicodeString);
    return utf8Slice.call(cursor.bytes, from, to);
  }
  if (to > cursor.textEnd || from < cursor.textStart) moveText(from, to);
  return cursor.text.slice(from - cursor.textStart, to - cursor.textStart);
}

function isAscii(from: number, to: number): boolean {
  const { bytes } = cursor;
  for (let i = from; i < to; i++) if (bytes[i] > 0x7f) return false;
  return true;
}

function moveText(from: number, to: number): void {
  cursor.textStart = from;
  cursor.textEnd = Math.max(to, Math.min(cursor.end, from + TEXT_WINDOW_BYTES));
  cursor.text = latin1Slice.call(cursor.bytes, cursor.textStart, cursor.textEnd);
}
