/** The errors of loads: made here, told apart here, and told once. */
import { ProfileCacheError } from '../errors.ts';
import type { LoadPolicy } from './load-policy.ts';

/** Turns that may end without a profile (their loader failed elsewhere, or was overtaken) before a load gives up. */
export const MAX_TURNS = 50;

/** The loader said that there is no profile, and that is to be remembered. */
export const isAbsence = (error: unknown, policy: LoadPolicy): boolean => policy.negativeMs > 0 && isNotFound(error);

/** For `catch`: of many wallets, one that has no profile is no failure. */
export function absentIsNothing(error: unknown): 'absent' {
  if (isNotFound(error)) return 'absent';
  throw error;
}

const isNotFound = (error: unknown): boolean => error instanceof ProfileCacheError && error.code === 'ERR_NOT_FOUND';

export function gaveUp(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOAD_TIMEOUT', `wallet ${JSON.stringify(wallet)}: ${MAX_TURNS} loads of it by others ended without a profile`, { wallet });
}

export function notLoaded(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOADER', `the loader gave no profile for wallet ${JSON.stringify(wallet)}; throw, return an object, or set load.negativeTtlSeconds`, { wallet });
}

export function notFound(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_NOT_FOUND', `the loader has no profile of wallet ${JSON.stringify(wallet)}; remembered for load.negativeTtlSeconds, or until the wallet is updated or invalidated`, { wallet, option: 'load.negativeTtlSeconds' });
}

export function timedOut(what: string, { hardTimeoutMs }: LoadPolicy, wallet?: string): ProfileCacheError {
  const wayOut = 'it goes on, and may still fill the cache; raise load.hardTimeoutMs, or keep expired profiles to fall back on (load.graceSeconds)';
  return new ProfileCacheError('ERR_LOAD_TIMEOUT', `${what}: the load took longer than ${hardTimeoutMs} ms; ${wayOut}`, { wallet, option: 'load.hardTimeoutMs' });
}

/** Failures that no caller hears of are told of elsewhere, each once, however many callers it had. */
export class Unheard {
  private readonly told = new WeakSet<object>();
  private readonly tell: (error: unknown) => void;

  constructor(tell: (error: unknown) => void) {
    this.tell = tell;
  }

  /** It was told of when it happened. */
  isTold(error: object): void {
    this.told.add(error);
  }

  report(error: unknown): void {
    if (typeof error === 'object' && error !== null) {
      if (this.told.has(error)) return;
      this.told.add(error);
    }
    this.tell(error);
  }
}
