/**
 * What no policy can beat.
 *
 * Equal sizes: Belady's MIN (L. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 1966):
 * the resident entry whose next use is furthest away goes. It is exact for a cache that must take in what it misses.
 *
 * Sizes: the optimum is NP-hard; given is a bound below it, PFOO-L (D. Berger, N. Beckmann, M. Harchol-Balter, "Practical Bounds on
 * Optimal Caching with Variable Object Sizes", SIGMETRICS 2018): every hit takes bytes x requests of room from one use of the key to
 * the next; the cheapest are granted until bytes x length of the trace is spent, wherever in time that room is.
 */
import type { Bounds, Trace } from './simulate-replay.ts';

export interface Optimum {
  misses: number;
  missedBytes: number;
}

/** Index of the next request for the same key; the length of the trace where there is none. */
export function nextUses({ ids, uniqueKeys }: Trace): Uint32Array {
  const next = new Uint32Array(ids.length);
  const seenAt = new Uint32Array(uniqueKeys).fill(ids.length);
  for (let at = ids.length - 1; at >= 0; at--) {
    next[at] = seenAt[ids[at]];
    seenAt[ids[at]] = at;
  }
  return next;
}

export function optimum(trace: Trace, next: Uint32Array, bounds: Bounds): Optimum {
  if (trace.sizes !== undefined && bounds.bytes !== undefined) return roomBound(trace, trace.sizes, next, bounds.bytes);
  const misses = belady(trace, next, bounds.entries);
  return { misses, missedBytes: misses };
}

/** A heap of resident keys, the furthest next use on top; a hit only moves its key up, since its next use is later than any before. */
function belady({ ids, uniqueKeys }: Trace, next: Uint32Array, entries: number): number {
  const capacity = Math.min(entries, uniqueKeys);
  const heap = new Uint32Array(capacity);
  const nextOf = new Uint32Array(uniqueKeys);
  const placeOf = new Int32Array(uniqueKeys).fill(-1);
  let size = 0;
  let misses = 0;
  const siftUp = (start: number, id: number) => {
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const other = heap[parent];
      if (nextOf[other] >= nextOf[id]) break;
      heap[place] = other;
      placeOf[other] = place;
      place = parent;
    }
    heap[place] = id;
    placeOf[id] = place;
  };
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at];
    nextOf[id] = next[at];
    if (placeOf[id] >= 0) {
      siftUp(placeOf[id], id);
      continue;
    }
    misses++;
    if (size < capacity) {
      siftUp(size++, id);
      continue;
    }
    placeOf[heap[0]] = -1;
    // The newcomer takes the top's place and sinks.
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= capacity) break;
      if (child + 1 < capacity && nextOf[heap[child + 1]] > nextOf[heap[child]]) child++;
      if (nextOf[heap[child]] <= nextOf[id]) break;
      heap[place] = heap[child];
      placeOf[heap[place]] = place;
      place = child;
    }
    heap[place] = id;
    placeOf[id] = place;
  }
  return misses;
}

/** The cheapest hits for the count of misses; the bytes of the misses have a bound of their own: the cheapest hits a byte, which are the shortest. */
function roomBound({ ids }: Trace, sizes: Uint32Array, next: Uint32Array, maxBytes: number): Optimum {
  const costs: number[] = [];
  const lengths: number[] = [];
  let totalBytes = 0;
  for (let at = 0; at < ids.length; at++) {
    totalBytes += sizes[at];
    if (next[at] === ids.length || sizes[at] > maxBytes) continue;
    costs.push((next[at] - at) * sizes[at]);
    lengths.push(at);
  }
  const room = maxBytes * ids.length;
  const sorted = Float64Array.from(costs).sort();
  let hits = 0;
  let spent = 0;
  while (hits < sorted.length && spent + sorted[hits] <= room) spent += sorted[hits++];
  const byLength = Uint32Array.from(lengths).sort((a, b) => next[a] - a - (next[b] - b));
  let hitBytes = 0;
  spent = 0;
  for (const at of byLength) {
    spent += (next[at] - at) * sizes[at];
    if (spent > room) break;
    hitBytes += sizes[next[at]];
  }
  return { misses: ids.length - hits, missedBytes: totalBytes - hitBytes };
}
