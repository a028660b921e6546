/**
 * A cache with a profiler behind it: never a miss. What is cached is answered; what is not is profiled once for everybody and cached.
 */
import type { ReadOptions } from '../cache-api.ts';
import type { ProfileCache } from '../profile-cache.ts';
import { ProfileCacheError } from '../errors.ts';

/** What makes a profile: `WalletProfiler`, `ProfilerPool`, or anything with the same verb. */
export interface ProfileSource<P extends object> {
  profile(wallet: string): P | Promise<P>;
  /** Where the source can do many at once; the result may come in any order. */
  profileMany?(wallets: string[], options?: { signal?: AbortSignal }): Promise<ReadonlyMap<string, P>>;
}

export interface BatchProgress {
  done: number;
  total: number;
  /** Of `done`: answered by L1 or L2. */
  cached: number;
  /** Of `done`: profiled now, by this caller or another. */
  profiled: number;
}

export interface BatchOptions extends ReadOptions {
  /** Batches of missing wallets that are profiled at the same time. */
  concurrency?: number;
  onProgress?: (progress: BatchProgress) => void;
  /** Life of what is profiled; the cache's l2TtlSeconds where absent. */
  ttlSeconds?: number;
}

const DEFAULT_CONCURRENCY = 4;
const MAX_CONCURRENCY = 1_024;
/** Missing wallets profiled and cached together: what an abort or a crash can lose. */
const BATCH_WALLETS = 64;

export class CachedWalletProfiler<P extends object> {
  readonly cache: ProfileCache<P>;
  private readonly source: ProfileSource<P>;

  constructor(cache: ProfileCache<P>, source: ProfileSource<P>) {
    this.cache = cache;
    this.source = source;
  }

  /** @throws what the profiler throws, ERR_WALLET, ERR_ABORTED, ERR_CLOSED */
  getProfile(wallet: string, options?: ReadOptions & { ttlSeconds?: number }): Promise<P> {
    return this.cache.getOrLoad(wallet, (missing) => this.source.profile(missing), options);
  }

  /**
   * One bulk prefetch, then only what is missing is profiled, `concurrency` batches at a time, each cached as it is done.
   * @returns every wallet's profile, in the order asked, each wallet once.
   */
  async batchProfile(wallets: Iterable<string>, options: BatchOptions = {}): Promise<Map<string, P>> {
    const { signal, onProgress, ttlSeconds } = options;
    const concurrency = checkConcurrency(options.concurrency);
    const asked = [...new Set(wallets)];
    const profiles = await this.cache.bulkPrefetch(asked, { signal });
    const missing = asked.filter((wallet) => !profiles.has(wallet));
    const cached = asked.length - missing.length;
    const report = () => onProgress?.({ done: profiles.size, total: asked.length, cached, profiled: profiles.size - cached });
    report();
    let next = 0;
    let failed = false;
    const lane = async () => {
      while (next < missing.length && !failed) {
        const batch = missing.slice(next, (next += BATCH_WALLETS));
        try {
          const loaded = await this.cache.getOrLoadMany(batch, (wanted) => this.profileMany(wanted, signal), { signal, ttlSeconds, knownMissing: true });
          for (const [wallet, profile] of loaded) profiles.set(wallet, profile);
        } catch (error) {
          // The other lanes stop at their next batch.
          failed = true;
          throw error;
        }
        report();
      }
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
    return new Map(asked.map((wallet) => [wallet, profiles.get(wallet) as P]));
  }

  private async profileMany(wallets: string[], signal: AbortSignal | undefined): Promise<ReadonlyMap<string, P>> {
    if (this.source.profileMany !== undefined) return this.source.profileMany(wallets, { signal });
    const profiles = new Map<string, P>();
    for (const wallet of wallets) {
      signal?.throwIfAborted();
      profiles.set(wallet, await this.source.profile(wallet));
    }
    return profiles;
  }
}

function checkConcurrency(concurrency: number = DEFAULT_CONCURRENCY): number {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY) return concurrency;
  throw new ProfileCacheError('ERR_OPTION', `concurrency: is a whole number from 1 to ${MAX_CONCURRENCY}, not ${String(concurrency)}`, { option: 'concurrency' });
}
