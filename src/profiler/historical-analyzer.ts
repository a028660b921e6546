/** What a wallet did in the lookback window: timing, network, volume, performance, and the indicators that follow. */
import type { CoBuyGraph } from './co-buy-graph.ts';
import { HopCounter, type Hops, ENOUGH_INSIDERS } from './network-hops.ts';
import type { ResolvedProfilerOptions } from './options.ts';
import { BUY, type TradeStore } from './trade-store.ts';

const DAY_SECONDS = 86_400;
const TIMING_HORIZON_SECONDS = 3_600;
const TIMING_MIN_TOKENS = 3;
const TIMING_UNKNOWN = 0.5;
const INSIDER_FACTOR = 1.3;

export interface Performance {
  /** Tokens with at least one buy and one sell. */
  closed_positions: number;
  /** Of them, those that received more SOL than they spent. */
  profitable: number;
  losing: number;
  /** profitable / closed_positions, 0..1; 0 without a closed position. */
  win_rate: number;
  /** Mean over closed positions of last trade - first trade; 0 without a closed position. */
  avg_hold_time_seconds: number;
  /** Over closed positions that spent something: (received - spent) / spent * 100. Null where there are none. */
  avg_profit_percent: number | null;
  max_profit_percent: number | null;
  /** The lowest profit %: negative when a position lost. */
  max_loss_percent: number | null;
}

export interface Volumes {
  buy_sol: number;
  sell_sol: number;
  total_sol: number;
  mean_trade_sol: number;
  largest_trade_sol: number;
}

export interface HistoricalResult extends Performance {
  timing_score: number;
  network_score: number;
  volume_score: number;
  volumes: Volumes;
  total_trades: number;
  unique_tokens: number;
  /** Tokens with at least one buy. */
  tokens_bought: number;
  hops: Hops;
  indicators: string[];
}

interface Position {
  firstTs: number;
  lastTs: number;
  firstBuyTs: number;
  buys: number;
  sells: number;
  spent: number;
  received: number;
}

export class HistoricalAnalyzer {
  readonly #store: TradeStore;
  readonly #hops: HopCounter;
  readonly #nowSeconds: number;
  readonly #fromTs: number;

  constructor(
    store: TradeStore,
    graph: CoBuyGraph,
    nowSeconds: number,
    options: Pick<ResolvedProfilerOptions, 'lookbackDays' | 'knownInsiders' | 'maxHopSteps'>,
  ) {
    this.#store = store;
    this.#hops = new HopCounter(store, graph, options.knownInsiders, options.maxHopSteps);
    this.#nowSeconds = nowSeconds;
    this.#fromTs = nowSeconds - options.lookbackDays * DAY_SECONDS;
  }

  analyze(wallet: number): HistoricalResult {
    const { positions, trades, largest } = this.#positions(wallet);
    let buySol = 0;
    let sellSol = 0;
    for (const position of positions.values()) {
      buySol += position.spent;
      sellSol += position.received;
    }
    const total = buySol + sellSol;
    const volumes: Volumes = {
      buy_sol: buySol,
      sell_sol: sellSol,
      total_sol: total,
      mean_trade_sol: trades === 0 ? 0 : total / trades,
      largest_trade_sol: largest,
    };
    const hops = this.#hops.count(wallet);
    const timing = this.#timing(positions);
    const scores = { timing_score: timing.score, network_score: networkScore(hops), volume_score: volumeScore(volumes) };
    const performance = performanceOf(positions.values());
    return {
      ...scores,
      ...performance,
      volumes,
      total_trades: trades,
      unique_tokens: positions.size,
      tokens_bought: timing.tokens,
      hops,
      indicators: indicatorsOf(scores, performance),
    };
  }

  #positions(wallet: number): { positions: Map<number, Position>; trades: number; largest: number } {
    const c = this.#store.columns;
    const positions = new Map<number, Position>();
    let trades = 0;
    let largest = 0;
    const { start, end } = this.#store.walletRange(wallet);
    for (let k = start; k < end; k++) {
      const row = c.walletTrades[k];
      const ts = c.ts[row];
      if (ts <= this.#fromTs || ts > this.#nowSeconds) continue;
      trades++;
      const sol = c.sol[row];
      if (sol > largest) largest = sol;
      let position = positions.get(c.mint[row]);
      if (position === undefined) {
        position = { firstTs: ts, lastTs: ts, firstBuyTs: NaN, buys: 0, sells: 0, spent: 0, received: 0 };
        positions.set(c.mint[row], position);
      }
      position.lastTs = ts;
      if (c.side[row] === BUY) {
        if (position.buys++ === 0) position.firstBuyTs = ts;
        position.spent += sol;
      } else {
        position.sells++;
        position.received += sol;
      }
    }
    return { positions, trades, largest };
  }

  #timing(positions: ReadonlyMap<number, Position>): { score: number; tokens: number } {
    const { launchTs } = this.#store.columns;
    let tokens = 0;
    let sum = 0;
    for (const [mint, position] of positions) {
      if (position.buys === 0) continue;
      tokens++;
      sum += clamp01(1 - (position.firstBuyTs - launchTs[mint]) / TIMING_HORIZON_SECONDS);
    }
    return { tokens, score: tokens < TIMING_MIN_TOKENS ? TIMING_UNKNOWN : sum / tokens };
  }
}

export function networkScore({ h1, h2, h3, insiders }: Pick<Hops, 'h1' | 'h2' | 'h3' | 'insiders'>): number {
  const score = Math.min(1, h1 / 5) * 0.6 + Math.min(1, h2 / 10) * 0.3 + Math.min(1, h3 / 15) * 0.1;
  return Math.min(1, insiders >= ENOUGH_INSIDERS ? score * INSIDER_FACTOR : score);
}

export function volumeScore({ total_sol, mean_trade_sol, largest_trade_sol }: Volumes): number {
  return Math.min(1, total_sol / 500) * 0.5 + Math.min(1, mean_trade_sol / 50) * 0.3 + Math.min(1, largest_trade_sol / 100) * 0.2;
}

function performanceOf(positions: Iterable<Position>): Performance {
  let closed = 0;
  let profitable = 0;
  let held = 0;
  let priced = 0;
  let sum = 0;
  let best = -Infinity;
  let worst = Infinity;
  for (const { buys, sells, spent, received, firstTs, lastTs } of positions) {
    if (buys === 0 || sells === 0) continue;
    closed++;
    held += lastTs - firstTs;
    if (received > spent) profitable++;
    const percent = ((received - spent) / spent) * 100;
    // Nothing spent (or next to nothing) has no percentage.
    if (!Number.isFinite(percent)) continue;
    priced++;
    sum += percent;
    best = Math.max(best, percent);
    worst = Math.min(worst, percent);
  }
  return {
    closed_positions: closed,
    profitable,
    losing: closed - profitable,
    win_rate: closed === 0 ? 0 : profitable / closed,
    avg_hold_time_seconds: closed === 0 ? 0 : held / closed,
    avg_profit_percent: priced === 0 ? null : sum / priced,
    max_profit_percent: priced === 0 ? null : best,
    max_loss_percent: priced === 0 ? null : worst,
  };
}

type Scores = Pick<HistoricalResult, 'timing_score' | 'network_score' | 'volume_score'>;

export function indicatorsOf(
  { timing_score: timing, network_score: network, volume_score: volume }: Scores,
  { win_rate: win, closed_positions: closed, avg_hold_time_seconds: hold }: Pick<Performance, 'win_rate' | 'closed_positions' | 'avg_hold_time_seconds'>,
): string[] {
  const rules: ReadonlyArray<[holds: boolean, name: string]> = [
    [timing > 0.8, 'EARLY_BUYER'],
    [network > 0.7, 'CLUSTER_CONNECTED'],
    [volume > 0.8, 'WHALE_BEHAVIOR'],
    [win > 0.85 && closed >= 5, 'ABNORMAL_WIN_RATE'],
    [timing >= 0.9, 'sniper_bot_suspected'],
    [network >= 0.8, 'sybil_network_suspected'],
    [volume >= 0.9, 'institutional_trader'],
    [closed > 0 && hold < 300, 'flash_trading_pattern'],
    [closed > 0 && hold < 60, 'bot_trading_suspected'],
    [timing >= 0.7 && network >= 0.6, 'coordinated_insider_group'],
    [timing >= 0.8 && volume >= 0.7, 'whale_sniper'],
    [network >= 0.7 && win >= 0.75, 'organized_trading_ring'],
  ];
  return rules.filter(([holds]) => holds).map(([, name]) => name);
}

export const clamp01 = (value: number): number => (value < 0 ? 0 : value > 1 ? 1 : value);
