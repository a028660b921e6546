/**
 * The one store of a thread: opened when the thread starts, opened anew after a failure. A replacement thread that starts
 * while L2 is away must neither die of it (a crash loop) nor hammer: it answers with the error and tries again after a pause.
 */
import { ProfileCacheError } from '../errors.ts';
import type { L2Store } from '../l2/store.ts';
import type { Clock } from '../clock.ts';
import { asTyped } from './typed-error.ts';

/** Between two attempts to open. */
export const REOPEN_PAUSE_MS = 500;

export class StoreSlot {
  readonly #make: () => Promise<L2Store>;
  readonly #clock: Clock;
  #store: L2Store | undefined;
  #opening: Promise<L2Store> | undefined;
  #failure: { error: ProfileCacheError; atMs: number } | undefined;
  #closed = false;

  constructor(make: () => Promise<L2Store>, clock: Clock) {
    this.#make = make;
    this.#clock = clock;
  }

  get current(): L2Store | undefined {
    return this.#store;
  }

  /** Rejects typed. Waits no longer than `deadlineMs` (monotonic), while the attempt itself goes on for the next caller. */
  async get(deadlineMs: number): Promise<L2Store> {
    if (this.#store) return this.#store;
    if (this.#closed) throw new ProfileCacheError('ERR_CLOSED', 'the L2 store of this worker is closed');
    const failure = this.#failure;
    if (failure && !this.#opening && this.#clock.monotonicMs() - failure.atMs < REOPEN_PAUSE_MS) throw failure.error;
    this.#opening ??= this.#open();
    return this.#within(this.#opening, deadlineMs, failure?.error);
  }

  async #open(): Promise<L2Store> {
    let store: L2Store | undefined;
    try {
      store = await this.#make();
      await store.open();
      if (this.#closed) throw new ProfileCacheError('ERR_CLOSED', 'the L2 store of this worker was closed while it opened');
      this.#store = store;
      this.#failure = undefined;
      return store;
    } catch (error) {
      const typed = asTyped(error, 'ERR_L2_CONNECT');
      this.#failure = { error: typed, atMs: this.#clock.monotonicMs() };
      // The failed store may still hold sockets; that closing fails as well adds nothing to `typed`.
      await store?.close().catch(() => undefined);
      throw typed;
    } finally {
      this.#opening = undefined;
    }
  }

  #within(opening: Promise<L2Store>, deadlineMs: number, last: ProfileCacheError | undefined): Promise<L2Store> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(last ?? new ProfileCacheError('ERR_L2_UNAVAILABLE', 'this worker has only just started and is still connecting to L2')),
        Math.max(0, Math.min(deadlineMs - this.#clock.monotonicMs(), 0x7fffffff)),
      );
      opening.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    // An attempt under way sees `#closed` and cleans up after itself.
    await this.#opening?.catch(() => undefined);
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
  }
}
