/** A promise with its handles outside; and waiting that a caller may abort. */
import { ProfileCacheError } from '../errors.ts';

export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}

/** ERR_ABORTED whose name is `AbortError`, as callers of AbortSignal expect. */
export function abortError(signal: AbortSignal): ProfileCacheError {
  const error = new ProfileCacheError('ERR_ABORTED', 'aborted by the caller', { cause: signal.reason });
  error.name = 'AbortError';
  return error;
}

/** Leaves when the signal fires; the work goes on for its other waiters. */
export function orAborted<T>(begin: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  // Who has left already begins nothing.
  if (signal?.aborted) return Promise.reject(abortError(signal));
  const work = begin();
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const leave = () => reject(abortError(signal));
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

/** `otherwise` when the work takes longer than `ms`; its late outcome is dropped here, not cancelled. */
export function within<T, O>(work: Promise<T>, ms: number, otherwise: () => O): Promise<T | O> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(otherwise()), Math.max(0, ms));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

const SLICE_MS = 2;

/** Keeps a long synchronous loop from holding the event loop: `await pause()` now and then. */
export class Pacer {
  private sliceEnd = performance.now() + SLICE_MS;

  get due(): boolean {
    return performance.now() >= this.sliceEnd;
  }

  async pause(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.sliceEnd = performance.now() + SLICE_MS;
  }
}
