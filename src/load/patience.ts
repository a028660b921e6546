/**
 * How long one caller waits for a load, and what is served in its place. The load itself knows nothing of it: it goes on for its other
 * callers, and fills the cache when it is done. (Soft and hard timeouts as FusionCache has them, "Factory Timeouts".)
 *
 * What is served in a load's place is taken from L1 at the moment it is served, never kept from before: an update or an invalidation
 * that came while the caller waited has taken it away.
 */
import type { ErrorCode } from '../errors.ts';
import { ProfileCacheError } from '../errors.ts';
import type { LoadPolicy } from './load-policy.ts';

/** Why an expired profile was served: it is being refreshed, its load is slow, its load failed. */
export type StaleReason = 'revalidating' | 'slow' | 'failed';

export interface Instead<T> {
  /** What expired less than `withinMs` ago, if all of it is there. */
  stale(withinMs: number, reason: StaleReason): T | undefined;
  /** After `hardTimeoutMs` with nothing. */
  timedOut(): ProfileCacheError;
  /** The load failed, and the caller was given something else: nobody else hears of it. */
  unheard(error: unknown): void;
}

/** These say what is, and are no failure of a loader. */
const ANSWERS: readonly ErrorCode[] = ['ERR_NOT_FOUND', 'ERR_CLOSED', 'ERR_WALLET', 'ERR_OPTION'];

/** `work` calls `begun` once it is known that the profile has to be loaded. */
export function patiently<T>(work: (begun: () => void) => Promise<T>, policy: LoadPolicy, instead: Instead<T>): Promise<T> {
  const { graceMs, revalidateMs, softTimeoutMs, hardTimeoutMs } = policy;
  if (graceMs === 0 && hardTimeoutMs === Infinity) return work(() => {});
  return new Promise<T>((resolve, reject) => {
    let waiting = true;
    const timers: NodeJS.Timeout[] = [];
    const leave = () => {
      waiting = false;
      for (const timer of timers) clearTimeout(timer);
    };
    const serve = (withinMs: number, reason: StaleReason): boolean => {
      const stale = waiting && withinMs > 0 ? instead.stale(withinMs, reason) : undefined;
      if (stale === undefined) return false;
      leave();
      resolve(stale);
      return true;
    };
    if (softTimeoutMs !== Infinity && graceMs > 0) timers.push(setTimeout(() => serve(graceMs, 'slow'), softTimeoutMs));
    if (hardTimeoutMs !== Infinity) {
      timers.push(setTimeout(() => {
        if (serve(graceMs, 'slow') || !waiting) return;
        leave();
        reject(instead.timedOut());
      }, hardTimeoutMs));
    }
    work(() => void serve(revalidateMs, 'revalidating')).then(
      (loaded) => {
        leave();
        resolve(loaded);
      },
      (error: unknown) => {
        const answers = error instanceof ProfileCacheError && ANSWERS.includes(error.code);
        if (!waiting || (!answers && serve(graceMs, 'failed'))) return instead.unheard(error);
        leave();
        reject(error);
      },
    );
  });
}
