/** Options of the profiler and of the reader of trades: unit, default, bounds. */
import { z } from 'zod';
import { ProfileCacheError } from '../errors.ts';

const walletList = z.array(z.string().min(1)).readonly();

const profilerSchema = z.strictObject({
  /** "Now" in unix seconds; the time of the newest trade when not given. Later trades are not seen. */
  nowSeconds: z.number().min(0).max(1e11).optional(),
  /** How far back HistoricalAnalyzer and the co-buy graph look. */
  lookbackDays: z.number().positive().max(36_600).default(30),
  /** Two buys of one token at most this far apart are a co-buy. */
  coBuyWindowSeconds: z.number().min(0).max(86_400).default(2),
  /** Tokens on which two wallets must have co-bought before an edge joins them. */
  coBuyMinTokens: z.number().int().min(1).max(1_000_000).default(2),
  /**
   * A buy is paired with at most this many buys before and after it (of the same token, nearest first), however crowded the
   * window is. Pairs left out are counted in `CoBuyGraph.droppedPairs`.
   */
  maxCoBuyNeighbours: z.number().int().min(1).max(100_000).default(256),
  /** Neighbours looked at while counting the hops of one wallet; past it the counts are lower bounds (`truncated`). */
  maxHopSteps: z.number().int().min(1).max(1_000_000_000).default(1_000_000),
  /** Three of them within three hops raise the network score by 1.3. */
  knownInsiders: walletList.default([]),
  /** Addresses of exchanges: no edge of the graph starts or ends there. */
  exchangeWallets: walletList.default([]),
  /**
   * Observations behind each risk factor. `default`: RiskAggregator's 10 each. `counted`: trades for behavior and volume,
   * tokens bought for timing and network, so that little evidence gives little confidence. None, either way, for a wallet without trades.
   */
  observations: z.enum(['default', 'counted']).default('default'),
  /** What `WalletProfile.source` says. */
  source: z.string().min(1).max(256).default('trades'),
});

const loadSchema = z.strictObject({
  /** More malformed rows than this share of all rows stop the load with ERR_TRADES_FORMAT. 0..1 */
  maxMalformedShare: z.number().min(0).max(1).default(0.05),
  /** Malformed rows listed with line and reason; all are counted. */
  maxReportedRows: z.number().int().min(0).max(1_000_000).default(100),
  /** Most trades held at once. A trade takes about 45 bytes. */
  maxTrades: z.number().int().min(1).max(1_000_000_000).default(50_000_000),
  onProgress: z.custom<(progress: LoadProgress) => void>((value) => typeof value === 'function', 'is not a function').optional(),
  signal: z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'is not an AbortSignal').optional(),
});

export interface LoadProgress {
  /** Bytes of the file read so far, as stored; 0 for an iterable. */
  bytesRead: number;
  /** Size of the file; null where it is not known (an iterable, a pipe). */
  bytesTotal: number | null;
  /** Rows seen so far. */
  rows: number;
}

export type ProfilerOptions = z.input<typeof profilerSchema>;
export type ResolvedProfilerOptions = z.output<typeof profilerSchema>;
export type LoadTradesOptions = z.input<typeof loadSchema>;
export type ResolvedLoadOptions = z.output<typeof loadSchema>;

export const parseProfilerOptions = (input: ProfilerOptions = {}): ResolvedProfilerOptions => check(profilerSchema, input);
export const parseLoadOptions = (input: LoadTradesOptions = {}): ResolvedLoadOptions => check(loadSchema, input);

/** Throws ERR_OPTION that names the option. */
export function check<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const unknown = issue.code === 'unrecognized_keys';
  const option = [...issue.path.map(String), ...(unknown ? [issue.keys[0]] : [])].join('.') || 'options';
  throw new ProfileCacheError('ERR_OPTION', `${option}: ${unknown ? 'is not an option' : issue.message}`, { option, path: option });
}
