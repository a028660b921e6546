/** What `cache.handle` is: plain data that structured clone copies, with the region shared and not copied. */
import { ProfileCacheError } from './errors.ts';
import type { WalletPattern } from './l1/wallet-key.ts';
import type { LoadSettings } from './options.ts';

export interface CacheHandle {
  readonly kind: 'profilecache-handle';
  readonly region: SharedArrayBuffer;
  /** Name of the message channel to the owner. */
  readonly link: string;
  readonly settings: CacheSettings;
}

/** What every thread of a cache needs to know of its options. */
export interface CacheSettings {
  readonly nearProfiles: number;
  readonly maxBytes: number;
  readonly l2TtlSeconds: number;
  readonly l2TtlJitter: number;
  readonly l2TimeoutMs: number;
  readonly maxProfileBytes: number;
  readonly format: 'structured' | 'portable';
  readonly walletPattern: WalletPattern;
  readonly load: LoadSettings;
  /** False for `none:`. */
  readonly hasL2: boolean;
  /** Hash-tag buckets of L2's keys; 0 for none. */
  readonly buckets: number;
}

export function checkHandle(handle: unknown): CacheHandle {
  const candidate = handle as Partial<CacheHandle> | null | undefined;
  if (typeof candidate !== 'object' || candidate?.kind !== 'profilecache-handle' || typeof candidate.link !== 'string' || typeof candidate.settings !== 'object') {
    throw new ProfileCacheError('ERR_HANDLE', 'attach() takes what cache.handle of an open cache gave, posted to this thread by postMessage or workerData');
  }
  return candidate as CacheHandle;
}
