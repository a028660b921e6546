/** The options of getOrLoad, on any L2: each of these tests fails where its option is ignored. `freshL2` gives an L2 that no other test has used. */
import { describe, expect, test } from 'vitest';
import { ProfileCacheError } from '../../src/errors.ts';
import type { StaleServed } from '../../src/load/load-stale.ts';
import type { L2OptionsInput, ProfileCacheOptions } from '../../src/options.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';

const TTL_SECONDS = 0.15;
const GRACE_SECONDS = 60;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const expire = () => sleep(TTL_SECONDS * 1000 + 30);
const never = () => new Promise<never>(() => {});

/** A loader that counts its calls, and does as it is told. */
function countingLoader(act: (call: number) => unknown) {
  const loader = Object.assign(async () => (await act(++loader.calls)) as Record<string, unknown>, { calls: 0 });
  return loader;
}

export function loadingBehaviours(name: string, freshL2: () => L2OptionsInput | Promise<L2OptionsInput>): void {
  describe(name, () => {
    closeCachesAfterEach();
    const openOn = (l2: L2OptionsInput, options: ProfileCacheOptions = {}) => openCache({ l2, l2TtlSeconds: TTL_SECONDS, workers: 1, ...options });
    const open = async (load: ProfileCacheOptions['load'], more: ProfileCacheOptions = {}) => openOn(await freshL2(), { load, ...more });
    const openTwo = async (load: ProfileCacheOptions['load'], more: ProfileCacheOptions = {}) => {
      const l2 = await freshL2();
      return [await openOn(l2, { load, ...more }), await openOn(l2, { load, ...more })] as const;
    };

    test('an expired profile is given by getOrLoad alone, and only where its options say so', async () => {
      const cache = await open({ graceSeconds: GRACE_SECONDS });
      await cache.updateProfile('w', { n: 1 });
      await expire();
      expect(cache.getProfileSync('w')).toBeUndefined();
      expect(await cache.getProfile('w')).toBeUndefined();
      expect(await cache.bulkPrefetch(['w'])).toEqual(new Map());
      expect(await cache.warm(['w'])).toEqual({ promoted: 0, missing: 1 });
      expect(cache.getEntry('w')).toMatchObject({ profile: { n: 1 }, stale: true });
      expect(cache.getEntry('w')?.ttlMs).toBeLessThan(0);
      const failing = () => { throw new Error('down'); };
      await expect(cache.getOrLoad('w', failing, { graceSeconds: 0 })).rejects.toThrow('down');
      expect(await cache.getOrLoad('w', failing)).toEqual({ n: 1 });
    });

    test('graceSeconds: a failed load is answered with the last profile, for so long and no longer', async () => {
      const cache = await open({ graceSeconds: 1.5, graceBackoffMs: 0 });
      const served: StaleServed[] = [];
      const heard: ProfileCacheError[] = [];
      cache.on('staleServed', (one) => served.push(one));
      cache.on('error', (error) => heard.push(error));
      await cache.updateProfile('w', { n: 1 });
      await expire();
      const loader = countingLoader(() => { throw new Error('down'); });
      expect(await Promise.all([cache.getOrLoad('w', loader), cache.getOrLoad('w', loader)])).toEqual([{ n: 1 }, { n: 1 }]);
      expect(await cache.getOrLoadMany(['w'], () => { throw new Error('down too'); })).toEqual(new Map([['w', { n: 1 }]]));
      expect(loader.calls).toBe(1);
      expect(served.map(({ wallet, reason }) => [wallet, reason])).toEqual(Array(3).fill(['w', 'failed']));
      expect(served.every(({ expiredMs }) => expiredMs > 0 && expiredMs < 1_500)).toBe(true);
      expect(cache.getStats()).toMatchObject({ staleServed: 3, loads: 2, loadFailures: 2 });
      expect(heard.map(({ code, message }) => [code, message])).toEqual([['ERR_LOADER', 'down'], ['ERR_LOADER', 'down too']]);
      await sleep(1_550);
      expect(cache.getEntry('w')).toBeUndefined();
      await expect(cache.getOrLoad('w', loader)).rejects.toThrow('down');
    });

    test('two processes load more at once than their L1 holds: each wallet once, and none is left out', async () => {
      const small = { l1: { maxProfiles: 16 }, l2TtlSeconds: 60, l2TimeoutMs: 10_000 };
      const [one, two] = await openTwo({}, small);
      const wallets = Array.from({ length: 120 }, (_, i) => `w${i}`);
      const calls = new Map<string, number>();
      const load = async (wallet: string) => {
        calls.set(wallet, (calls.get(wallet) ?? 0) + 1);
        await sleep(20);
        return { wallet };
      };
      const alone = await Promise.all([one, two].flatMap((cache) => wallets.map((wallet) => cache.getOrLoad(wallet, load))));
      expect(alone).toEqual([...wallets, ...wallets].map((wallet) => ({ wallet })));
      const others = wallets.map((wallet) => `m${wallet}`);
      const loadMany = async (missing: string[]) => new Map(await Promise.all(missing.map(async (wallet) => [wallet, await load(wallet)] as const)));
      for (const found of await Promise.all([one, two].map((cache) => cache.getOrLoadMany(others, loadMany)))) expect(found.size).toBe(others.length);
      expect([...calls.values()].filter((times) => times > 1)).toEqual([]);
      expect(calls.size).toBe(240);
    });

    test('the grace is kept in L2 too: a process that never saw the profile can serve it', async () => {
      const [one, two] = await openTwo({ graceSeconds: GRACE_SECONDS });
      await one.updateProfile('w', { n: 1 });
      await one.updateProfile('v', { n: 2 });
      await expire();
      expect(await two.getProfile('w')).toBeUndefined();
      expect(await two.getOrLoad('w', () => { throw new Error('down'); })).toEqual({ n: 1 });
      expect(await two.getOrLoadMany(['w', 'v'], () => { throw new Error('down'); })).toEqual(new Map([['w', { n: 1 }], ['v', { n: 2 }]]));
    });

    test('a process without grace on the same L2 sees nothing expired, and its loads are stored', async () => {
      const l2 = await freshL2();
      const generous = await openOn(l2, { load: { graceSeconds: GRACE_SECONDS } });
      const strict = await openOn(l2, { l2TtlSeconds: 30 });
      await generous.updateProfile('w', { n: 1 });
      await expire();
      expect(await strict.getProfile('w')).toBeUndefined();
      await expect(strict.getOrLoad('w', () => { throw new Error('down'); })).rejects.toThrow('down');
      expect(await strict.getOrLoad('w', () => ({ n: 2 }))).toEqual({ n: 2 });
      await until('the other follows', async () => (await generous.getProfile('w'))?.n === 2);
    });

    test('graceBackoffMs: after a failure the loader is left alone for so long', async () => {
      const cache = await open({ graceSeconds: GRACE_SECONDS, graceBackoffMs: 1_200 });
      const attached = await import('../../src/profile-cache.ts').then(({ ProfileCache }) => ProfileCache.attach(cache.handle));
      await cache.updateProfile('w', { n: 1 });
      await expire();
      const loader = countingLoader(() => { throw new Error('down'); });
      for (let i = 0; i < 5; i++) expect(await cache.getOrLoad('w', loader)).toEqual({ n: 1 });
      for (let i = 0; i < 5; i++) expect(await attached.getOrLoad('w', loader)).toEqual({ n: 1 });
      expect(await cache.getOrLoadMany(['w'], () => { throw new Error('must not be called'); })).toEqual(new Map([['w', { n: 1 }]]));
      expect(loader.calls).toBe(1);
      expect(cache.getStats()).toMatchObject({ loadsSpared: 10, staleServed: 11 });
      await sleep(1_250);
      expect(await cache.getOrLoad('w', loader)).toEqual({ n: 1 });
      expect(loader.calls).toBe(2);
      // An update ends the back-off, and so does its end.
      await cache.updateProfile('w', { n: 2 });
      await expire();
      expect(await cache.getOrLoad('w', loader)).toEqual({ n: 2 });
      expect(loader.calls).toBe(3);
      await attached.close();
    });

    test('staleWhileRevalidateSeconds: served at once, one refresh in all processes', async () => {
      const [one, two] = await openTwo({ graceSeconds: GRACE_SECONDS, staleWhileRevalidateSeconds: 30 });
      await one.updateProfile('w', { n: 1 });
      await two.getProfile('w');
      await expire();
      let release: () => void = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const loader = countingLoader(async () => (await gate, { n: 2 }));
      const callers = [one, two, one, two, one];
      // The loader does not return before all of them have been served.
      expect(await Promise.all(callers.map((cache) => cache.getOrLoad('w', loader, { ttlSeconds: 30 })))).toEqual(callers.map(() => ({ n: 1 })));
      await until('the refresh has begun', () => loader.calls === 1);
      release();
      await until('both have the new one', async () => (await Promise.all([one, two].map((cache) => cache.getProfile('w')))).every((profile) => profile?.n === 2));
      expect(loader.calls).toBe(1);
      expect(one.getStats().refreshes + two.getStats().refreshes).toBe(1);
      expect(one.getStats().staleServed + two.getStats().staleServed).toBe(5);
    });

    test('staleWhileRevalidateSeconds: what expired longer ago is waited for', async () => {
      const cache = await open({ graceSeconds: GRACE_SECONDS });
      await cache.updateProfile('w', { n: 1 });
      await expire();
      expect(await cache.getOrLoad('w', () => ({ n: 2 }), { staleWhileRevalidateSeconds: 0.02 })).toEqual({ n: 2 });
    });

    test('staleWhileRevalidateSeconds: found in L2 alone, it is served before the loader returns', async () => {
      const [one, two] = await openTwo({ graceSeconds: GRACE_SECONDS, staleWhileRevalidateSeconds: 30 });
      await one.updateProfiles([['w', { n: 1 }], ['v', { n: 1 }]]);
      await expire();
      let release: () => void = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      expect(await two.getOrLoad('w', async () => (await gate, { n: 2 }), { ttlSeconds: 30 })).toEqual({ n: 1 });
      expect(await two.getOrLoadMany(['v'], async () => (await gate, [['v', { n: 2 }]] as const), { ttlSeconds: 30 })).toEqual(new Map([['v', { n: 1 }]]));
      release();
      await until('refreshed', () => two.getProfileSync('w')?.n === 2 && two.getProfileSync('v')?.n === 2);
    });

    test('getOrLoadMany serves what has expired and refreshes it with one call', async () => {
      const cache = await open({ graceSeconds: GRACE_SECONDS, staleWhileRevalidateSeconds: 30 });
      await cache.updateProfiles([['a', { n: 1 }], ['b', { n: 1 }]]);
      await cache.updateProfile('c', { n: 1 }, { ttlSeconds: 30 });
      await expire();
      const asked: string[][] = [];
      const loadMissing = (missing: string[]) => {
        asked.push(missing.toSorted());
        return missing.map((wallet) => [wallet, { n: 2 }] as const);
      };
      expect([...(await cache.getOrLoadMany(['a', 'b', 'c'], loadMissing, { ttlSeconds: 30 }))]).toEqual([['a', { n: 1 }], ['b', { n: 1 }], ['c', { n: 1 }]]);
      await until('both are refreshed', () => cache.getProfileSync('a')?.n === 2 && cache.getProfileSync('b')?.n === 2);
      expect(asked).toEqual([['a', 'b']]);
    });

    test('softTimeoutMs: a slow load is not waited for where something can be served; it fills the cache', async () => {
      const cache = await open({ graceSeconds: GRACE_SECONDS, softTimeoutMs: 40 });
      await cache.updateProfiles([['w', { n: 1 }], ['v', { n: 1 }]]);
      await expire();
      let release: () => void = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      expect(await cache.getOrLoad('w', async () => (await gate, { n: 2 }), { ttlSeconds: 30 })).toEqual({ n: 1 });
      expect(await cache.getOrLoadMany(['v'], async () => (await gate, [['v', { n: 2 }]] as const), { ttlSeconds: 30 })).toEqual(new Map([['v', { n: 1 }]]));
      // Nothing to serve: waited for.
      const fresh = cache.getOrLoad('nobody', async () => (await gate, { n: 3 }));
      expect(await Promise.race([fresh, sleep(150)])).toBeUndefined();
      release();
      expect(await fresh).toEqual({ n: 3 });
      await until('the slow loads are in', () => cache.getProfileSync('w')?.n === 2 && cache.getProfileSync('v')?.n === 2);
      expect(cache.getStats()).toMatchObject({ loads: 3, staleServed: 2, loadTimeouts: 0 });
    });

    test('softTimeoutMs: what was invalidated while its caller waited is not served', async () => {
      // Long enough for the loader to have begun, on a busy machine too.
      const softTimeoutMs = 500;
      const cache = await open({ graceSeconds: GRACE_SECONDS, softTimeoutMs });
      await cache.updateProfile('w', { n: 1 });
      await expire();
      const got = cache.getOrLoad('w', async () => {
        await cache.invalidate('w');
        await sleep(softTimeoutMs + 150);
        return { n: 2 };
      });
      expect(await got).toEqual({ n: 2 });
      expect(cache.getStats().staleServed).toBe(0);
    });

    test('hardTimeoutMs: a typed error for all who wait, and the load goes on', async () => {
      const cache = await open({ hardTimeoutMs: 60 }, { l2TtlSeconds: 30 });
      let release: () => void = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const loader = countingLoader(async () => (await gate, { n: 1 }));
      const timeout = { code: 'ERR_LOAD_TIMEOUT', option: 'load.hardTimeoutMs', message: expect.stringContaining('hardTimeoutMs') };
      await Promise.all([cache.getOrLoad('w', loader), cache.getOrLoad('w', loader)].map((got) => expect(got).rejects.toMatchObject(timeout)));
      await expect(cache.getOrLoadMany(['x', 'y'], never)).rejects.toMatchObject(timeout);
      expect(loader.calls).toBe(1);
      expect(cache.getStats().loadTimeouts).toBe(3);
      const patient = cache.getOrLoad('w', loader, { hardTimeoutMs: 30_000 });
      release();
      expect(await patient).toEqual({ n: 1 });
      expect(await cache.getOrLoad('w', loader)).toEqual({ n: 1 });
      expect(loader.calls).toBe(1);
      // With something to serve, that is served.
      const graceful = await open({ graceSeconds: GRACE_SECONDS, hardTimeoutMs: 60 });
      await graceful.updateProfile('w', { n: 1 });
      await expire();
      expect(await graceful.getOrLoad('w', never)).toEqual({ n: 1 });
    });

    test('eagerRefreshThreshold: refreshed while it still lives, once in all processes', async () => {
      const [one, two] = await openTwo({ eagerRefreshThreshold: 0.02 }, { l2TtlSeconds: 20 });
      await one.updateProfile('w', { n: 1 });
      await two.getProfile('w');
      let release: () => void = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const loader = countingLoader(async (call) => (await gate, { n: call + 1 }));
      expect(await one.getOrLoad('w', loader)).toEqual({ n: 1 });
      await sleep(500);
      expect(loader.calls).toBe(0);
      for (const cache of [one, two, one, two]) expect(await cache.getOrLoad('w', loader)).toEqual({ n: 1 });
      await until('the refresh has begun', () => loader.calls === 1);
      release();
      await until('both have the new one', async () => (await Promise.all([one, two].map((cache) => cache.getProfile('w')))).every((profile) => profile?.n === 2));
      expect(loader.calls).toBe(1);
      expect(one.getStats().refreshes + two.getStats().refreshes).toBe(1);
      expect(one.getStats().staleServed).toBe(0);
    });

    test('eagerRefreshThreshold in getOrLoadMany', async () => {
      const cache = await open({}, { l2TtlSeconds: 20 });
      await cache.updateProfiles([['a', { n: 1 }], ['b', { n: 1 }]]);
      await cache.updateProfile('c', { n: 1 }, { ttlSeconds: 60 });
      await sleep(300);
      const asked: string[][] = [];
      const loadMissing = (missing: string[]) => (asked.push(missing.toSorted()), missing.map((wallet) => [wallet, { n: 2 }] as const));
      await cache.getOrLoadMany(['a', 'b', 'c'], loadMissing);
      expect((await cache.getOrLoadMany(['a', 'b', 'c'], loadMissing, { eagerRefreshThreshold: 0.01 })).get('a')).toEqual({ n: 1 });
      await until('both are refreshed', () => cache.getProfileSync('a')?.n === 2 && cache.getProfileSync('b')?.n === 2);
      expect(asked).toEqual([['a', 'b']]);
    });

    test('a refresh that returns after an invalidation or an update brings nothing back', async () => {
      for (const act of ['invalidate', 'update'] as const) {
        const [one, two] = await openTwo({ graceSeconds: GRACE_SECONDS, staleWhileRevalidateSeconds: 30 });
        await one.updateProfile('w', { n: 1 });
        await expire();
        let release: () => void = () => {};
        const gate = new Promise<void>((resolve) => (release = resolve));
        const loader = countingLoader(async () => (await gate, { n: 2 }));
        expect(await one.getOrLoad('w', loader, { ttlSeconds: 30 })).toEqual({ n: 1 });
        await until('the refresh has begun', () => loader.calls === 1);
        if (act === 'invalidate') await two.invalidate('w');
        else await two.updateProfile('w', { n: 3 }, { ttlSeconds: 30 });
        release();
        // Long enough for what was loaded to be kept, if it were.
        await sleep(300);
        const expected = act === 'invalidate' ? undefined : { n: 3 };
        expect([await one.getProfile('w'), await two.getProfile('w')]).toEqual([expected, expected]);
        // Nor is the old one served any more.
        if (act === 'invalidate') await expect(one.getOrLoad('w', () => { throw new Error('down'); })).rejects.toThrow('down');
      }
    });

    test('negativeTtlSeconds: that there is no profile is remembered, until the wallet changes', async () => {
      const [one, two] = await openTwo({ negativeTtlSeconds: 30 }, { l2TtlSeconds: 30 });
      for (const absent of [() => undefined, () => null, () => { throw new ProfileCacheError('ERR_NOT_FOUND', 'no such wallet'); }]) {
        const loader = countingLoader(absent);
        await Promise.all([one.getOrLoad('w', loader), one.getOrLoad('w', loader)].map((got) => expect(got).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })));
        await expect(one.getOrLoad('w', loader)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
        expect(loader.calls).toBe(1);
        await one.invalidate('w');
      }
      expect(one.getStats()).toMatchObject({ loadFailures: 0, negativeHits: 3 });
      const asked: string[][] = [];
      const loadMissing = (missing: string[]) => (asked.push(missing), []);
      for (let i = 0; i < 3; i++) expect(await one.getOrLoadMany(['w', 'x'], loadMissing)).toEqual(new Map());
      expect(asked).toEqual([['w', 'x']]);
      // Another process knows of a profile: at once, from L2.
      await two.updateProfile('w', { n: 1 });
      expect(await one.getOrLoad('w', never)).toEqual({ n: 1 });
      // Invalidated by another process: loaded again.
      await two.invalidate('x');
      const loader = countingLoader(() => ({ n: 2 }));
      await until('the other has heard', async () => (await one.getOrLoad('x', loader).catch(() => undefined))?.n === 2);
      expect(loader.calls).toBe(1);
    });

    test('negativeTtlSeconds: no longer than that; and an expired profile of what is gone is not served', async () => {
      const [one, two] = await openTwo({ negativeTtlSeconds: 0.25, graceSeconds: GRACE_SECONDS, staleWhileRevalidateSeconds: 30 });
      await one.updateProfile('w', { n: 1 });
      await expire();
      const gone = countingLoader(() => undefined);
      expect(await one.getOrLoad('w', gone)).toEqual({ n: 1 });
      await until('it is known', () => gone.calls === 1 && one.getEntry('w') === undefined);
      await expect(one.getOrLoad('w', gone)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
      expect(gone.calls).toBe(1);
      await until('nor in the other process', async () => (await two.getOrLoad('w', () => { throw new Error('down'); }).catch((error: Error) => error.message)) === 'down');
      await sleep(300);
      await expect(one.getOrLoad('w', gone)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
      expect(gone.calls).toBe(2);
    });

    test('a failed load answers all its waiters once, in every thread', async () => {
      const cache = await open({});
      const loader = countingLoader(async () => (await sleep(50), Promise.reject(new Error('down'))));
      const results = await Promise.allSettled(Array.from({ length: 200 }, () => cache.getOrLoad('w', loader)));
      expect(new Set(results.map((result) => (result as PromiseRejectedResult).reason.message))).toEqual(new Set(['down']));
      expect(loader.calls).toBe(1);
      expect(cache.getStats()).toMatchObject({ loads: 1, loadFailures: 1, loadsShared: 199 });
    });

    test('who leaves a load leaves it to the others', async () => {
      const cache = await open({}, { l2TtlSeconds: 30 });
      let release: () => void = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const loader = countingLoader(async () => (await gate, { n: 1 }));
      const leaving = new AbortController();
      const left = cache.getOrLoad('w', loader, { signal: leaving.signal });
      const stays = cache.getOrLoad('w', loader);
      leaving.abort();
      await expect(left).rejects.toMatchObject({ code: 'ERR_ABORTED' });
      release();
      expect(await stays).toEqual({ n: 1 });
      expect(loader.calls).toBe(1);
    });
  });
}
