/** Expired profiles that are served in a load's place: taken from L1 at the moment they are served, counted, and told of. */
import type { ProfileCacheError } from '../errors.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { LoadPolicy } from './load-policy.ts';
import type { StaleReason } from './patience.ts';
import type { Stale, ThreadCache } from './thread-cache.ts';

export interface StaleServed {
  wallet: string;
  /** Since it expired. */
  expiredMs: number;
  reason: StaleReason;
}

export class StaleAnswers {
  private readonly thread: ThreadCache;
  private readonly onServed: (served: StaleServed) => void;

  constructor(thread: ThreadCache, onServed: (served: StaleServed) => void) {
    this.thread = thread;
    this.onServed = onServed;
  }

  /** What expired less than `withinMs` ago. */
  serve(wallet: string, withinMs: number, reason: StaleReason): Stale | undefined {
    if (withinMs === 0) return undefined;
    const stale = this.thread.stale(wallet, withinMs);
    if (stale === undefined) return undefined;
    this.thread.row.count(COUNTER.staleServed);
    this.onServed({ wallet, expiredMs: stale.expiredMs, reason });
    return stale;
  }

  /** The source rests after a failure; throws that where there is nothing to serve. */
  serveResting(wallet: string, error: ProfileCacheError, policy: LoadPolicy): object {
    this.thread.row.count(COUNTER.loadsSpared);
    const stale = this.serve(wallet, policy.graceMs, 'failed');
    if (stale === undefined) throw error;
    return stale.profile;
  }

  /** Of a bulk load either everything that is still missing can be served, or its callers wait on. */
  serveRest(wallets: readonly string[], found: ReadonlyMap<string, object>, withinMs: number, reason: StaleReason): Map<string, object> | undefined {
    const rest = wallets.filter((wallet) => !found.has(wallet));
    if (!rest.every((wallet) => this.thread.hasStale(wallet, withinMs))) return undefined;
    const served = new Map(found);
    for (const wallet of rest) {
      const stale = this.serve(wallet, withinMs, reason);
      if (stale !== undefined) served.set(wallet, stale.profile);
    }
    return served;
  }
}
