/** What the torture's tables say of slow reads: time without a core is told apart from what a read takes itself. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Stalls } from '../support/stalls.mjs';

test('a read that was long on its core is its own doing', () => {
  const stalls = new Stalls();
  stalls.note(0, 1_000, 1_000);
  stalls.note(1_000, 1_000.1, 3_000);
  const { reads, idle } = stalls.report();
  expect(reads.count).toBe(2);
  expect(reads.slowestMs).toBe(1_000);
  expect(reads.longestOwnMs).toBeCloseTo(1_000 - reads.slowestWaitedMs, 6);
  // No wait for a core can have been so long since the watch began.
  expect(reads.longestOwnMs).toBeGreaterThan(500);
  expect(idle.slowestMs).toBe(1_999.9);
});

test.skipIf(!existsSync('/proc/thread-self/schedstat'))('where more threads spin than there are cores, the wait for one is taken off (Linux only)', async () => {
  const spinners = Array.from({ length: 2 * availableParallelism() }, () => new Worker('for (;;);', { eval: true }));
  try {
    const stalls = new Stalls();
    const giveUpMs = performance.now() + 10_000;
    let seen = stalls.report().reads;
    while (seen.slowestWaitedMs === 0 && performance.now() < giveUpMs) {
      const startMs = performance.now();
      for (const stopMs = startMs + 20; performance.now() < stopMs; );
      const readMs = performance.now();
      stalls.note(startMs, readMs, readMs);
      seen = stalls.report().reads;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(seen.slowestWaitedMs).toBeGreaterThan(0);
    expect(seen.longestOwnMs).toBeLessThan(seen.slowestMs);
  } finally {
    await Promise.all(spinners.map((spinner) => spinner.terminate()));
  }
});
