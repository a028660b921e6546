/**
 * Real pump.fun trades (11,324 rows, 3,528 wallets, 18 tokens). They lie outside of the repository: PROFILECACHE_DATA, or
 * ../shared/data beside it. Without them these tests are skipped, by name.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadTrades, type TradeReport, type WalletProfile, WalletProfiler } from '../../src/profiler/index.ts';
import { betaQuantile, plainProfiles, plainTrades } from './reference.ts';
import { sharedData } from './support.ts';

const path = sharedData('pumpfun-swaps.csv.gz');

/**
 * Ten wallets worked out from the raw file with Python, away from this code: `csv.DictReader`, equal rows once, then each
 * formula written out over the wallet's own lines (grep them with `zgrep WALLET pumpfun-swaps.csv.gz`); hops from all pairs
 * of buys of a token at most 2 s apart, on two tokens; low and high from scipy.stats.beta.ppf with 10 observations a factor.
 * Times are seconds before or after the token_created_ts of the row; now is 1783111495, the newest trade.
 * Chosen: the busiest, the best connected, the largest single trade (140 SOL), the most closed positions, a wallet that is no
 * base58 and has sold for 0 SOL, buyers only, sellers only, one at the edge of the network, one with a single trade.
 */
const BY_HAND: Record<string, Hand> = {
  '2tgUbS9UMoQD6GkDZBiqKYCURnGrSb6ocYwRABrSJUvY': { trades: 135, buys: 81, tokens: 12, hops: [9, 35, 27], timing: 0.9800694444444442, network: 0.9999999999999999, volume: 2.832666666666667e-05, buy_sol: 0.023100000000000002, sell_sol: 0.0, largest: 0.0021, closed: 10, won: 0, hold: 156.0, avg_pct: -100.0, best_pct: -100.0, worst_pct: -100.0, h1: 28, h24: 57, d7: 135, aggr: 0.6138271604938272, curve: 14.652263374485596, risk: 0.7098611162839505, low: 0.4524293744352737, high: 0.7288564942897036, first: 1782634905, last: 1783111453 },
  'NULLioEUhd89Jo5Acm9sX88bwjNjrsAVy6KWkXD7qZh': { trades: 128, buys: 65, tokens: 8, hops: [33, 35, 29], timing: 0.9891666666666666, network: 0.9999999999999999, volume: 0.2118551734375, buy_sol: 98.93120000000002, sell_sol: 98.08370000000001, largest: 2.8026, closed: 8, won: 5, hold: 108.75, avg_pct: -7.1049864768865385, best_pct: 8.832647539597533, worst_pct: -71.2998643147897, h1: 53, h24: 82, d7: 128, aggr: 0.5606634615384618, curve: 15.810256410256407, risk: 0.7253021542207533, low: 0.4890370082497876, high: 0.7607597242629479, first: 1782652609, last: 1783111495 },
  'RDCT-d4fb6b1f86': { trades: 103, buys: 0, tokens: 12, hops: [0, 0, 0], timing: 0.5, network: 0.0, volume: 3.50184466019417e-05, buy_sol: 0, sell_sol: 0.02949999999999996, largest: 0.0019, closed: 0, won: 0, hold: 0, avg_pct: null, best_pct: null, worst_pct: null, h1: 9, h24: 36, d7: 103, aggr: 0.09000000000000001, curve: 50, risk: 0.1565052527669903, low: 0.0767036517432348, high: 0.28611725864784027, first: 1782611395, last: 1783111219 },
  '3KcPSJ8ouE7H1feoWHmhDwXhLnXhpxP6R6713uytFmBM': { trades: 16, buys: 16, tokens: 16, hops: [41, 40, 39], timing: 0.9992361111111111, network: 0.9999999999999999, volume: 5.0400000000000005e-05, buy_sol: 0.033600000000000005, sell_sol: 0, largest: 0.0021, closed: 0, won: 0, hold: 0, avg_pct: null, best_pct: null, worst_pct: null, h1: 1, h24: 6, d7: 16, aggr: 0.8, curve: 0.4583333333333333, risk: 0.7798165877777777, low: 0.49735177762953103, high: 0.7678010668619517, first: 1782611394, last: 1783111197 },
  'H6zpaY14WgkEmB3MJTvC7Wb5PQJkBVLd4KwLD2ktVgop': { trades: 124, buys: 2, tokens: 1, hops: [0, 0, 0], timing: 0.5, network: 0.0, volume: 0.36522498064516123, buy_sol: 2.504, sell_sol: 285.3739999999999, largest: 31.7087, closed: 1, won: 1, hold: 133.0, avg_pct: 11296.72523961661, best_pct: 11296.72523961661, worst_pct: 11296.72523961661, h1: 0, h24: 0, d7: 124, aggr: 0.1264516129032258, curve: 16.375, risk: 0.2240418116129032, low: 0.14125424376513454, high: 0.38568310122805477, first: 1782792050, last: 1782792183 },
  'BmjceK9NXKG82X4uvjHHXRSgrLdkdrRCaAt3jKacEwnA': { trades: 81, buys: 3, tokens: 2, hops: [2, 7, 22], timing: 0.5, network: 0.5499999999999999, volume: 0.36988449629629633, buy_sol: 0.29009999999999997, sell_sol: 316.5373, largest: 14.7942, closed: 2, won: 2, hold: 185.5, avg_pct: 85559.64322647365, best_pct: 155920.21716649435, worst_pct: 15199.069286452948, h1: 0, h24: 81, d7: 81, aggr: 0.3348148148148149, curve: 2.5, risk: 0.43516785962962967, low: 0.28053566378521755, high: 0.5580355285647506, first: 1783078834, last: 1783095451 },
  'HbmKxjDhjK2y65Nb6gXNdq8MHZ3tMminePt1Xo1t9S2w': { trades: 1, buys: 1, tokens: 1, hops: [0, 0, 0], timing: 0.5, network: 0.0, volume: 0.640111, buy_sol: 140.111, sell_sol: 0, largest: 140.111, closed: 0, won: 0, hold: 0, avg_pct: null, best_pct: null, worst_pct: null, h1: 0, h24: 1, d7: 1, aggr: 0.8, curve: 0.16666666666666666, risk: 0.50101665, low: 0.3169298279728715, high: 0.5973583721850362, first: 1783103903, last: 1783103903 },
  'F7RV6aBWfniixoFkQNWmRwznDj2vae2XbusFfvMMjtbE': { trades: 39, buys: 14, tokens: 15, hops: [38, 40, 42], timing: 0.9995833333333332, network: 0.9999999999999999, volume: 6.923846153846157e-05, buy_sol: 0.0326, sell_sol: 0.022899999999999997, largest: 0.0026, closed: 12, won: 0, hold: 88.25, avg_pct: -26.316889632107024, best_pct: -3.8461538461538396, worst_pct: -100.0, h1: 1, h24: 9, d7: 39, aggr: 0.5421611721611722, curve: 0.25, risk: 0.6896626293589743, low: 0.44121647687442606, high: 0.7187883449707707, first: 1782611393, last: 1783111195 },
  '94iQuYjVgTwGXxtM7ywfpzfLvx3gN4oQRuc9osRE2pEm': { trades: 16, buys: 8, tokens: 3, hops: [4, 30, 92], timing: 0.5, network: 0.88, volume: 9.455e-05, buy_sol: 0.018099999999999998, sell_sol: 0.0399, largest: 0.0074, closed: 1, won: 1, hold: 98.0, avg_pct: 107.00636942675162, best_pct: 107.00636942675162, worst_pct: 107.00636942675162, h1: 0, h24: 1, d7: 16, aggr: 0.45, curve: 6.583333333333334, risk: 0.5025141824999999, low: 0.29522479492470716, high: 0.5741358954172027, first: 1782769851, last: 1783103921 },
  'Binn1YmC59DDiTxV85kVbaWAKczUqaAgCMrSaY3o3xvc': { trades: 1, buys: 1, tokens: 1, hops: [0, 0, 0], timing: 0.5, network: 0.0, volume: 8.190000000000001e-05, buy_sol: 0.0091, sell_sol: 0, largest: 0.0091, closed: 0, won: 0, hold: 0, avg_pct: null, best_pct: null, worst_pct: null, h1: 0, h24: 0, d7: 1, aggr: 0.8, curve: 0.3333333333333333, risk: 0.40501228499999997, low: 0.1953402289175518, high: 0.45756730901658765, first: 1782611395, last: 1782611395 },
};

interface Hand {
  trades: number; buys: number; tokens: number; hops: number[]; timing: number; network: number; volume: number;
  buy_sol: number; sell_sol: number; largest: number; closed: number; won: number; hold: number;
  avg_pct: number | null; best_pct: number | null; worst_pct: number | null; h1: number; h24: number; d7: number;
  aggr: number; curve: number; risk: number; low: number; high: number; first: number; last: number;
}

describe.skipIf(path === undefined)('the real trades (skipped where pumpfun-swaps.csv.gz is absent)', () => {
  let report: TradeReport;
  let profiler: WalletProfiler;
  beforeAll(async () => {
    const loaded = await loadTrades(path!);
    report = loaded.report;
    profiler = new WalletProfiler(loaded.store);
  });

  test('the whole file is read: four of its rows are equal in every field, none is malformed', () => {
    expect(report).toMatchObject({ format: 'csv', gzip: true, rows: 11_324, trades: 11_320, duplicates: 4, malformed: 0, wallets: 3_528, tokens: 18, lastTs: 1_783_111_495, createdConflicts: 0 });
    expect(profiler.graph.droppedPairs).toBe(0);
  });

  test.each(Object.entries(BY_HAND))('%s, by hand', (wallet, hand) => {
    const p = profiler.profile(wallet);
    expect(p).toMatchObject({
      wallet_address: wallet, total_trades: hand.trades, unique_tokens: hand.tokens, closed_positions: hand.closed, profitable: hand.won,
      losing: hand.closed - hand.won, trades_1h: hand.h1, trades_24h: hand.h24, trades_7d: hand.d7, confidence: 0.8, source: 'trades',
      first_seen: new Date(hand.first * 1_000).toISOString(), last_active: new Date(hand.last * 1_000).toISOString(), profiled_at: '2026-07-03T20:44:55.000Z',
    });
    near(p.timing_score, hand.timing);
    near(p.network_score, hand.network);
    near(p.volume_score, hand.volume);
    near(p.volumes.buy_sol, hand.buy_sol);
    near(p.volumes.sell_sol, hand.sell_sol);
    near(p.volumes.largest_trade_sol, hand.largest);
    near(p.win_rate, hand.closed === 0 ? 0 : hand.won / hand.closed);
    near(p.avg_hold_time_seconds, hand.hold);
    near(p.avg_profit_percent, hand.avg_pct);
    near(p.max_profit_percent, hand.best_pct);
    near(p.max_loss_percent, hand.worst_pct);
    near(p.aggressiveness, hand.aggr);
    near(p.avg_curve_position, hand.curve);
    near(p.risk_score, hand.risk);
    near(p.confidence_interval[0], hand.low, 1e-8);
    near(p.confidence_interval[1], hand.high, 1e-8);
  });

  test('every wallet agrees with the slow, plain reference', () => {
    const expected = plainProfiles(plainTrades(gunzipSync(readFileSync(path!)).toString('utf8')));
    const wallets = profiler.wallets();
    expect(wallets.length).toBe(expected.size);
    for (const wallet of wallets) {
      const p = profiler.profile(wallet);
      for (const [field, want] of Object.entries(expected.get(wallet)!)) {
        const [low, high] = p.confidence_interval;
        if (field === 'low' || field === 'high') near(field === 'low' ? low : high, want as number, 2e-6, `${wallet} ${field}`);
        else if (typeof want === 'number' || want === null) near(p[field as keyof WalletProfile] as number, want, 1e-9, `${wallet} ${field}`);
        else if (p[field as keyof WalletProfile] !== want) expect(p[field as keyof WalletProfile], `${wallet} ${field}`).toEqual(want);
      }
      expectWellFormed(p, wallet);
    }
  }, 120_000);
});

test("the reference's own Beta quantile agrees with scipy", () => {
  near(betaQuantile(0.025, 2, 5), 0.043271868292741676, 2e-6);
  near(betaQuantile(0.975, 19.6, 27.4), 0.5591724646546024, 2e-6);
});

/** Relative for what is large. Compared by hand: half a million matchers and their messages took longer than the profiles. */
function near(got: number | null, want: number | null, tolerance = 1e-9, what = ''): void {
  const isNear = got === null || want === null ? got === want : Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want));
  if (!isNear) expect.fail(`${what}: got ${got}, expected ${want}`);
}

function expectWellFormed(value: unknown, of: string): void {
  const broken = brokenIn(value);
  if (broken !== undefined) expect.fail(`${of}: ${broken} is no number, or undefined`);
}

/** Path of the first number that is none, or of what is undefined. */
function brokenIn(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : '';
  if (typeof value !== 'object' || value === null) return value === undefined ? '' : undefined;
  for (const [key, inner] of Object.entries(value)) {
    const broken = brokenIn(inner);
    if (broken !== undefined) return `.${key}${broken}`;
  }
  return undefined;
}
