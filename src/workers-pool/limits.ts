/** Every bound of the worker pool, with its name. */
import { availableParallelism } from 'node:os';
import type { ResourceLimits } from 'node:worker_threads';

/** For tests and measurements; every one has its default in `LIMITS`. */
export interface L2ClientInternals {
  storeModule?: string;
  storeData?: unknown;
  entry?: URL;
  execArgv?: string[];
  resourceLimits?: ResourceLimits;
  limits?: Partial<Limits>;
}

export const LIMITS = {
  /**
   * Threads that share the work: no more than there are cores beside the caller's. Those beyond stand by for those that are stuck or dead: each
   * thread compiles for itself what it runs, and two that wait for one core do less than one (worker-threads.md).
   */
  threadsAtWork: Math.max(1, availableParallelism() - 1),
  /** Tasks that one thread works on at once: while one waits for L2, another is unpacked. */
  tasksPerThread: 4,
  chunkBytes: 512 * 1024,
  /** Chunks beyond one for each task that runs: they hold answers that are being visited. */
  spareChunks: 4,
  maxWalletsPerTask: 512,
  maxWritesPerTask: 256,
  maxWriteTaskBytes: 1024 * 1024,
  /** Tasks that wait for a thread or a chunk; more are refused with ERR_OVERLOADED. */
  maxWaitingTasks: 4_096,
  /** Records beside the inbox in one reply. */
  maxSpillBytes: 4 * 1024 * 1024,
  /** Longest slice of visits between two turns of the owner's event loop. */
  sliceMs: 2,
  /** A thread that has not answered this long after the deadline of a task is ended. */
  hungGraceMs: 2_000,
  /** Removing everything takes as long as there are keys: the one verb with a time limit of its own. */
  clearTimeoutMs: 30_000,
  /** At `close`: for tasks to finish, and then for the stores to close. */
  drainTimeoutMs: 5_000,
  closeStoreTimeoutMs: 2_000,
};

export type Limits = typeof LIMITS;
