/**
 * Ages in bins: 0 to 7 each in its own, from there four an octave. Age is the number of ticks since the last use.
 *
 * Who needs these numbers at each request takes them over into constants of its own module (`const { STRIDE } = ageBins`): what is imported the compiler reads and checks anew at each use,
 * a constant of the module it writes into the code. An eviction takes two thirds of the time then.
 */
export const AGE_BITS = 20;
export const MAX_AGE = 2 ** AGE_BITS - 1;
export const BINS = (AGE_BITS - 1) * 4;

/** Places a class takes in a table by class and bin; the one past the bins is where stretches end that reach the last. */
export const STRIDE = BINS + 1;

/** First age of each bin. */
const START = Float64Array.from({ length: BINS + 1 }, (_, bin) => (bin < 8 ? bin : 2 ** ((bin >> 2) + 1) + (bin & 3) * 2 ** ((bin >> 2) - 1)));
/** Ages in each bin. */
export const BIN_WIDTH = Float64Array.from({ length: BINS }, (_, bin) => START[bin + 1] - START[bin]);

/** Without a branch: `shift` is 0 up to 7, and further on what leaves the first three bits of the age. */
export function binOf(age: number): number {
  const shift = 29 - Math.clz32(age | 4);
  return (shift << 2) + (age >>> shift);
}

/** Place of a class and an age in such a table. */
export const placeOf = (entryClass: number, age: number): number => entryClass * STRIDE + binOf(age);
