/**
 * Which slots are empty: those emptied last are a chain through their own hash words, behind it stand those that were never used.
 * Owner only.
 */
import { SLOT } from './layout.ts';
import type { Region } from './region.ts';

export class SlotChain {
  private readonly region: Region;
  private first = -1;
  private neverUsed = 0;
  /** Slots taken and not given back. */
  used = 0;

  constructor(region: Region) {
    this.region = region;
  }

  /** Low slots first, so that a cache that is not full stays dense. */
  take(): number {
    this.used++;
    const slot = this.first;
    if (slot < 0) return this.neverUsed++;
    this.first = this.region.u32[this.hashWord(slot)] - 1;
    return slot;
  }

  give(slot: number): void {
    this.used--;
    this.region.u32[this.hashWord(slot)] = this.first + 1;
    this.first = slot;
  }

  reset(): void {
    this.first = -1;
    this.neverUsed = this.used = 0;
  }

  /** The chain and the number of those never used, for verification. */
  empty(): { chain: number[]; neverUsed: number } {
    const { slotCount, u32 } = this.region;
    const chain: number[] = [];
    for (let slot = this.first; slot >= 0 && chain.length <= slotCount; slot = u32[this.hashWord(slot)] - 1) chain.push(slot);
    return { chain, neverUsed: slotCount - this.neverUsed };
  }

  private hashWord = (slot: number) => this.region.slotsStart / 4 + slot * SLOT.words + SLOT.hash;
}
