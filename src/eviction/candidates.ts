/**
 * Who goes: of some entries, and of the least that were seen before, the one that is worth the least.
 *
 * Looked at are entries evenly spread over the slots, from a random one on. Slots are divided into lanes; of each lane the least is kept, and looked at again when next somebody has to go.
 */
import * as ageBins from './age-bins.ts';
import * as entryWord from './entry-word.ts';
import { MAX_RANK } from './worth-ranks.ts';

// Constants of this module: see `age-bins.ts`.
const { AGE_BITS, STRIDE } = ageBins;
const { CLASS_MASK, SIZE_SHIFT, USE_SHIFT } = entryWord;
const LANES = 4;
/** New ones in each lane: as many as are written out in `least`. */
const FRESH = 6;
const LOOKS = LANES * FRESH;
/** A quarter of an octave in size is as much as one in worth. */
const SIZE_RANK_SHIFT = AGE_BITS + 4 - SIZE_SHIFT;
/** A free slot is worth that and more. */
const NOBODY = MAX_RANK << AGE_BITS;

export class Candidates {
  private readonly lanes = new Int32Array(LANES);

  get bytes(): number {
    return this.lanes.byteLength;
  }

  /**
   * Of two that are worth the same the older one goes: until something is learnt that is LRU.
   *
   * Six times the same lines and not a loop: so the compiler sees that what it checked of the tables once holds on, and an eviction costs half. The whole is too long to be
   * compiled into who calls it, which leaves it room to take in `rankOf` each time.
   * @param ranks what keeping an entry is worth, by class and age
   * @param tick of now
   * @param sizeMask SIZE_MASK: what counts is the worth of a byte; 0: that of an entry
   * @param first where looking begins, chosen by chance below `slotsUsed`
   * @returns the slot, -1 when all that were looked at are free
   */
  least(entries: Int32Array, slotsUsed: number, first: number, ranks: Int32Array, tick: number, sizeMask: number): number {
    const { lanes } = this;
    /** Of now, above what else is in a word. */
    const now = (tick << USE_SHIFT) | (2 ** USE_SHIFT - 1);
    const step = Math.max(1, (slotsUsed / LOOKS) | 0);
    let slot = first;
    let best = -1;
    let bestRank = NOBODY;
    for (let lane = 0; lane < LANES; lane++) {
      let kept = lanes[lane];
      let least = rankOf(entries[kept], ranks, now, sizeMask);
      let rank = rankOf(entries[slot], ranks, now, sizeMask);
      if (rank < least) { kept = slot; least = rank; }
      slot += step;
      if (slot >= slotsUsed) slot -= slotsUsed;
      rank = rankOf(entries[slot], ranks, now, sizeMask);
      if (rank < least) { kept = slot; least = rank; }
      slot += step;
      if (slot >= slotsUsed) slot -= slotsUsed;
      rank = rankOf(entries[slot], ranks, now, sizeMask);
      if (rank < least) { kept = slot; least = rank; }
      slot += step;
      if (slot >= slotsUsed) slot -= slotsUsed;
      rank = rankOf(entries[slot], ranks, now, sizeMask);
      if (rank < least) { kept = slot; least = rank; }
      slot += step;
      if (slot >= slotsUsed) slot -= slotsUsed;
      rank = rankOf(entries[slot], ranks, now, sizeMask);
      if (rank < least) { kept = slot; least = rank; }
      slot += step;
      if (slot >= slotsUsed) slot -= slotsUsed;
      rank = rankOf(entries[slot], ranks, now, sizeMask);
      if (rank < least) { kept = slot; least = rank; }
      slot += step;
      if (slot >= slotsUsed) slot -= slotsUsed;
      lanes[lane] = kept;
      if (least < bestRank) { best = kept; bestRank = least; }
    }
    return best;
  }
}

/** `binOf` is written out: what is compiled in may not call for more. */
function rankOf(entry: number, ranks: Int32Array, now: number, sizeMask: number): number {
  const age = (now - entry) >>> USE_SHIFT;
  const shift = 29 - Math.clz32(age | 4);
  return (ranks[(entry & CLASS_MASK) * STRIDE + (shift << 2) + (age >>> shift)] - ((entry & sizeMask) << SIZE_RANK_SHIFT) - age) | 0;
}
