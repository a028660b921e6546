/** `adaptive`: the best of several policies, found by simulating them beside the cache. Small caches are simulated in full, large ones in miniature. */
import { ImitatingPolicy } from './imitating.ts';
import { MiniaturePolicy } from './miniature.ts';
import type { EvictionPolicy } from './policy.ts';

/** Up to here the shadow caches have the size of the cache; their memory grows with it. */
const MAX_FULL_SLOTS = 32_768;
/** From there on they have this size, and their memory is fixed. */
const MINIATURE_ENTRIES = 8_192;

export function makeAdaptive(slotCount: number): EvictionPolicy & { readonly bytes: number } {
  return slotCount <= MAX_FULL_SLOTS ? new ImitatingPolicy(slotCount) : new MiniaturePolicy(slotCount, MINIATURE_ENTRIES);
}
