import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CachedWalletProfiler, type BatchProgress } from '../../src/profiler/cached-wallet-profiler.ts';
import { ProfilerPool, WalletProfiler, generateSampleTrades, loadTrades, type WalletProfile } from '../../src/profiler/index.ts';
import type { ProfileCache } from '../../src/profile-cache.ts';
import { closeCachesAfterEach, openCache } from '../support/caches.ts';

const home = mkdtempSync(join(tmpdir(), 'profilecache-cwp-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Scored extends Record<string, unknown> {
  wallet: string;
}

class CountingSource {
  readonly asked: string[] = [];
  running = 0;
  mostRunning = 0;
  failing: string | undefined;
  delayMs = 0;

  async profile(wallet: string): Promise<Scored> {
    return (await this.profileMany([wallet])).get(wallet) as Scored;
  }

  async profileMany(wallets: string[]): Promise<Map<string, Scored>> {
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    this.asked.push(...wallets);
    await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    this.running--;
    if (this.failing !== undefined && wallets.includes(this.failing)) throw new Error('no history');
    return new Map(wallets.map((wallet) => [wallet, { wallet }]));
  }
}

describe('CachedWalletProfiler', () => {
  closeCachesAfterEach();
  const wallets = Array.from({ length: 1_000 }, (_, i) => `wallet-${i}`);
  const make = async (source = new CountingSource()) => {
    const cache = (await openCache({ l2: 'none:', l1: { maxProfiles: 2_000 } })) as unknown as ProfileCache<Scored>;
    return { cache, source, profiler: new CachedWalletProfiler(cache, source) };
  };

  test('getProfile is never a miss, and profiles once', async () => {
    const { profiler, source } = await make();
    expect(await Promise.all([profiler.getProfile('a'), profiler.getProfile('a')])).toEqual([{ wallet: 'a' }, { wallet: 'a' }]);
    expect(await profiler.getProfile('a')).toEqual({ wallet: 'a' });
    expect(source.asked).toEqual(['a']);
  });

  test('batchProfile: one prefetch, then only what is missing, in the order asked', async () => {
    const { cache, profiler, source } = await make();
    await cache.updateProfiles(wallets.slice(0, 400).map((wallet) => [wallet, { wallet, cached: true }] as const));
    const progress: BatchProgress[] = [];
    const got = await profiler.batchProfile([...wallets, 'wallet-3'], { onProgress: (at) => progress.push(at) });
    expect([...got.keys()]).toEqual(wallets);
    expect(got.get('wallet-3')).toEqual({ wallet: 'wallet-3', cached: true });
    expect([...source.asked].sort()).toEqual(wallets.slice(400).sort());
    expect(progress[0]).toEqual({ done: 400, total: 1_000, cached: 400, profiled: 0 });
    expect(progress.at(-1)).toEqual({ done: 1_000, total: 1_000, cached: 400, profiled: 600 });
    expect(cache.getStats()).toMatchObject({ l1Hits: 400, misses: 600 });
    source.asked.length = 0;
    expect((await profiler.batchProfile(wallets)).size).toBe(1_000);
    expect(source.asked).toEqual([]);
  });

  test('concurrency is bounded, and refused when it is no number of lanes', async () => {
    for (const concurrency of [1, 3]) {
      const { profiler, source } = await make();
      source.delayMs = 5;
      await profiler.batchProfile(wallets, { concurrency });
      expect(source.mostRunning).toBe(concurrency);
    }
    const { profiler } = await make();
    for (const concurrency of [0, -1, 1.5, Number.NaN, Infinity]) {
      await expect(profiler.batchProfile(wallets, { concurrency })).rejects.toMatchObject({ code: 'ERR_OPTION', option: 'concurrency' });
    }
  });

  test('abort leaves; what was profiled is cached, and the next run goes on from there', async () => {
    const { profiler, source, cache } = await make();
    source.delayMs = 5;
    const abort = new AbortController();
    await expect(profiler.batchProfile(wallets, { concurrency: 1, signal: abort.signal, onProgress: ({ done }) => done >= 200 && abort.abort() })).rejects.toMatchObject({ name: 'AbortError', code: 'ERR_ABORTED' });
    const first = new Set(source.asked).size;
    expect(first).toBeGreaterThanOrEqual(200);
    expect(first).toBeLessThan(1_000);
    expect(cache.getStats().l1Size).toBeGreaterThanOrEqual(200);
    await new Promise((resolve) => setTimeout(resolve, 50));
    source.asked.length = 0;
    await profiler.batchProfile(wallets);
    expect(source.asked.length).toBeLessThanOrEqual(800);
  });

  test('a profiler that fails rejects the batch with its error; the rest is cached', async () => {
    const { profiler, source, cache } = await make();
    source.failing = 'wallet-500';
    await expect(profiler.batchProfile(wallets, { concurrency: 2 })).rejects.toThrow('no history');
    expect(cache.getStats().l1Size).toBeGreaterThan(100);
    source.failing = undefined;
    expect((await profiler.batchProfile(wallets)).size).toBe(1_000);
  });

  test('ttlSeconds', async () => {
    const { profiler, cache } = await make();
    await profiler.batchProfile(['a'], { ttlSeconds: 5 });
    await profiler.getProfile('b', { ttlSeconds: 6 });
    expect(cache.getEntry('a')?.ttlMs).toBeLessThanOrEqual(5_000);
    expect(cache.getEntry('b')?.ttlMs).toBeLessThanOrEqual(6_000);
  });

  test('empty list, and refused wallets', async () => {
    const { profiler } = await make();
    expect(await profiler.batchProfile([])).toEqual(new Map());
    await expect(profiler.batchProfile(['ok', ''])).rejects.toMatchObject({ code: 'ERR_WALLET' });
  });

  test('the real profiler in its threads: cached profiles equal fresh ones', async () => {
    const { store } = await loadTrades(generateSampleTrades({ seed: 7, wallets: 300, tokens: 12, trades: 4_000 }));
    const cache = (await openCache({ l2: { kind: 'embedded', path: join(home, 'real') } })) as unknown as ProfileCache<WalletProfile & Record<string, unknown>>;
    const pool = await ProfilerPool.open(store, { threads: 2 });
    const profiler = new CachedWalletProfiler(cache as unknown as ProfileCache<WalletProfile>, pool);
    const fresh = new WalletProfiler(store);
    const all = fresh.wallets();
    const first = await profiler.batchProfile(all);
    expect([...first]).toEqual(all.map((wallet) => [wallet, fresh.profile(wallet)]));
    const again = (await openCache({ l2: { kind: 'embedded', path: join(home, 'real') } })) as unknown as ProfileCache<WalletProfile & Record<string, unknown>>;
    const never = { profile: () => { throw new Error('it is all in L2'); } };
    expect([...(await new CachedWalletProfiler(again, never).batchProfile(all))]).toEqual([...first]);
    expect(again.getStats()).toMatchObject({ l2Hits: all.length, misses: 0 });
    await pool.close();
  });
});
