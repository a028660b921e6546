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

/** Of nulls, to be filled from 0 to `length`: what takes the place of an element calls no setter that somebody has given all arrays. */
export function arrayToFill(length: number): unknown[] {
  if (length <= MAX_COPIED) return NULLS.slice(0, length);
  let nulls: null[] = NULLS.slice();
  while (nulls.length * 2 <= length) nulls = nulls.concat(nulls);
  return nulls.concat(nulls.slice(0, length - nulls.length));
}

/** Text of a function `name` for `new` that makes a plain object with room for these fields and without any: the engine counts the assignments that it sees. */
export const plainObjectMaker = (name: string, keys: readonly string[]): string =>
  `function ${name}(){if(false){${keys.map((key) => `this[${JSON.stringify(key)}]=0;`).join('')}}}
${name}.prototype=Object.prototype;`;

interface Room {
  readonly fields: number;
  /** Made when it is first asked for. */
  maker?: new () => Record<string, unknown>;
}
/** An object that gets its fields one by one moves them to a larger place for every third; these have the place from the start. */
const ROOMS: readonly Room[] = [8, 16, 32, 64, 96].map((fields) => ({ fields }));

/** For `new`: makes an empty plain object with room for so many fields, where code may be made from text. */
export function roomFor(fields: number): new () => Record<string, unknown> {
  const room = ROOMS.find((one) => one.fields >= fields) ?? ROOMS[ROOMS.length - 1];
  return (room.maker ??= makerOf(room.fields));
}

function makerOf(fields: number): new () => Record<string, unknown> {
  try {
    return new Function(`${plainObjectMaker('R', Array.from({ length: fields }, (_, i) => `f${i}`))}return R`)() as new () => Record<string, unknown>;
  } catch {
    return Object as unknown as new () => Record<string, unknown>;
  }
}
