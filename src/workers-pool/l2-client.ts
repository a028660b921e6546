/**
 * The owner thread's side of L2: verbs in, tasks out to the I/O workers, records back through shared memory.
 * How one request travels is told in native-notes/worker-threads.md.
 */
import { systemClock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { ResolvedOptions } from '../options.ts';
import type { LeaseAnswer, StoreHealth } from '../l2/store.ts';
import { Call } from './call.ts';
import type { CallRequest } from './call.ts';
import { Dispatcher } from './dispatcher.ts';
import { Fetch } from './fetch.ts';
import type { FetchParts, FetchResult, FetchedRecord } from './fetch.ts';
import { InlineStore, MAX_INLINE_WALLETS } from './inline-store.ts';
import { makeStore } from '../l2/make-store.ts';
import { InboxView, makeInbox, maxEntries } from './inbox.ts';
import type { HashKeys, InboxShape } from './inbox.ts';
import { LeaseBatch } from './lease-batch.ts';
import { LIMITS } from './limits.ts';
import type { L2ClientInternals, Limits } from './limits.ts';
import { openPool, storeTimes } from './open-pool.ts';
import type { WorkerPool } from './pool.ts';
import { Slices } from './slices.ts';
import { pick, split } from './split.ts';
import { WriteMany, buildDelete, buildSet } from './store-writes.ts';
import type { StoreDelete, StoreWrite, WriteOutcome, WriteParts } from './store-writes.ts';
import { TaskSizer } from './task-sizer.ts';

export type { FetchResult, FetchedRecord } from './fetch.ts';
export type { StoreDelete, StoreWrite, WriteOutcome } from './store-writes.ts';

/** Nobody's: their hashes are spread over the buckets and slots. */
const SAMPLE_WALLETS = Array.from({ length: 48 }, (_, i) => `\u0000sample ${i}`);

export class L2Client {
  readonly #pool: WorkerPool;
  readonly #dispatcher: Dispatcher;
  readonly #slices: Slices;
  readonly #shape: InboxShape;
  readonly #sizer: TaskSizer;
  readonly #limits: Limits;
  readonly #timeoutMs: number;
  readonly #buckets: number;
  /** That share the work. */
  readonly #threads: number;
  readonly #counts = { corrupt: 0, late: 0, timeouts: 0, spilled: 0, fetchedRecords: 0, inlineReads: 0, inlineWrites: 0, writes: 0 };
  readonly #fetchParts: FetchParts;
  readonly #writeParts: WriteParts;
  /** What `inParts` made. */
  readonly #parts = new WeakSet<readonly string[]>();
  /** Undefined where L2 is no Redis: files are not read on this thread. */
  readonly #inline: InlineStore | undefined;
  readonly #leases = new LeaseBatch((request) => this.#call(request));
  readonly #kind: StoreHealth['kind'];
  #closing: Promise<void> | undefined;

  /**
   * Starts the threads; every one opens its store. `hashKeys` are those of the region that the records are for. Rejects with ERR_L2_CONNECT, ERR_L2_AUTH, ERR_L2_STORAGE or ERR_WORKER,
   * and leaves nothing running.
   */
  static async open(options: ResolvedOptions, internals: L2ClientInternals = {}, hashKeys?: HashKeys): Promise<L2Client> {
    const limits = { ...LIMITS, ...internals.limits };
    const shape = makeInbox(options.workers * limits.tasksPerThread + limits.spareChunks, limits.chunkBytes, hashKeys);
    const pool = await openPool(options, shape, limits, internals);
    return new L2Client(options, pool, shape, limits, inlineStore(options, internals));
  }

  private constructor(options: ResolvedOptions, pool: WorkerPool, shape: InboxShape, limits: Limits, inline: InlineStore | undefined) {
    this.#inline = inline;
    this.#pool = pool;
    this.#shape = shape;
    this.#limits = limits;
    this.#timeoutMs = options.l2TimeoutMs;
    this.#threads = Math.min(options.workers, limits.threadsAtWork);
    this.#kind = options.l2.kind === 'redis' ? 'redis' : 'embedded';
    this.#buckets = options.l2.kind === 'redis' ? options.l2.buckets : 0;
    this.#slices = new Slices(limits.sliceMs);
    this.#sizer = new TaskSizer(limits.chunkBytes, Math.min(limits.maxWalletsPerTask, maxEntries(limits.chunkBytes)));
    const { maxWaitingTasks: maxWaiting, hungGraceMs, tasksPerThread } = limits;
    this.#dispatcher = new Dispatcher({ pool, clock: systemClock, chunks: shape.chunks, slots: this.#threads * tasksPerThread, maxRunning: options.workers * tasksPerThread, maxWaiting, hungGraceMs });
    this.#writeParts = { dispatcher: this.#dispatcher, clock: systemClock, timeoutMs: this.#timeoutMs, counts: this.#counts };
    this.#fetchParts = { ...this.#writeParts, slices: this.#slices, inbox: new InboxView(shape), counts: this.#counts, onTaskRead: (records, rawBytes) => this.#sizer.learn(records, rawBytes) };
  }

  /**
   * Reads `wallets`; `visit` is called on this thread for each record found, in slices with turns of the event loop between.
   * With `graceMs` also what expired less than that ago (`ttlMs` is 0 or less); it is in `missing` as well.
   * Resolves after `l2TimeoutMs` at the latest; what was not visited by then is in `failed` and will not be visited later.
   * Rejects with ERR_CLOSED, and with whatever `visit` throws.
   */
  async fetchMany(wallets: readonly string[], visit: (record: FetchedRecord) => void, graceMs = 0): Promise<FetchResult> {
    this.#mustBeOpen();
    if (wallets.length === 0) return { found: 0, missing: [], floors: new Map(), failed: new Map(), corrupt: [] };
    const way = this.#inline?.choose('read', wallets.length) ?? 'worker';
    const startMs = performance.now();
    const result = way === 'inline' ? await this.#inline!.read(wallets, visit, graceMs, systemClock.monotonicMs() + this.#timeoutMs) : await this.#fetchByWorkers(wallets, visit, graceMs);
    if (wallets.length === 1 && result.failed.size === 0) this.#inline?.took('read', way, performance.now() - startMs);
    if (way === 'inline') {
      this.#counts.inlineReads++;
      this.#counts.corrupt += result.corrupt.length;
    }
    this.#counts.fetchedRecords += result.found;
    return result;
  }

  #fetchByWorkers(wallets: readonly string[], visit: (record: FetchedRecord) => void, graceMs: number): Promise<FetchResult> {
    // Parts are sorted by bucket already: hashing them again would cost as much as visiting them.
    const buckets = this.#parts.has(wallets) ? 0 : this.#buckets;
    const lists = split(wallets, { maxItems: this.#sizer.walletsPerTask, threads: this.#threads, buckets });
    return new Fetch(this.#fetchParts, visit, graceMs).start(lists.length === 1 ? [wallets] : lists.map((list) => pick(wallets, list)));
  }

  /**
   * Cuts a large list into parts for one `fetchMany` each, of `partWallets` at the most, so that the wallets of a hash-tag bucket
   * are in one part and travel in one MGET. Parts that are cut in the order of the list have a few wallets of every bucket.
   */
  inParts(wallets: readonly string[], partWallets: number): readonly string[][] {
    const parts = split(wallets, { maxItems: partWallets, threads: 1, buckets: this.#buckets }).map((list) => pick(wallets, list));
    for (const part of parts) this.#parts.add(part);
    return parts;
  }

  /**
   * One outcome for each write, by index, after `l2TimeoutMs` at the latest. Rejects with ERR_CLOSED alone.
   * `knows`: the newest clear that the writer knows of (src/l2/store.ts, rule 5).
   */
  async setMany(writes: readonly StoreWrite[], knows?: number): Promise<WriteOutcome[]> {
    this.#mustBeOpen();
    if (writes.length === 0) return [];
    this.#counts.writes += writes.length;
    const way = this.#inline?.choose('write', writes.length, bytesOf(writes)) ?? 'worker';
    const startMs = performance.now();
    const outcomes = way === 'inline' ? await this.#inline!.write(writes, systemClock.monotonicMs() + this.#timeoutMs, knows) : await this.#setByWorkers(writes, knows);
    if (way === 'inline') this.#counts.inlineWrites++;
    if (writes.length === 1 && outcomes[0].status !== 'failed') this.#inline?.took('write', way, performance.now() - startMs);
    return outcomes;
  }

  #setByWorkers(writes: readonly StoreWrite[], knows: number | undefined): Promise<WriteOutcome[]> {
    const lists = this.#splitWrites(writes).flatMap((list) => cutByBytes(list, writes, this.#limits.maxWriteTaskBytes));
    return new WriteMany<StoreWrite>(this.#writeParts, writes, buildSet, knows).start(lists);
  }

  /** Leaves a tombstone with its version for each wallet. Outcomes as for `setMany`. */
  async deleteMany(deletes: readonly StoreDelete[], knows?: number): Promise<WriteOutcome[]> {
    this.#mustBeOpen();
    if (deletes.length === 0) return [];
    this.#counts.writes += deletes.length;
    return new WriteMany<StoreDelete>(this.#writeParts, deletes, buildDelete, knows).start(this.#splitWrites(deletes));
  }

  #splitWrites(writes: readonly StoreDelete[]): Uint32Array[] {
    const wallets = writes.map(({ wallet }) => wallet);
    return split(wallets, { maxItems: this.#limits.maxWritesPerTask, threads: this.#threads, buckets: this.#buckets });
  }

  /** As `L2Store.clear`. Has a time limit of its own, `LIMITS.clearTimeoutMs` (or l2TimeoutMs, if that is longer). */
  async clear(version: number, event?: string): Promise<number> {
    return (await this.#call({ op: 'clear', version, event }, Math.max(this.#timeoutMs, this.#limits.clearTimeoutMs))) as number;
  }

  async clearFloor(): Promise<number> {
    return (await this.#call({ op: 'clearFloor' })) as number;
  }

  async publish(event: string): Promise<void> {
    await this.#call({ op: 'publish', event });
  }

  async getBlob(name: string): Promise<Uint8Array | undefined> {
    return (await this.#call({ op: 'getBlob', name })) as Uint8Array | undefined;
  }

  /** First writer wins; resolves with what is stored. */
  async putBlobIfAbsent(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    // A copy of its own: cloning a view of a pool clones the pool.
    return (await this.#call({ op: 'putBlob', name, bytes: new Uint8Array(bytes) })) as Uint8Array;
  }

  async acquireLease(wallet: string, token: string, ttlMs: number, waited = false): Promise<LeaseAnswer> {
    this.#mustBeOpen();
    return this.#leases.acquire(wallet, token, ttlMs, waited);
  }

  async releaseLease(wallet: string, token: string): Promise<void> {
    this.#mustBeOpen();
    await this.#leases.release(wallet, token);
  }

  /** A store that gives no answer in time is one that cannot be reached; rejects with ERR_CLOSED alone. */
  async health(): Promise<StoreHealth> {
    this.#mustBeOpen();
    try {
      return (await this.#call({ op: 'health' })) as StoreHealth;
    } catch (error) {
      if (!(error instanceof ProfileCacheError) || error.code === 'ERR_CLOSED') throw error;
      return { kind: this.#kind, reachable: false, slotsCovered: 0, nodes: [], error: error.message };
    }
  }

  /** Whether L2 answers for most wallets: a read of some all over its slots. Rejects with ERR_CLOSED alone. */
  async isReachable(): Promise<boolean> {
    const { failed } = await this.fetchMany(SAMPLE_WALLETS, () => undefined);
    return failed.size < SAMPLE_WALLETS.length / 2;
  }

  #call(request: CallRequest, timeoutMs = this.#timeoutMs) {
    this.#mustBeOpen();
    return new Call({ ...this.#writeParts, timeoutMs }, request).start();
  }

  #mustBeOpen(): void {
    if (this.#closing) throw new ProfileCacheError('ERR_CLOSED', 'the cache is closed; open a new one');
  }

  stats(): L2ClientStats {
    const { tasks, retries, late, overloaded, workerErrors, hungThreads } = this.#dispatcher.counts;
    const { corrupt, timeouts, spilled, fetchedRecords, inlineReads, inlineWrites, writes } = this.#counts;
    return {
      threads: this.#pool.threadIds.length,
      tasks,
      runningTasks: this.#dispatcher.running,
      waitingTasks: this.#dispatcher.waiting,
      retries,
      replacedWorkers: this.#pool.died,
      workerErrors,
      hungWorkers: hungThreads,
      timeouts,
      overloaded,
      lateAnswers: late + this.#counts.late,
      corrupt,
      fetchedRecords,
      inlineReads,
      inlineWrites,
      spilledRecords: spilled,
      writes,
      inboxBytes: this.#shape.buffer.byteLength,
      inboxBytesInUse: this.#dispatcher.chunks.out * this.#shape.chunkBytes,
      longestSliceMs: this.#slices.longestMs,
    };
  }

  /** Waits for what is under way (bounded), closes the stores, ends the threads. Idempotent; nothing revives the pool. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { drainTimeoutMs, closeStoreTimeoutMs } = this.#limits;
    await within(this.#dispatcher.idle(), drainTimeoutMs);
    if (this.#inline !== undefined) await within(this.#inline.close(), closeStoreTimeoutMs);
    const closed = this.#pool.threadIds.map((pinnedTo) => this.#pool.run({ op: 'close', seq: 1, deadlineMs: Infinity }, { pinnedTo }));
    // A thread that is dead or stuck cannot close its store; it is ended like the others.
    await within(Promise.allSettled(closed), closeStoreTimeoutMs);
    this.#dispatcher.stop();
    await this.#pool.destroy();
  }
}

export interface L2ClientStats {
  /** Worker threads that are up. */
  threads: number;
  tasks: number;
  runningTasks: number;
  waitingTasks: number;
  /** Tasks tried again because their thread died. */
  retries: number;
  /** Threads that died and were replaced. */
  replacedWorkers: number;
  /** Tasks lost with a thread, first attempts included. */
  workerErrors: number;
  /** Threads ended because they did not answer. */
  hungWorkers: number;
  /** Operations that ran into their deadline. */
  timeouts: number;
  /** Tasks refused because too many waited. */
  overloaded: number;
  /** Answers that came when nobody waited any more. */
  lateAnswers: number;
  corrupt: number;
  fetchedRecords: number;
  /** Reads of a few wallets that went over this thread's own connection, because that is quicker. */
  inlineReads: number;
  /** Writes of a few wallets, likewise. */
  inlineWrites: number;
  /** Records too large for the inbox, moved beside it. */
  spilledRecords: number;
  writes: number;
  inboxBytes: number;
  inboxBytesInUse: number;
  longestSliceMs: number;
}

function inlineStore(options: ResolvedOptions, internals: L2ClientInternals): InlineStore | undefined {
  const { l2, maxProfileBytes, codec, load } = options;
  if (l2.kind !== 'redis' || internals.storeModule !== undefined) return undefined;
  return new InlineStore({ clock: systemClock, maxProfileBytes, compression: codec.compression, graceMs: load.graceSeconds * 1000, make: () => makeStore(l2, storeTimes(options)) });
}

/** Of a few; what is more goes by its number. */
const bytesOf = (writes: readonly StoreWrite[]) => (writes.length > MAX_INLINE_WALLETS ? 0 : writes.reduce((sum, { raw }) => sum + raw.length, 0));

function cutByBytes(list: Uint32Array, writes: readonly StoreWrite[], maxBytes: number): Uint32Array[] {
  const cut: Uint32Array[] = [];
  let from = 0;
  let bytes = 0;
  for (let k = 0; k < list.length; k++) {
    const { length } = writes[list[k]].raw;
    if (k > from && bytes + length > maxBytes) {
      cut.push(list.subarray(from, k));
      from = k;
      bytes = 0;
    }
    bytes += length;
  }
  cut.push(list.subarray(from));
  return cut;
}

async function within(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)))]);
  clearTimeout(timer);
}
