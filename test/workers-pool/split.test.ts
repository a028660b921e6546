import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { walletHash } from '../../src/l2/slots.ts';
import { MIN_ITEMS_PER_TASK, split } from '../../src/workers-pool/split.ts';
import { MIN_WALLETS_PER_TASK, TaskSizer } from '../../src/workers-pool/task-sizer.ts';
import { ENTRY_BYTES, HEADER_BYTES } from '../../src/workers-pool/inbox.ts';

const wallets = (n: number) => Array.from({ length: n }, (_, i) => `wallet-${i}`);

describe('split', () => {
  test('puts every item into exactly one task, none over the limit', () => {
    fc.assert(
      fc.property(fc.nat(1500), fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 8 }), fc.constantFrom(0, 1, 7, 256, 16384), (n, maxItems, threads, buckets) => {
        const lists = split(wallets(n), { maxItems, threads, buckets });
        expect(lists.flatMap((list) => [...list]).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
        const sizes = lists.map((list) => list.length);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(maxItems);
        if (n > 0) expect(Math.min(...sizes)).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });

  test('keeps the wallets of a bucket together, in tasks of about equal size', () => {
    const all = wallets(10_000);
    const lists = split(all, { maxItems: 400, threads: 2, buckets: 256 });
    const bucketsOf = lists.map((list) => new Set(Array.from(list, (i) => walletHash(all[i]) % 256)));
    // Were a bucket in two tasks, it would be counted twice.
    expect(bucketsOf.reduce((sum, buckets) => sum + buckets.size, 0)).toBe(256);
    // The last one takes what is left.
    expect(Math.min(...lists.slice(0, -1).map((list) => list.length))).toBeGreaterThan(300);
    expect(lists.length).toBeLessThan(35);
  });

  test('a few items are one task; more go to all threads', () => {
    expect(split(wallets(1), { maxItems: 500, threads: 4, buckets: 256 })).toHaveLength(1);
    expect(split(wallets(MIN_ITEMS_PER_TASK), { maxItems: 500, threads: 4, buckets: 0 })).toHaveLength(1);
    expect(split(wallets(4 * MIN_ITEMS_PER_TASK), { maxItems: 500, threads: 4, buckets: 0 })).toHaveLength(4);
  });
});

test('tasks shrink until the answers fit into their chunks, and grow again', () => {
  const chunkBytes = 512 * 1024;
  const sizer = new TaskSizer(chunkBytes, 512);
  expect(sizer.walletsPerTask).toBeGreaterThan(300);
  for (let i = 0; i < 100; i++) sizer.learn(25, 25 * 20_000);
  const large = sizer.walletsPerTask;
  expect(large * (20_000 + ENTRY_BYTES) + HEADER_BYTES).toBeLessThanOrEqual(chunkBytes);
  expect(large).toBeGreaterThanOrEqual(MIN_WALLETS_PER_TASK);
  for (let i = 0; i < 100; i++) sizer.learn(100, 100 * 1024 * 1024);
  expect(sizer.walletsPerTask).toBe(MIN_WALLETS_PER_TASK);
  sizer.learn(0, 0);
  for (let i = 0; i < 100; i++) sizer.learn(200, 200 * 200);
  expect(sizer.walletsPerTask).toBe(512);
});

test('a few giants among many small records do not make small tasks', () => {
  const sizer = new TaskSizer(512 * 1024, 512);
  for (let i = 0; i < 50; i++) sizer.learn(300, 300 * 1_000);
  for (let i = 0; i < 5; i++) sizer.learn(1, 1024 * 1024);
  for (let i = 0; i < 4; i++) sizer.learn(100, 100 * 1_000);
  expect(sizer.walletsPerTask).toBeGreaterThan(50);
});
