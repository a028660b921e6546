/** A cache as the chaos rows open it: short deadlines, a small L1, and all that it says kept for the search for secrets. */
import { inspect } from 'node:util';
import { ProfileCache, type ProfileCacheOptions } from 'profilecache';
import type { ChaosProfile } from './chaos-oracle.ts';

/** With the turn of an event loop on top of it, a read must not take longer than 250 ms. A machine that is busy with other work needs more. */
export const L2_TIMEOUT_MS = Number(process.env.PROFILECACHE_CHAOS_TIMEOUT_MS ?? 200);
const L1_PROFILES = 60;

export type ChaosCache = ProfileCache<ChaosProfile>;

/** Everything that the product said, for the search for secrets; of texts that differ in numbers alone the first. */
export const said: string[] = [];
const shapes = new Set<string>();
const MAX_SAID = 20_000;

function hear(text: string): void {
  const shape = text.replace(/\d+/g, '#');
  if (shapes.has(shape) || said.length >= MAX_SAID) return;
  shapes.add(shape);
  said.push(text);
}

export async function openChaosCache(options: ProfileCacheOptions): Promise<ChaosCache> {
  const cache = await ProfileCache.open<ChaosProfile>({
    l1: { maxProfiles: L1_PROFILES, nearProfiles: L1_PROFILES }, l2TimeoutMs: L2_TIMEOUT_MS, connectTimeoutMs: 15_000, ...options,
  });
  for (const event of ['error', 'alert'] as const) cache.on(event, (error) => hear(`${event} ${inspect(error, { depth: 10, showHidden: true })}`));
  cache.on('l2Down', (cause) => hear(`l2Down ${inspect(cause, { depth: 10, showHidden: true })}`));
  cache.on('channelGap', (reason) => hear(`channelGap ${reason}`));
  return cache;
}
