/** The profile of one wallet: plain data, every number finite or null. Other programs read these names from Redis. */
import type { BehaviorResult } from './behavior-tracker.ts';
import type { HistoricalResult } from './historical-analyzer.ts';
import type { RiskResult } from './risk-aggregator.ts';

export interface WalletProfile
  extends RiskResult,
    Omit<HistoricalResult, 'hops' | 'tokens_bought'>,
    Omit<BehaviorResult, 'sniper_score' | 'buys' | 'sells'> {
  wallet_address: string;
  /** ISO 8601, UTC; null for a wallet without trades up to "now". */
  first_seen: string | null;
  last_active: string | null;
  /** "Now" of the profiler, not of the wall clock: same trades, same profile. */
  profiled_at: string;
  /** `trades` (or what the option says); `no-trades` for a wallet that the trades do not know. */
  source: string;
}

export const SOURCE_NO_TRADES = 'no-trades';
