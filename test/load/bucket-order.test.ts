/** Order of a bulk update: whole buckets, nothing lost, a wallet's entries in the caller's order. */
import { describe, expect, test } from 'vitest';
import { walletHash } from '../../src/l2/slots.ts';
import { inBucketOrder } from '../../src/load/bucket-order.ts';

const BUCKETS = 64;
const wallets = Array.from({ length: 23_456 }, (_, i) => `wallet${(i * 7_919) % 20_000}`);
const orderOf = (list: readonly (string | undefined)[], buckets: number) => {
  const entries = list.map((wallet) => [wallet as string, {}] as const);
  return Array.from(inBucketOrder(entries, buckets), ([at, entry]) => {
    expect(entry).toBe(entries[at]);
    return at;
  });
};

describe('inBucketOrder', () => {
  test('gives every index once, and a bucket in one run a window', () => {
    const order = orderOf(wallets, BUCKETS);
    expect(order.toSorted((a, b) => a - b)).toEqual(wallets.map((_, i) => i));
    const runs = order.filter((index, k) => k === 0 || walletHash(wallets[index]) % BUCKETS !== walletHash(wallets[order[k - 1]]) % BUCKETS).length;
    expect(runs).toBeLessThanOrEqual(BUCKETS * Math.ceil(wallets.length / 10_000));
  });

  test('parts that follow each other lie in different thirds of the ring, so at different ones of three masters', () => {
    for (const buckets of [30, 256, 1_000]) {
      const order = orderOf(wallets.slice(0, 10_000), buckets);
      const middles = Array.from({ length: 10 }, (_, part) => (walletHash(wallets[order[part * 1_000 + 500]]) % buckets) / buckets);
      for (let part = 1; part < middles.length; part++) {
        const apart = Math.abs(middles[part] - middles[part - 1]);
        expect(Math.min(apart, 1 - apart)).toBeGreaterThan(0.25);
      }
    }
  });

  test('few buckets are gone through as well, each in one run', () => {
    for (const buckets of [1, 2, 3, 4, 6, 10, 30]) {
      const order = orderOf(wallets.slice(0, 1_000), buckets);
      expect(order.toSorted((a, b) => a - b)).toEqual(wallets.slice(0, 1_000).map((_, i) => i));
      expect(order.filter((index, k) => k === 0 || walletHash(wallets[index]) % buckets !== walletHash(wallets[order[k - 1]]) % buckets)).toHaveLength(buckets);
    }
  });

  test('entries of one wallet keep their order', () => {
    const last = new Map<string, number>();
    for (const index of orderOf(wallets, BUCKETS)) {
      expect(index).toBeGreaterThan(last.get(wallets[index]) ?? -1);
      last.set(wallets[index], index);
    }
  });

  test('what is no wallet is passed on to be refused', () => {
    const odd = wallets.slice(0, 600).map((wallet, i) => (i % 100 === 0 ? undefined : wallet));
    expect(orderOf(odd, BUCKETS).toSorted((a, b) => a - b)).toEqual(odd.map((_, i) => i));
  });

  test('without buckets, and of few entries, the order is the list\'s', () => {
    expect(orderOf(wallets, 0)).toEqual(wallets.map((_, i) => i));
    expect(orderOf(wallets.slice(0, 100), BUCKETS)).toEqual(wallets.slice(0, 100).map((_, i) => i));
  });

  test('a generator is not read ahead', () => {
    let yielded = 0;
    function* entries(): Generator<[string, object]> {
      for (const wallet of wallets) {
        yielded++;
        yield [wallet, {}];
      }
    }
    for (const [at] of inBucketOrder(entries(), BUCKETS)) {
      expect(yielded).toBe(at + 1);
      if (at === 2_000) break;
    }
  });
});
