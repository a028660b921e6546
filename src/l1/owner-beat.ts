/**
 * When the owner's event loop last turned, for threads that wonder whether the whole process stood still. It says nothing about life and
 * death (row-claim.ts does): an owner that is merely busy is late too, and its L1 is read on.
 */
import { HEADER } from './layout.ts';
import type { Region } from './region.ts';

export function beat(region: Region, nowMs: number): void {
  Atomics.store(region.u32, HEADER.ownerBeatMs, Math.floor(nowMs) % 2 ** 32);
}

/** Good for 49 days of silence. */
export function ownerQuietMs(region: Region, nowMs: number): number {
  return (Math.floor(nowMs) - Atomics.load(region.u32, HEADER.ownerBeatMs)) >>> 0;
}
