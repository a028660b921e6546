/**
 * getOrLoad for one thread: callers of one wallet share one load; the backend sees to it that threads and processes do too.
 * This file says what a caller gets, and when: the load itself, or an expired profile while the load goes on behind it (patience.ts).
 * Each step has a file of its own: load-one, load-many, load-refresh (in the background), load-shared (the table of loads under way),
 * load-outcome (what becomes of what a loader brought), load-stale, load-errors; load-turns is the owner's side.
 */
import type { ProfileCacheError } from '../errors.ts';
import { COUNTER } from '../stats/metrics.ts';
import { timedOut, Unheard } from './load-errors.ts';
import { LoadMany, type BulkLoader } from './load-many.ts';
import { LoadOne, type Loader, type OneParts } from './load-one.ts';
import { LoadOutcome, type OutcomeParts } from './load-outcome.ts';
import type { LoadPolicy } from './load-policy.ts';
import { LoadRefresh, type Due } from './load-refresh.ts';
import { SharedLoads } from './load-shared.ts';
import { StaleAnswers, type StaleServed } from './load-stale.ts';
import { patiently } from './patience.ts';
import type { ThreadCache } from './thread-cache.ts';

export interface LoadParts extends OutcomeParts, Pick<OneParts, 'read'> {
  onStale(served: StaleServed): void;
  /** A load failed that nobody waits for, or whose callers were given an expired profile. */
  onUnheard(error: unknown): void;
}

export class Loading {
  private readonly thread: ThreadCache;
  private readonly stale: StaleAnswers;
  private readonly unheard: Unheard;
  private readonly single: LoadOne;
  private readonly bulk: LoadMany;
  private readonly refresh: LoadRefresh;

  constructor(parts: LoadParts) {
    const { thread } = parts;
    const shared = new SharedLoads();
    const outcome = new LoadOutcome(parts);
    this.thread = thread;
    this.stale = new StaleAnswers(thread, (served) => parts.onStale(served));
    this.unheard = new Unheard((error) => parts.onUnheard(error));
    const { backend, read, ttlMs } = parts;
    const common = { backend, thread, shared, outcome, unheard: this.unheard, stale: this.stale };
    this.single = new LoadOne({ ...common, read });
    this.bulk = new LoadMany({ ...common, one: this.single });
    this.refresh = new LoadRefresh({ ...common, one: this.single, many: this.bulk, ttlMs });
  }

  /** For a wallet that L1 does not hold. */
  one(wallet: string, loader: Loader, policy: LoadPolicy): Promise<object> {
    const stale = this.stale.serve(wallet, policy.revalidateMs, 'revalidating');
    if (stale !== undefined) {
      this.thread.row.count(COUNTER.misses);
      this.refresh.one({ wallet, beyond: stale.version }, loader, policy);
      return Promise.resolve(stale.profile);
    }
    return patiently((begun) => this.single.load(wallet, loader, policy, begun), policy, {
      stale: (withinMs, reason) => this.stale.serve(wallet, withinMs, reason)?.profile,
      timedOut: () => this.tooLate(`wallet ${JSON.stringify(wallet)}`, policy, wallet),
      unheard: (error) => this.unheard.report(error),
    });
  }

  /** `missing` are wallets that a read has just not found. The result lacks those the loader has nothing for. */
  many(missing: readonly string[], loader: BulkLoader, policy: LoadPolicy): Promise<Map<string, object>> {
    const found = new Map<string, object>();
    return patiently((begun) => this.bulk.load(missing, loader, policy, found, begun), policy, {
      stale: (withinMs, reason) => this.stale.serveRest(missing, found, withinMs, reason),
      timedOut: () => this.tooLate(`${missing.length} wallets`, policy),
      unheard: (error) => this.unheard.report(error),
    });
  }

  /** Those of `wallets` that expired less than `revalidateMs` ago; their refresh runs in the background. */
  revalidate(wallets: readonly string[], loader: BulkLoader, policy: LoadPolicy): Map<string, object> {
    const served = new Map<string, object>();
    if (policy.revalidateMs === 0) return served;
    const due: Due[] = [];
    for (const wallet of wallets) {
      const stale = this.stale.serve(wallet, policy.revalidateMs, 'revalidating');
      if (stale === undefined) continue;
      served.set(wallet, stale.profile);
      due.push({ wallet, beyond: stale.version });
    }
    this.thread.row.count(COUNTER.misses, served.size);
    this.refresh.many(due, loader, policy);
    return served;
  }

  /** The wallet has been hit: refreshes it in the background if the share of its life that is left is small. */
  ahead(wallet: string, loader: Loader, policy: LoadPolicy): void {
    const [due] = this.refresh.dueAhead([wallet], policy);
    if (due !== undefined) this.refresh.one(due, loader, policy);
  }

  aheadMany(wallets: Iterable<string>, loader: BulkLoader, policy: LoadPolicy): void {
    this.refresh.many(this.refresh.dueAhead(wallets, policy), loader, policy);
  }

  private tooLate(what: string, policy: LoadPolicy, wallet?: string): ProfileCacheError {
    this.thread.row.count(COUNTER.loadTimeouts);
    return timedOut(what, policy, wallet);
  }
}
