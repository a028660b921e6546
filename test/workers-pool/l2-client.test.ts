/** The client over real worker threads; the store in them is the memory store of the tests. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseOptions } from '../../src/options.ts';
import { L2Client } from '../../src/workers-pool/l2-client.ts';
import { CONTROL, makeMemoryStoreData } from '../support/memory-store.ts';
import { fetchAll, openOnMemory, rawOf, write } from '../support/l2-client.ts';
import type { Opened } from '../support/l2-client.ts';

const stored = { status: 'stored' };

describe('L2Client', () => {
  let client: L2Client;
  let opened: Opened;
  beforeAll(async () => {
    opened = await openOnMemory({}, {}, makeMemoryStoreData(96 * 1024 * 1024));
    client = opened.client;
  });
  afterAll(() => client.close());
  // Whatever a test did: nothing is left running, and every chunk is back.
  afterEach(() => expect(client.stats()).toMatchObject({ runningTasks: 0, waitingTasks: 0, inboxBytesInUse: 0, threads: 2, replacedWorkers: 0 }));

  test('each thread opened its store once', () => {
    expect(new Int32Array(opened.data.control)[CONTROL.opened]).toBe(2);
  });

  test('brings back what was written, with its numbers', async () => {
    expect(await client.setMany([{ ...write('w'), schemaId: 42, version: 2 ** 52 + 1, ttlMs: 30_000 }])).toEqual([stored]);
    const seen: unknown[] = [];
    const before = Date.now();
    const result = await client.fetchMany(['w', 'absent'], ({ raw, ttlMs, createdAtMs, wallet, schemaId, version }) => {
      seen.push({ wallet, schemaId, version });
      expect(raw.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(new Uint8Array(raw)).toEqual(rawOf('w', 1));
      expect(ttlMs).toBeGreaterThan(20_000);
      expect(ttlMs).toBeLessThanOrEqual(30_010);
      expect(Math.abs(createdAtMs - before)).toBeLessThan(20_000);
    });
    expect(seen).toEqual([{ wallet: 'w', schemaId: 42, version: 2 ** 52 + 1 }]);
    expect(result).toEqual({ found: 1, missing: ['absent'], floors: new Map(), failed: new Map(), corrupt: [] });
  });

  test('an older write is refused, a delete leaves its floor', async () => {
    expect(await client.setMany([write('v', 5)])).toEqual([stored]);
    expect(await client.setMany([write('v', 4), write('v2', 1)])).toEqual([{ status: 'older', storedVersion: 5 }, stored]);
    expect(await client.deleteMany([{ wallet: 'v', version: 3 }])).toEqual([{ status: 'older', storedVersion: 5 }]);
    expect(await client.deleteMany([{ wallet: 'v', version: 6 }, { wallet: 'fail:x', version: 1 }])).toMatchObject([stored, { status: 'failed', error: { code: 'ERR_L2_UNAVAILABLE' } }]);
    expect(await client.setMany([write('v', 6)])).toEqual([{ status: 'older', storedVersion: 6 }]);
    const { missing, floors } = await fetchAll(client, ['v', 'v2']);
    expect([missing, floors]).toEqual([['v'], new Map([['v', 6]])]);
  });

  test('5,000 records of all sizes in one call, right to the last byte, each visited once', async () => {
    const writes = Array.from({ length: 5_000 }, (_, i) => write(`bulk-${i}`, i + 1, 1 + ((i * 7919) % 3_000)));
    expect(await client.setMany(writes)).toEqual(writes.map(() => stored));
    const wallets = writes.map(({ wallet }) => wallet);
    const { visited, found, missing, failed } = await fetchAll(client, [...wallets, 'nobody']);
    expect([found, missing, failed.size]).toEqual([5_000, ['nobody'], 0]);
    const byWallet = new Map(visited.map((record) => [record.wallet, record]));
    expect(byWallet.size).toBe(visited.length);
    for (const { wallet, raw, version } of writes) {
      const got = byWallet.get(wallet)!;
      if (got.version !== version || Buffer.compare(got.raw, raw) !== 0) expect(got).toEqual({ wallet, raw, version });
    }
  });

  test('a list in parts: every wallet in one of them, none over the size, and each part is read as it is', async () => {
    const wallets = Array.from({ length: 2_500 }, (_, i) => `part-${i}`);
    await client.setMany(wallets.map((wallet) => write(wallet)));
    const parts = client.inParts(wallets, 1_000);
    expect(parts.flat().sort()).toEqual([...wallets].sort());
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(1_000);
    const found = await Promise.all(parts.map(async (part) => (await fetchAll(client, part)).found));
    expect(found.reduce((sum, n) => sum + n)).toBe(2_500);
  });

  test('records larger than a chunk, and more of them than one reply may carry', async () => {
    const writes = [write('small'), ...Array.from({ length: 12 }, (_, i) => write(`large-${i}`, 1, 900_000 + i)), write('small-2')];
    expect(await client.setMany(writes)).toEqual(writes.map(() => stored));
    const { visited, found, failed } = await fetchAll(client, writes.map(({ wallet }) => wallet));
    expect([found, failed.size, visited.length]).toEqual([14, 0, 14]);
    for (const { wallet, raw } of visited) expect(Buffer.compare(raw, writes.find((w) => w.wallet === wallet)!.raw)).toBe(0);
    expect(client.stats().spilledRecords).toBeGreaterThanOrEqual(12);
  });

  test('each wallet has its own outcome; damaged bytes are a counted miss', async () => {
    await client.setMany([write('good')]);
    const before = client.stats().corrupt;
    await client.putBlobIfAbsent('damaged', Buffer.from('no envelope at all'));
    // The memory store keeps its blobs beside its records, so this reads bytes that are no envelope.
    const { visited, missing, corrupt, failed } = await fetchAll(client, ['good', 'fail:one', 'blob:damaged']);
    expect(visited.map(({ wallet }) => wallet)).toEqual(['good']);
    expect([missing, corrupt, [...failed.keys()]]).toEqual([['blob:damaged'], ['blob:damaged'], ['fail:one']]);
    expect(failed.get('fail:one')).toMatchObject({ name: 'ProfileCacheError', code: 'ERR_L2_UNAVAILABLE' });
    expect(client.stats().corrupt).toBe(before + 1);
  });

  test('empty batches ask nobody', async () => {
    const { tasks } = client.stats();
    expect(await client.setMany([])).toEqual([]);
    expect(await client.deleteMany([])).toEqual([]);
    expect(await client.fetchMany([], () => undefined)).toMatchObject({ found: 0 });
    expect(client.stats().tasks).toBe(tasks);
  });

  test('whatever the characters of a wallet', async () => {
    const wallets = ['__proto__', '{a}b', '🙂', 'constructor', '\u0000', 'é', 'x'.repeat(1_024)];
    expect(await client.setMany(wallets.map((wallet) => write(wallet)))).toEqual(wallets.map(() => stored));
    const { visited } = await fetchAll(client, wallets);
    expect(visited.map(({ wallet }) => wallet).sort()).toEqual([...wallets].sort());
    for (const { wallet, raw } of visited) expect(raw).toEqual(rawOf(wallet, 1));
  });

  test('blobs, leases, events, health, clear', async () => {
    expect(await client.getBlob('table')).toBeUndefined();
    const pooled = Buffer.from('first');
    expect(Buffer.from(await client.putBlobIfAbsent('table', pooled)).toString()).toBe('first');
    expect(Buffer.from(await client.putBlobIfAbsent('table', Buffer.from('second'))).toString()).toBe('first');
    expect(Buffer.from((await client.getBlob('table'))!).toString()).toBe('first');
    expect([await client.acquireLease('l', 'me', 1000), await client.acquireLease('l', 'you', 1000), await client.acquireLease('l', 'me', 1000)]).toEqual([true, false, true]);
    await client.releaseLease('l', 'me');
    await client.publish('something happened');
    expect(await client.health()).toMatchObject({ kind: 'embedded', reachable: true, nodes: [{ node: 'memory' }] });
    await client.setMany([write('cleared', 1)]);
    await client.clear(10);
    expect((await fetchAll(client, ['cleared'])).missing).toEqual(['cleared']);
  });

  test('what a visitor throws is the answer, and the chunks come back', async () => {
    await client.setMany([write('t1'), write('t2')]);
    let visits = 0;
    const result = client.fetchMany(['t1', 't2'], () => {
      visits++;
      throw new Error('visitor');
    });
    await expect(result).rejects.toThrow('visitor');
    expect(visits).toBe(1);
  });

  test('a visitor may read and write through the same client', async () => {
    await client.setMany([write('outer'), write('inner')]);
    let inner: Promise<unknown> | undefined;
    await client.fetchMany(['outer'], () => {
      inner = fetchAll(client, ['inner']);
    });
    expect(await inner).toMatchObject({ found: 1 });
  });

  test('the event loop turns while a bulk read is visited', async () => {
    const writes = Array.from({ length: 2_000 }, (_, i) => write(`turn-${i}`, 1, 1_000));
    await client.setMany(writes);
    let turns = 0;
    let visits = 0;
    let mostVisitsInOneTurn = 0;
    let sinceTurn = 0;
    let done = false;
    const turn = () => {
      turns++;
      mostVisitsInOneTurn = Math.max(mostVisitsInOneTurn, sinceTurn);
      sinceTurn = 0;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    await client.fetchMany(writes.map(({ wallet }) => wallet), () => {
      visits++;
      sinceTurn++;
      const until = performance.now() + 0.1;
      while (performance.now() < until);
    });
    done = true;
    expect(visits).toBe(2_000);
    // 0.1 ms a visit and slices of 2 ms: about 20 visits, looked at every 8.
    expect(mostVisitsInOneTurn).toBeLessThanOrEqual(32);
    expect(turns).toBeGreaterThan(50);
  });
});

describe('deadlines', () => {
  test('a read resolves at its deadline; what comes later is dropped and never visited', async () => {
    const { client } = await openOnMemory({ l2TimeoutMs: 150, workers: 1 });
    try {
      // The first answer compiles what the second needs.
      await client.setMany([write('fast'), write('slow:500:a')]).catch(() => undefined);
      await sleep(700);
      const startMs = performance.now();
      const slow = fetchAll(client, ['slow:500:a', 'other']);
      const fast = fetchAll(client, ['fast']);
      expect(await fast).toMatchObject({ found: 1 });
      const result = await slow;
      expect(performance.now() - startMs).toBeLessThan(450);
      expect([...result.failed.keys()]).toEqual(['slow:500:a', 'other']);
      expect(result.failed.get('other')).toMatchObject({ code: 'ERR_L2_TIMEOUT', option: 'l2TimeoutMs' });
      // The chunk is still the worker's: it may yet write there.
      expect(client.stats()).toMatchObject({ runningTasks: 1, inboxBytesInUse: 512 * 1024 });
      await sleep(700);
      expect(client.stats()).toMatchObject({ runningTasks: 0, inboxBytesInUse: 0, lateAnswers: expect.any(Number), timeouts: expect.any(Number) });
      expect(client.stats().lateAnswers).toBeGreaterThanOrEqual(1);
      expect(result.visited).toEqual([]);
      expect(result.found).toBe(0);
    } finally {
      await client.close();
    }
  });

  test('what still waits in line at its deadline is never sent', async () => {
    const { client, data } = await openOnMemory({ l2TimeoutMs: 200, workers: 1 }, { limits: { tasksPerThread: 1 } });
    try {
      const gets = () => new Int32Array(data.control)[CONTROL.gets];
      const first = fetchAll(client, ['slow:600:x']);
      const second = fetchAll(client, ['w']);
      const third = client.setMany([write('never')]);
      expect((await second).failed.get('w')).toMatchObject({ code: 'ERR_L2_TIMEOUT' });
      expect(await third).toMatchObject([{ status: 'failed', error: { code: 'ERR_L2_TIMEOUT' } }]);
      expect((await first).failed.size).toBe(1);
      expect(client.stats().waitingTasks).toBe(0);
      await sleep(700);
      expect(gets()).toBe(1);
      expect((await fetchAll(client, ['never'])).missing).toEqual(['never']);
    } finally {
      await client.close();
    }
  });

  test('health() of a store that does not answer in time says so; it does not reject', async () => {
    const { client } = await openOnMemory({ l2TimeoutMs: 200, workers: 1 }, { limits: { tasksPerThread: 1 } });
    try {
      expect(await client.health()).toMatchObject({ reachable: true });
      const busy = fetchAll(client, ['slow:600:x']);
      expect(await client.health()).toMatchObject({ kind: 'embedded', reachable: false, nodes: [], error: expect.stringContaining('took longer than 200 ms') as string });
      await busy;
    } finally {
      await client.close();
    }
    await expect(client.health()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('an owner that was blocked past the deadline still takes what had come in time', async () => {
    const { client } = await openOnMemory({ l2TimeoutMs: 300 });
    try {
      await client.setMany([write('w')]);
      await fetchAll(client, ['w']);
      // From the check phase: the timers come next, and the messages only after them.
      await new Promise((resolve) => setImmediate(resolve));
      const read = fetchAll(client, ['w']);
      // The task is posted; the answer comes while this thread is held for longer than the deadline.
      const until = performance.now() + 500;
      while (performance.now() < until);
      expect((await read).found).toBe(1);
    } finally {
      await client.close();
    }
  });
});

describe('bounds', () => {
  test('more tasks than may wait are refused with the option to change, and the rest goes on', async () => {
    const { client } = await openOnMemory({ workers: 1 }, { limits: { tasksPerThread: 1, maxWaitingTasks: 2, spareChunks: 0 } });
    try {
      const reads = Array.from({ length: 5 }, (_, i) => fetchAll(client, [`slow:100:${i}`]));
      const results = await Promise.all(reads);
      expect(results.map(({ missing }) => missing.length)).toEqual([1, 1, 1, 0, 0]);
      expect(results[4].failed.get('slow:100:4')).toMatchObject({ code: 'ERR_OVERLOADED', option: 'workers' });
      expect(client.stats()).toMatchObject({ overloaded: 2, inboxBytesInUse: 0 });
    } finally {
      await client.close();
    }
  });

  test('writes do not wait for reads that wait for a chunk', async () => {
    const { client } = await openOnMemory({ workers: 1 }, { limits: { tasksPerThread: 3, spareChunks: -2 } });
    try {
      const reads = Array.from({ length: 4 }, (_, i) => fetchAll(client, [`slow:300:${i}`]));
      const startMs = performance.now();
      expect(await client.setMany([write('w')])).toEqual([stored]);
      expect(performance.now() - startMs).toBeLessThan(300);
      expect((await Promise.all(reads)).map(({ missing }) => missing.length)).toEqual([1, 1, 1, 1]);
    } finally {
      await client.close();
    }
  });
});

describe('open and close', () => {
  for (const code of ['ERR_L2_CONNECT', 'ERR_L2_AUTH', 'ERR_L2_STORAGE']) {
    test(`a store that cannot open is ${code}, and no thread is left`, async () => {
      const before = threadsAlive();
      await expect(openOnMemory({}, {}, { ...makeMemoryStoreData(), failOpen: { code, nths: [1] } })).rejects.toMatchObject({ name: 'ProfileCacheError', code });
      expect(threadsAlive()).toBe(before);
    });
  }

  test('an entry that is not there is a typed error', async () => {
    await expect(L2Client.open(parseOptions(), { entry: new URL('file:///nowhere/l2-io.js') })).rejects.toMatchObject({ code: 'ERR_WORKER' });
  });

  test('a cache without L2 has no pool', async () => {
    await expect(L2Client.open(parseOptions({ l2: 'none:' }))).rejects.toMatchObject({ code: 'ERR_OPTION', option: 'l2' });
  });

  test('close drains, closes every store, ends the threads, and stays closed', async () => {
    const before = threadsAlive();
    const { client, data } = await openOnMemory();
    await client.setMany([write('w')]);
    const slow = client.setMany([write('slow:200:w')]);
    const closing = client.close();
    await expect(client.setMany([write('x')])).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(client.fetchMany(['w'], () => undefined)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(client.health()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(await slow).toEqual([stored]);
    await closing;
    await client.close();
    expect(new Int32Array(data.control)[CONTROL.closed]).toBe(2);
    expect(threadsAlive()).toBe(before);
    await sleep(50);
    expect(threadsAlive()).toBe(before);
    expect(client.stats()).toMatchObject({ threads: 0, runningTasks: 0 });
  });

  test('close is bounded when a store never answers', async () => {
    const { client } = await openOnMemory({ l2TimeoutMs: 100 }, { limits: { drainTimeoutMs: 300, closeStoreTimeoutMs: 300 } });
    const read = fetchAll(client, ['hang:a']);
    const startMs = performance.now();
    await client.close();
    expect(performance.now() - startMs).toBeLessThan(3_000);
    expect((await read).failed.size).toBe(1);
  });
});

test('a task that close cuts off is not tried again: that would bring the pool back to life', async () => {
  const before = threadsAlive();
  const { client } = await openOnMemory({ l2TimeoutMs: 10_000 }, { limits: { drainTimeoutMs: 200, closeStoreTimeoutMs: 200 } });
  const read = fetchAll(client, ['hang:a']);
  await client.close();
  expect((await read).failed.get('hang:a')).toMatchObject({ code: 'ERR_CLOSED' });
  await sleep(300);
  expect(threadsAlive()).toBe(before);
});

/** Message ports of worker threads keep no trace once their threads have ended. */
function threadsAlive(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Worker').length;
}

test.each([1, 2])('of two threads %i share the work', async (threadsAtWork) => {
  const { client, data } = await openOnMemory({}, { limits: { threadsAtWork } });
  const wallets = Array.from({ length: 2_000 }, (_, i) => `w${i}`);
  for (let round = 0; round < 3; round++) expect((await fetchAll(client, wallets)).missing).toHaveLength(2_000);
  const gets = [...new Int32Array(data.control).subarray(CONTROL.getsOf)];
  expect(gets.filter((times) => times > 0)).toHaveLength(threadsAtWork);
  await client.close();
});

test('a thread that stands by works when the other is late', async () => {
  const { client, data } = await openOnMemory({ l2TimeoutMs: 300 }, { limits: { threadsAtWork: 1, tasksPerThread: 2 } });
  const gets = () => [...new Int32Array(data.control).subarray(CONTROL.getsOf)].filter((times) => times > 0);
  // Two tasks fill the thread at work; a third waits for one of them.
  const slow = ['slow:200:a', 'slow:200:b', 'slow:10:c'].map((wallet) => fetchAll(client, [wallet]));
  for (const { missing } of await Promise.all(slow)) expect(missing).toHaveLength(1);
  expect(gets()).toEqual([3]);
  // Nobody waits for this any more, and it has not been answered.
  expect((await fetchAll(client, ['hang::a'])).failed.size).toBe(1);
  expect((await fetchAll(client, ['w'])).missing).toEqual(['w']);
  expect(gets().sort()).toEqual([1, 4]);
  await client.close();
});

test('what waits behind a stuck thread goes to one that stands by as soon as nobody waits for the stuck one', async () => {
  const { client } = await openOnMemory({ l2TimeoutMs: 600 }, { limits: { threadsAtWork: 1, tasksPerThread: 1 } });
  const stuck = fetchAll(client, ['hang::a']);
  await new Promise((resolve) => setTimeout(resolve, 300));
  // Its own deadline is 0.3 s after that of the other.
  const behind = fetchAll(client, ['w']);
  expect((await stuck).failed.size).toBe(1);
  expect((await behind).missing).toEqual(['w']);
  await client.close();
});
