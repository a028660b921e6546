/**
 * The public verbs. They check what callers pass, count what callers see, and delegate; there is no algorithm here.
 */
import { EventEmitter } from 'node:events';
import type { BulkLoadedOf, CacheEvents, LoadedOf, LoadManyOptions, LoadOptions, ProfileChange, ReadOptions, UpdateCounts, WriteOptions } from './cache-api.ts';
import { RecordRoom } from './codec/record-room.ts';
import { ProfileCacheError } from './errors.ts';
import type { CacheHandle } from './handle.ts';
import type { Backend, CacheHealth } from './load/backend.ts';
import { orAborted } from './load/deferred.ts';
import { inBucketOrder } from './load/bucket-order.ts';
import { inOrder, ownerGoneIsAMiss, readMany, warmMany, type BulkParts } from './load/bulk-read.ts';
import { invalidateAll, updateMany } from './load/bulk-update.ts';
import { changesOf } from './load/change-stream.ts';
import { Lifetimes } from './load/lifetimes.ts';
import { Loading } from './load/loading.ts';
import { MissBatch } from './load/miss-batch.ts';
import type { EntryInfo, ThreadCache } from './load/thread-cache.ts';
import type { EncodedUpdate, UpdateResult } from './load/write-path.ts';
import { openAttached, openOwner, type CacheParts } from './open.ts';
import type { ProfileCacheOptions } from './options.ts';
import { COUNTER } from './stats/metrics.ts';
import { collectStats, type CacheStats } from './load/stats.ts';

/**
 * A two-tier cache of wallet profiles. `P` is the type of a profile: a plain object or class instance of what msgpack carries.
 * Returned profiles are deeply frozen plain objects. Reads never throw for what L2 does: an L2 that fails is counted, and the
 * read is a miss.
 */
export class ProfileCache<P extends object = Record<string, unknown>> extends EventEmitter<CacheEvents> implements AsyncDisposable {
  /** Structured-cloneable without a transfer list; `ProfileCache.attach` in another thread of this process takes it. */
  readonly handle: CacheHandle;
  readonly #parts: CacheParts;
  readonly #thread: ThreadCache;
  readonly #backend: Backend;
  readonly #misses: MissBatch;
  readonly #bulk: BulkParts;
  readonly #loading: Loading;
  readonly #life: Lifetimes;
  #closing: Promise<void> | undefined;

  private constructor(parts: CacheParts) {
    super();
    this.#parts = parts;
    this.handle = parts.handle;
    this.#thread = parts.thread;
    this.#backend = parts.backend;
    this.#life = new Lifetimes(parts.handle.settings);
    this.#misses = new MissBatch(parts.backend);
    this.#bulk = { thread: parts.thread, backend: parts.backend, hasL2: parts.handle.settings.hasL2 };
    this.#loading = new Loading({
      backend: parts.backend,
      thread: parts.thread,
      read: (wallet) => this.#read(wallet),
      ttlMs: (ttlSeconds) => this.#life.ttlMs(ttlSeconds),
      onStale: (served) => this.emit('staleServed', served),
      onUnheard: (error) => this.#emitError(ProfileCacheError.from(error, 'ERR_LOADER')),
    });
    parts.events.on('updated', (change: ProfileChange) => this.emit('profileUpdated', change));
    parts.events.on('invalidated', (change: ProfileChange) => this.emit('profileInvalidated', change));
    parts.events.on('l2Down', (cause: unknown) => this.emit('l2Down', cause));
    parts.events.on('l2Up', () => this.emit('l2Up'));
    parts.events.on('channelGap', (reason: string) => this.emit('channelGap', reason));
    parts.events.on('alert', (error: ProfileCacheError) => this.emit('alert', error));
    parts.events.on('error', (error: ProfileCacheError) => this.#emitError(error));
  }

  /**
   * Opens a cache; this thread becomes its owner.
   * @throws ERR_OPTION naming the option; ERR_L2_CONNECT, ERR_L2_AUTH or ERR_L2_STORAGE when L2 cannot be had within connectTimeoutMs.
   */
  static async open<P extends object = Record<string, unknown>>(options?: ProfileCacheOptions): Promise<ProfileCache<P>> {
    return new ProfileCache<P>(await openOwner(options));
  }

  /**
   * The same cache in another thread of the process: reads L1 directly, asks the owner for everything else. Usable at once; awaiting
   * it does no harm.
   * @throws ERR_HANDLE for what is no handle, ERR_OVERLOADED when 256 threads are attached.
   */
  static attach<P extends object = Record<string, unknown>>(handle: CacheHandle): ProfileCache<P> {
    return new ProfileCache<P>(openAttached(handle));
  }

  /** L1 only, without a promise. Counts and touches as any read. @throws ERR_WALLET */
  getProfileSync(wallet: string): P | undefined {
    this.#mustBeOpen();
    const profile = this.#thread.get(wallet);
    if (profile === undefined) this.#thread.row.count(COUNTER.misses);
    return profile as P | undefined;
  }

  /** L1, then L2 (promoted to L1), then `undefined`. Rejects with ERR_WALLET, ERR_ABORTED or ERR_CLOSED only. */
  getProfile(wallet: string, options?: ReadOptions): Promise<P | undefined> {
    try {
      this.#mustBeOpen();
      const profile = this.#thread.get(wallet);
      if (profile !== undefined) return Promise.resolve(profile as P);
    } catch (error) {
      return Promise.reject(error);
    }
    return orAborted(() => this.#readL2(wallet), options?.signal) as Promise<P | undefined>;
  }

  /** What L1 knows of the wallet; neither counts nor touches. @throws ERR_WALLET */
  getEntry(wallet: string): EntryInfo<P> | undefined {
    this.#mustBeOpen();
    return this.#thread.entry(wallet) as EntryInfo<P> | undefined;
  }

  /**
   * The profiles that L1 or L2 has, in the order asked, each wallet once. Rejects with ERR_WALLET, ERR_ABORTED or ERR_CLOSED only.
   */
  async bulkPrefetch(wallets: Iterable<string>, options?: ReadOptions): Promise<Map<string, P>> {
    this.#mustBeOpen();
    const asked = this.#unique(wallets);
    return orAborted(() => this.#readMany(asked), options?.signal) as Promise<Map<string, P>>;
  }

  /**
   * Brings wallets from L2 to L1 without decoding anything on this thread.
   * @returns how many came from L2, and how many are in neither tier; what L1 held already is in neither number.
   */
  async warm(wallets: Iterable<string>, options?: ReadOptions & { onProgress?: (done: number, total: number) => void }): Promise<{ promoted: number; missing: number }> {
    this.#mustBeOpen();
    const asked = this.#unique(wallets);
    return orAborted(() => warmMany(this.#bulk, asked, options), options?.signal);
  }

  /**
   * Writes a profile to L1 and L2 and tells every process. Resolves when L1 and L2 hold it and the event is out; when L2 does not
   * answer within l2TimeoutMs the write is queued.
   * @throws ERR_WALLET, ERR_PROFILE, ERR_PROFILE_TOO_LARGE, ERR_OPTION (ttlSeconds), ERR_CLOSED; nothing has been written then.
   */
  async updateProfile(wallet: string, profile: P, options?: WriteOptions): Promise<UpdateResult> {
    this.#mustBeOpen();
    const [result] = await this.#backend.update([this.#encode(wallet, profile, options?.ttlSeconds)]);
    return result;
  }

  /**
   * The bulk form. Entries that are refused do not keep the others from being written.
   * @throws UpdateRefusedError (ERR_UPDATE_REFUSED) listing the refused entries, after all others have been written.
   */
  async updateProfiles(entries: Iterable<readonly [string, P]>, options?: WriteOptions): Promise<UpdateCounts> {
    this.#mustBeOpen();
    this.#life.ttlMs(options?.ttlSeconds);
    const room = new RecordRoom();
    return updateMany(inBucketOrder(entries, this.handle.settings.buckets), {
      encode: (wallet, profile) => this.#encode(wallet, profile, options?.ttlSeconds, room),
      send: (part) => this.#backend.update(part),
    });
  }

  /**
   * The cached profile, or what `loader` brings, stored and shared: one load per wallet in this thread, process and cluster. A load that
   * fails rejects all who wait for it, once. Something newer that is written during the load stays; the caller gets what was loaded.
   * With `load.graceSeconds`, a profile that has expired may be served while, or because, no new one can be had.
   * @throws what the loader throws; ERR_LOADER when it brings no profile (ERR_NOT_FOUND where that is remembered); ERR_LOAD_TIMEOUT;
   * ERR_WALLET, ERR_PROFILE, ERR_OPTION, ERR_ABORTED, ERR_CLOSED
   */
  async getOrLoad(wallet: string, loader: (wallet: string) => LoadedOf<P> | Promise<LoadedOf<P>>, options?: LoadOptions): Promise<P> {
    this.#mustBeOpen();
    const cached = this.#thread.get(wallet);
    if (cached !== undefined) {
      if (this.#life.isEager(options)) this.#loading.ahead(wallet, loader, this.#life.policy(options));
      return cached as P;
    }
    const policy = this.#life.policy(options);
    return orAborted(() => this.#loading.one(wallet, loader, policy), options?.signal) as Promise<P>;
  }

  /**
   * As `getOrLoad` for many: `loadMissing` is called once with all wallets that neither tier has and nobody else is loading. The
   * result is in the order asked and lacks wallets for which `loadMissing` brought nothing.
   */
  async getOrLoadMany(wallets: Iterable<string>, loadMissing: (missing: string[]) => BulkLoadedOf<P> | Promise<BulkLoadedOf<P>>, options?: LoadManyOptions): Promise<Map<string, P>> {
    this.#mustBeOpen();
    const asked = this.#unique(wallets);
    const policy = this.#life.policy(options);
    const work = async () => {
      const stale = this.#loading.revalidate(asked, loadMissing, policy);
      const unknown = stale.size === 0 ? asked : asked.filter((wallet) => !stale.has(wallet));
      const found = options?.knownMissing === true ? new Map<string, object>() : await this.#readMany(unknown);
      if (this.#life.isEager(options)) this.#loading.aheadMany(found.keys(), loadMissing, policy);
      const missing = unknown.filter((wallet) => !found.has(wallet));
      if (missing.length === 0 && stale.size === 0) return found;
      const loaded = missing.length === 0 ? undefined : await this.#loading.many(missing, loadMissing, policy);
      return inOrder(asked, (wallet) => found.get(wallet) ?? stale.get(wallet) ?? loaded?.get(wallet));
    };
    return orAborted(work, options?.signal) as Promise<Map<string, P>>;
  }

  /** Removes the wallet from both tiers. When this resolves, no thread of this process returns the old profile any more. */
  async invalidate(wallet: string): Promise<void> {
    this.#mustBeOpen();
    this.#thread.check(wallet);
    await this.#backend.invalidate([wallet]);
  }

  async invalidateMany(wallets: Iterable<string>): Promise<void> {
    this.#mustBeOpen();
    const asked = this.#unique(wallets);
    await invalidateAll(inBucketOrder(asked.map((wallet) => [wallet] as const), this.handle.settings.buckets), (part) => this.#backend.invalidate(part));
  }

  /** Empties both tiers in every process. Rejects with ERR_L2_UNAVAILABLE or ERR_L2_TIMEOUT when L2 could not be emptied; L1 is empty then. */
  async clear(): Promise<void> {
    this.#mustBeOpen();
    await this.#backend.clear();
  }

  /** Summed over all threads of the process. */
  getStats(): CacheStats {
    return collectStats(this.#parts.region, this.handle.settings);
  }

  /** What a person would ask: L1's fill, each L2 node's reach, role, latency and slots, the queue, the channel. */
  async health(): Promise<CacheHealth> {
    this.#mustBeOpen();
    return this.#backend.health();
  }

  /**
   * Every update and invalidation seen from now on, own ones included, until the signal fires, the loop is left or the cache closed.
   * Holds the process meanwhile.
   */
  async *updates(options?: ReadOptions): AsyncGenerator<ProfileChange & { type: 'updated' | 'invalidated' }, void, void> {
    yield* changesOf<ProfileChange>(this, this.#parts.events, options?.signal);
  }

  /** Drains writes, then frees everything; idempotent. Afterwards every other verb fails with ERR_CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#backend.close().finally(() => {
      this.#parts.release();
      this.#parts.events.emit('closed');
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** An 'error' that nobody listens to would be thrown by EventEmitter: it has been counted already. */
  #emitError(error: ProfileCacheError): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  async #read(wallet: string): Promise<object | undefined> {
    return this.#thread.get(wallet) ?? this.#readL2(wallet);
  }

  async #readL2(wallet: string): Promise<object | undefined> {
    const { row } = this.#thread;
    const profile = this.handle.settings.hasL2 ? await this.#misses.fetch(wallet).catch(ownerGoneIsAMiss) : undefined;
    row.count(profile === undefined ? COUNTER.misses : COUNTER.l2Hits);
    return profile;
  }

  #readMany(asked: readonly string[]): Promise<Map<string, object>> {
    return readMany(this.#bulk, asked);
  }

  #encode(wallet: unknown, profile: unknown, ttlSeconds: number | undefined, room?: RecordRoom): EncodedUpdate {
    this.#thread.check(wallet);
    const { bytes, schemaId } = this.#thread.codec.encode(profile);
    // The codec's bytes are good until its next encode: this copy lives until L2 has it.
    return { wallet, raw: room?.copy(bytes) ?? new Uint8Array(bytes), schemaId, ttlMs: this.#life.ttlMs(ttlSeconds) };
  }

  #unique(wallets: Iterable<string>): string[] {
    if (typeof wallets === 'string' || typeof (wallets as Iterable<string> | undefined)?.[Symbol.iterator] !== 'function') {
      throw new ProfileCacheError('ERR_WALLET', 'wallets: is a list (any iterable) of wallets');
    }
    const unique = [...new Set(wallets)];
    for (const wallet of unique) this.#thread.check(wallet);
    return unique;
  }

  #mustBeOpen(): void {
    if (this.#closing !== undefined) throw new ProfileCacheError('ERR_CLOSED', 'this cache is closed; open a new one');
  }
}
