/**
 * The shapes of one table, for encoding: which structure has these keys? The answer is nearly always "the same as last time at
 * this place", so every shape remembers, for each of its fields, what shape was found there.
 */
import type { WriteFields } from './record-writing-code.ts';
import { priceFactor, recordWork, structureWork } from './work-budget.ts';

/** Numbers of values that the engine keeps without a box; they begin anew. */
const MAX_VALUE_NUMBER = 2 ** 30 - 1;

export interface Shape {
  /** Its number in the table. */
  readonly record: number;
  readonly keys: readonly string[];
  /** Shape last found in field i (or in the elements of field i). */
  readonly inField: Array<Shape | undefined>;
  /** Units of one record, in a value of few structures. */
  readonly baseWork: number;
  /** Units of one record in the value that is numbered `usedIn`. */
  work: number;
  /** The last value that has a record of it: see `ShapeIndex.nextValue`. */
  usedIn: number;
  /** Objects of this shape that were written field by field. */
  times: number;
  /** Made when that has been worth while. */
  write: WriteFields | undefined;
}

/** Stands for an object whose shape is in no table. */
export const UNKNOWN: Shape = shapeOf(-1, []);
/** The same, at a place where nothing new will ever be learned: the learner need not be asked. */
export const DICTIONARY: Shape = shapeOf(-1, []);

export class ShapeIndex {
  /** Numbers of structures, by first key: no string has to be built to find a shape. */
  readonly #byFirstKey = new Map<string, number[]>();
  readonly #structures: readonly (readonly string[])[];
  /** Made when they are found: a hostile table has 8,192 keys, and what is written needs none of them. */
  readonly #shapes: Array<Shape | undefined>;
  readonly size: number;
  /** Shape last found at the top. */
  root: Shape | undefined;
  #value = 0;
  #structuresUsed = 0;

  constructor(structures: readonly (readonly string[])[]) {
    this.size = structures.length;
    this.#structures = structures;
    this.#shapes = structures.map(() => undefined);
    for (const [record, [first]] of structures.entries()) {
      const sameFirst = this.#byFirstKey.get(first);
      if (sameFirst === undefined) this.#byFirstKey.set(first, [record]);
      else sameFirst.push(record);
    }
  }

  /** A value is going to be written or walked. @returns its number, to be noted in the shapes that it uses */
  nextValue(): number {
    this.#structuresUsed = 0;
    return (this.#value = (this.#value % MAX_VALUE_NUMBER) + 1);
  }

  /** Before the first record of a shape in a value. @returns units for that, beside its `work` */
  firstUse(shape: Shape): number {
    shape.usedIn = this.#value;
    shape.work = shape.baseWork * priceFactor(++this.#structuresUsed);
    return structureWork(shape.keys.length);
  }

  find(keys: readonly string[]): Shape | undefined {
    const record = this.#byFirstKey.get(keys[0])?.find((one) => isSame(this.#shapes[one]?.keys ?? this.#structures[one], keys));
    return record === undefined ? undefined : (this.#shapes[record] ??= shapeOf(record, asFieldNames(this.#structures[record])));
  }
}

/**
 * The same names as the engine keeps them for fields: one object for each text, so that comparing two is comparing two addresses. Those of
 * a table that was read are pieces of its text, and comparing them with an object's fields took a third of the time of an encode.
 */
function asFieldNames(keys: readonly string[]): readonly string[] {
  const object = Object.create(null) as Record<string, number>;
  for (const key of keys) object[key] = 0;
  // No table has names that are numbers: the order is that of the table.
  return Object.keys(object);
}

export const hasKeys = (shape: Shape, keys: readonly string[]): boolean => isSame(shape.keys, keys);

function isSame(own: readonly string[], keys: readonly string[]): boolean {
  if (own.length !== keys.length || keys.length === 0) return false;
  for (let i = 0; i < own.length; i++) if (own[i] !== keys[i]) return false;
  return true;
}

function shapeOf(record: number, keys: readonly string[]): Shape {
  return { record, keys, inField: keys.map(() => undefined), baseWork: keys.length === 0 ? 0 : recordWork(keys), work: 0, usedIn: 0, times: 0, write: undefined };
}
