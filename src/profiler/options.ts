/** Options of the profiler and of the reader of trades: unit, default, bounds. */
import * as v from 'valibot';
import { abortSignal, amount, checked, list, named, positive, text, whole } from '../checked.ts';

const walletList = list(text());

const profilerSchema = named({
  /** "Now" in unix seconds; the time of the newest trade when not given. Later trades are not seen. */
  nowSeconds: v.optional(amount(0, 1e11)),
  /** How far back HistoricalAnalyzer and the co-buy graph look. */
  lookbackDays: v.optional(positive(36_600), 30),
  /** Two buys of one token at most this far apart are a co-buy. */
  coBuyWindowSeconds: v.optional(amount(0, 86_400), 2),
  /** Tokens on which two wallets must have co-bought before an edge joins them. */
  coBuyMinTokens: v.optional(whole(1, 1_000_000), 2),
  /**
   * A buy is paired with at most this many buys before and after it (of the same token, nearest first), however crowded the
   * window is. Pairs left out are counted in `CoBuyGraph.droppedPairs`.
   */
  maxCoBuyNeighbours: v.optional(whole(1, 100_000), 256),
  /** Neighbours looked at while counting the hops of one wallet; past it the counts are lower bounds (`truncated`). */
  maxHopSteps: v.optional(whole(1, 1_000_000_000), 1_000_000),
  /** Three of them within three hops raise the network score by 1.3. */
  knownInsiders: v.optional(walletList, []),
  /** Addresses of exchanges: no edge of the graph starts or ends there. */
  exchangeWallets: v.optional(walletList, []),
  /**
   * Observations behind each risk factor. `default`: RiskAggregator's 10 each. `counted`: trades for behavior and volume,
   * tokens bought for timing and network, so that little evidence gives little confidence. None, either way, for a wallet without trades.
   */
  observations: v.optional(v.picklist(['default', 'counted']), 'default'),
  /** What `WalletProfile.source` says. */
  source: v.optional(text(256), 'trades'),
});

const loadSchema = named({
  /** More malformed rows than this share of all rows stop the load with ERR_TRADES_FORMAT. 0..1 */
  maxMalformedShare: v.optional(amount(0, 1), 0.05),
  /** Malformed rows listed with line and reason; all are counted. */
  maxReportedRows: v.optional(whole(0, 1_000_000), 100),
  /** Most trades held at once. A trade takes about 45 bytes. */
  maxTrades: v.optional(whole(1, 1_000_000_000), 50_000_000),
  onProgress: v.optional(v.custom<(progress: LoadProgress) => void>((value) => typeof value === 'function', 'is not a function')),
  signal: v.optional(abortSignal),
});

export interface LoadProgress {
  /** Bytes of the file read so far, as stored; 0 for an iterable. */
  bytesRead: number;
  /** Size of the file; null where it is not known (an iterable, a pipe). */
  bytesTotal: number | null;
  /** Rows seen so far. */
  rows: number;
}

export type ProfilerOptions = v.InferInput<typeof profilerSchema>;
export type ResolvedProfilerOptions = v.InferOutput<typeof profilerSchema>;
export type LoadTradesOptions = v.InferInput<typeof loadSchema>;
export type ResolvedLoadOptions = v.InferOutput<typeof loadSchema>;

export const parseProfilerOptions = (input: ProfilerOptions = {}): ResolvedProfilerOptions => checked(profilerSchema, input);
export const parseLoadOptions = (input: LoadTradesOptions = {}): ResolvedLoadOptions => checked(loadSchema, input);
