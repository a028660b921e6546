/**
 * Short slices of every variant, side by side: A B C, B C A, C A B, ... A busy moment of the machine hits all of them, and ratios are taken
 * within a round. (tinybench runs one task to its end before the next: on a shared machine that compares two moments.)
 */

export interface Variant {
  readonly name: string;
  /** Does `operations` of them; what it returns is kept, so that nothing is optimized away. */
  run(operations: number): number | Promise<number>;
}

export interface SliceOptions {
  rounds: number;
  /** Each slice of each variant. */
  operations: number;
  /** Rounds that are not counted: the compiler is not done. */
  warmUpRounds?: number;
  /** CPU time of the process instead of the clock on the wall: what others do on a busy machine does not count, collecting garbage beside the thread does. */
  cpuTime?: boolean;
}

/** On a busy machine there are fewer rounds, not longer runs; never fewer than these. */
const MIN_ROUNDS = 5;
const MAX_SECONDS = 15;

/** Goes on for `rounds` rounds, or until the time is used up: `while (budget.goesOn(round))`. */
export class Budget {
  private readonly rounds: number;
  private readonly endMs: number;

  constructor(rounds: number, maxSeconds: number = MAX_SECONDS) {
    this.rounds = rounds;
    this.endMs = performance.now() + maxSeconds * 1e3;
  }

  goesOn(round: number): boolean {
    return round < this.rounds && (round < MIN_ROUNDS || performance.now() < this.endMs);
  }
}

/** Nanoseconds an operation, by variant, one number a round. */
export type SliceTimes = ReadonlyMap<string, number[]>;

let kept = 0;
/** What the slices added up; printing it would be noise, but nobody can prove that it is not read. */
export const keep = (value: number): number => (kept += value);

const wallNs = () => Number(process.hrtime.bigint());

function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1e3;
}

export async function interleave(variants: readonly Variant[], options: SliceOptions): Promise<SliceTimes> {
  const { rounds, operations, warmUpRounds = 3, cpuTime = false } = options;
  const times = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  const budget = new Budget(rounds);
  for (let round = -warmUpRounds; budget.goesOn(round); round++) {
    for (let k = 0; k < variants.length; k++) {
      const variant = variants[(k + round + warmUpRounds) % variants.length];
      const started = cpuTime ? cpuNs() : wallNs();
      const value = variant.run(operations);
      keep(typeof value === 'number' ? value : await value);
      const ns = ((cpuTime ? cpuNs() : wallNs()) - started) / operations;
      if (round >= 0) times.get(variant.name)!.push(ns);
    }
    // Timers of the peers (lru-cache keeps its clock by one) get their turn between rounds.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return times;
}

/** One operation of each at a time, for operations that take long enough to be timed alone. @returns microseconds, by variant. */
export async function alternate(variants: readonly { readonly name: string; run(i: number): Promise<unknown> }[], options: { operations: number; warmUp: number }): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  for (let i = 0; i < options.warmUp + options.operations; i++) {
    for (let k = 0; k < variants.length; k++) {
      const variant = variants[(k + i) % variants.length];
      const started = performance.now();
      await variant.run(i);
      const us = (performance.now() - started) * 1e3;
      if (i >= options.warmUp) times.get(variant.name)!.push(us);
    }
  }
  return times;
}
