/**
 * Threads that die with tasks in hand: nothing hangs, no acknowledged write is lost, each task is tried once more, chunks come
 * back, the pool refills. A death that happens once costs the caller nothing but time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CONTROL, makeMemoryStoreData } from '../support/memory-store.ts';
import { fetchAll, openOnMemory, rawOf, write } from '../support/l2-client.ts';
import type { Opened } from '../support/l2-client.ts';

const stored = { status: 'stored' };
/** A spinning thread is ended half a second after its task's deadline; a heap of 64 MB is soon full. */
const internals = { limits: { hungGraceMs: 500 }, resourceLimits: { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 16 } };

describe.each(['exit', 'throw', 'oom'])('a thread that dies by %s', (how) => {
  let opened: Opened;
  beforeEach(async () => {
    opened = await openOnMemory({ l2TimeoutMs: 15_000 }, internals);
  });
  afterEach(async () => {
    await refilled(opened);
    expect(opened.client.stats()).toMatchObject({ runningTasks: 0, waitingTasks: 0, inboxBytesInUse: 0, threads: 2 });
    await opened.client.close();
  });

  test('once: reads come back whole by the second attempt', async () => {
    const { client } = opened;
    const wallets = [`crash-once:${how}:w`, ...Array.from({ length: 300 }, (_, i) => `w${i}`)];
    await client.setMany(wallets.slice(1).map((wallet) => write(wallet)));
    const { visited, missing, failed } = await fetchAll(client, wallets);
    expect([failed.size, missing]).toEqual([0, [`crash-once:${how}:w`]]);
    expect(visited).toHaveLength(300);
    expect(new Set(visited.map(({ wallet }) => wallet)).size).toBe(300);
    for (const { wallet, raw } of visited) expect(raw).toEqual(rawOf(wallet, 1));
    expect(client.stats().retries).toBeGreaterThanOrEqual(1);
    expect(client.stats().workerErrors).toBeGreaterThanOrEqual(1);
  });

  test('once, after the write took effect: it is still reported as stored', async () => {
    const { client } = opened;
    const wallet = `crash-once:${how}:w`;
    expect(await client.setMany([write(wallet, 3)])).toEqual([stored]);
    expect(client.stats().retries).toBe(1);
    expect((await fetchAll(client, [wallet])).visited[0]).toMatchObject({ version: 3 });
  });

  test('every time: that task fails typed, and the next is served', async () => {
    const { client } = opened;
    const wallet = `crash:${how}:w`;
    const { failed } = await fetchAll(client, [wallet]);
    expect(failed.get(wallet)).toMatchObject({ name: 'ProfileCacheError', code: 'ERR_WORKER' });
    expect(await client.setMany([write('after')])).toEqual([stored]);
    expect((await fetchAll(client, ['after'])).found).toBe(1);
    expect(client.stats()).toMatchObject({ retries: 1, workerErrors: 2 });
  });
});

test('a delete and a call are tried again as well', async () => {
  const opened = await openOnMemory({}, internals);
  const { client, data } = opened;
  expect(await client.deleteMany([{ wallet: 'crash-once:exit:w', version: 4 }])).toEqual([stored]);
  new Int32Array(data.control)[CONTROL.crashes] = 0;
  expect(await client.getBlob('crash-once:exit:blob')).toBeUndefined();
  await expect(client.getBlob('crash:exit:blob')).rejects.toMatchObject({ code: 'ERR_WORKER' });
  await refilled(opened);
  await client.close();
});

test('with a single thread the second attempt waits for its replacement', async () => {
  const opened = await openOnMemory({ workers: 1 }, internals);
  expect(await opened.client.setMany([write('crash-once:exit:w'), write('w')])).toEqual([stored, stored]);
  expect((await fetchAll(opened.client, ['w'])).found).toBe(1);
  await refilled(opened, 1);
  await opened.client.close();
});

test('a thread in an endless loop costs its tasks their deadline, is ended, and its chunk comes back', async () => {
  const opened = await openOnMemory({ l2TimeoutMs: 400 }, internals);
  const { client } = opened;
  const wallet = 'crash:spin:w';
  const { failed } = await fetchAll(client, [wallet]);
  expect(failed.get(wallet)).toMatchObject({ code: 'ERR_L2_TIMEOUT' });
  // The other thread serves meanwhile.
  expect((await fetchAll(client, ['absent'])).missing).toEqual(['absent']);
  expect(client.stats().inboxBytesInUse).toBeGreaterThan(0);
  await refilled(opened);
  expect(client.stats()).toMatchObject({ hungWorkers: 1, replacedWorkers: 1, inboxBytesInUse: 0, runningTasks: 0 });
  expect(await client.setMany([write('after')])).toEqual([stored]);
  await client.close();
});

test('both threads in an endless loop: served again as soon as they are replaced', async () => {
  const opened = await openOnMemory({ l2TimeoutMs: 400 }, internals);
  const { client } = opened;
  const spins = Array.from({ length: 2 }, (_, i) => fetchAll(client, [`crash:spin:${i}`]));
  for (const { failed } of await Promise.all(spins)) expect(failed.size).toBe(1);
  await refilled(opened);
  expect((await fetchAll(client, ['absent'])).missing).toEqual(['absent']);
  expect(client.stats().inboxBytesInUse).toBe(0);
  await client.close();
});

test('close ends a thread that is in an endless loop', async () => {
  const { client } = await openOnMemory({ l2TimeoutMs: 300 }, { limits: { drainTimeoutMs: 500, closeStoreTimeoutMs: 300 } });
  const read = fetchAll(client, ['crash:spin:w']);
  await client.close();
  expect((await read).failed.size).toBe(1);
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Worker')).toEqual([]);
});

test('a replacement that finds L2 away answers with that, does not die of it, and heals', async () => {
  // The second store of the pool, that of the replacement, cannot open; the third can.
  const opened = await openOnMemory({ workers: 1 }, internals, { ...makeMemoryStoreData(), failOpen: { code: 'ERR_L2_CONNECT', nths: [1] } });
  const { client, data } = opened;
  const { failed } = await fetchAll(client, ['crash-once:exit:w']);
  expect(failed.get('crash-once:exit:w')).toMatchObject({ code: 'ERR_L2_CONNECT' });
  await sleep(600);
  expect((await fetchAll(client, ['w'])).missing).toEqual(['w']);
  expect(client.stats()).toMatchObject({ replacedWorkers: 1, threads: 1 });
  expect(new Int32Array(data.control)[CONTROL.opened]).toBe(3);
  await client.close();
});

test('200 calls while threads keep dying: every one is answered, every acknowledged write is there', async () => {
  const opened = await openOnMemory({ l2TimeoutMs: 15_000 }, internals);
  const { client } = opened;
  const control = new Int32Array(opened.data.control);
  const acknowledged: string[] = [];
  const calls = Array.from({ length: 200 }, async (_, i) => {
    await sleep(i * 10);
    if (i % 25 === 10) {
      Atomics.store(control, CONTROL.crashes, 0);
      await fetchAll(client, ['crash-once:exit:w']);
    } else if (i % 2 === 0) {
      const [outcome] = await client.setMany([write(`w${i}`)]);
      if (outcome.status === 'stored') acknowledged.push(`w${i}`);
    } else {
      await fetchAll(client, [`w${i - 1}`]);
    }
  });
  await Promise.all(calls);
  await refilled(opened);
  const { found, visited } = await fetchAll(client, acknowledged);
  expect(found).toBe(acknowledged.length);
  expect(acknowledged.length).toBeGreaterThan(80);
  for (const { wallet, raw } of visited) expect(raw).toEqual(rawOf(wallet, 1));
  expect(client.stats().replacedWorkers).toBeGreaterThanOrEqual(3);
  expect(client.stats()).toMatchObject({ inboxBytesInUse: 0, runningTasks: 0, waitingTasks: 0, threads: 2 });
  await client.close();
}, 40_000);

/** Resolves when the pool has its threads again and nothing is under way. */
async function refilled({ client }: Opened, threads = 2): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const { threads: up, runningTasks, inboxBytesInUse } = client.stats();
    if (up === threads && runningTasks === 0 && inboxBytesInUse === 0) return;
    await sleep(50);
  }
  throw new Error(`the pool did not refill: ${JSON.stringify(client.stats())}`);
}

test('a replacement that dies before it is up is replaced too, though nobody asks for anything', async () => {
  const threads = new Set<Worker>();
  const note = (worker: Worker) => {
    threads.add(worker);
    worker.once('exit', () => threads.delete(worker));
  };
  process.on('worker', note);
  try {
    const opened = await openOnMemory({}, internals, { ...makeMemoryStoreData(), openMs: 400 });
    const first = [...threads];
    expect(first).toHaveLength(2);
    await first[0].terminate();
    const [replacement] = [...threads].filter((thread) => !first.includes(thread));
    // It is opening its store.
    await replacement.terminate();
    await refilled(opened);
    // And from then on as well.
    await first[1].terminate();
    await refilled(opened);
    expect(threads.size).toBe(2);
    await opened.client.close();
    expect(threads.size).toBe(0);
  } finally {
    process.off('worker', note);
  }
});
