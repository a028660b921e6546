/** Rows of threads that died come back; rows of threads that live do not, however busy those are. Real worker threads. */
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { HEADER, THREAD_ROWS } from '../../src/l1/layout.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { RowReaper, claimedRows, holdsRow, ownerLife } from '../../src/l1/row-claim.ts';
import { ThreadRow, sumCounters } from '../../src/l1/thread-row.ts';
import { until } from '../support/caches.ts';

const workers: Worker[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.terminate())));

/** A thread that claims rows, counts once in each, and does what it is told. */
async function hold(region: Region, what: 'rest' | 'block' | 'die' | 'end' | 'half', rows = 1): Promise<{ worker: Worker; row: number; epoch: number }> {
  const worker = new Worker(new URL('./row-holder.mjs', import.meta.url), { workerData: { dist: new URL('../../dist/src', import.meta.url).href, buffer: region.buffer, what, rows } });
  workers.push(worker);
  const [{ row, epoch }] = (await once(worker, 'message')) as [{ row: number; epoch: number }];
  return { worker, row, epoch };
}
const fresh = () => {
  const region = createRegion(4, 16 * 1024);
  return { region, own: ThreadRow.claim(region), reaper: new RowReaper(region) };
};
/** As if the next look were due. */
const look = (region: Region) => new RowReaper(region).pass();
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a row comes back', () => {
  test.each(['die', 'end'] as const)('when its thread has ended by itself (%s)', async (how) => {
    const { region } = fresh();
    const { worker } = await hold(region, how);
    if (worker.threadId !== -1) await once(worker, 'exit');
    expect([claimedRows(region), sumCounters(region, 0)]).toEqual([2, 1]);
    expect(look(region)).toBe(1);
    expect([claimedRows(region), sumCounters(region, 0)]).toEqual([1, 1]);
  });

  test('when its thread has been terminated: idle, in an endless loop, or before it had a waiter', async () => {
    const { region } = fresh();
    for (const what of ['rest', 'block', 'half'] as const) {
      const { worker, row } = await hold(region, what);
      await worker.terminate();
      expect(look(region), what).toBe(1);
      expect(claimedRows(region)).toBe(1);
      // The next holder begins with all signs: he is found alive, then dead.
      const next = await hold(region, 'rest');
      expect(next.row).toBe(row);
      expect(look(region), what).toBe(0);
      await next.worker.terminate();
      await until(`the row is back (${what})`, () => look(region) === 1);
    }
    expect(sumCounters(region, 0)).toBe(5);
  });

  test('when its thread blocked for a while, was probed, and died without a turn of its loop', async () => {
    const { region } = fresh();
    const { worker } = await hold(region, 'block');
    for (let probes = 0; probes < 4; probes++) {
      expect(look(region)).toBe(0);
      await wait(50 * 2 ** probes + 5);
    }
    await worker.terminate();
    expect(look(region)).toBe(1);
  });
});

describe('a row stays', () => {
  test('with a thread that blocks its event loop: signs are not wasted', async () => {
    const { region } = fresh();
    const { row, epoch } = await hold(region, 'block');
    const endMs = performance.now() + 1_500;
    for (let looks = 0; performance.now() < endMs; looks++) expect(look(region)).toBe(0);
    expect(holdsRow(region, row, epoch)).toBe(true);
  });

  test('with a thread that answers, however often it is asked', async () => {
    const { region } = fresh();
    const { worker, row, epoch } = await hold(region, 'rest');
    for (let looks = 0; looks < 2_000; looks++) {
      expect(look(region)).toBe(0);
      if (looks % 10 === 0) await wait(1);
    }
    expect(holdsRow(region, row, epoch)).toBe(true);
    await worker.terminate();
    await until('the row is back', () => look(region) === 1);
  });

  test('with a thread that was found without a waiter it never had: it takes another', async () => {
    const { region } = fresh();
    const paused = await hold(region, 'half');
    expect(look(region)).toBe(1);
    // Between its claim and its first waiter the thread has lost the row, and another has it now.
    const other = ThreadRow.claim(region);
    expect(other.row).toBe(paused.row);
    paused.worker.postMessage('go on');
    const [second] = (await once(paused.worker, 'message')) as [{ row: number; epoch: number }];
    expect(second.row).not.toBe(other.row);
    expect([holdsRow(region, other.row, other.claimed.epoch), holdsRow(region, second.row, second.epoch), claimedRows(region)]).toEqual([true, true, 3]);
  });

  test('with the owner, which a pass never looks at', () => {
    const { region, reaper } = fresh();
    expect([reaper.pass(), claimedRows(region)]).toEqual([0, 1]);
  });

  test('a thread that hits is not woken, one that rests is asked once a second at the most', async () => {
    const { region, reaper } = fresh();
    const { row } = await hold(region, 'block');
    const signs = () => Atomics.load(region.i32, signsAt(region, row));
    reaper.pass();
    const after = signs();
    reaper.pass();
    expect(signs()).toBe(after);
    const hitting = ThreadRow.claim(region);
    const before = Atomics.load(region.i32, signsAt(region, hitting.row));
    hitting.pushHit(1);
    new RowReaper(region).pass();
    expect(Atomics.load(region.i32, signsAt(region, hitting.row))).toBe(before);
  });
});

const signsAt = (region: Region, row: number) => (region.rowsStart + row * 1_664 + 516) / 4;

test('the owner is known to be dead when it is, and not before', async () => {
  const region = createRegion(4, 16 * 1024);
  const owner = await hold(region, 'block');
  expect([owner.row, ownerLife(region)]).toEqual([0, 'alive']);
  expect(ownerLife(region)).toBe('unknown');
  await owner.worker.terminate();
  await wait(60);
  expect(ownerLife(region)).toBe('dead');
  const closed = createRegion(4, 16 * 1024);
  ThreadRow.claim(closed);
  expect(ownerLife(closed)).toBe('alive');
  Atomics.store(closed.u32, HEADER.closed, 1);
  expect(ownerLife(closed)).toBe('dead');
});

test('a row that was freed is written by its former thread no more', () => {
  const { region } = fresh();
  const row = ThreadRow.claim(region);
  row.count(0, 5);
  row.free();
  row.free();
  row.count(0, 7);
  const next = ThreadRow.claim(region);
  row.pushHit(3);
  row.free();
  expect([next.row === row.row, sumCounters(region, 0), claimedRows(region), holdsRow(region, next.row, next.claimed.epoch)]).toEqual([true, 5, 2, true]);
});

test('more rows die than there are, in threads that hold many', async () => {
  const { region } = fresh();
  const rows = Array.from({ length: THREAD_ROWS - 50 }, () => ThreadRow.claim(region));
  let freed = 0;
  for (let deaths = 0; deaths < 8; deaths++) {
    const { worker } = await hold(region, deaths % 2 === 0 ? 'rest' : 'block', 40);
    expect(claimedRows(region)).toBe(THREAD_ROWS - 9);
    await worker.terminate();
    // Crowded: nobody is spared.
    freed += look(region);
  }
  expect([freed, claimedRows(region), sumCounters(region, 0)]).toEqual([320, THREAD_ROWS - 49, 320]);
  for (const row of rows) row.free();
  expect(claimedRows(region)).toBe(1);
});
