/**
 * The twelve behaviours that the first version of this cache promised, by name, for any L2; and what users expect beside them.
 * `freshL2` gives an L2 that no other test has used.
 */
import { describe, expect, test } from 'vitest';
import type { L2OptionsInput } from '../../src/options.ts';
import type { ProfileCacheOptions } from '../../src/options.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';

class TokenPosition {
  readonly mint: string;
  readonly opened: Date;
  constructor(mint: string, opened: Date) {
    this.mint = mint;
    this.opened = opened;
  }
  get age(): number {
    return Date.now() - this.opened.getTime();
  }
}

class WalletReport {
  wallet_address = 'wallet';
  risk_score = 0.75;
  last_active = new Date('2026-07-01T12:00:00.123Z');
  positions = [new TokenPosition('mint-1', new Date(0)), new TokenPosition('mint-2', new Date(1))];
  describe(): string {
    return `${this.wallet_address} ${this.risk_score}`;
  }
}

/** @param workers I/O threads of each cache: several where how they share the work is at stake, which costs a quarter of a second of CPU for each cache. */
export function behaviours(name: string, freshL2: () => L2OptionsInput | Promise<L2OptionsInput>, workers = 2): void {
  describe(name, () => {
    closeCachesAfterEach();
    const open = async (options: ProfileCacheOptions = {}) => openCache({ l2: await freshL2(), workers, ...options });
    /** Two processes' worth of caches on one L2. */
    const openTwo = async () => {
      const l2 = await freshL2();
      return [await openCache({ l2, workers }), await openCache({ l2, workers })] as const;
    };

    test('L1 hit', async () => {
      const cache = await open();
      expect(await cache.updateProfile('w', { score: 1 })).toEqual({ l1: true, l2: 'stored' });
      expect(cache.getProfileSync('w')).toEqual({ score: 1 });
      expect(await cache.getProfile('w')).toEqual({ score: 1 });
      expect(cache.getStats()).toMatchObject({ l1Hits: 2, l2Hits: 0, misses: 0 });
    });

    test('L2 hit with promotion', async () => {
      const [writer, reader] = await openTwo();
      await writer.updateProfile('w', { score: 2 });
      expect(reader.getProfileSync('w')).toBeUndefined();
      expect(await reader.getProfile('w')).toEqual({ score: 2 });
      expect(reader.getStats()).toMatchObject({ l2Hits: 1, promotions: 1, l1Size: 1 });
      expect(reader.getProfileSync('w')).toEqual({ score: 2 });
      expect(reader.getStats()).toMatchObject({ l1Hits: 1, l2Hits: 1 });
    });

    test('miss', async () => {
      const cache = await open();
      expect(await cache.getProfile('nobody')).toBeUndefined();
      expect(cache.getStats()).toMatchObject({ misses: 1, l1Hits: 0, l2Hits: 0, hitRate: 0, l2Failures: 0 });
    });

    test('LRU eviction', async () => {
      const cache = await open({ l1: { maxProfiles: 3, eviction: 'lru' } });
      for (const wallet of ['a', 'b', 'c']) await cache.updateProfile(wallet, { wallet });
      cache.getProfileSync('a');
      await cache.updateProfile('d', { wallet: 'd' });
      expect(['a', 'b', 'c', 'd'].filter((wallet) => cache.getEntry(wallet) !== undefined)).toEqual(['a', 'c', 'd']);
      expect(cache.getStats()).toMatchObject({ evictions: 1, l1Size: 3, l1MaxSize: 3 });
      // What L1 evicted is still in L2.
      expect(await cache.getProfile('b')).toEqual({ wallet: 'b' });
    });

    test('class instance and Dates', async () => {
      const [writer, reader] = await openTwo();
      await writer.updateProfile('w', new WalletReport() as never);
      for (const got of [writer.getProfileSync('w'), await reader.getProfile('w')]) {
        expect(got).toEqual({ wallet_address: 'wallet', risk_score: 0.75, last_active: new Date('2026-07-01T12:00:00.123Z'), positions: [{ mint: 'mint-1', opened: new Date(0) }, { mint: 'mint-2', opened: new Date(1) }] });
        expect(got?.last_active).toBeInstanceOf(Date);
      }
    });

    test('plain object', async () => {
      const [writer, reader] = await openTwo();
      const profile = {
        text: 'ünïcödé 💸', zero: 0, negative: -1.5, big: 2 ** 60, huge: 12345678901234567890n, yes: true, nothing: null, list: [1, [2, ['three']]],
        nested: { deep: { deeper: { x: 1 } } }, map: new Map<unknown, unknown>([['a', 1], [2, 'b']]), set: new Set([1, 'two']), bytes: Uint8Array.of(1, 2, 255), empty: {}, none: [],
      };
      await writer.updateProfile('w', profile);
      expect(writer.getProfileSync('w')).toEqual(profile);
      expect(await reader.getProfile('w')).toEqual(profile);
    });

    test('invalidate', async () => {
      const [writer, reader] = await openTwo();
      await writer.updateProfile('w', { score: 1 });
      await reader.getProfile('w');
      await writer.invalidate('w');
      expect(writer.getProfileSync('w')).toBeUndefined();
      expect(await writer.getProfile('w')).toBeUndefined();
      await until('the other process follows', () => reader.getEntry('w') === undefined);
      expect(await reader.getProfile('w')).toBeUndefined();
    });

    test('bulk prefetch', async () => {
      const [writer, reader] = await openTwo();
      const wallets = Array.from({ length: 1_500 }, (_, i) => `wallet-${i}`);
      expect(await writer.updateProfiles(wallets.map((wallet, i) => [wallet, { wallet, i }] as const))).toEqual({ l1: 1_500, stored: 1_500, queued: 0, skipped: 0 });
      const found = await reader.bulkPrefetch(wallets);
      expect([...found.keys()]).toEqual(wallets);
      expect([...found.values()].every((profile, i) => profile.wallet === wallets[i] && profile.i === i)).toBe(true);
      expect(reader.getStats()).toMatchObject({ l2Hits: 1_500, misses: 0, l1Size: 1_500 });
      await reader.bulkPrefetch(wallets);
      expect(reader.getStats()).toMatchObject({ l1Hits: 1_500, l2Hits: 1_500 });
    });

    test('partial miss', async () => {
      const [writer, reader] = await openTwo();
      await writer.updateProfiles([['a', { n: 1 }], ['c', { n: 3 }]]);
      await reader.getProfile('c');
      const found = await reader.bulkPrefetch(['c', 'nobody', 'a', 'c', 'nowhere', 'a']);
      expect([...found]).toEqual([['c', { n: 3 }], ['a', { n: 1 }]]);
      expect(reader.getStats()).toMatchObject({ l1Hits: 1, l2Hits: 2, misses: 2 });
    });

    test('empty list', async () => {
      const cache = await open();
      expect(await cache.bulkPrefetch([])).toEqual(new Map());
      expect(await cache.warm([])).toEqual({ promoted: 0, missing: 0 });
      expect(await cache.updateProfiles([])).toEqual({ l1: 0, stored: 0, queued: 0, skipped: 0 });
      await cache.invalidateMany([]);
      expect(await cache.getOrLoadMany([], () => { throw new Error('nothing is missing'); })).toEqual(new Map());
    });

    test('statistics', async () => {
      const cache = await open({ l1: { maxProfiles: 100, maxBytes: 1024 * 1024 }, l2TtlSeconds: 120 });
      await cache.updateProfile('a', { n: 1 });
      await cache.getProfile('a');
      cache.getProfileSync('a');
      await cache.getProfile('nobody');
      cache.getProfileSync('nobody');
      const stats = cache.getStats();
      expect(stats).toMatchObject({ l1Hits: 2, l2Hits: 0, misses: 2, writes: 1, evictions: 0, hitRate: 0.5, l1HitRate: 0.5, l1Size: 1, l1MaxSize: 100, l1MaxBytes: 1024 * 1024, l2TtlSeconds: 120, l2Stored: 1 });
      expect(stats.l1Bytes).toBeGreaterThan(0);
      expect(stats.l1Bytes).toBeLessThan(200);
      expect(structuredClone(stats)).toEqual(stats);
    });

    test('concurrent operations', async () => {
      const cache = await open({ l1: { maxProfiles: 50 } });
      const wallets = Array.from({ length: 100 }, (_, i) => `w${i}`);
      await Promise.all(wallets.map(async (wallet, i) => {
        for (let round = 0; round < 10; round++) {
          await cache.updateProfile(wallet, { wallet, round });
          const got = await cache.getProfile(wallet);
          expect(got).toEqual({ wallet, round });
          if (i % 10 === round) {
            await cache.invalidate(wallet);
            expect(await cache.getProfile(wallet)).toBeUndefined();
          }
        }
      }));
      expect(cache.getStats().l1Size).toBeLessThanOrEqual(50);
    });

    test('what is returned is frozen, and nobody else\'s', async () => {
      const cache = await open();
      const own = { list: [1], inner: { n: 1 }, when: new Date(5) };
      await cache.updateProfile('w', own);
      own.list.push(2);
      own.inner.n = 2;
      own.when.setTime(6);
      const got = cache.getProfileSync('w') as typeof own;
      expect(got).toEqual({ list: [1], inner: { n: 1 }, when: new Date(5) });
      expect(() => got.list.push(3)).toThrow(TypeError);
      expect(() => { got.inner.n = 3; }).toThrow(TypeError);
      expect(() => got.when.setTime(7)).toThrow(TypeError);
      expect(cache.getProfileSync('w')).toEqual({ list: [1], inner: { n: 1 }, when: new Date(5) });
    });

    test('hostile wallets are wallets like any other', async () => {
      const [writer, reader] = await openTwo();
      const wallets = ['__proto__', 'constructor', '{a}b', '{}', '💸', 'a:b', 'a b\r\n', '\0', 'x'.repeat(1024), 'é'.repeat(512), '*', '?[a]'];
      await writer.updateProfiles(wallets.map((wallet, i) => [wallet, { i }] as const));
      expect([...(await reader.bulkPrefetch(wallets))]).toEqual(wallets.map((wallet, i) => [wallet, { i }]));
      await reader.invalidateMany(wallets);
      expect(await reader.bulkPrefetch(wallets)).toEqual(new Map());
      expect(({} as { i?: number }).i).toBeUndefined();
    });

    test('warm brings L2 to L1 and decodes nothing', async () => {
      const [writer, reader] = await openTwo();
      await writer.updateProfiles(Array.from({ length: 1_200 }, (_, i) => [`w${i}`, { i }] as const));
      const seen: number[] = [];
      expect(await reader.warm([...Array.from({ length: 1_200 }, (_, i) => `w${i}`), 'nobody'], { onProgress: (done, total) => { expect(total).toBe(1_201); seen.push(done); } })).toEqual({ promoted: 1_200, missing: 1 });
      expect(seen.at(-1)).toBe(1_201);
      expect(reader.getStats()).toMatchObject({ decodes: 0, l1Size: 1_200, promotions: 1_200 });
      expect(reader.getProfileSync('w7')).toEqual({ i: 7 });
    });

    test('time to live, in both tiers', async () => {
      const [writer, reader] = await openTwo();
      // Long enough for a busy machine to read it in time.
      await writer.updateProfile('short', { n: 1 }, { ttlSeconds: 1.5 });
      await writer.updateProfile('long', { n: 2 });
      expect(writer.getEntry('short')?.ttlMs).toBeLessThanOrEqual(1_500);
      expect(await reader.getProfile('short')).toEqual({ n: 1 });
      expect(reader.getEntry('short')?.ttlMs).toBeLessThanOrEqual(1_500);
      await new Promise((resolve) => setTimeout(resolve, 1_550));
      expect(writer.getProfileSync('short')).toBeUndefined();
      expect(reader.getProfileSync('short')).toBeUndefined();
      expect(await reader.getProfile('short')).toBeUndefined();
      expect(await reader.getProfile('long')).toEqual({ n: 2 });
    });

    test('an update reaches the other process', async () => {
      const [writer, reader] = await openTwo();
      const changes: unknown[] = [];
      reader.on('profileUpdated', (change) => changes.push(change));
      await writer.updateProfile('w', { n: 1 });
      await reader.getProfile('w');
      await writer.updateProfile('w', { n: 2 });
      await until('the event is heard', () => changes.length >= 2);
      expect(await reader.getProfile('w')).toEqual({ n: 2 });
      expect(changes[1]).toMatchObject({ wallet: 'w', origin: 'remote' });
    });

    test('clear empties both tiers in every process', async () => {
      const [writer, reader] = await openTwo();
      await writer.updateProfiles(Array.from({ length: 300 }, (_, i) => [`w${i}`, { i }] as const));
      await reader.bulkPrefetch(['w1', 'w2']);
      await writer.clear();
      expect(writer.getStats().l1Size).toBe(0);
      await until('the other process follows', () => reader.getEntry('w1') === undefined);
      expect(await reader.bulkPrefetch(Array.from({ length: 300 }, (_, i) => `w${i}`))).toEqual(new Map());
      // The cache works on.
      await writer.updateProfile('w1', { i: -1 });
      expect(await reader.getProfile('w1')).toEqual({ i: -1 });
    });

    test('getOrLoad loads once for all who ask, in both processes', async () => {
      const [one, two] = await openTwo();
      let loads = 0;
      const loader = async () => {
        loads++;
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { loaded: true };
      };
      const all = await Promise.all([one, one, two, one, two].map((cache) => cache.getOrLoad('w', loader)));
      expect(loads).toBe(1);
      expect(all).toEqual(Array(5).fill({ loaded: true }));
      expect(await two.getProfile('w')).toEqual({ loaded: true });
    });

    test('getOrLoadMany asks once for what is missing', async () => {
      const cache = await open();
      await cache.updateProfile('b', { from: 'cache' });
      const asked: string[][] = [];
      const got = await cache.getOrLoadMany(['a', 'b', 'c', 'a', 'd'], (missing) => {
        asked.push(missing);
        return missing.filter((wallet) => wallet !== 'd').map((wallet) => [wallet, { from: 'loader', wallet }] as const);
      });
      expect(asked).toEqual([['a', 'c', 'd']]);
      expect([...got]).toEqual([['a', { from: 'loader', wallet: 'a' }], ['b', { from: 'cache' }], ['c', { from: 'loader', wallet: 'c' }]]);
    });

    test('a delete during a load wins', async () => {
      const [one, two] = await openTwo();
      const got = await one.getOrLoad('w', async () => {
        await two.invalidate('w');
        return { old: true };
      });
      expect(got).toEqual({ old: true });
      expect(await two.getProfile('w')).toBeUndefined();
      await until('the event is heard', () => one.getEntry('w') === undefined);
      expect(await one.getProfile('w')).toBeUndefined();
    });

    test('an update during a load wins', async () => {
      const [one, two] = await openTwo();
      await one.getOrLoad('w', async () => {
        await one.updateProfile('w', { newer: true });
        return { old: true };
      });
      expect(await one.getProfile('w')).toEqual({ newer: true });
      expect(await two.getProfile('w')).toEqual({ newer: true });
    });

    test('concurrent updates from two processes end equal everywhere', async () => {
      const [one, two] = await openTwo();
      await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? one : two).updateProfile('w', { i })));
      await until('both agree', async () => {
        const [a, b] = await Promise.all([one.getProfile('w'), two.getProfile('w')]);
        return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
      });
    });

    test('health says what a person would ask', async () => {
      const cache = await open();
      const health = await cache.health();
      expect(health.l2).toMatchObject({ up: true, reachable: true, slotsCovered: 16_384, queuedWrites: 0 });
      expect(health.l2?.nodes.every((node) => node.reachable && (node.latencyMs ?? -1) >= 0)).toBe(true);
      expect(health.channel).toEqual({ enabled: true, listening: true });
    });
  });
}
