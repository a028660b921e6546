/** What goes in and comes out of the public verbs beside profiles: events, options of calls, counts. */
import type { ProfileCacheError } from './errors.ts';
import type { UpdateCounts } from './load/bulk-update.ts';
import type { StaleServed } from './load/load-stale.ts';
import type { Change } from './load/owner.ts';
import type { LoadCallOptions } from './options.ts';

export type { UpdateCounts };

/** A change that was seen: by this process (`local`) or over the update channel (`remote`). */
export type ProfileChange = Change;

export interface CacheEvents {
  profileUpdated: [change: ProfileChange];
  /** The empty wallet stands for all of them (`clear`). */
  profileInvalidated: [change: ProfileChange];
  /** Something a person should look at; the cache goes on. */
  alert: [error: ProfileCacheError];
  /**
   * An L2 operation failed: reads that met it count as misses. Or a loader failed, and its callers were given a profile in its grace, or
   * there were none. Nothing needs to be caught.
   */
  error: [error: ProfileCacheError];
  l2Down: [cause: unknown];
  l2Up: [];
  /** getOrLoad gave a caller of this thread an expired profile. */
  staleServed: [served: StaleServed];
  /** Update events may have been lost: L1 asks L2 again. */
  channelGap: [reason: string];
}

export interface ReadOptions {
  /** Aborts this caller's waiting (ERR_ABORTED); work shared with others goes on. */
  signal?: AbortSignal;
}

export interface WriteOptions {
  /** Life of the profile in seconds; `l2TtlSeconds` where absent. */
  ttlSeconds?: number;
}

/** Beside these: what `load` of the cache's options sets, for this call. */
export interface LoadOptions extends ReadOptions, WriteOptions, LoadCallOptions {}

export interface LoadManyOptions extends LoadOptions {
  /** The caller has just looked for these wallets and found none: the first read, and its counting, is left out. */
  knownMissing?: boolean;
}

/** `undefined` and `null`: there is no such profile. */
export type LoadedOf<P> = P | undefined | null;
export type BulkLoadedOf<P> = ReadonlyMap<string, P> | Iterable<readonly [string, P]>;
