import { expect, test } from 'vitest';
import { loadTrades, TradeStore, WalletProfiler } from '../../src/profiler/index.ts';
import { buy, profileOf, profilerOf, sell, T0 } from './support.ts';

test('a whole profile, worked out by hand', async () => {
  const p = await profileOf('w', [buy('w', 'M', 0, 2), sell('w', 'M', 30, 3)]);
  // aggressiveness .4*1/2 + .4*1 + .2*2/20 = .62; volume 5/500*.5 + 2.5/50*.3 + 3/100*.2 = .026
  const risk = 0.35 * 0.62 + 0.25 * 0.5 + 0.15 * 0.026;
  expect(p).toEqual({
    wallet_address: 'w',
    risk_score: expect.closeTo(risk, 12),
    adjusted_score: expect.closeTo(risk * 0.9, 12),
    severity: 'LOW',
    confidence: 0.8,
    // scipy beta.ppf of Beta(2 + 11.46, 5 + 28.54)
    confidence_interval: [expect.closeTo(0.16790093, 7), expect.closeTo(0.42207378, 7)],
    risk_factors: { behavior: expect.closeTo(0.62, 12), timing: 0.5, network: 0, volume: expect.closeTo(0.026, 12) },
    explanation: 'LOW: risk 0.35, most of it from behavior (0.22) and timing (0.13)',
    timing_score: 0.5,
    network_score: 0,
    volume_score: expect.closeTo(0.026, 12),
    closed_positions: 1,
    profitable: 1,
    losing: 0,
    win_rate: 1,
    avg_hold_time_seconds: 30,
    avg_profit_percent: 50,
    max_profit_percent: 50,
    max_loss_percent: 50,
    volumes: { buy_sol: 2, sell_sol: 3, total_sol: 5, mean_trade_sol: 2.5, largest_trade_sol: 3 },
    total_trades: 2,
    unique_tokens: 1,
    indicators: ['flash_trading_pattern', 'bot_trading_suspected'],
    trades_1h: 2,
    trades_24h: 2,
    trades_7d: 2,
    activity_level: 'low',
    burst_activity: false,
    burst_z: null,
    aggressiveness: expect.closeTo(0.62, 12),
    avg_curve_position: 0,
    buy_sell_ratio: 1,
    patterns: [],
    first_seen: new Date(T0 * 1_000).toISOString(),
    last_active: new Date((T0 + 30) * 1_000).toISOString(),
    profiled_at: new Date((T0 + 30) * 1_000).toISOString(),
    source: 'trades',
  });
});

test('a wallet without trades, or without trades yet: whole, inactive, nothing claimed', async () => {
  const profiler = await profilerOf([buy('w', 'M', 0), buy('late', 'M', 100)], { nowSeconds: T0 + 50 });
  for (const wallet of ['stranger', 'late']) {
    const p = profiler.profile(wallet);
    expect(p).toMatchObject({
      source: 'no-trades', activity_level: 'inactive', total_trades: 0, first_seen: null, last_active: null, confidence: 0, severity: 'LOW',
      win_rate: 0, avg_curve_position: 50, aggressiveness: 0, indicators: [], patterns: [],
    });
    expect(Object.keys(p).sort()).toEqual(Object.keys(profiler.profile('w')).sort());
  }
  expect(profiler.wallets()).toEqual(['w', 'late']);
});

test('observations: counted gives confidence by evidence', async () => {
  const rows = [buy('w', 'A', 0), buy('w', 'B', 1), sell('w', 'B', 2)];
  expect((await profileOf('w', rows)).confidence).toBe(0.8);
  // trades 3 + 3, tokens bought 2 + 2
  expect((await profileOf('w', rows, { observations: 'counted' })).confidence).toBeCloseTo(10 / 50, 12);
});

test('pure: the wall clock is not asked; the same store and options give equal profiles', async () => {
  const { store } = await loadTrades([buy('w', 'M', 0)]);
  const first = new WalletProfiler(store).profile('w');
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(new WalletProfiler(store).profile('w')).toEqual(first);
  expect(new WalletProfiler(store, { source: 'feed' }).profile('w').source).toBe('feed');
});

test('a store shared and attached gives the same profiles; nothing in it is unshared memory', async () => {
  const { store } = await loadTrades([buy('w', 'M', 0), buy('v', 'M', 1, 1, { counterparty: 'c' })]);
  const shared = store.share();
  for (const column of Object.values(shared).flatMap((value) => (ArrayBuffer.isView(value) ? [value] : Object.values(value)))) {
    expect((column as Uint8Array).buffer).toBeInstanceOf(SharedArrayBuffer);
  }
  const copy = TradeStore.attach(structuredClone(shared));
  expect(new WalletProfiler(copy).profile('v')).toEqual(new WalletProfiler(store).profile('v'));
});

test.each([['', 'is empty'], [5, 'is not a string'], ['\uDC00', 'is not well-formed'], ['é'.repeat(513), 'is longer']])('wallet %j is refused', async (wallet, why) => {
  const profiler = await profilerOf([buy('w', 'M', 0)]);
  expect(() => profiler.profile(wallet as string)).toThrow(expect.objectContaining({ code: 'ERR_WALLET', message: expect.stringContaining(why) }));
});

test.each([{ nowSeconds: NaN }, { lookbackDays: 0 }, { coBuyMinTokens: 1.5 }, { maxHopSteps: 0 }, { knownInsiders: [''] }, { observations: 'all' }, { source: '' }, { other: 1 }])('option %j is refused', async (options) => {
  const { store } = await loadTrades([buy('w', 'M', 0)]);
  const name = Object.keys(options)[0];
  expect(() => new WalletProfiler(store, options as never)).toThrow(expect.objectContaining({ code: 'ERR_OPTION', option: expect.stringMatching(new RegExp(`^${name}`)) }));
});
