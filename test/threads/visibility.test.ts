/**
 * What the owner has written is what every thread reads next, warm near caches included: the reader is told by one atomic store, right after
 * the owner's promise has resolved (or the write has been made), and reads at once, in the middle of its loop.
 */
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { closeCachesAfterEach, openCache } from '../support/caches.ts';

const READERS = 2;
const ROUNDS = 120;
const WALLETS = 16;

const workers: Worker[] = [];
closeCachesAfterEach();
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.terminate())));

/** Per wallet what was announced last: the number its profile must have at least, or minus the number up to which it has been removed. Then: round, stop. */
const words = new Int32Array(new SharedArrayBuffer((WALLETS + 2) * 4));

function spawn(handle: unknown, writes: boolean, broken = false): Worker {
  const worker = new Worker(new URL('./announced-reader.mjs', import.meta.url), { workerData: { handle, words, wallets: WALLETS, writes, broken } });
  workers.push(worker);
  return worker;
}
const verdictOf = async (worker: Worker) => ((await once(worker, 'message')) as [{ faults: string[]; checks: number; near: number }])[0];

async function run(broken: boolean) {
  words.fill(0);
  const cache = await openCache({ l2: 'none:', l1: { nearProfiles: WALLETS } });
  for (let wallet = 0; wallet < WALLETS; wallet++) {
    await cache.updateProfile(`w${wallet}`, { n: 1 });
    words[wallet] = 1;
  }
  const threads = Array.from({ length: READERS }, (_, k) => spawn(cache.handle, k === 0, broken));
  await Promise.all(threads.map((worker) => once(worker, 'message')));
  const verdicts = Promise.all(threads.map(verdictOf));
  let n = 1;
  for (let round = 1; round <= ROUNDS; round++) {
    const wallet = round % WALLETS;
    const choice = round % 10;
    n++;
    if (choice === 9) {
      await cache.clear();
      for (let i = 0; i < WALLETS; i++) Atomics.store(words, i, -n);
    } else if (choice > 6) {
      await cache.invalidate(`w${wallet}`);
      Atomics.store(words, wallet, -n);
    } else {
      await cache.updateProfile(`w${wallet}`, { n });
      Atomics.store(words, wallet, n);
    }
    Atomics.store(words, WALLETS, round);
    if (round % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  Atomics.store(words, WALLETS + 1, 1);
  return { reports: await verdicts, cache };
}

test('updates, invalidations and clears of the owner, in threads whose near caches are warm', async () => {
  const { reports, cache } = await run(false);
  for (const { faults, checks, near } of reports) {
    expect(faults).toEqual([]);
    expect(checks).toBeGreaterThan(ROUNDS);
    expect(near).toBeGreaterThan(ROUNDS);
  }
  // The first thread wrote through the owner meanwhile, and read its own writes.
  expect(cache.getProfileSync('written')).toMatchObject({ by: 'thread' });
});

test('a thread whose near cache does not look at its slot is caught', async () => {
  const { reports } = await run(true);
  expect(reports.flatMap(({ faults }) => faults)).not.toEqual([]);
});
