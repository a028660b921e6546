import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadTrades, type TradeInput, type WalletProfile, WalletProfiler } from '../../src/profiler/index.ts';
import { plainProfiles } from './reference.ts';
import { T0 } from './support.ts';

/** Few names and few seconds, so that wallets meet, and times a minute to an hour apart, so that they do not. */
const trade = fc.record({
  ts: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 400_000 })).map((s) => T0 + s),
  mint: fc.constantFrom('A', 'B', 'C', 'D'),
  wallet: fc.constantFrom('u', 'v', 'w', 'x', 'y', 'z'),
  side: fc.constantFrom('buy' as const, 'sell' as const),
  sol: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 200, noNaN: true })),
  tokens: fc.integer({ min: 0, max: 1_000 }),
});
const distinctTimes = fc.uniqueArray(trade, { minLength: 1, maxLength: 60, selector: (t) => t.ts });
const history = fc.array(trade, { minLength: 1, maxLength: 60 });

async function profiles(trades: TradeInput[]): Promise<Map<string, WalletProfile>> {
  const { store } = await loadTrades(trades);
  const profiler = new WalletProfiler(store);
  return new Map(profiler.wallets().map((wallet) => [wallet, profiler.profile(wallet)]));
}
const sorted = (map: Map<string, WalletProfile>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

test('the order of rows does not matter where no two share a time', async () => {
  await fc.assert(
    fc.asyncProperty(distinctTimes, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), async (trades, keys) => {
      const shuffled = trades.map((t) => ({ t, key: keys.next().value! })).sort((a, b) => a.key - b.key).map(({ t }) => t);
      expect(sorted(await profiles(shuffled))).toEqual(sorted(await profiles(trades)));
    }),
    { numRuns: 100 },
  );
});

test('repeated rows change nothing', async () => {
  await fc.assert(
    fc.asyncProperty(history, fc.nat(), async (trades, pick) => {
      const again = trades.slice(0, pick % (trades.length + 1));
      expect(await profiles([...trades, ...again])).toEqual(await profiles(trades));
    }),
    { numRuns: 100 },
  );
});

test('scores stay in their ranges and agree with the plain reference', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (trades) => {
      const once = [...new Map(trades.map((t) => [JSON.stringify(t), t])).values()];
      const expected = plainProfiles(once.map((t) => ({ ...t, created: null })));
      for (const [wallet, p] of await profiles(trades)) {
        for (const score of [p.risk_score, p.adjusted_score, p.confidence, ...p.confidence_interval, ...Object.values(p.risk_factors), p.win_rate]) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
        }
        expect(p.confidence_interval[0]).toBeLessThan(p.confidence_interval[1]);
        const want = expected.get(wallet)!;
        for (const field of ['risk_score', 'aggressiveness', 'timing_score', 'network_score', 'volume_score', 'win_rate', 'avg_hold_time_seconds', 'avg_curve_position'] as const) {
          expect(p[field], field).toBeCloseTo(want[field] as number, 9);
        }
        expect(p).toMatchObject({ total_trades: want.total_trades, closed_positions: want.closed_positions, burst_activity: want.burst_activity, trades_1h: want.trades_1h });
      }
    }),
    { numRuns: 60 },
  );
});
