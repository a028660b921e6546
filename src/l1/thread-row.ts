/**
 * A thread's row in the region: its counters and its access ring. The thread alone writes the counters and the ring;
 * any thread sums the counters; the owner drains the rings.
 */
import { COUNTERS } from '../stats/metrics.ts';
import { HEADER, METRIC_SLOTS, RING_ENTRIES, ROW, THREAD_ROWS } from './layout.ts';
import type { Region } from './region.ts';
import { RowClaim } from './row-claim.ts';

const RING_MASK = RING_ENTRIES - 1;
if (COUNTERS.length > METRIC_SLOTS) throw new Error('the thread row has too few places for the counters');

const rowStart = (region: Region, row: number) => region.rowsStart + row * ROW.bytes;

export class ThreadRow {
  readonly claimed: RowClaim;
  private f64: Float64Array;
  /** Ring position, then the ring. */
  private u32: Uint32Array;
  private position: number;

  private constructor(region: Region, claimed: RowClaim) {
    this.claimed = claimed;
    const start = rowStart(region, claimed.row);
    this.f64 = new Float64Array(region.buffer, start, METRIC_SLOTS);
    this.u32 = new Uint32Array(region.buffer, start + ROW.ringPosition, 1 + RING_ENTRIES);
    this.position = this.u32[0];
  }

  /** A row that was freed keeps its counts: the next thread goes on from them, so sums never lose anything. @throws ERR_OVERLOADED */
  static claim(region: Region): ThreadRow {
    return new ThreadRow(region, RowClaim.take(region));
  }

  get row(): number {
    return this.claimed.row;
  }

  /** What is still counted after this goes nowhere: the row may be another thread's by then. */
  free(): void {
    this.f64 = new Float64Array(METRIC_SLOTS);
    this.u32 = new Uint32Array(1 + RING_ENTRIES);
    this.claimed.free();
  }

  count(counter: number, by = 1): void {
    this.f64[counter] += by;
  }

  /** Tells the owner that `slot` was hit. Lossy: what is overwritten before the owner looks is forgotten. */
  pushHit(slot: number): void {
    const { u32, position } = this;
    u32[1 + (position & RING_MASK)] = slot + 1;
    u32[0] = this.position = (position + 1) >>> 0;
  }
}

export function sumCounters(region: Region, counter: number): number {
  let sum = 0;
  const rows = Atomics.load(region.i32, HEADER.rowsUsed);
  for (let row = 0; row < rows; row++) sum += region.f64[rowStart(region, row) / 8 + counter];
  return sum;
}

/** The owner's side of the rings: calls `touch` for every hit not yet seen, oldest first within each ring. */
export class RingDrain {
  private readonly region: Region;
  private readonly seen = new Uint32Array(THREAD_ROWS);

  constructor(region: Region) {
    this.region = region;
  }

  drain(touch: (slot: number) => void): void {
    const { region, seen } = this;
    const rows = region.u32[HEADER.rowsUsed];
    for (let row = 0; row < rows; row++) {
      const words = (rowStart(region, row) + ROW.ringPosition) / 4;
      const position = region.u32[words];
      let from = seen[row];
      if (position === from) continue;
      if (((position - from) >>> 0) > RING_ENTRIES) from = (position - RING_ENTRIES) >>> 0;
      for (; from !== position; from = (from + 1) >>> 0) {
        const slot = region.u32[words + 1 + (from & RING_MASK)];
        if (slot !== 0) touch(slot - 1);
      }
      seen[row] = position;
    }
  }
}
