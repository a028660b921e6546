/**
 * Encoding of what nearly every profile is: objects whose structures the table has, arrays, numbers, ASCII strings, booleans, null and
 * Dates. One pass, no walk before it, and byte for byte what msgpackr writes. Whatever else it meets, it gives up at once and has changed
 * nothing: ProfileWalk then finds out what that is, and refuses it or lets msgpackr write it.
 */
import { LateStrings } from './late-strings.ts';
import { MAX_DEPTH } from './profile-walk.ts';
import { recordWritingCode, type RecordTarget } from './record-writing-code.ts';
import { DICTIONARY, UNKNOWN, type Shape, type ShapeIndex } from './shape-index.ts';
import { WORK, arrayWork, workAllowed } from './work-budget.ts';

/** A profile that takes more goes the long way. */
const PLAIN_BYTES = 64 * 1024;
/** More than any value of fixed size takes. */
const FIXED_BYTES = 16;
/** From here on a string is written with others, in one call. */
const LATE_STRING = 12;
/** Records of a structure before it gets code of its own. */
const YOUNG_RECORDS = 64;
/** Structures from here on are named by two bytes, in tables that have more. */
const ONE_BYTE_RECORDS = 32;
const SECONDS_END = 2 ** 32;

/** Strings come in more shapes than an inline cache holds: looked up for each character it would cost more than the character. */
const { charCodeAt } = String.prototype;
const { getTime } = Date.prototype;
const NO_FIELDS = {};

export class PlainWriter implements RecordTarget {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(PLAIN_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  at = 0;
  private readonly late = new LateStrings(PLAIN_BYTES);
  private work = 0;
  private index!: ShapeIndex;
  private valueNumber = 0;
  private twoByteRecords = false;
  /** Shape of the last object that was written, to be looked for first where it was found. */
  private found: Shape | undefined;

  /** @returns how many of `bytes` the profile takes; 0 when it must go the long way. Passes on what a getter throws. */
  write(profile: object, index: ShapeIndex): number {
    // Somebody has given all objects a field that their loops meet.
    for (const _inherited in NO_FIELDS) return 0;
    this.at = this.work = 0;
    this.late.begin();
    this.index = index;
    this.valueNumber = index.nextValue();
    this.twoByteRecords = index.size > ONE_BYTE_RECORDS;
    if (!this.value(profile, index.root, 0) || !this.late.settle(this.bytes, this.view)) return 0;
    index.root = this.found;
    return this.work > workAllowed(this.at) ? 0 : this.at;
  }

  private value(value: unknown, hint: Shape | undefined, depth: number): boolean {
    if (this.at > PLAIN_BYTES - FIXED_BYTES) return false;
    this.found = hint;
    // Asked one by one: `switch (typeof value)` calls into the engine for the name of the type.
    if (typeof value === 'number') {
      this.number(value);
      return true;
    }
    if (typeof value === 'string') return this.string(value);
    if (typeof value === 'object') {
      if (value === null) {
        this.bytes[this.at++] = 0xc0;
        return true;
      }
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype === Object.prototype) return depth < MAX_DEPTH && this.record(value as Record<string, unknown>, hint, depth);
      if (prototype === Array.prototype && Array.isArray(value)) return depth < MAX_DEPTH && this.array(value, hint, depth);
      return value instanceof Date && this.date(value);
    }
    if (typeof value !== 'boolean') return false;
    this.bytes[this.at++] = value ? 0xc3 : 0xc2;
    return true;
  }

  private record(object: Record<string, unknown>, hint: Shape | undefined, depth: number): boolean {
    let shape = hint;
    if (shape === undefined || shape === UNKNOWN || shape === DICTIONARY || !hasFields(object, shape.keys)) {
      shape = this.index.find(Object.keys(object));
      if (shape === undefined || !hasFields(object, shape.keys)) return false;
    }
    const { keys, inField, record } = shape;
    if (shape.usedIn !== this.valueNumber) this.work += this.index.firstUse(shape);
    this.work += shape.work;
    if (this.twoByteRecords && record >= ONE_BYTE_RECORDS) {
      const upper = record - ONE_BYTE_RECORDS;
      this.bytes[this.at++] = 0x60 + (upper & 0x1f);
      this.bytes[this.at++] = upper >> 5;
    } else {
      this.bytes[this.at++] = 0x40 + record;
    }
    if (shape.write !== undefined) {
      const isWritten = shape.write(object, this, depth + 1);
      this.found = shape;
      return isWritten;
    }
    let i = 0;
    // The engine knows where each field is while it goes through them so; `object[keys[i]]` would search.
    for (const key in object) {
      // A getter has changed the object.
      if (key !== keys[i] || !this.value(object[key], inField[i], depth + 1)) return false;
      if (inField[i] !== this.found) inField[i] = this.found;
      i++;
    }
    this.found = shape;
    if (++shape.times === YOUNG_RECORDS) shape.write = recordWritingCode(shape, PLAIN_BYTES - FIXED_BYTES);
    return i === keys.length;
  }

  field(value: unknown, { inField }: Shape, i: number, depth: number): boolean {
    const isWritten = this.value(value, inField[i], depth);
    if (inField[i] !== this.found) inField[i] = this.found;
    return isWritten;
  }

  private array(array: readonly unknown[], hint: Shape | undefined, depth: number): boolean {
    const { length } = array;
    this.work += arrayWork(length);
    if (length < 0x10) {
      this.bytes[this.at++] = 0x90 + length;
    } else if (length < 0x1_0000) {
      this.bytes[this.at++] = 0xdc;
      this.bytes[this.at++] = length >> 8;
      this.bytes[this.at++] = length;
    } else {
      return false;
    }
    this.found = hint;
    for (let i = 0; i < length; i++) if (!this.value(array[i], this.found, depth + 1)) return false;
    return true;
  }

  number(value: number): void {
    const { bytes } = this;
    if (value >>> 0 === value) {
      if (value < 0x40) {
        bytes[this.at++] = value;
      } else if (value < 0x100) {
        bytes[this.at++] = 0xcc;
        bytes[this.at++] = value;
      } else if (value < 0x1_0000) {
        bytes[this.at++] = 0xcd;
        bytes[this.at++] = value >> 8;
        bytes[this.at++] = value;
      } else {
        bytes[this.at] = 0xce;
        this.view.setUint32(this.at + 1, value);
        this.at += 5;
      }
    } else if (value >> 0 === value) {
      if (value >= -0x20) {
        bytes[this.at++] = value;
      } else if (value >= -0x80) {
        bytes[this.at++] = 0xd0;
        bytes[this.at++] = value;
      } else if (value >= -0x8000) {
        bytes[this.at] = 0xd1;
        this.view.setInt16(this.at + 1, value);
        this.at += 3;
      } else {
        bytes[this.at] = 0xd2;
        this.view.setInt32(this.at + 1, value);
        this.at += 5;
      }
    } else {
      bytes[this.at] = 0xcb;
      this.view.setFloat64(this.at + 1, value);
      this.at += 9;
    }
  }

  string(text: string): boolean {
    const { bytes } = this;
    const { length } = text;
    if (this.at + FIXED_BYTES + length > PLAIN_BYTES) return false;
    if (length < 0x20) {
      bytes[this.at++] = 0xa0 + length;
    } else if (length < 0x100) {
      bytes[this.at++] = 0xd9;
      bytes[this.at++] = length;
    } else {
      bytes[this.at++] = 0xda;
      bytes[this.at++] = length >> 8;
      bytes[this.at++] = length;
    }
    const from = this.at;
    this.at += length;
    if (length >= LATE_STRING) return this.late.add(text, from);
    let units = 0;
    for (let i = 0; i < length; i++) {
      const unit = charCodeAt.call(text, i);
      units |= unit;
      bytes[from + i] = unit;
    }
    return units < 0x80;
  }

  /** Timestamp 32 and 64; other times are rare. */
  private date(date: Date): boolean {
    this.work += WORK.date;
    const timeMs = timeOf(date);
    const seconds = Math.floor(timeMs / 1_000);
    const restMs = timeMs - seconds * 1_000;
    if (!(timeMs > 0 && seconds < SECONDS_END)) return false;
    this.bytes[this.at] = restMs === 0 ? 0xd6 : 0xd7;
    this.bytes[this.at + 1] = 0xff;
    this.at += 2;
    if (restMs > 0) {
      this.view.setUint32(this.at, restMs * 4_000_000);
      this.at += 4;
    }
    this.view.setUint32(this.at, seconds);
    this.at += 4;
    return true;
  }
}

/** NaN of what only looks like a Date. */
function timeOf(date: Date): number {
  try {
    return getTime.call(date);
  } catch {
    return NaN;
  }
}

function hasFields(object: object, keys: readonly string[]): boolean {
  let i = 0;
  for (const key in object) if (key !== keys[i++]) return false;
  return i === keys.length && i > 0;
}
