/** Profiling on worker threads: one store and one graph in shared memory, wallets in batches, profiles back as bytes. */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import * as v from 'valibot';
import { abortSignal, checked, named, whole } from '../checked.ts';
import { ProfileCacheError } from '../errors.ts';
import { workerUrl } from '../workers-pool/worker-url.ts';
import type { CoBuyGraph } from './co-buy-graph.ts';
import { parseProfilerOptions, type ProfilerOptions } from './options.ts';
import { decodeProfiles, type ProfileReply, type ProfileTask, type ProfileThreadData } from './profile-thread.ts';
import type { TradeStore } from './trade-store.ts';
import { throwIfAborted } from './trades-text.ts';
import type { WalletProfile } from './wallet-profile.ts';
import { checkWallet } from './wallet-profiler.ts';

/** A task costs 50-70 us whatever it holds; decoding this many profiles keeps the caller's event loop for about 1 ms. */
const BATCH_WALLETS = 64;
/** Batches in flight for each thread, so that none waits for the next. */
const BATCHES_PER_THREAD = 2;
/** A batch whose thread died is tried this often in all. */
const BATCH_TRIES = 2;

const MAX_THREADS = 64;

const poolSchema = named({ threads: v.optional(whole(1, MAX_THREADS), Math.min(MAX_THREADS, availableParallelism())) });
const manySchema = named({
  /** Batches (of up to 64 wallets) in flight at once; twice the threads when not given. */
  concurrency: v.optional(whole(1, 1_024)),
  onProgress: v.optional(v.custom<(progress: ProfileProgress) => void>((value) => typeof value === 'function', 'is not a function')),
  signal: v.optional(abortSignal),
});

export interface ProfileProgress {
  /** Wallets profiled so far. */
  done: number;
  total: number;
}
export type ProfilerPoolOptions = ProfilerOptions & v.InferInput<typeof poolSchema>;
export type ProfileManyOptions = v.InferInput<typeof manySchema>;

interface Waiting {
  wallet: string;
  resolve(profile: WalletProfile): void;
  reject(error: unknown): void;
}

export class ProfilerPool {
  readonly threads: number;
  readonly #piscina: Piscina<ProfileTask, ProfileReply>;
  #graph: CoBuyGraph | undefined;
  #waiting: Waiting[] = [];
  #closed: Promise<void> | undefined;
  /** Last word of a thread that died, for the error of its batch. */
  #lastThreadError: unknown;

  private constructor(data: ProfileThreadData, threads: number, entry: URL) {
    this.threads = threads;
    this.#piscina = new Piscina({
      filename: entry.href,
      workerData: data,
      // The entry is built JavaScript: a loader of the calling process (tsx) would only get in its way.
      execArgv: [],
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Infinity,
      maxQueue: Infinity,
    });
    // Without a listener the death of a thread would end the process; its batch hears of it by its own rejection.
    this.#piscina.on('error', (error: unknown) => {
      this.#lastThreadError = error;
    });
  }

  /**
   * Starts the threads and has one of them build the co-buy graph.
   * Errors: ERR_OPTION; ERR_WORKER when the threads do not start.
   * @param entry another thread entry, for tests
   */
  static async open(store: TradeStore, options: ProfilerPoolOptions = {}, entry: URL = workerUrl('profile')): Promise<ProfilerPool> {
    const { threads: asked, ...profilerOptions } = options;
    const { threads } = checked(poolSchema, asked === undefined ? {} : { threads: asked });
    const resolved = parseProfilerOptions(profilerOptions);
    const nowSeconds = resolved.nowSeconds ?? (store.tradeCount === 0 ? 0 : store.newestTs);
    const pool = new ProfilerPool({ trades: store.share(), options: { ...resolved, nowSeconds } }, threads, entry);
    try {
      const reply = await pool.#run({ kind: 'graph' });
      if (reply.kind === 'graph') pool.#graph = reply.graph;
      return pool;
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  /** The co-buy graph that all threads read. */
  get graph(): CoBuyGraph {
    return this.#graph!;
  }

  /** Calls of one turn of the event loop travel together. Errors: ERR_WALLET, ERR_CLOSED, ERR_WORKER. */
  async profile(wallet: string): Promise<WalletProfile> {
    checkWallet(wallet);
    this.#throwIfClosed();
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ wallet, resolve, reject }) === 1) setImmediate(() => this.#dispatchWaiting());
    });
  }

  /**
   * Profiles many wallets, duplicates once; the Map is in the order asked.
   * Errors: ERR_WALLET before anything is done; ERR_ABORTED at once when `signal` fires (batches on their threads run out,
   * their results are dropped); ERR_CLOSED; ERR_WORKER when a batch lost its thread twice; ERR_OPTION.
   */
  async profileMany(wallets: Iterable<string>, options: ProfileManyOptions = {}): Promise<Map<string, WalletProfile>> {
    const { concurrency = this.threads * BATCHES_PER_THREAD, onProgress, signal } = checked(manySchema, options);
    const unique = [...new Set(wallets)];
    for (const wallet of unique) checkWallet(wallet);
    this.#throwIfClosed();
    throwIfAborted(signal);
    const batchSize = this.#batchSize(unique.length);
    const profiles: WalletProfile[] = [];
    let next = 0;
    let done = 0;
    let stopped = false;
    const lane = async () => {
      while (next < unique.length && !stopped) {
        const at = next;
        next += batchSize;
        const batch = await this.#profileBatch(unique.slice(at, at + batchSize));
        if (stopped) return;
        for (let i = 0; i < batch.length; i++) profiles[at + i] = batch[i];
        done += batch.length;
        onProgress?.({ done, total: unique.length });
      }
    };
    const stop = abortion(signal);
    try {
      await Promise.race([Promise.all(Array.from({ length: concurrency }, lane)), ...(stop ? [stop.promise] : [])]);
    } finally {
      stopped = true;
      stop?.release();
    }
    return new Map(unique.map((wallet, i) => [wallet, profiles[i]]));
  }

  /** What was asked before is answered, then the threads end. Idempotent. */
  close(): Promise<void> {
    // Sealed here: Piscina itself would start new threads for a task that comes after its close.
    this.#closed ??= (async () => {
      // Runs before the assignment, so these batches still reach the threads.
      this.#dispatchWaiting();
      await this.#piscina.close();
    })();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #batchSize(wallets: number): number {
    return Math.max(1, Math.min(BATCH_WALLETS, Math.ceil(wallets / this.threads)));
  }

  #dispatchWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const batchSize = this.#batchSize(waiting.length);
    for (let at = 0; at < waiting.length; at += batchSize) {
      const batch = waiting.slice(at, at + batchSize);
      this.#profileBatch(batch.map(({ wallet }) => wallet)).then(
        (profiles) => batch.forEach(({ resolve }, i) => resolve(profiles[i])),
        (error) => batch.forEach(({ reject }) => reject(error)),
      );
    }
  }

  async #profileBatch(wallets: string[]): Promise<WalletProfile[]> {
    const reply = await this.#run({ kind: 'profile', graph: this.graph, wallets });
    return reply.kind === 'profiles' ? decodeProfiles(reply.bytes) : [];
  }

  async #run(task: ProfileTask): Promise<ProfileReply> {
    for (let tries = 1; ; tries++) {
      this.#throwIfClosed();
      let reply: ProfileReply;
      try {
        reply = await this.#piscina.run(task);
      } catch (error) {
        // The thread's own errors come as replies: this is the death of a thread, or the pool ending under the task.
        this.#throwIfClosed(error);
        if (tries < BATCH_TRIES) continue;
        throw new ProfileCacheError('ERR_WORKER', `a profiling thread died ${tries} times on the same batch; profile its wallets one by one to find which`, {
          cause: this.#lastThreadError ?? error,
        });
      }
      if (reply.kind === 'error') throw ProfileCacheError.fromWire(reply.error);
      return reply;
    }
  }

  #throwIfClosed(cause?: unknown): void {
    if (this.#closed) throw new ProfileCacheError('ERR_CLOSED', 'the profiler pool is closed; open a new one', { cause });
  }
}

/** A promise that rejects with ERR_ABORTED when the signal fires. */
function abortion(signal: AbortSignal | undefined): { promise: Promise<never>; release(): void } | undefined {
  if (!signal) return undefined;
  let release = () => {};
  const promise = new Promise<never>((_, reject) => {
    const abort = () => reject(new ProfileCacheError('ERR_ABORTED', 'profiling was aborted', { cause: signal.reason }));
    signal.addEventListener('abort', abort, { once: true });
    release = () => signal.removeEventListener('abort', abort);
  });
  // The race may already be decided when the signal fires.
  promise.catch(() => undefined);
  return { promise, release };
}
