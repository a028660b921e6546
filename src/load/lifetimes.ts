/** How long what a call stores shall live, and what a call of getOrLoad wants of that: the cache's settings, and the call's own. */
import { ProfileCacheError } from '../errors.ts';
import type { CacheSettings } from '../handle.ts';
import { parseLoadCall, type LoadCallOptions } from '../options.ts';
import { policyOf, type LoadPolicy } from './load-policy.ts';

const MAX_TTL_SECONDS = 366 * 86_400;

export class Lifetimes {
  readonly #settings: CacheSettings;

  constructor(settings: CacheSettings) {
    this.#settings = settings;
  }

  /** @throws ERR_OPTION */
  ttlMs(ttlSeconds: number | undefined): number {
    const { l2TtlSeconds, l2TtlJitter } = this.#settings;
    // What a caller asks for in so many words is not jittered.
    if (ttlSeconds === undefined) return l2TtlSeconds * 1000 * (1 - Math.random() * l2TtlJitter);
    if (typeof ttlSeconds !== 'number' || !(ttlSeconds > 0) || ttlSeconds > MAX_TTL_SECONDS) {
      throw new ProfileCacheError('ERR_OPTION', `ttlSeconds: is a number above 0 and at most ${MAX_TTL_SECONDS}, not ${String(ttlSeconds)}`, { option: 'ttlSeconds' });
    }
    return Math.max(1, ttlSeconds * 1000);
  }

  /** Whether hits are refreshed ahead of their expiry. */
  isEager(options: LoadCallOptions | undefined): boolean {
    return (options?.eagerRefreshThreshold ?? this.#settings.load.eagerRefreshThreshold) !== undefined;
  }

  /** @throws ERR_OPTION */
  policy(options: (LoadCallOptions & { ttlSeconds?: number }) | undefined): LoadPolicy {
    const { load } = this.#settings;
    if (options === undefined) return policyOf(load, undefined);
    this.ttlMs(options.ttlSeconds);
    return policyOf(parseLoadCall(options, load), options.ttlSeconds);
  }
}
