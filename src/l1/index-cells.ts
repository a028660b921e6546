/**
 * The index: from a key's hash to candidates among the slots. Open addressing with linear probing over u32 cells
 * (8 bits of the hash as a tag, slot + 1 in 24 bits; 0 = empty), at most half full.
 *
 * Removal shifts later cells of the run back (Knuth, TAOCP 3, 6.4, algorithm R), so there are no tombstones and runs stay short.
 * A reader may then pass the new place of an entry before it arrives and its old place after it has gone. `indexShift` in the
 * header tells: it is odd during a shift and changes with each one, and a reader that found nothing looks again if it changed.
 */
import { HEADER, SLOT } from './layout.ts';
import type { Region } from './region.ts';

const SLOT_BITS = 0xff_ffff;
const tagOf = (hash: number) => (hash >>> 24) << 24;

/** Where the run of `hash` starts. The tag takes the top bits, the position the low ones. */
const homeOf = (hash: number, mask: number) => hash & mask;

/**
 * Visits the slots whose cells carry the tag of `hash`, nearest first, until `matches` takes one.
 * @returns the slot taken, or -1.
 */
export function probe(region: Region, hash: number, matches: (slot: number) => boolean): number {
  const { u32 } = region;
  const cells = region.indexStart / 4;
  const mask = region.indexCells - 1;
  const tag = tagOf(hash) >>> 0;
  let at = homeOf(hash, mask);
  // Half of the cells are empty; the bound is for a region that someone has damaged.
  for (let step = 0; step <= mask; step++) {
    const cell = u32[cells + at];
    if (cell === 0) return -1;
    if ((cell & ~SLOT_BITS) >>> 0 === tag) {
      const slot = (cell & SLOT_BITS) - 1;
      if (matches(slot)) return slot;
    }
    at = (at + 1) & mask;
  }
  return -1;
}

/** Owner only. The slot must be readable before its cell is. */
export function insertCell(region: Region, hash: number, slot: number): void {
  const { i32 } = region;
  const cells = region.indexStart / 4;
  const mask = region.indexCells - 1;
  let at = homeOf(hash, mask);
  while (i32[cells + at] !== 0) at = (at + 1) & mask;
  Atomics.store(i32, cells + at, tagOf(hash) | (slot + 1));
}

/** Owner only. */
export function removeCell(region: Region, hash: number, slot: number): void {
  const { i32, u32 } = region;
  const cells = region.indexStart / 4;
  const mask = region.indexCells - 1;
  const wanted = (tagOf(hash) | (slot + 1)) | 0;
  let hole = homeOf(hash, mask);
  while (i32[cells + hole] !== wanted) {
    if (i32[cells + hole] === 0) throw new Error(`L1 index has no cell for slot ${slot}`);
    hole = (hole + 1) & mask;
  }
  Atomics.add(i32, HEADER.indexShift, 1);
  let at = hole;
  for (;;) {
    at = (at + 1) & mask;
    const cell = i32[cells + at];
    if (cell === 0) break;
    const slotOfCell = (cell & SLOT_BITS) - 1;
    const home = homeOf(u32[region.slotsStart / 4 + slotOfCell * SLOT.words + SLOT.hash], mask);
    // The cell may fill the hole unless its home lies behind the hole: (hole, at], cyclically.
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    // Copy forward first, clear later: an entry is never in no cell.
    Atomics.store(i32, cells + hole, cell);
    hole = at;
  }
  Atomics.store(i32, cells + hole, 0);
  Atomics.add(i32, HEADER.indexShift, 1);
}

/** Owner only. */
export function clearCells(region: Region): void {
  Atomics.add(region.i32, HEADER.indexShift, 1);
  region.u32.fill(0, region.indexStart / 4, region.indexStart / 4 + region.indexCells);
  Atomics.add(region.i32, HEADER.indexShift, 1);
}
