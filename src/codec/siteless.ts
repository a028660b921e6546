/**
 * Arrays and objects that V8 makes without an allocation site.
 *
 * V8 notes for every array and object literal of the code whether what it made outlived a scavenge, and once most of it did, compiled code
 * makes what comes from there in old space at once ("allocation site pretenuring"; D. Clifford et al., "Memento Mori: Dynamic
 * Allocation-Site-Based Optimizations", ISMM 2015). A decoder has one place for profiles that stay, in a near cache or with the caller, and for
 * those that are dropped at once. Judged by the former, the latter pile up in old space, where they keep alive what they refer to: each
 * scavenge copied 16 MB for nothing, 23 ms instead of 0.5, and the threads that help with it took the cores of other readers.
 *
 * A rest parameter, a copy by slice() and what a constructor makes have no site.
 */

/** An array up to here begins as a copy of so many nulls. */
const MAX_COPIED = 64;
const NULLS = JSON.parse(`[${Array.from({ length: MAX_COPIED }, () => 'null').join()}]`) as readonly null[];

/** Has exactly the room that it needs. */
export const arrayOf = (...values: unknown[]): unknown[] => values;

/** To be filled from 0 to `length`. Compiled code asks the engine for an array of unknown length, which makes it young. */
export const arrayToFill = (length: number): unknown[] => (length <= MAX_COPIED ? NULLS.slice(0, length) : new Array(length));

/**
 * Text of a function `name` for `new` that makes a plain object of these fields from as many arguments. Assigning makes a field unless
 * Object.prototype has one of that name, where it could be refused: undefined then.
 */
export function plainObjectMaker(name: string, keys: readonly string[], values: readonly string[]): string | undefined {
  if (keys.some((key) => key in Object.prototype)) return undefined;
  return `function ${name}(${values.join(',')}){${keys.map((key, i) => `this[${JSON.stringify(key)}]=${values[i]};`).join('')}}
${name}.prototype=Object.prototype;`;
}
