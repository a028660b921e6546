/**
 * The shapes of one table, for encoding: which structure has these keys? The answer is nearly always "the same as last time at
 * this place", so every shape remembers, for each of its fields, what shape was found there.
 */

export interface Shape {
  /** Its number in the table. */
  readonly record: number;
  readonly keys: readonly string[];
  /** Shape last found in field i (or in the elements of field i). */
  readonly inField: Array<Shape | undefined>;
}

/** Stands for an object whose shape is in no table. */
export const UNKNOWN: Shape = { record: -1, keys: [], inField: [] };
/** The same, at a place where nothing new will ever be learned: the learner need not be asked. */
export const DICTIONARY: Shape = { record: -1, keys: [], inField: [] };

export class ShapeIndex {
  /** By first key: no string has to be built to find a shape. */
  readonly #byFirstKey = new Map<string, Shape[]>();
  readonly size: number;
  /** Shape last found at the top. */
  root: Shape | undefined;

  constructor(structures: readonly (readonly string[])[]) {
    this.size = structures.length;
    for (const [record, structure] of structures.entries()) {
      const keys = asFieldNames(structure);
      const shape: Shape = { record, keys, inField: keys.map(() => undefined) };
      const sameFirst = this.#byFirstKey.get(keys[0]);
      if (sameFirst === undefined) this.#byFirstKey.set(keys[0], [shape]);
      else sameFirst.push(shape);
    }
  }

  find(keys: readonly string[]): Shape | undefined {
    return this.#byFirstKey.get(keys[0])?.find((shape) => hasKeys(shape, keys));
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

export function hasKeys(shape: Shape, keys: readonly string[]): boolean {
  const own = shape.keys;
  if (own.length !== keys.length || keys.length === 0) return false;
  for (let i = 0; i < own.length; i++) if (own[i] !== keys[i]) return false;
  return true;
}
