/** Trades -> profile of a wallet: HistoricalAnalyzer and BehaviorTracker, independent of each other, then RiskAggregator. */
import { ProfileCacheError } from '../errors.ts';
import { BehaviorTracker } from './behavior-tracker.ts';
import { buildCoBuyGraph, type CoBuyGraph } from './co-buy-graph.ts';
import { HistoricalAnalyzer } from './historical-analyzer.ts';
import { parseProfilerOptions, type ProfilerOptions, type ResolvedProfilerOptions } from './options.ts';
import { RiskAggregator, type RiskFactors } from './risk-aggregator.ts';
import type { TradeStore } from './trade-store.ts';
import { SOURCE_NO_TRADES, type WalletProfile } from './wallet-profile.ts';

const MAX_WALLET_BYTES = 1_024;
const NO_OBSERVATIONS: RiskFactors = { behavior: 0, timing: 0, network: 0, volume: 0 };

/**
 * A pure function of a trade history: the same store and options give the same profiles, whatever the wall clock says.
 * The co-buy graph is built at construction, unless another profiler of the same store and options hands over its own.
 * Keeps scratch memory between calls: one profiler for each thread.
 */
export class WalletProfiler {
  readonly graph: CoBuyGraph;
  /** Unix seconds. */
  readonly nowSeconds: number;
  readonly #store: TradeStore;
  readonly #options: ResolvedProfilerOptions;
  readonly #historical: HistoricalAnalyzer;
  readonly #behavior: BehaviorTracker;
  readonly #risk = new RiskAggregator();

  /** Throws ERR_OPTION. */
  constructor(store: TradeStore, options?: ProfilerOptions, graph?: CoBuyGraph) {
    this.#store = store;
    this.#options = parseProfilerOptions(options);
    const now = this.#options.nowSeconds ?? store.newestTs;
    this.nowSeconds = Number.isNaN(now) ? 0 : now;
    this.graph = graph ?? buildCoBuyGraph(store, this.nowSeconds, this.#options);
    this.#historical = new HistoricalAnalyzer(store, this.graph, this.nowSeconds, this.#options);
    this.#behavior = new BehaviorTracker(store, this.nowSeconds);
  }

  /** Wallets with at least one trade, in the order of their first row in the source. */
  wallets(): string[] {
    return this.#store.wallets();
  }

  /** A wallet without trades up to "now" gets a whole, inactive profile whose source is `no-trades`. Throws ERR_WALLET. */
  profile(wallet: string): WalletProfile {
    checkWallet(wallet);
    // NO_ID is a wallet without rows and without edges: the formulas themselves say what its profile is.
    const id = this.#store.walletId(wallet);
    const seen = this.#seen(id);
    const { hops: _hops, tokens_bought: tokensBought, ...historical } = this.#historical.analyze(id);
    const { sniper_score: _sniper, buys: _buys, sells: _sells, ...behavior } = this.#behavior.track(id);
    const risk = this.#risk.aggregate(
      { behavior: behavior.aggressiveness, timing: historical.timing_score, network: historical.network_score, volume: historical.volume_score },
      this.#observations(seen !== undefined, historical.total_trades, tokensBought),
    );
    return {
      wallet_address: wallet,
      ...risk,
      ...historical,
      ...behavior,
      first_seen: seen ? iso(seen.firstTs) : null,
      last_active: seen ? iso(seen.lastTs) : null,
      profiled_at: iso(this.nowSeconds),
      source: seen ? this.#options.source : SOURCE_NO_TRADES,
    };
  }

  #observations(traded: boolean, trades: number, tokensBought: number): Partial<RiskFactors> {
    if (!traded) return NO_OBSERVATIONS;
    if (this.#options.observations === 'default') return {};
    return { behavior: trades, timing: tokensBought, network: tokensBought, volume: trades };
  }

  /** First and last trade up to now; undefined without one. */
  #seen(id: number): { firstTs: number; lastTs: number } | undefined {
    const { walletTrades, ts } = this.#store.columns;
    const { start, end } = this.#store.walletRange(id);
    let last = end - 1;
    while (last >= start && ts[walletTrades[last]] > this.nowSeconds) last--;
    return last < start ? undefined : { firstTs: ts[walletTrades[start]], lastTs: ts[walletTrades[last]] };
  }
}

/** Throws ERR_WALLET. */
export function checkWallet(wallet: unknown): asserts wallet is string {
  const problem =
    typeof wallet !== 'string' ? 'is not a string'
    : wallet === '' ? 'is empty'
    : !wallet.isWellFormed() ? 'is not well-formed Unicode'
    : Buffer.byteLength(wallet) > MAX_WALLET_BYTES ? `is longer than ${MAX_WALLET_BYTES} bytes in UTF-8`
    : undefined;
  if (problem !== undefined) throw new ProfileCacheError('ERR_WALLET', `wallet ${problem}`, { wallet: typeof wallet === 'string' ? wallet.slice(0, 64) : undefined });
}

const iso = (seconds: number): string => new Date(Math.round(seconds * 1_000)).toISOString();
