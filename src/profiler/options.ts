/** Options of the profiler and of the reader of trades: unit, default, bounds. */
import { abortSignal, checked, list, number, object, oneOf, passing, text, whole, type InputOf, type OutputOf } from '../schema.ts';

const walletList = list(text({ min: 1 }));

const profilerSchema = object({
  /** "Now" in unix seconds; the time of the newest trade when not given. Later trades are not seen. */
  nowSeconds: number({ min: 0, max: 1e11 }).optional(),
  /** How far back HistoricalAnalyzer and the co-buy graph look. */
  lookbackDays: number({ above: 0, max: 36_600 }).default(30),
  /** Two buys of one token at most this far apart are a co-buy. */
  coBuyWindowSeconds: number({ min: 0, max: 86_400 }).default(2),
  /** Tokens on which two wallets must have co-bought before an edge joins them. */
  coBuyMinTokens: whole(1, 1_000_000).default(2),
  /**
   * A buy is paired with at most this many buys before and after it (of the same token, nearest first), however crowded the
   * window is. Pairs left out are counted in `CoBuyGraph.droppedPairs`.
   */
  maxCoBuyNeighbours: whole(1, 100_000).default(256),
  /** Neighbours looked at while counting the hops of one wallet; past it the counts are lower bounds (`truncated`). */
  maxHopSteps: whole(1, 1_000_000_000).default(1_000_000),
  /** Three of them within three hops raise the network score by 1.3. */
  knownInsiders: walletList.default([]),
  /** Addresses of exchanges: no edge of the graph starts or ends there. */
  exchangeWallets: walletList.default([]),
  /**
   * Observations behind each risk factor. `default`: RiskAggregator's 10 each. `counted`: trades for behavior and volume,
   * tokens bought for timing and network, so that little evidence gives little confidence. None, either way, for a wallet without trades.
   */
  observations: oneOf('default', 'counted').default('default'),
  /** What `WalletProfile.source` says. */
  source: text({ min: 1, max: 256 }).default('trades'),
});

const loadSchema = object({
  /** More malformed rows than this share of all rows stop the load with ERR_TRADES_FORMAT. 0..1 */
  maxMalformedShare: number({ min: 0, max: 1 }).default(0.05),
  /** Malformed rows listed with line and reason; all are counted. */
  maxReportedRows: whole(0, 1_000_000).default(100),
  /** Most trades held at once. A trade takes about 45 bytes. */
  maxTrades: whole(1, 1_000_000_000).default(50_000_000),
  onProgress: passing<(progress: LoadProgress) => void>((value) => typeof value === 'function', 'is not a function').optional(),
  signal: abortSignal().optional(),
});

export interface LoadProgress {
  /** Bytes of the file read so far, as stored; 0 for an iterable. */
  bytesRead: number;
  /** Size of the file; null where it is not known (an iterable, a pipe). */
  bytesTotal: number | null;
  /** Rows seen so far. */
  rows: number;
}

export type ProfilerOptions = InputOf<typeof profilerSchema>;
export type ResolvedProfilerOptions = OutputOf<typeof profilerSchema>;
export type LoadTradesOptions = InputOf<typeof loadSchema>;
export type ResolvedLoadOptions = OutputOf<typeof loadSchema>;

export const parseProfilerOptions = (input: ProfilerOptions = {}): ResolvedProfilerOptions => checked(profilerSchema, input);
export const parseLoadOptions = (input: LoadTradesOptions = {}): ResolvedLoadOptions => checked(loadSchema, input);
