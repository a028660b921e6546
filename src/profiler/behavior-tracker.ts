/**
 * How a wallet trades up to "now": pace, bursts, aggressiveness, place on the bonding curve.
 * Every window is half open, (now - length, now], so that 60 seconds are 60 whole seconds and windows side by side share none.
 * Pace looks back at most seven days; aggressiveness and curve position are over all trades up to now.
 */
import { clamp01 } from './historical-analyzer.ts';
import { BUY, type TradeStore } from './trade-store.ts';

const HOUR_SECONDS = 3_600;
const MINUTE_SECONDS = 60;
const BURST_MINUTES = 60;
const BURST_MIN_SAMPLES = 10;
const BURST_Z = 5;
const CURVE_UNKNOWN = 50;

export type ActivityLevel = 'very_high' | 'high' | 'moderate' | 'low' | 'inactive';

export interface BehaviorResult {
  trades_1h: number;
  trades_24h: number;
  trades_7d: number;
  activity_level: ActivityLevel;
  burst_activity: boolean;
  /** Null with fewer than 10 sample minutes or no spread among them. */
  burst_z: number | null;
  /** 0..1 */
  aggressiveness: number;
  /** Mean sniper value of the buys, 0..1; 0 without a buy. */
  sniper_score: number;
  /** 0..100; 50 without a buy. */
  avg_curve_position: number;
  buys: number;
  sells: number;
  /** Null without a sell. */
  buy_sell_ratio: number | null;
  patterns: string[];
}

export class BehaviorTracker {
  readonly #store: TradeStore;
  readonly #nowSeconds: number;

  constructor(store: TradeStore, nowSeconds: number) {
    this.#store = store;
    this.#nowSeconds = nowSeconds;
  }

  track(wallet: number): BehaviorResult {
    const c = this.#store.columns;
    const now = this.#nowSeconds;
    const perMinute = new Uint32Array(1 + BURST_MINUTES);
    let [lastHour, lastDay, lastWeek, buys, sells, sniper, curve] = [0, 0, 0, 0, 0, 0, 0];
    let firstTs = NaN;
    const { start, end } = this.#store.walletRange(wallet);
    for (let k = start; k < end; k++) {
      const row = c.walletTrades[k];
      const age = now - c.ts[row];
      if (age < 0) break;
      if (Number.isNaN(firstTs)) firstTs = c.ts[row];
      if (age < HOUR_SECONDS) lastHour++;
      if (age < 24 * HOUR_SECONDS) lastDay++;
      if (age < 7 * 24 * HOUR_SECONDS) lastWeek++;
      const minute = Math.floor(age / MINUTE_SECONDS);
      if (minute <= BURST_MINUTES) perMinute[minute]++;
      if (c.side[row] === BUY) {
        buys++;
        const sinceLaunch = c.ts[row] - c.launchTs[c.mint[row]];
        sniper += sniperValue(sinceLaunch);
        curve += curvePosition(sinceLaunch);
      } else sells++;
    }
    const sniperScore = buys === 0 ? 0 : sniper / buys;
    const aggressiveness = aggressivenessOf(buys, sells, sniperScore, lastHour);
    // Minutes before the wallet's first trade say nothing about its pace.
    const samples = Number.isNaN(firstTs) ? 0 : Math.min(BURST_MINUTES, Math.floor((now - firstTs) / MINUTE_SECONDS));
    const burst = burstOf(perMinute[0], perMinute.subarray(1, 1 + samples));
    const patterns: string[] = [];
    if (aggressiveness > 0.7) patterns.push('high_aggressiveness');
    if (burst.active) patterns.push('burst_activity');
    // Without a sell the ratio counts as if there were one: a single buy is no accumulation.
    if (buys / Math.max(1, sells) > 5) patterns.push('heavy_accumulation');
    return {
      trades_1h: lastHour,
      trades_24h: lastDay,
      trades_7d: lastWeek,
      activity_level: activityLevel(lastDay),
      burst_activity: burst.active,
      burst_z: burst.z,
      aggressiveness,
      sniper_score: sniperScore,
      avg_curve_position: buys === 0 ? CURVE_UNKNOWN : curve / buys,
      buys,
      sells,
      buy_sell_ratio: sells === 0 ? null : buys / sells,
      patterns,
    };
  }
}

export function activityLevel(trades24h: number): ActivityLevel {
  if (trades24h > 50) return 'very_high';
  if (trades24h > 20) return 'high';
  if (trades24h > 5) return 'moderate';
  return trades24h > 0 ? 'low' : 'inactive';
}

export function sniperValue(secondsAfterLaunch: number): number {
  if (secondsAfterLaunch <= 5) return 1;
  if (secondsAfterLaunch <= 30) return 0.8;
  if (secondsAfterLaunch <= 60) return 0.6;
  return secondsAfterLaunch <= 300 ? 0.3 : 0;
}

export function curvePosition(secondsAfterLaunch: number): number {
  const s = secondsAfterLaunch;
  if (s < 0) return 0;
  if (s <= 60) return (s / 60) * 10;
  if (s <= 300) return 10 + ((s - 60) / 240) * 20;
  if (s <= 1800) return 30 + ((s - 300) / 1500) * 40;
  return Math.min(100, 70 + ((s - 1800) / 1800) * 30);
}

export function aggressivenessOf(buys: number, sells: number, sniperScore: number, tradesLastHour: number): number {
  const buyShare = buys + sells === 0 ? 0 : buys / (buys + sells);
  return clamp01(0.4 * buyShare + 0.4 * sniperScore + 0.2 * Math.min(tradesLastHour / 20, 1));
}

/** `samples`: trades of each whole minute of the hour before. Standard deviation of the population: the hour is all there is. */
export function burstOf(lastMinute: number, samples: ArrayLike<number>): { active: boolean; z: number | null } {
  const n = samples.length;
  if (n < BURST_MIN_SAMPLES) return { active: false, z: null };
  let sum = 0;
  for (let i = 0; i < n; i++) sum += samples[i];
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (samples[i] - mean) ** 2;
  const deviation = Math.sqrt(squares / n);
  if (deviation === 0) return { active: lastMinute > 2 * mean, z: null };
  const z = (lastMinute - mean) / deviation;
  return { active: z > BURST_Z, z };
}
