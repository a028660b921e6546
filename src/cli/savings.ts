/** What the cache saved in a run: the profiler's time for what it did not have to do, less the time the answers took. */
import { count, duration } from './format.ts';
import type { RunTally } from './profile-run.ts';
import type { ColdRun } from './run-memory.ts';

/** Fewer profiled wallets say little about the next: the threads are still warming up. */
const MIN_MEASURED = 64;
/** Profiled again to measure, as long as that takes no longer than the budget. */
const MEASURE_WALLETS = 512;
const MEASURE_BUDGET_MS = 1_000;

export interface ProfilerCost {
  msPerWallet: number;
  prepareMs: number;
  /** Where the number comes from, for the reader. */
  source: 'this run' | 'an earlier run';
}

export interface Savings extends ProfilerCost {
  wallets: number;
  /** May be negative: then asking the cache took longer than profiling would have. */
  savedMs: number;
}

/** `measure` profiles some wallets again and tells the milliseconds of one (TradesProfiler.measure). */
export async function profilerCost(tally: RunTally, recalled: ColdRun | undefined, measure: (most: number) => Promise<number | undefined>): Promise<ProfilerCost | undefined> {
  if (tally.profiler >= MIN_MEASURED) {
    const inRunMs = tally.profilerMs / tally.profiler;
    const most = Math.min(MEASURE_WALLETS, tally.profiler, Math.floor(MEASURE_BUDGET_MS / inRunMs));
    const aloneMs = most < MIN_MEASURED ? undefined : await measure(most);
    return { msPerWallet: aloneMs ?? inRunMs, prepareMs: tally.prepareMs, source: 'this run' };
  }
  return recalled && { msPerWallet: recalled.msPerWallet, prepareMs: recalled.prepareMs, source: 'an earlier run' };
}

/** Undefined where nothing is known of the profiler's cost. */
export function savingsOf(tally: RunTally, cost: ProfilerCost | undefined): Savings | undefined {
  if (cost === undefined) return undefined;
  const wallets = tally.near + tally.l1 + tally.l2;
  const avoidedMs = wallets * cost.msPerWallet + (tally.profiler === 0 && wallets > 0 ? cost.prepareMs : 0);
  return { ...cost, wallets, savedMs: wallets === 0 ? 0 : avoidedMs - tally.lookupMs };
}

/** The answer, then what it is made of. */
export function savingsText(tally: RunTally, savings: Savings | undefined): [answer: string, reason?: string] {
  const cached = tally.near + tally.l1 + tally.l2;
  if (tally.done === 0) return ['nothing'];
  if (cached === 0) return ['nothing yet: all had to be profiled; the next run finds them'];
  if (savings === undefined) return [`${count(cached)} wallets did not have to be profiled`, 'what one costs has not been measured here'];
  const { msPerWallet, prepareMs, source, savedMs } = savings;
  const start = tally.profiler === 0 ? ` and ${duration(prepareMs)} to start` : '';
  const reason = `profiler ${duration(msPerWallet)} a wallet${start} (${source}), cache ${duration(tally.lookupMs)} in all`;
  return [savedMs < 0 ? `nothing: the cache took ${duration(-savedMs)} longer` : `about ${duration(savedMs)}`, reason];
}
