/**
 * Piscina, made safe for what we do with it. What it adds
 *  - it says which thread a task went to (the load balancer sees each task's ticket), so that a hung thread can be ended and
 *    a task can be sent to one certain thread;
 *  - it knows when a thread that was replaced has really stopped: until then it may still write into shared memory;
 *  - once closed it stays closed: a plain Piscina comes back to life on the next `run`;
 *  - a dead thread is replaced, always: a plain Piscina replaces none any more once one has died before it was up (a replacement, on a
 *    busy machine), until it is given a task that finds no thread.
 * No AbortSignal ever reaches `run`: Piscina answers an abort by ending the thread with all its other tasks.
 */
import { Piscina } from 'piscina';
import type { ResourceLimits, Worker } from 'node:worker_threads';
import { ProfileCacheError } from '../errors.ts';
import type { Reply, Task, WorkerData } from './protocol.ts';

export interface PoolOptions {
  entry: URL;
  threads: number;
  /** Of them share the work while they take it; the others stand by. */
  threadsAtWork: number;
  tasksPerThread: number;
  workerData: WorkerData;
  resourceLimits?: ResourceLimits;
  execArgv?: string[];
}

/** Lies beside a task, on the owner's side only. */
export interface Ticket {
  /** Only this thread may have the task. */
  pinnedTo?: number;
  /** Where it went, as soon as it went. */
  threadId?: number;
  /** Makes Piscina start a thread: no thread is good enough at the first look. */
  wantsThread?: boolean;
}

/** Threads in a row that may die before they are up and be replaced at once; from then on each waits twice as long as the one before. */
const QUICK_REPLACEMENTS = 5;
const REPLACE_MIN_MS = 100;
const REPLACE_MAX_MS = 5_000;

/** What a load balancer may see of a worker; Piscina does not export the type. */
interface Candidate {
  readonly id: number;
  readonly currentUsage: number;
  readonly destroyed: boolean;
}

export class WorkerPool {
  readonly #piscina: Piscina<Task, Reply>;
  readonly #tasksPerThread: number;
  readonly #threadsAtWork: number;
  /** Threads that have not exited, removed ones included. */
  readonly #alive = new Map<Worker, number>();
  readonly #ready = new Set<number>();
  readonly #exitWaiters = new Set<() => void>();
  /** Whether a thread has tasks that it should have answered by now. */
  isTardy: (threadId: number) => boolean = () => false;
  #sealed = false;
  #died = 0;
  readonly #threads: number;
  /** Since a thread was up. */
  #replacements = 0;
  #replacing: NodeJS.Timeout | undefined;
  #destroyed: Promise<void> | undefined;

  constructor(options: PoolOptions) {
    const { entry, threads, threadsAtWork, tasksPerThread, workerData, resourceLimits, execArgv } = options;
    this.#tasksPerThread = tasksPerThread;
    this.#threads = threads;
    this.#threadsAtWork = threadsAtWork;
    this.#piscina = new Piscina({
      filename: entry.href,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: tasksPerThread,
      // The worker's event loop must turn between tasks: its store has sockets and timers.
      atomics: 'disabled',
      // The dispatcher sends no more than the threads take; the queue is for the time while one of them is replaced.
      maxQueue: threads * tasksPerThread * 2,
      recordTiming: false,
      workerData,
      loadBalancer: (task, candidates) => this.#choose(task, candidates as Iterable<Candidate>) as never,
      ...(resourceLimits ? { resourceLimits } : {}),
      ...(execArgv ? { execArgv } : {}),
    });
    // The first threads may be sent tasks before they are up: the messages wait in their ports.
    this.#track();
    for (const id of this.#alive.values()) this.#ready.add(id);
    this.#piscina.on('workerCreate', ({ id }: Candidate) => {
      this.#track();
      this.#ready.add(id);
      this.#replacements = 0;
    });
    this.#piscina.on('workerDestroy', () => this.#track());
    // A thread that dies with no task in hand is told here, and counted at its exit.
    this.#piscina.on('error', () => this.#track());
  }

  get threadIds(): number[] {
    return [...this.#ready];
  }
  /** Threads that ended though nobody closed the pool. */
  get died(): number {
    return this.#died;
  }

  #track(): void {
    for (const worker of this.#piscina.threads) {
      const id = worker.threadId;
      // -1: it has exited already.
      if (id < 0 || this.#alive.has(worker)) continue;
      this.#alive.set(worker, id);
      worker.once('exit', () => {
        this.#alive.delete(worker);
        this.#ready.delete(id);
        if (!this.#sealed) this.#died++;
        for (const check of this.#exitWaiters) check();
        // Behind Piscina's own handler, which may have started one: that one may die before it is up.
        setImmediate(() => {
          this.#track();
          this.#replace();
        });
      });
    }
  }

  #replace(): void {
    if (this.#sealed || this.#replacing !== undefined || this.#piscina.threads.length >= this.#threads) return;
    const slow = this.#replacements++ - QUICK_REPLACEMENTS;
    const delayMs = slow < 0 ? 0 : Math.min(REPLACE_MAX_MS, REPLACE_MIN_MS * 2 ** Math.min(slow, 10));
    this.#replacing = setTimeout(() => {
      this.#replacing = undefined;
      if (this.#sealed || this.#piscina.threads.length >= this.#threads) return;
      this.run({ op: 'open', seq: 1, deadlineMs: Infinity }, { wantsThread: true }).catch(() => undefined); // Its death is told by its exit.
      this.#track();
      // Another may be missing.
      this.#replace();
    }, delayMs).unref();
  }

  /** Least busy of the threads at work, or another where these have no room; one that is tardy only where no other is left. A pinned task goes to its thread however busy that is. */
  #choose(task: object, candidates: Iterable<Candidate>): Candidate | null {
    const ticket = (task as Record<symbol, Ticket | undefined>)[Piscina.queueOptionsSymbol];
    if (ticket?.wantsThread === true) {
      ticket.wantsThread = false;
      return null;
    }
    let best: Candidate | null = null;
    let bestUsage = this.#tasksPerThread;
    let lastResort: Candidate | null = null;
    let atWork = 0;
    for (const candidate of candidates) {
      if (candidate.destroyed || !this.#ready.has(candidate.id)) continue;
      if (ticket?.pinnedTo !== undefined) {
        if (candidate.id !== ticket.pinnedTo) continue;
        best = candidate;
        break;
      }
      const usage = candidate.currentUsage;
      if (usage >= this.#tasksPerThread) {
        atWork++;
        continue;
      }
      if (this.isTardy(candidate.id)) {
        lastResort ??= candidate;
        continue;
      }
      if (best !== null && atWork >= this.#threadsAtWork) break;
      atWork++;
      if (usage >= bestUsage) continue;
      best = candidate;
      bestUsage = usage;
    }
    best ??= lastResort;
    if (best && ticket) ticket.threadId = best.id;
    return best;
  }

  /** Rejects with ERR_WORKER when the thread died or the task never reached one; the cause is Piscina's error. */
  run(task: Task, ticket: Ticket, transfer: ArrayBuffer[] = []): Promise<Reply> {
    if (this.#sealed) return Promise.reject(new ProfileCacheError('ERR_CLOSED', 'the worker pool is closed'));
    // Symbol keys are not cloned: the ticket stays on this side.
    const ticketed = Object.assign(task, { [Piscina.queueOptionsSymbol]: ticket });
    return this.#piscina.run(ticketed, { transferList: transfer }).catch((cause: unknown) => {
      throw new ProfileCacheError('ERR_WORKER', `an I/O worker thread died with this task in hand: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
  }

  /** Ends a thread that does not answer; Piscina rejects its tasks and starts another. */
  terminate(threadId: number): void {
    for (const [worker, id] of this.#alive) if (id === threadId) void worker.terminate();
  }

  /** Resolves when no thread runs that is no longer part of the pool. */
  removedThreadsGone(): Promise<void> {
    const removed = () => {
      const members = new Set(this.#piscina.threads);
      return [...this.#alive.keys()].some((worker) => !members.has(worker));
    };
    if (!removed()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = () => {
        if (removed()) return;
        this.#exitWaiters.delete(check);
        resolve();
      };
      this.#exitWaiters.add(check);
    });
  }

  /** Ends all threads, whatever they do; resolves when they have exited. */
  destroy(): Promise<void> {
    this.#sealed = true;
    clearTimeout(this.#replacing);
    this.#destroyed ??= this.#piscina.destroy();
    return this.#destroyed;
  }
}
