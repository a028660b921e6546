/**
 * The order in which a bulk update goes out: entries of one hash-tag bucket behind each other, so that they travel in one script call.
 * Parts cut in the order of the caller's list have four of 1,000 in each of 256 buckets, and a call costs as much as eight keys.
 *
 * Buckets lie on the nodes in order, a third of them on each of three masters. Were they to go out in order, one master after the other would have all
 * the work. So they go out in groups of about a part, each next group 0.618 of the ring further on (Weyl's sequence of the golden ratio, the most
 * even of its kind): parts that are under way together are another master's each. Every part to all masters costs the servers 6 % more: fewer
 * commands at a time for each.
 */
import { PART_ENTRIES } from './bulk-update.ts';
import { walletHash } from '../l2/slots.ts';

/** Sorted at once: a few milliseconds of hashing at the most. */
const WINDOW_ENTRIES = 10_000;
/** Below this nothing is gained. */
const MIN_ENTRIES = 500;

/**
 * The entries, each with its place in what the caller gave; those of one wallet keep their order. What has no wallet is passed on, to be
 * refused. A list is sorted; of a generator nothing is read ahead: it may yield one object again and again.
 */
export function* inBucketOrder<E extends readonly [string, ...unknown[]]>(entries: Iterable<E>, buckets: number): Generator<readonly [number, E], void, void> {
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

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** The place of each bucket in the order of going out. */
function placesOf(buckets: number, groups: number): Uint32Array {
  const places = new Uint32Array(buckets);
  let step = Math.max(1, Math.round(groups * GOLDEN));
  // Then it meets every group.
  while (greatestCommonDivisor(step, groups) > 1) step++;
  let place = 0;
  for (let k = 0, group = 0; k < groups; k++, group = (group + step) % groups) {
    const end = Math.ceil(((group + 1) * buckets) / groups);
    for (let bucket = Math.ceil((group * buckets) / groups); bucket < end; bucket++) places[bucket] = place++;
  }
  return places;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Counting sort. */
function sorted(list: readonly (readonly [unknown, ...unknown[]] | undefined)[], from: number, to: number, buckets: number): Uint32Array {
  const places = placesOf(buckets, Math.min(buckets, Math.ceil((to - from) / PART_ENTRIES)));
  const placeOf = new Uint32Array(to - from);
  const next = new Uint32Array(buckets + 1);
  for (let i = from; i < to; i++) {
    const wallet = list[i]?.[0];
    const place = typeof wallet === 'string' ? places[walletHash(wallet) % buckets] : 0;
    placeOf[i - from] = place;
    next[place + 1]++;
  }
  for (let place = 0; place < buckets; place++) next[place + 1] += next[place];
  const order = new Uint32Array(to - from);
  for (let i = from; i < to; i++) order[next[placeOf[i - from]]++] = i;
  return order;
}
