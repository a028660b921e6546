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

/** Requests between two choices, for each entry of the caches compared. */
export const EPOCH = 2;
/** What remains of the counted misses from one epoch to the next. */
const DECAY = 0.7;
/** How much better another must be. */
const MARGIN = 0.005;

/** The best by `misses`, or `chosen` while none is clearly better. Lets the misses decay. */
export function chooseExpert(misses: Float64Array, chosen: number): number {
  let best = chosen;
  for (let at = 0; at < misses.length; at++) if (misses[at] < misses[best]) best = at;
  const better = misses[best] < misses[chosen] * (1 - MARGIN);
  for (let at = 0; at < misses.length; at++) misses[at] *= DECAY;
  return better ? best : chosen;
}
