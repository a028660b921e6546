import { describe, expect, test } from 'vitest';
import { indicatorsOf, networkScore, volumeScore } from '../../src/profiler/historical-analyzer.ts';
import type { TradeInput } from '../../src/profiler/index.ts';
import { buy, profileOf, sell, T0 } from './support.ts';

describe('timing_score', () => {
  const launch = (mint: string): TradeInput => buy('dev', mint, 0);

  test('mean over tokens of 1 - s/3600 of the first buy, later buys ignored', async () => {
    // 360 s, 720 s, 1800 s after launch: (0.9 + 0.8 + 0.5) / 3
    const p = await profileOf('w', [launch('A'), launch('B'), launch('C'), buy('w', 'A', 360), buy('w', 'A', 3_000), buy('w', 'B', 720), buy('w', 'C', 1_800)]);
    expect(p.timing_score).toBeCloseTo((0.9 + 0.8 + 0.5) / 3, 12);
  });

  test('an hour and later counts 0, a buy before token_created_ts counts 1', async () => {
    const created = { token_created_ts: T0 + 100 };
    const p = await profileOf('w', [launch('A'), launch('B'), buy('w', 'A', 3_600), buy('w', 'B', 9_000), buy('w', 'C', 50, 1, created)]);
    expect(p.timing_score).toBeCloseTo(1 / 3, 12);
  });

  test('token_created_ts beats the first trade by anybody; among rows of one token the earliest counts', async () => {
    const rows = ['A', 'B', 'C'].map((mint) => buy('w', mint, 0, 1, { token_created_ts: T0 - 1_800 }));
    rows.push(buy('x', 'A', 10, 1, { token_created_ts: T0 - 3_600 }));
    expect((await profileOf('w', rows)).timing_score).toBeCloseTo((0 + 0.5 + 0.5) / 3, 12);
  });

  test('fewer than three tokens bought: 0.5; a token only sold is none', async () => {
    expect((await profileOf('w', [buy('w', 'A', 0), buy('w', 'B', 0), sell('w', 'C', 0)])).timing_score).toBe(0.5);
    expect((await profileOf('w', [buy('w', 'A', 0), buy('w', 'B', 0), buy('w', 'C', 0)])).timing_score).toBe(1);
  });
});

describe('volume_score', () => {
  test('hand-worked: 100 + 50 SOL in two trades', async () => {
    const p = await profileOf('w', [buy('w', 'A', 0, 100), sell('w', 'A', 1, 50)]);
    // 150/500*.5 + min(1, 75/50)*.3 + 100/100*.2
    expect(p.volume_score).toBeCloseTo(0.15 + 0.3 + 0.2, 12);
    expect(p.volumes).toEqual({ buy_sol: 100, sell_sol: 50, total_sol: 150, mean_trade_sol: 75, largest_trade_sol: 100 });
  });

  test('each part is capped', () => {
    const volumes = (total_sol: number, mean_trade_sol: number, largest_trade_sol: number) => ({ buy_sol: 0, sell_sol: 0, total_sol, mean_trade_sol, largest_trade_sol });
    expect(volumeScore(volumes(5_000, 0, 0))).toBe(0.5);
    expect(volumeScore(volumes(0, 500, 0))).toBe(0.3);
    expect(volumeScore(volumes(0, 0, 1_000))).toBe(0.2);
  });
});

describe('performance', () => {
  const history = [
    buy('w', 'A', 0, 2), sell('w', 'A', 100, 3), // +50 %, held 100 s
    buy('w', 'B', 0, 4), buy('w', 'B', 50, 4), sell('w', 'B', 300, 6), // -25 %, held 300 s
    buy('w', 'C', 0, 1), sell('w', 'C', 20, 1), // 0 %: not a win, held 20 s
    buy('w', 'D', 0, 0), sell('w', 'D', 40, 1), // nothing spent: a win without a percentage, held 40 s
    buy('w', 'E', 0, 9), // open
    sell('w', 'F', 10, 9), // never bought
  ];

  test('closed positions, wins, hold time and profit', async () => {
    const p = await profileOf('w', history);
    expect(p).toMatchObject({ closed_positions: 4, profitable: 2, losing: 2, win_rate: 0.5, avg_hold_time_seconds: 115, total_trades: 11, unique_tokens: 6 });
    expect(p.avg_profit_percent).toBeCloseTo(25 / 3, 12);
    expect(p.max_profit_percent).toBeCloseTo(50, 12);
    expect(p.max_loss_percent).toBeCloseTo(-25, 12);
  });

  test('without a closed position: 0 wins, 0 seconds, no percentages, no hold indicators', async () => {
    const p = await profileOf('w', [buy('w', 'A', 0)]);
    expect(p).toMatchObject({ closed_positions: 0, win_rate: 0, avg_hold_time_seconds: 0, avg_profit_percent: null, max_profit_percent: null, max_loss_percent: null });
    expect(p.indicators).not.toContain('flash_trading_pattern');
  });

  test('a position that spent nothing has no percentage', async () => {
    const p = await profileOf('w', [buy('w', 'A', 0, 0), sell('w', 'A', 1, 5)]);
    expect(p).toMatchObject({ closed_positions: 1, profitable: 1, avg_profit_percent: null });
  });

  test('only the lookback window counts, half open at its old end; later trades are not seen', async () => {
    const day = 86_400;
    const rows = [buy('w', 'A', 0, 1), buy('w', 'A', 1, 2), buy('w', 'A', 30 * day, 4), buy('w', 'B', 30 * day + 5, 8)];
    const p = await profileOf('w', rows, { nowSeconds: T0 + 30 * day });
    expect(p).toMatchObject({ total_trades: 2, unique_tokens: 1, volumes: { total_sol: 6 } });
    expect((await profileOf('w', rows, { nowSeconds: T0 + 30 * day, lookbackDays: 31 })).total_trades).toBe(3);
    expect(p.first_seen).toBe(new Date(T0 * 1_000).toISOString());
    expect(p.last_active).toBe(new Date((T0 + 30 * day) * 1_000).toISOString());
  });
});

test('networkScore: each hop has its weight and cap; three insiders give x 1.3, at most 1', () => {
  expect(networkScore({ h1: 1, h2: 0, h3: 0, insiders: 0 })).toBeCloseTo(0.12, 12);
  expect(networkScore({ h1: 9, h2: 5, h3: 0, insiders: 2 })).toBeCloseTo(0.75, 12);
  expect(networkScore({ h1: 5, h2: 10, h3: 15, insiders: 0 })).toBeCloseTo(1, 12);
  expect(networkScore({ h1: 2, h2: 1, h3: 3, insiders: 3 })).toBeCloseTo((0.24 + 0.03 + 0.02) * 1.3, 12);
  expect(networkScore({ h1: 5, h2: 10, h3: 0, insiders: 3 })).toBe(1);
});

describe('indicators at their thresholds', () => {
  const none = { timing: 0.5, network: 0, volume: 0, win: 0, closed: 0, hold: 0 };
  const of = (change: Partial<typeof none>) => {
    const v = { ...none, ...change };
    return indicatorsOf({ timing_score: v.timing, network_score: v.network, volume_score: v.volume }, { win_rate: v.win, closed_positions: v.closed, avg_hold_time_seconds: v.hold });
  };
  test.each<[string, Partial<typeof none>, Partial<typeof none>]>([
    ['EARLY_BUYER', { timing: 0.801 }, { timing: 0.8 }],
    ['CLUSTER_CONNECTED', { network: 0.701 }, { network: 0.7 }],
    ['WHALE_BEHAVIOR', { volume: 0.801 }, { volume: 0.8 }],
    ['ABNORMAL_WIN_RATE', { win: 0.851, closed: 5, hold: 999 }, { win: 0.85, closed: 5 }],
    ['ABNORMAL_WIN_RATE', { win: 1, closed: 5, hold: 999 }, { win: 1, closed: 4 }],
    ['sniper_bot_suspected', { timing: 0.9 }, { timing: 0.899 }],
    ['sybil_network_suspected', { network: 0.8 }, { network: 0.799 }],
    ['institutional_trader', { volume: 0.9 }, { volume: 0.899 }],
    ['flash_trading_pattern', { hold: 299, closed: 1 }, { hold: 300, closed: 1 }],
    ['flash_trading_pattern', { hold: 0, closed: 1 }, { hold: 0, closed: 0 }],
    ['bot_trading_suspected', { hold: 59, closed: 1 }, { hold: 60, closed: 1 }],
    ['coordinated_insider_group', { timing: 0.7, network: 0.6 }, { timing: 0.7, network: 0.599 }],
    ['coordinated_insider_group', { timing: 0.7, network: 0.6 }, { timing: 0.699, network: 0.6 }],
    ['whale_sniper', { timing: 0.8, volume: 0.7 }, { timing: 0.799, volume: 0.7 }],
    ['whale_sniper', { timing: 0.8, volume: 0.7 }, { timing: 0.8, volume: 0.699 }],
    ['organized_trading_ring', { network: 0.7, win: 0.75 }, { network: 0.699, win: 0.75 }],
    ['organized_trading_ring', { network: 0.7, win: 0.75 }, { network: 0.7, win: 0.749 }],
  ])('%s: %j has it, %j does not', (name, has, lacks) => {
    expect(of(has)).toContain(name);
    expect(of(lacks)).not.toContain(name);
  });
});
