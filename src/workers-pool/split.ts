/**
 * Cuts a batch into tasks: few, of about equal size, for all threads. With buckets (hash tags) a task gets whole buckets, so
 * that the wallets of a bucket travel in one MGET.
 */
import { walletHash } from '../l2/slots.ts';

export interface SplitOptions {
  /** Most items of one task. */
  maxItems: number;
  threads: number;
  /** Hash-tag buckets of the key layout; 0 for none. */
  buckets: number;
}

/** Below this many items for each thread one task is cheaper than several. */
export const MIN_ITEMS_PER_TASK = 64;

/** Indices into `wallets`, one list for each task; each index in exactly one list. */
export function split(wallets: readonly string[], options: SplitOptions): Uint32Array[] {
  const { maxItems, threads, buckets } = options;
  const items = wallets.length;
  const tasks = Math.max(Math.ceil(items / maxItems), Math.min(threads, Math.floor(items / MIN_ITEMS_PER_TASK)), 1);
  if (tasks === 1) return [inOrder(items)];
  const target = Math.ceil(items / tasks);
  if (buckets === 0) {
    const all = inOrder(items);
    return Array.from({ length: Math.ceil(items / target) }, (_, k) => all.subarray(k * target, (k + 1) * target));
  }

  // Counting sort by bucket.
  const bucketOf = new Uint32Array(items);
  const starts = new Uint32Array(buckets + 1);
  for (let i = 0; i < items; i++) {
    const bucket = walletHash(wallets[i]) % buckets;
    bucketOf[i] = bucket;
    starts[bucket + 1]++;
  }
  for (let b = 0; b < buckets; b++) starts[b + 1] += starts[b];
  const next = starts.slice();
  const order = new Uint32Array(items);
  for (let i = 0; i < items; i++) order[next[bucketOf[i]]++] = i;

  // Cut at the bucket's end that is nearest to the target; a bucket larger than a task is cut wherever it must be.
  const lists: Uint32Array[] = [];
  let from = 0;
  for (let b = 0; b < buckets; b++) {
    const end = starts[b + 1];
    if (end - from > target && starts[b] > from && starts[b] - from >= target / 2) {
      lists.push(order.subarray(from, starts[b]));
      from = starts[b];
    }
    while (end - from > maxItems) {
      lists.push(order.subarray(from, from + maxItems));
      from += maxItems;
    }
    if (end - from >= target || (b === buckets - 1 && end > from)) {
      lists.push(order.subarray(from, end));
      from = end;
    }
  }
  return lists;
}

/** What stands at these places. `Array.from` would go through an iterator and a call for each. */
export function pick<T>(all: readonly T[], places: Uint32Array): T[] {
  const picked = new Array<T>(places.length);
  for (let i = 0; i < places.length; i++) picked[i] = all[places[i]];
  return picked;
}

function inOrder(items: number): Uint32Array {
  const list = new Uint32Array(items);
  for (let i = 0; i < items; i++) list[i] = i;
  return list;
}
