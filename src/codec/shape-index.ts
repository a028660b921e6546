/**
 * The shapes of one table, for encoding: which structure has these keys? The answer is nearly always "the same as last time at
 * this place", so every shape remembers, for each of its fields, what shape was found there.
 */
import { shapeKey } from './table-bytes.ts';

export interface Shape {
  readonly keys: readonly string[];
  /** Shape last found in field i (or in the elements of field i). */
  readonly inField: Array<Shape | undefined>;
}

/** Stands for an object whose shape is in no table. */
export const UNKNOWN: Shape = { keys: [], inField: [] };
/** Stands for a place where nothing will ever be learned: do not even ask. */
export const DICTIONARY: Shape = { keys: [], inField: [] };

export class ShapeIndex {
  readonly #byKey = new Map<string, Shape>();
  /** Shape last found at the top. */
  root: Shape | undefined;

  constructor(structures: readonly (readonly string[])[]) {
    for (const keys of structures) this.#byKey.set(shapeKey(keys), { keys, inField: new Array(keys.length).fill(undefined) });
  }

  find(key: string): Shape | undefined {
    return this.#byKey.get(key);
  }
}

export function hasKeys(shape: Shape, keys: readonly string[]): boolean {
  const own = shape.keys;
  if (own.length !== keys.length || keys.length === 0) return false;
  for (let i = 0; i < own.length; i++) if (own[i] !== keys[i]) return false;
  return true;
}
