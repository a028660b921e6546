/** The profiler: trades -> wallet profiles. */
export { BehaviorTracker, type ActivityLevel, type BehaviorResult } from './behavior-tracker.ts';
export { buildCoBuyGraph, type CoBuyGraph } from './co-buy-graph.ts';
export { HistoricalAnalyzer, type HistoricalResult, type Performance, type Volumes } from './historical-analyzer.ts';
export { loadTrades } from './load-trades.ts';
export type { LoadProgress, LoadTradesOptions, ProfilerOptions } from './options.ts';
export { ProfilerPool, type ProfileManyOptions, type ProfileProgress, type ProfilerPoolOptions } from './profiler-pool.ts';
export { RiskAggregator, type RiskFactor, type RiskFactors, type RiskResult, type Severity } from './risk-aggregator.ts';
export { TradeStore, type SharedTrades } from './trade-store.ts';
export type { MalformedRow, Side, Trade, TradeInput, TradeReport } from './trade.ts';
export type { WalletProfile } from './wallet-profile.ts';
export { WalletProfiler } from './wallet-profiler.ts';
export { generateSampleTrades, type SampleTradesOptions } from './sample-trades.ts';
export { writeSampleTrades, type SampleWriteOptions } from './sample-write.ts';
