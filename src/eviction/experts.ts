/** Settings that `adaptive` chooses among, and when it takes another. */
import type { Knobs } from './tunable.ts';

/** Each is best somewhere, by native-notes/eviction.md; the last is where every cache starts. */
export const EXPERTS: readonly Knobs[] = [
  // Most workloads.
  { name: 's3-fifo, one hit', smallShare: 0.1, admission: 1, ghosts: 2, main: 'clock' },
  // What comes twice and no more must not fill the main queue.
  { name: 's3-fifo, two hits', smallShare: 0.1, admission: 2, ghosts: 2, main: 'clock' },
  // Recency rules, up to a point: keys that change, web pages.
  { name: 's3-fifo, wide', smallShare: 0.4, admission: 1, ghosts: 2, main: 'clock' },
  // Frequency rules: Zipf, scans.
  { name: 's3-fifo, narrow', smallShare: 0.01, admission: 1, ghosts: 4, main: 'clock' },
  // Loops: the only one that keeps a part of them against the rest.
  { name: 'w-tinylfu', smallShare: 0.01, admission: 'frequency', ghosts: 0, main: 'slru' },
  // The safe harbour.
  { name: 'lru', smallShare: 0, admission: 1, ghosts: 0, main: 'lru' },
];

/** Until there is evidence: a cache that has hardly been full must not lose against LRU. */
export const FIRST_EXPERT = EXPERTS.length - 1;

/** Requests between two choices, for each entry of the caches compared: the first come sooner, since a cold cache counts too. */
const EPOCH = Number(process.env.EP ?? 2);
const FIRST_EPOCH = Number(process.env.FE ?? 0.25);
/** How much better another must be after a whole epoch; more after a shorter one, by the square: an early lead is often luck. */
const MARGIN = 0.005;
/** What remains of the counted misses from one whole epoch to the next. */
const DECAY = Number(process.env.DE ?? 0.7);

/** Compares the misses of the experts' shadow caches, epoch by epoch. */
export class ExpertChoice {
  chosen = FIRST_EXPERT;
  private epoch = 0;
  private requestsLeft = Infinity;

  /** Before `start` nothing is chosen: as long as no cache is full all are the same. */
  start(entries: number): void {
    this.epoch = FIRST_EPOCH;
    this.requestsLeft = Math.ceil(this.epoch * entries);
  }

  reset(): void {
    this.chosen = FIRST_EXPERT;
    this.requestsLeft = Infinity;
  }

  /** After every request. @returns whether an epoch has ended; `chosen` may then be another, and `misses` have decayed. */
  decide(misses: Float64Array, entries: number): boolean {
    if (--this.requestsLeft > 0) return false;
    let best = this.chosen;
    for (let at = 0; at < misses.length; at++) if (misses[at] < misses[best]) best = at;
    if (misses[best] < misses[this.chosen] * (1 - MARGIN * (EPOCH / this.epoch) ** 2)) this.chosen = best;
    // The short epochs are parts of the first whole one: nothing is forgotten until it is over.
    if (this.epoch === EPOCH) for (let at = 0; at < misses.length; at++) misses[at] *= DECAY;
    this.epoch = Math.min(EPOCH, this.epoch * 2);
    this.requestsLeft = Math.ceil(this.epoch * entries);
    return true;
  }
}
