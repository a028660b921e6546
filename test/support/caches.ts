/** Caches for tests: opened with defaults that suit a busy machine, closed and verified after each test. */
import { afterEach } from 'vitest';
import type { ProfileCacheOptions } from '../../src/options.ts';
import { ProfileCache } from '../../src/profile-cache.ts';
import { openRegion } from '../../src/l1/region.ts';
import { verifyShared } from '../../src/l1/verify.ts';

type Profile = Record<string, unknown>;

const opened: ProfileCache<Profile>[] = [];

/** Tests are about behaviour: a noisy machine must not turn an answer into a timeout. */
const PATIENT = { l2TimeoutMs: 5_000, connectTimeoutMs: 15_000 } satisfies ProfileCacheOptions;

export async function openCache(options: ProfileCacheOptions): Promise<ProfileCache<Profile>> {
  const cache = await ProfileCache.open<Profile>({ ...PATIENT, ...options });
  opened.push(cache);
  return cache;
}

/** Registers the check that every test of the file ends with: the region is whole, nothing is left open. */
export function closeCachesAfterEach(): void {
  afterEach(async () => {
    const caches = opened.splice(0);
    await Promise.all(caches.map((cache) => cache.close()));
    for (const cache of caches) verifyShared(openRegion(cache.handle.region));
  });
}

/** Polls until `condition` holds; throws what it was waiting for after `ms`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  const giveUp = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > giveUp) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
