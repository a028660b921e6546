import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { generateSampleTrades, loadTrades, ProfilerPool, type ProfilerPoolOptions, type TradeStore, WalletProfiler } from '../../src/profiler/index.ts';

/** Worker threads run built code: `npm run build` (part of `npm test`) comes first. */
let store: TradeStore;
let wallets: string[];
const pools: ProfilerPool[] = [];
beforeAll(async () => {
  ({ store } = await loadTrades(generateSampleTrades({ seed: 11, wallets: 400, tokens: 30, trades: 6_000 })));
  wallets = store.wallets();
});
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

async function open(options: ProfilerPoolOptions = {}, entry?: URL): Promise<ProfilerPool> {
  const pool = await ProfilerPool.open(store, { threads: 2, ...options }, entry);
  pools.push(pool);
  return pool;
}

test('the pool gives what one thread gives: every wallet, every field, the options included', async () => {
  const options = { nowSeconds: store.newestTs - 3_600, lookbackDays: 2, coBuyWindowSeconds: 3, knownInsiders: wallets.slice(0, 60), exchangeWallets: [wallets[70]], observations: 'counted' as const, source: 'test' };
  const here = new WalletProfiler(store, options);
  const pool = await open(options);
  expect(pool.graph.neighbours).toEqual(here.graph.neighbours);
  const got = await pool.profileMany([...wallets, 'a stranger']);
  expect(got.get('a stranger')).toMatchObject({ source: 'no-trades', activity_level: 'inactive', confidence: 0 });
  for (const wallet of [...wallets, 'a stranger']) expect(got.get(wallet)).toEqual(here.profile(wallet));
});

test('profileMany: in the order asked, duplicates once, progress to the end', async () => {
  const pool = await open();
  const asked = [...wallets].reverse();
  const seen: number[] = [];
  const got = await pool.profileMany([...asked, asked[3]], { concurrency: 3, onProgress: ({ done, total }) => seen.push(done / total) });
  expect([...got.keys()]).toEqual(asked);
  expect(seen.at(-1)).toBe(1);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(await pool.profileMany([])).toEqual(new Map());
});

test('profile: many single calls at once', async () => {
  const pool = await open();
  const here = new WalletProfiler(store);
  const got = await Promise.all(wallets.map((wallet) => pool.profile(wallet)));
  expect(got).toEqual(wallets.map((wallet) => here.profile(wallet)));
});

describe('errors', () => {
  test('bad wallets and options', async () => {
    const pool = await open({ threads: 1 });
    for (const wallet of ['', 'x'.repeat(1_025), 5, 'a\uD800']) {
      await expect(pool.profile(wallet as string)).rejects.toMatchObject({ code: 'ERR_WALLET' });
      await expect(pool.profileMany([wallets[0], wallet as string])).rejects.toMatchObject({ code: 'ERR_WALLET' });
    }
    await expect(pool.profileMany(wallets, { concurrency: 0 })).rejects.toMatchObject({ code: 'ERR_OPTION', option: 'concurrency' });
    for (const options of [{ threads: 0 }, { lookbackDays: -1 }, { coBuyMinTokens: 0 }, { coBuyWindowSeconds: NaN }, { maxCoBuyNeighbours: 0 }, { nonsense: 1 }]) {
      await expect(ProfilerPool.open(store, options as ProfilerPoolOptions)).rejects.toMatchObject({ code: 'ERR_OPTION', option: Object.keys(options)[0] });
    }
  });

  test('abort rejects at once, before and during; the threads live on', async () => {
    const pool = await open();
    await expect(pool.profileMany(wallets, { signal: AbortSignal.abort('no') })).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: 'no' });
    const controller = new AbortController();
    let progress = 0;
    const running = pool.profileMany(wallets, { concurrency: 1, signal: controller.signal, onProgress: () => ++progress === 1 && controller.abort() });
    await expect(running).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect((await pool.profileMany(wallets)).size).toBe(400);
    expect(progress).toBe(1);
  });

  test('a callback that throws rejects the call with its own error', async () => {
    const pool = await open();
    const thrown = new Error('mine');
    await expect(pool.profileMany(wallets, { onProgress: () => { throw thrown; } })).rejects.toBe(thrown);
  });

  test('close answers what was asked before, then refuses; idempotent; no thread comes back', async () => {
    const pool = await open();
    const asked = pool.profile(wallets[0]);
    const closing = pool.close();
    expect(pool.close()).toBe(closing);
    expect((await asked).wallet_address).toBe(wallets[0]);
    await closing;
    await expect(pool.profile(wallets[0])).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(pool.profileMany(wallets)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('close during profileMany: the rest is refused, not hung', async () => {
    const pool = await open({ threads: 1 });
    const running = pool.profileMany(wallets, { concurrency: 1, onProgress: () => void pool.close() });
    await expect(running).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('a thread that dies: its batch is done again; one that dies again is ERR_WORKER; the pool lives on', async () => {
    // A wallet of that name ends the thread: `dies-once-…` the first time it is seen in this process, `dies-always` every time.
    const pool = await open({ threads: 1 }, new URL('dying-thread.mjs', import.meta.url));
    const once = `dies-once-${process.pid}`;
    expect([...(await pool.profileMany([wallets[0], once, wallets[1]])).keys()]).toEqual([wallets[0], once, wallets[1]]);
    await expect(pool.profile('dies-always')).rejects.toMatchObject({ code: 'ERR_WORKER' });
    await expect(pool.profile('throws-typed')).rejects.toMatchObject({ name: 'ProfileCacheError', code: 'ERR_TRADES_FORMAT', message: 'thrown in the thread', line: 7 });
    expect((await pool.profile(wallets[2])).wallet_address).toBe(wallets[2]);
  });
});
