/** The same cache in other threads of the process: real worker threads, the built package. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ProfileCache } from '../../src/profile-cache.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';

const home = mkdtempSync(join(tmpdir(), 'profilecache-attach-'));
let folders = 0;
afterAll(() => rmSync(home, { recursive: true, force: true }));
const embedded = () => ({ kind: 'embedded' as const, path: join(home, String(++folders)) });

class Remote {
  readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve(value: any): void; reject(error: unknown): void }>();
  private lastId = 0;

  constructor(handle: unknown, name = 'thread') {
    this.worker = new Worker(new URL('./attached-worker.mjs', import.meta.url), { workerData: { handle, name } });
    this.worker.on('message', ({ id, value, error }) => {
      const waiter = this.waiting.get(id);
      if (error) waiter?.reject(Object.assign(new Error(error.message), error));
      else waiter?.resolve(value);
    });
    this.worker.on('exit', () => {
      for (const waiter of this.waiting.values()) waiter.reject(new Error('the thread has ended'));
    });
  }

  call(verb: string, ...args: unknown[]): Promise<any> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, verb, args });
    });
  }
}

describe('attached threads', () => {
  const remotes: Remote[] = [];
  const attach = (cache: { handle: unknown }, name?: string) => {
    const remote = new Remote(cache.handle, name);
    remotes.push(remote);
    return remote;
  };
  afterEach(async () => {
    await Promise.all(remotes.splice(0).map((remote) => remote.worker.terminate()));
  });
  closeCachesAfterEach();

  test('read what the owner wrote, without the owner', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.updateProfile('w', { n: 1, when: new Date(3), deep: { list: [1] } });
    const thread = attach(cache);
    expect(await thread.call('getProfileSync', 'w')).toEqual({ n: 1, when: new Date(3), deep: { list: [1] } });
    expect(await thread.call('getProfileSync', 'nobody')).toBeUndefined();
    expect(await thread.call('getEntry', 'w')).toMatchObject({ profile: { n: 1 }, stale: false });
    await expect(thread.call('mutate', 'w')).rejects.toMatchObject({ name: 'TypeError' });
    expect(cache.getStats()).toMatchObject({ l1Hits: 2, misses: 1, threads: 2 });
  });

  test('see the owner\'s update and invalidation at their next read, near cache included', async () => {
    const cache = await openCache({ l2: 'none:' });
    const threads = [attach(cache), attach(cache)];
    for (let n = 1; n <= 20; n++) {
      await cache.updateProfile('w', { n });
      for (const thread of threads) expect(await thread.call('getProfileSync', 'w')).toEqual({ n });
      if (n % 5 === 0) {
        await cache.invalidate('w');
        for (const thread of threads) expect(await thread.call('getProfileSync', 'w')).toBeUndefined();
      }
    }
  });

  test('never go back in time while the owner writes as fast as it can', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.updateProfile('w', { n: 0 });
    const thread = attach(cache);
    await thread.call('attachMs');
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const reading = thread.call('readUntil', 'w', flag);
    for (let n = 1; n <= 3_000; n++) {
      await cache.updateProfile('w', { n });
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    Atomics.store(flag, 0, 1);
    const { seen, after } = await reading;
    expect(after).toBe(3_000);
    // An owner that loses its core in the middle of a change makes a read `contended`: a counted miss, not a step back.
    const read = seen.filter((n: number | undefined) => n !== undefined);
    expect(read).toEqual([...read].sort((a: number, b: number) => a - b));
    // How often the reader ran meanwhile is up to the machine.
    expect(read.length).toBeGreaterThan(2);
  });

  test('read L2 and write through the owner, and read their own writes', async () => {
    const l2 = embedded();
    const cache = await openCache({ l2 });
    const other = await openCache({ l2 });
    await other.updateProfiles([['a', { n: 1 }], ['b', { n: 2 }]]);
    const thread = attach(cache);
    expect(await thread.call('getProfile', 'a')).toEqual({ n: 1 });
    expect([...(await thread.call('bulkPrefetch', ['b', 'nobody', 'a']))]).toEqual([['b', { n: 2 }], ['a', { n: 1 }]]);
    expect(await thread.call('updateProfile', 'c', { from: 'thread' })).toEqual({ l1: true, l2: 'stored' });
    expect(await thread.call('getProfileSync', 'c')).toEqual({ from: 'thread' });
    expect(cache.getProfileSync('c')).toEqual({ from: 'thread' });
    expect(await other.getProfile('c')).toEqual({ from: 'thread' });
    expect(await thread.call('updateProfiles', [['d', { n: 4 }], ['e', { n: 5 }]])).toEqual({ l1: 2, stored: 2, queued: 0, skipped: 0 });
    await thread.call('invalidate', 'c');
    expect(await thread.call('getProfileSync', 'c')).toBeUndefined();
    expect(cache.getProfileSync('c')).toBeUndefined();
    expect(await other.getProfile('d')).toEqual({ n: 4 });
    expect(await thread.call('warm', ['a', 'd', 'nobody'])).toEqual({ promoted: 0, missing: 1 });
    expect((await thread.call('health')).l2).toMatchObject({ up: true });
    await thread.call('clear');
    expect(cache.getStats().l1Size).toBe(0);
  });

  test('get what L1 cannot hold as bytes', async () => {
    const l2 = embedded();
    const cache = await openCache({ l2, l1: { maxBytes: 32 * 1024, maxProfiles: 4 } });
    const large = { text: 'x'.repeat(20_000) };
    expect(await cache.updateProfile('large', large)).toEqual({ l1: false, l2: 'stored' });
    const thread = attach(cache);
    expect(await thread.call('getProfile', 'large')).toEqual(large);
    expect(await cache.getProfile('large')).toEqual(large);
    const wallets = Array.from({ length: 40 }, (_, i) => `w${i}`);
    await cache.updateProfiles(wallets.map((wallet, i) => [wallet, { i }] as const));
    expect((await thread.call('bulkPrefetch', wallets)).size).toBe(40);
  });

  test('refused input is refused in the thread, with its code', async () => {
    const cache = await openCache({ l2: 'none:' });
    const thread = attach(cache);
    await expect(thread.call('getProfile', '')).rejects.toMatchObject({ code: 'ERR_WALLET' });
    await expect(thread.call('updateProfile', 'w', { big: 'x'.repeat(2 ** 21) })).rejects.toMatchObject({ code: 'ERR_PROFILE_TOO_LARGE' });
    await expect(thread.call('updateProfile', 'w', {}, { ttlSeconds: Number.NaN })).rejects.toMatchObject({ code: 'ERR_OPTION' });
  });

  test('share one load with the owner and with each other', async () => {
    const cache = await openCache({ l2: 'none:' });
    const threads = [attach(cache, 'one'), attach(cache, 'two')];
    await Promise.all(threads.map((thread) => thread.call('attachMs')));
    let ownLoads = 0;
    const all = await Promise.all([
      ...threads.map((thread) => thread.call('getOrLoadWith', 'w', 'slow')),
      cache.getOrLoad('w', async () => {
        ownLoads++;
        await new Promise((resolve) => setTimeout(resolve, 150));
        return { wallet: 'w', loadedBy: 'owner' };
      }),
    ]);
    expect(new Set(all.map((profile) => profile.loadedBy)).size).toBe(1);
    expect(cache.getStats().loads).toBe(1);
    expect(ownLoads).toBeLessThanOrEqual(1);
  });

  test('one failed load answers the waiters of every thread', async () => {
    const cache = await openCache({ l2: 'none:', loadLeaseMs: 30_000 });
    const threads = [attach(cache), attach(cache)];
    await Promise.all(threads.map((thread) => thread.call('attachMs')));
    let fail: (error: Error) => void = () => {};
    const own = cache.getOrLoad('w', () => new Promise((_, reject) => (fail = reject)));
    const ownOutcome = expect(own).rejects.toThrow('the source is down');
    // The owner has heard of a thread's load once it has answered what the thread asked after that; each asks on a channel of its own, in order.
    const outcomes = threads.map((thread) => expect(thread.call('getOrLoadWith', 'w', 'slow')).rejects.toThrow('the source is down'));
    await Promise.all(threads.map((thread) => thread.call('health')));
    await Promise.all(threads.map((thread) => thread.call('health')));
    fail(new Error('the source is down'));
    await Promise.all([ownOutcome, ...outcomes]);
    expect(cache.getStats()).toMatchObject({ loads: 1, loadFailures: 1 });
  });

  test('a thread that dies while it loads costs the others the lease at most', async () => {
    const cache = await openCache({ l2: 'none:', loadLeaseMs: 500 });
    const thread = attach(cache);
    await thread.call('attachMs');
    const dying = expect(thread.call('getOrLoadWith', 'w', 'dying')).rejects.toThrow('the thread has ended');
    await until('the load has begun', () => cache.getStats().loads === 1);
    await dying;
    expect(await cache.getOrLoad('w', () => ({ n: 1 }))).toEqual({ n: 1 });
  });

  test('hear the events of the cache', async () => {
    const cache = await openCache({ l2: 'none:' });
    const thread = attach(cache);
    await thread.call('health');
    await cache.updateProfile('w', { n: 1 });
    await cache.invalidate('w');
    await until('both events have come', async () => (await thread.call('events')).length === 2);
    expect(await thread.call('events')).toMatchObject([['profileUpdated', { wallet: 'w', origin: 'local' }], ['profileInvalidated', { wallet: 'w', origin: 'local' }]]);
  });

  test('hits of other threads count in the owner\'s LRU order', async () => {
    const cache = await openCache({ l2: 'none:', l1: { maxProfiles: 3, eviction: 'lru' } });
    for (const wallet of ['a', 'b', 'c']) await cache.updateProfile(wallet, { wallet });
    const thread = attach(cache);
    await thread.call('getProfileSync', 'a');
    await cache.updateProfile('d', { wallet: 'd' });
    expect(['a', 'b', 'c', 'd'].filter((wallet) => cache.getEntry(wallet))).toEqual(['a', 'c', 'd']);
  });

  test('outlive the owner: L1 is still read, the rest fails with a code', async () => {
    const cache = await openCache({ l2: embedded() });
    await cache.updateProfile('w', { n: 1 });
    const thread = attach(cache);
    await thread.call('health');
    await cache.close();
    expect(await thread.call('getProfileSync', 'w')).toEqual({ n: 1 });
    expect(await thread.call('getProfile', 'nobody')).toBeUndefined();
    await expect(thread.call('updateProfile', 'w', { n: 2 })).rejects.toMatchObject({ code: 'ERR_OWNER_GONE' });
  });

  test('close gives the place back and keeps the counts', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.updateProfile('w', { n: 1 });
    const thread = attach(cache);
    await thread.call('getProfileSync', 'w');
    await thread.call('close');
    expect(cache.getStats()).toMatchObject({ threads: 1, l1Hits: 1 });
  });

  test('a handle is plain data, good for many threads; what is none is refused', async () => {
    const cache = await openCache({ l2: 'none:', walletPattern: /^w/ });
    const copy = structuredClone(cache.handle);
    const attached = await ProfileCache.attach(copy);
    expect(() => attached.getProfileSync('x')).toThrow(expect.objectContaining({ code: 'ERR_WALLET' }));
    await attached.close();
    for (const bad of [undefined, null, {}, { ...copy, region: new SharedArrayBuffer(4096) }, { kind: 'profilecache-handle' }]) {
      expect(() => ProfileCache.attach(bad as never)).toThrow(expect.objectContaining({ code: 'ERR_HANDLE' }));
    }
  });
});
