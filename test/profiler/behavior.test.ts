import { describe, expect, test } from 'vitest';
import { activityLevel, aggressivenessOf, burstOf, curvePosition, sniperValue } from '../../src/profiler/behavior-tracker.ts';
import type { TradeInput } from '../../src/profiler/index.ts';
import { buy, profileOf, sell, T0 } from './support.ts';

const now = 10 * 86_400;
const at = (ageSeconds: number): TradeInput => sell('w', 'M', now - ageSeconds);

test('rolling counts: a window holds its newest second and not its oldest', async () => {
  const p = await profileOf('w', [at(0), at(3_599), at(3_600), at(86_399), at(86_400), at(604_799), at(604_800)]);
  expect(p).toMatchObject({ trades_1h: 2, trades_24h: 4, trades_7d: 6, activity_level: 'low' });
});

test('activity_level at its thresholds', () => {
  expect([0, 1, 5, 6, 20, 21, 50, 51].map(activityLevel)).toEqual(['inactive', 'low', 'low', 'moderate', 'moderate', 'high', 'high', 'very_high']);
});

test('sniper value and curve position by seconds after launch', () => {
  expect([-3, 0, 5, 6, 30, 31, 60, 61, 300, 301].map(sniperValue)).toEqual([1, 1, 1, 0.8, 0.8, 0.6, 0.6, 0.3, 0.3, 0]);
  expect([-1, 0, 30, 60, 180, 300, 1_050, 1_800, 2_700, 3_600, 99_999].map(curvePosition)).toEqual([0, 0, 5, 10, 20, 30, 50, 70, 85, 100, 100]);
});

test('aggressiveness and curve position, hand-worked', async () => {
  // Launch at 0; buys at 3 s (1.0, 0.5) and 180 s (0.3, 20), one sell; all three in the last hour.
  const p = await profileOf('w', [buy('dev', 'M', 0), buy('w', 'M', 3), buy('w', 'M', 180), sell('w', 'M', 200)]);
  expect(p.aggressiveness).toBeCloseTo(0.4 * (2 / 3) + 0.4 * 0.65 + 0.2 * (3 / 20), 12);
  expect(p.avg_curve_position).toBeCloseTo((0.5 + 20) / 2, 12);
  expect(p.buy_sell_ratio).toBe(2);
});

test('without buys: curve 50, no sniper value; the last hour saturates at 20 trades', async () => {
  expect((await profileOf('w', [sell('w', 'M', 0)])).avg_curve_position).toBe(50);
  expect(aggressivenessOf(0, 0, 0, 0)).toBe(0);
  expect(aggressivenessOf(1, 0, 1, 40)).toBeCloseTo(1, 12);
  expect(aggressivenessOf(0, 5, 0, 20)).toBeCloseTo(0.2, 12);
});

describe('burst', () => {
  test('z against the per-minute counts, standard deviation of the population', () => {
    // mean 1, deviation 1: 6 is z = 5, 7 is z = 6
    const samples = [0, 2, 0, 2, 0, 2, 0, 2, 0, 2];
    expect(burstOf(6, samples)).toEqual({ active: false, z: 5 });
    expect(burstOf(7, samples)).toEqual({ active: true, z: 6 });
    expect(burstOf(7, samples.slice(1))).toEqual({ active: false, z: null });
  });

  test('no spread: more than twice the mean', () => {
    const steady = Array.from({ length: 60 }, () => 3);
    expect(burstOf(6, steady)).toEqual({ active: false, z: null });
    expect(burstOf(7, steady)).toEqual({ active: true, z: null });
  });

  test('in a profile: one trade a minute for an hour, then many in the last one', async () => {
    const steady = Array.from({ length: 60 }, (_, i) => at(60 * (i + 1)));
    const burst = Array.from({ length: 3 }, (_, i) => at(i));
    expect((await profileOf('w', [...steady, ...burst])).patterns).toContain('burst_activity');
    expect((await profileOf('w', [...steady, ...burst.slice(1)], { nowSeconds: T0 + now })).burst_activity).toBe(false);
  });

  test('minutes before the first trade of the wallet are no samples', async () => {
    const young = [at(9 * 60), ...Array.from({ length: 9 }, (_, i) => at(i))];
    expect((await profileOf('w', young)).burst_activity).toBe(false);
    expect((await profileOf('w', [at(10 * 60), ...young])).burst_activity).toBe(true);
  });
});

test('patterns: high_aggressiveness over 0.7, heavy_accumulation over 5 buys a sell', async () => {
  const buys = (count: number) => Array.from({ length: count }, (_, i) => buy('w', `M${i}`, i));
  expect((await profileOf('w', buys(1))).patterns).toEqual(['high_aggressiveness']);
  expect((await profileOf('w', buys(5))).patterns).not.toContain('heavy_accumulation');
  expect((await profileOf('w', buys(6))).patterns).toContain('heavy_accumulation');
  expect((await profileOf('w', [...buys(11), sell('w', 'M0', 20), sell('w', 'M1', 21)])).patterns).toContain('heavy_accumulation');
  expect((await profileOf('w', [...buys(10), sell('w', 'M0', 20), sell('w', 'M1', 21)])).patterns).not.toContain('heavy_accumulation');
  expect((await profileOf('w', [sell('w', 'M', 0)])).patterns).toEqual([]);
});
