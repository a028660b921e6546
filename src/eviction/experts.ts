/** Settings that `adaptive` chooses among, and when it takes another. */
import type { Knobs } from './tunable.ts';

/** Each is best somewhere, by native-notes/eviction.md. */
export const EXPERTS: readonly Knobs[] = [
  // Most workloads.
  { name: 's3-fifo', smallShare: 0.1, admission: 1, ghosts: 2, main: 'clock' },
  // Recency rules, up to a point: keys that change, web pages.
  { name: 's3-fifo, wide', smallShare: 0.4, admission: 1, ghosts: 2, main: 'clock' },
  // Frequency rules: Zipf, scans.
  { name: 's3-fifo, narrow', smallShare: 0.01, admission: 1, ghosts: 4, main: 'clock' },
  // Loops: the only one that keeps a part of them against the rest.
  { name: 'w-tinylfu', smallShare: 0.01, admission: 'frequency', ghosts: 0, main: 'slru' },
  // The safe harbour.
  { name: 'lru', smallShare: 0, admission: 1, ghosts: 0, main: 'lru' },
];

/** The same, and one that looks at sizes: it is asked only where a bound in bytes, and not the number of slots, makes entries go. */
export const EXPERTS_AND_SIZES = [...EXPERTS, 'by size'] as const;
export const BY_SIZE = EXPERTS.length;

/** Until there is evidence: near to LRU where recency rules, and ahead of it nearly everywhere else. */
export const FIRST_EXPERT = 1;

/** Requests between two choices, for each entry of the caches compared. */
const EPOCH = 2;
/** How much better another must be. */
const MARGIN = 0.005;
/** What remains of the counted misses from one epoch to the next. */
const DECAY = 0.7;

/** Compares the misses of the experts' shadow caches, epoch by epoch. */
export class ExpertChoice {
  chosen = FIRST_EXPERT;
  private requestsLeft = Infinity;

  /** Before it nothing is chosen: as long as no cache is full all are the same. */
  start(entries: number, first = FIRST_EXPERT): void {
    this.chosen = first;
    this.startEpoch(entries);
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
    if (misses[best] < misses[this.chosen] * (1 - MARGIN)) this.chosen = best;
    for (let at = 0; at < misses.length; at++) misses[at] *= DECAY;
    this.startEpoch(entries);
    return true;
  }

  private startEpoch(entries: number): void {
    this.requestsLeft = Math.ceil(EPOCH * entries);
  }
}
