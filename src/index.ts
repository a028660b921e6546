/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/** The public surface; re-exports only. */
export { ProfileCache } from './profile-cache.ts';
export type {
  BulkLoadedOf, CacheEvents, LoadedOf, LoadManyOptions, LoadOptions, ProfileChange, ReadOptions, UpdateCounts, WriteOptions,
} from './cache-api.ts';
export type { LoadCallOptions, ProfileCacheOptions, L2OptionsInput } from './options.ts';
export type { StaleServed } from './load/load-stale.ts';
export type { CacheHandle } from './handle.ts';
export type { CacheHealth } from './load/backend.ts';
export type { EntryInfo } from './load/thread-cache.ts';
export type { UpdateResult } from './load/write-path.ts';
export type { CacheStats } from './load/stats.ts';
export type { NodeHealth, StoreHealth } from './l2/store.ts';
export { ERROR_CODES, ProfileCacheError, UpdateRefusedError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export { CachedWalletProfiler } from './profiler/cached-wallet-profiler.ts';
export type { BatchOptions, BatchProgress, ProfileSource } from './profiler/cached-wallet-profiler.ts';
export {
  BehaviorTracker, HistoricalAnalyzer, ProfilerPool, RiskAggregator, TradeStore, WalletProfiler, generateSampleTrades, loadTrades, writeSampleTrades,
} from './profiler/index.ts';
export type {
  LoadTradesOptions, ProfilerOptions, SampleTradesOptions, Trade, TradeInput, TradeReport, WalletProfile,
} from './profiler/index.ts';
