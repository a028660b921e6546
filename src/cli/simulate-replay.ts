/** A trace replayed through an eviction policy: the code that runs in the engine, driven as the engine drives it. */
import type { PolicyFactory } from '../eviction/policy.ts';

export interface Trace {
  /** One a request: a dense number of the key, in order of first appearance. */
  ids: Uint32Array;
  /** Bytes of the object, one a request; absent where sizes are not known. */
  sizes?: Uint32Array;
  uniqueKeys: number;
}

/** What bounds a cache: entries, and with sizes bytes. */
export interface Bounds {
  entries: number;
  bytes?: number;
}

export interface ReplayResult {
  requests: number;
  misses: number;
  missedBytes: number;
  /** Processor time of the whole loop, key look-up included: other work on the machine does not count. */
  nsPerRequest: number;
}

/** The finalizer of MurmurHash3 (A. Appleby): no two ids share a hash, and a policy sees what a keyed hash would give it. */
export function hashOfId(id: number): number {
  let hash = (id + 0x9e3779b9) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * A miss makes room and inserts; a hit touches. An object larger than the whole cache passes by. The size of an entry is
 * that of the request that brought it.
 */
export function replay(trace: Trace, makePolicy: PolicyFactory, bounds: Bounds): ReplayResult {
  const { ids, sizes } = trace;
  const slotCount = Math.min(bounds.entries, trace.uniqueKeys);
  const maxBytes = sizes === undefined ? Infinity : (bounds.bytes ?? Infinity);
  const hashes = new Uint32Array(slotCount);
  const policy = makePolicy(slotCount, { words: hashes, first: 0, step: 1 });
  const slotOf = new Int32Array(trace.uniqueKeys).fill(-1);
  const idIn = new Int32Array(slotCount);
  const bytesIn = new Float64Array(slotCount);
  const free = Int32Array.from({ length: slotCount }, (_, i) => slotCount - 1 - i);
  let freeCount = slotCount;
  let usedBytes = 0;
  let misses = 0;
  let missedBytes = 0;
  const started = process.cpuUsage();
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at];
    const held = slotOf[id];
    if (held >= 0) {
      policy.touched(held);
      continue;
    }
    const bytes = sizes === undefined ? 1 : sizes[at];
    misses++;
    missedBytes += bytes;
    if (bytes > maxBytes) continue;
    while (freeCount === 0 || usedBytes + bytes > maxBytes) {
      const victim = policy.victim();
      slotOf[idIn[victim]] = -1;
      usedBytes -= bytesIn[victim];
      free[freeCount++] = victim;
      policy.removed(victim);
    }
    const slot = free[--freeCount];
    slotOf[id] = slot;
    idIn[slot] = id;
    bytesIn[slot] = bytes;
    usedBytes += bytes;
    hashes[slot] = hashOfId(id);
    policy.inserted(slot, hashes[slot], bytes);
  }
  const spent = process.cpuUsage(started);
  const nsPerRequest = ((spent.user + spent.system) * 1_000) / Math.max(1, ids.length);
  return { requests: ids.length, misses, missedBytes, nsPerRequest };
}
