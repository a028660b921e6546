/**
 * One call of an L2 verb: a promise with a deadline, and the jobs that work on it. It settles once; from then on its jobs are
 * withdrawn, and what they still bring is dropped.
 */
import type { Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { Dispatcher, Job } from './dispatcher.ts';

export class Operation<T> {
  readonly promise: Promise<T>;
  readonly deadlineMs: number;
  readonly #dispatcher: Dispatcher;
  readonly #jobs = new Set<Job>();
  readonly #timer: NodeJS.Timeout;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #settled = false;

  /** `onDeadline` must settle the operation. */
  constructor(dispatcher: Dispatcher, clock: Clock, timeoutMs: number, onDeadline: () => void) {
    this.#dispatcher = dispatcher;
    this.deadlineMs = clock.monotonicMs() + timeoutMs;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // When this thread itself was blocked past the deadline (in the check phase), the timer comes before the answers that lie
    // unread in its ports: a turn of the event loop lets them in before the verdict.
    this.#timer = setTimeout(() => setImmediate(() => this.#settled || onDeadline()), timeoutMs);
  }

  get settled(): boolean {
    return this.#settled;
  }
  get jobs(): ReadonlySet<Job> {
    return this.#jobs;
  }

  start(job: Job): void {
    this.#jobs.add(job);
    this.#dispatcher.submit(job);
  }
  finish(job: Job): void {
    this.#jobs.delete(job);
  }

  resolve(value: T): void {
    if (this.#settle()) this.#resolve(value);
  }
  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#dispatcher.withdraw(this.#jobs);
    this.#jobs.clear();
    return true;
  }
}

export const timeoutError = (what: string, timeoutMs: number): ProfileCacheError =>
  new ProfileCacheError('ERR_L2_TIMEOUT', `${what} took longer than ${timeoutMs} ms; raise l2TimeoutMs if L2 is that slow, or ask for less at once`, { option: 'l2TimeoutMs' });
