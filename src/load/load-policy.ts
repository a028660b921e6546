/** What a call of getOrLoad wants: the cache's `load` options, and what the call sets for itself, in milliseconds and without gaps. */
import type { LoadSettings } from '../options.ts';

export interface LoadPolicy {
  /** Of what is loaded. Undefined: the cache's own life, jittered. */
  ttlSeconds: number | undefined;
  graceMs: number;
  revalidateMs: number;
  backoffMs: number;
  /** Infinity: patient. */
  softTimeoutMs: number;
  hardTimeoutMs: number;
  /** Share of its life that a profile must have left, or it is refreshed; 0: never. */
  eagerShareLeft: number;
  negativeMs: number;
}

export function policyOf(settings: LoadSettings, ttlSeconds: number | undefined): LoadPolicy {
  const { graceSeconds, staleWhileRevalidateSeconds, graceBackoffMs, softTimeoutMs, hardTimeoutMs, eagerRefreshThreshold, negativeTtlSeconds } = settings;
  return {
    ttlSeconds,
    graceMs: graceSeconds * 1000,
    revalidateMs: staleWhileRevalidateSeconds * 1000,
    backoffMs: graceBackoffMs,
    softTimeoutMs: softTimeoutMs ?? Infinity,
    hardTimeoutMs: hardTimeoutMs ?? Infinity,
    eagerShareLeft: eagerRefreshThreshold === undefined ? 0 : 1 - eagerRefreshThreshold,
    negativeMs: negativeTtlSeconds * 1000,
  };
}
