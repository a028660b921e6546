/**
 * Entries that L1 holds and nobody may read, because a change of them may have been missed: one bit of the slot's version. A near copy of it falls with the
 * bit, which is part of what it compares, and stands again without it. A put or a removal takes the bit away with the content. Owner only.
 */
import { SLOT, SUSPECT } from './layout.ts';
import { versionWord } from './reader.ts';
import type { Region } from './region.ts';

export class Suspects {
  private readonly region: Region;
  private readonly onSlotChange: (slot: number) => void;

  constructor(region: Region, onSlotChange: (slot: number) => void) {
    this.region = region;
    this.onSlotChange = onSlotChange;
  }

  /** From here on every entry reads as a miss, near copies included, until it is confirmed, replaced or removed. */
  addAll(): void {
    const { u32, slotCount, slotsStart } = this.region;
    for (let slot = 0; slot < slotCount; slot++) if (u32[slotsStart / 4 + slot * SLOT.words + SLOT.offset] !== 0) this.add(slot);
  }

  add(slot: number): void {
    const at = versionWord(this.region, slot);
    Atomics.store(this.region.u32, at, (this.region.u32[at] | SUSPECT) >>> 0);
    this.onSlotChange(slot);
  }

  has(slot: number): boolean {
    return this.region.u32[versionWord(this.region, slot)] >= SUSPECT;
  }

  /** The entry is as good as before; so are the near copies of it that are left. */
  confirm(slot: number): void {
    const at = versionWord(this.region, slot);
    Atomics.store(this.region.u32, at, this.region.u32[at] & ~SUSPECT);
  }
}
