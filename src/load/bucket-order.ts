/**
 * The order in which a bulk update goes out: entries of one hash-tag bucket behind each other, so that they travel in one script call.
 * Parts cut in the order of the caller's list have four of 1,000 in each of 256 buckets, and a call costs as much as eight keys.
 */
import { walletHash } from '../l2/slots.ts';

/** Sorted at once: a few milliseconds of hashing at the most. */
const WINDOW_ENTRIES = 10_000;
/** Below this nothing is gained. */
const MIN_ENTRIES = 500;

/**
 * The entries, each with its place in what the caller gave; those of one wallet keep their order. What has no wallet is passed on, to be
 * refused. A list is sorted; of a generator nothing is read ahead: it may yield one object again and again.
 */
export function* inBucketOrder<E extends readonly [string, unknown]>(entries: Iterable<E>, buckets: number): Generator<readonly [number, E], void, void> {
  if (!Array.isArray(entries) || buckets === 0) {
    let at = 0;
    for (const entry of entries) yield [at++, entry];
    return;
  }
  const list = entries as readonly E[];
  for (let from = 0; from < list.length; from += WINDOW_ENTRIES) {
    const to = Math.min(list.length, from + WINDOW_ENTRIES);
    if (to - from < MIN_ENTRIES) for (let at = from; at < to; at++) yield [at, list[at]];
    else for (const i of sorted(list, from, to, buckets)) yield [i, list[i]];
  }
}

/** Counting sort. */
function sorted(list: readonly (readonly [unknown, unknown] | undefined)[], from: number, to: number, buckets: number): Uint32Array {
  const bucketOf = new Uint32Array(to - from);
  const next = new Uint32Array(buckets + 1);
  for (let i = from; i < to; i++) {
    const wallet = list[i]?.[0];
    const bucket = typeof wallet === 'string' ? walletHash(wallet) % buckets : 0;
    bucketOf[i - from] = bucket;
    next[bucket + 1]++;
  }
  for (let bucket = 0; bucket < buckets; bucket++) next[bucket + 1] += next[bucket];
  const order = new Uint32Array(to - from);
  for (let i = from; i < to; i++) order[next[bucketOf[i - from]]++] = i;
  return order;
}
