/**
 * What one value may cost to read, counted, so that the answer is the same on every machine. A unit is what takes about 0.1 us.
 * Bytes that pass the CRC may still have been made to cost time and memory: an empty object takes one byte and 56 in memory, a new
 * field name makes the engine describe a new kind of object. The budget is a few milliseconds for 256 KB; profiles need a fraction of it.
 *
 * Writer and reader count the same things, the writer never less than the reader: what was accepted can be read.
 */

/** A profile of 2 KB may cost 12,458 units; it costs 30 to 100 to read; the writer adds 500 to 1,000 for its structures. */
const BASE_UNITS = 12_288;
const BYTES_A_UNIT = 12;

export const workAllowed = (encodedBytes: number): number => BASE_UNITS + Math.floor(encodedBytes / BYTES_A_UNIT);

/** Units. */
export const WORK = {
  /** Object or array: made and frozen; an array's elements and a record's fields come on top. */
  container: 1,
  /** Map or Set, and each thing in it. */
  collection: 4,
  entry: 1,
  date: 2,
  /** Uint8Array or Buffer: memory of its own. */
  binary: 20,
  /** Of any size above 64 bits, beside `bigintByte`. */
  bigint: 8,
  /** A native call, where others are cut out of one text. */
  unicodeString: 2,
  /** A field that is written out with its name. */
  namedField: 1,
  /** A name not seen before: among the first fields of an object it makes a new kind of object, later it is one more row in a table. */
  newName: 32,
  newLateName: 4,
  /** The first field name of an object that is a number: its fields are kept in another way. */
  numberedField: 12,
} as const;

/** From here on an object's fields are rows in a table for the engine. */
export const LATE_FIELD = 16;
/** Longer names are taken for data and count as new each time. */
export const MAX_KNOWN_NAME_BYTES = 48;
const BIGINT_BYTES_A_UNIT = 32;
const FIELDS_A_UNIT = 2.5;
const ELEMENTS_A_UNIT = 8;
/** A structure that a value uses: a new kind of object, described field by field. Counted once a value, whether this thread knows it already or not. */
const STRUCTURE_UNITS = 8;
const STRUCTURE_FIELD_UNITS = 12;
/** The reader does not count the structures of so small a value: each field takes a byte. */
export const UNCOUNTED_BYTES = 2_048;
const CHEAP_STRUCTURES = 4;
/** Fields that every object inherits have to be defined, not assigned. A list of its own: writer and reader count the same whatever others put on Object.prototype. */
const INHERITED_FIELD_UNITS = 4;
const INHERITED: ReadonlySet<string> = new Set([
  'constructor', 'toString', 'toLocaleString', 'valueOf', 'isPrototypeOf', 'propertyIsEnumerable',
  '__defineGetter__', '__defineSetter__', '__lookupGetter__', '__lookupSetter__',
]);

/** A record of the structure table. */
export function recordWork(keys: readonly string[]): number {
  let units = WORK.container + Math.floor((keys.length - 1) / FIELDS_A_UNIT);
  for (const key of keys) if (INHERITED.has(key)) units += INHERITED_FIELD_UNITS;
  return units;
}
/** On top, for the first record of a structure in a value. */
export const structureWork = (fields: number): number => STRUCTURE_UNITS + fields * STRUCTURE_FIELD_UNITS;
/**
 * By how much a record's price is multiplied, for the so-manieth structure that the value uses. Code comes for a few structures at a time, and
 * long lists are of few: records of the others are read plainly in a new process, and one of another structure each time is the slowest to read.
 */
export const priceFactor = (structuresUsed: number): number => (structuresUsed > CHEAP_STRUCTURES ? 2 : 1);
export const arrayWork = (length: number): number => WORK.container + Math.floor(length / ELEMENTS_A_UNIT);
export const bigintWork = (bytes: number): number => WORK.bigint + Math.floor(bytes / BIGINT_BYTES_A_UNIT);
/** Whether the engine takes this name for a number. */
export const isNumbered = (name: string): boolean => {
  const first = name.charCodeAt(0);
  return first >= 0x30 && first <= 0x39;
};
