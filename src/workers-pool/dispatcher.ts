/**
 * Hands jobs to the pool: a bounded queue, as many tasks at once as the threads take, a chunk of the inbox for each read, one
 * retry when a thread dies, and an end for threads that do not answer.
 *
 * Order that matters
 *  1. A chunk is given back when its task has settled and its answer was read - never at the deadline of the operation, for a
 *     late worker may still write into it. When the thread died, it is given back after that thread has exited.
 *  2. A job whose operation is settled is not begun; an answer that comes for one is counted and dropped.
 *  3. Reads and other jobs take turns, so that reads that wait for a chunk hold up no write, and writes no read.
 */
import type { Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import { ChunkLedger } from './inbox.ts';
import type { WorkerPool, Ticket } from './pool.ts';
import type { Reply, Task } from './protocol.ts';

/** A task that dies with its thread is tried on another this often. */
export const MAX_RETRIES = 1;

export interface Job {
  readonly needsChunk: boolean;
  /** Monotonic; after it nobody waits. */
  readonly deadlineMs: number;
  /** True once nobody waits any more. */
  readonly settled: boolean;
  /** The task as a message, made anew for each attempt (its buffers are moved away). */
  build(seq: number, chunk: number): { task: Task; transfer?: ArrayBuffer[] };
  /** `release` gives the chunk back and must be called once, also when there is none. `retried`: an earlier attempt may have taken effect. */
  answered(reply: Reply, context: { seq: number; chunk: number; retried: boolean; release: () => void }): void;
  failed(error: ProfileCacheError): void;
}

interface Running {
  job: Job;
  ticket: Ticket;
}

export interface DispatcherOptions {
  pool: WorkerPool;
  clock: Clock;
  chunks: number;
  /** Tasks at once that somebody waits for. */
  slots: number;
  /** Tasks at once, all threads together: those too that nobody waits for, whose thread has not answered. */
  maxRunning: number;
  maxWaiting: number;
  /** A thread that has not answered this long after the deadline of a task is ended. */
  hungGraceMs: number;
}

export class Dispatcher {
  readonly chunks: ChunkLedger;
  readonly #options: DispatcherOptions;
  /** Insertion-ordered, and a job in the middle can be withdrawn. */
  readonly #waiting = { reads: new Set<Job>(), others: new Set<Job>() };
  readonly #running = new Set<Running>();
  readonly #attempts = new Map<Job, number>();
  readonly #counts = { tasks: 0, retries: 0, late: 0, overloaded: 0, workerErrors: 0, hungThreads: 0 };
  #readsNext = false;
  #seq = 0;
  #watch: NodeJS.Timeout | undefined;
  #idleWaiters: Array<() => void> = [];

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.chunks = new ChunkLedger(options.chunks);
    options.pool.isTardy = this.#isTardy;
  }

  get counts(): Readonly<{ tasks: number; retries: number; late: number; overloaded: number; workerErrors: number; hungThreads: number }> {
    return this.#counts;
  }
  get waiting(): number {
    return this.#waiting.reads.size + this.#waiting.others.size;
  }
  get running(): number {
    return this.#running.size;
  }

  submit(job: Job): void {
    if (this.waiting >= this.#options.maxWaiting) {
      this.#counts.overloaded++;
      job.failed(new ProfileCacheError('ERR_OVERLOADED', `more than ${this.#options.maxWaiting} tasks wait for the I/O workers; ask for less at once, or raise workers`, { option: 'workers' }));
      return;
    }
    this.#enqueue(job);
    this.#pump();
  }

  /** All jobs of an operation that is settled: what waits need not be begun, and what runs takes no slot from others any more. */
  withdraw(jobs: Iterable<Job>): void {
    const { reads, others } = this.#waiting;
    for (const job of jobs) if (reads.delete(job) || others.delete(job)) this.#attempts.delete(job);
    this.#noteIdle();
    this.#pump();
  }

  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void> {
    if (this.running === 0 && this.waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  stop(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }

  #enqueue(job: Job): void {
    (job.needsChunk ? this.#waiting.reads : this.#waiting.others).add(job);
  }

  #pump(): void {
    while (this.#running.size < this.#options.maxRunning && this.#awaited < this.#options.slots) {
      const job = this.#next();
      if (!job) return;
      this.#start(job);
    }
  }

  /** Running tasks that somebody waits for: a thread that is stuck keeps its tasks, and work goes on in another. */
  get #awaited(): number {
    let awaited = 0;
    for (const { job } of this.#running) if (!job.settled) awaited++;
    return awaited;
  }

  readonly #isTardy = (threadId: number): boolean => {
    for (const { job, ticket } of this.#running) if (job.settled && ticket.threadId === threadId) return true;
    return false;
  };

  #next(): Job | undefined {
    const { reads, others } = this.#waiting;
    const mayRead = reads.size > 0 && this.chunks.free > 0;
    const queue = mayRead && (this.#readsNext || others.size === 0) ? reads : others;
    this.#readsNext = queue === others;
    const [job] = queue;
    if (job) queue.delete(job);
    return job;
  }

  #start(job: Job): void {
    const chunk = job.needsChunk ? this.chunks.lease() : undefined;
    const running: Running = { job, ticket: {} };
    // 0 stands for "no answer" in a chunk, and the stamp there has 32 bits.
    this.#seq = (this.#seq % 0xffff_ffff) + 1;
    const seq = this.#seq;
    const { task, transfer } = job.build(seq, chunk ?? -1);
    this.#running.add(running);
    this.#counts.tasks++;
    this.#watch ??= setTimeout(this.#endHung, this.#options.hungGraceMs).unref();
    this.#options.pool.run(task, running.ticket, transfer).then(
      (reply) => this.#answered(running, reply, seq, chunk),
      (error: ProfileCacheError) => this.#died(running, error, chunk),
    );
  }

  #answered(running: Running, reply: Reply, seq: number, chunk: number | undefined): void {
    const { job } = running;
    this.#running.delete(running);
    const retried = this.#attempts.delete(job);
    const release = () => {
      if (chunk === undefined) return;
      this.chunks.giveBack(chunk);
      this.#pump();
    };
    if (job.settled) {
      this.#counts.late++;
      release();
    } else {
      job.answered(reply, { seq, chunk: chunk ?? -1, retried, release });
    }
    this.#pump();
    this.#noteIdle();
  }

  #died(running: Running, error: ProfileCacheError, chunk: number | undefined): void {
    const { job } = running;
    this.#running.delete(running);
    this.#counts.workerErrors++;
    if (chunk !== undefined) {
      void this.#options.pool.removedThreadsGone().then(() => {
        this.chunks.giveBack(chunk);
        this.#pump();
      });
    }
    const attempts = (this.#attempts.get(job) ?? 0) + 1;
    if (job.settled) {
      this.#attempts.delete(job);
    } else if (attempts > MAX_RETRIES || error.code === 'ERR_CLOSED') {
      this.#attempts.delete(job);
      job.failed(error);
    } else {
      this.#attempts.set(job, attempts);
      this.#counts.retries++;
      this.#enqueue(job);
    }
    this.#pump();
    this.#noteIdle();
  }

  /** Runs while tasks run. A store keeps its own time limits, so a task this late means a thread that is stuck. */
  readonly #endHung = (): void => {
    const { clock, hungGraceMs, pool } = this.#options;
    const nowMs = clock.monotonicMs();
    const hung = new Set<number>();
    for (const { job, ticket } of this.#running) {
      if (ticket.threadId !== undefined && nowMs > job.deadlineMs + hungGraceMs) hung.add(ticket.threadId);
    }
    for (const threadId of hung) {
      this.#counts.hungThreads++;
      pool.terminate(threadId);
    }
    this.#watch = this.#running.size > 0 ? setTimeout(this.#endHung, hungGraceMs / 2).unref() : undefined;
  };

  #noteIdle(): void {
    if (this.running > 0 || this.waiting > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
