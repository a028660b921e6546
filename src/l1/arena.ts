/**
 * The arena: record bytes in segments, as a log. New records are appended to the open segment; a record's bytes never
 * change in place. When segments run out, the one with the least live bytes is compacted: its live records are appended to another
 * segment and their slots pointed there, and it is free (the log-structured memory of RAMCloud: S. M. Rumble et al., FAST 2014).
 * What no longer fits into the segment being filled goes behind the last record of the fullest one that has room for it, so that
 * large records beside small ones leave no holes.
 *
 * By averaging, the segment with the least live bytes is no fuller than the arena; as long as `liveBytes` stays under
 * `usableBytes`, compaction copies a bounded number of bytes for each byte allocated, whatever the sizes and the order.
 * Compaction is paced: each allocation moves a share, so that no single write pays for a whole segment. Where records are so large
 * that they pack badly, a write copies no more than it is allowed to, and an entry is evicted instead.
 *
 * Owner only. The tables here are private to the owner; all that readers see is the records and the slots' offsets.
 */
import { HEADER, SLOT } from './layout.ts';
import { offsetOfRecord, recordSize, recordSlot } from './record.ts';
import type { Region } from './region.ts';
import { beginChange, endChange } from './seqlock.ts';

/** Segments that records cannot fill: the open one, the one compaction copies to, and one that is always free. */
const RESERVED_SEGMENTS = 3;
/** Live share of the other segments above which compaction would copy more than it frees. */
const MAX_LIVE_SHARE = 0.96;
/** A segment fuller than this is not worth compacting. */
const FULL_SHARE = 0.98;
/** Victims in a row that may yield next to nothing (records too large to pack) before an entry is evicted instead. */
const MAX_FRUITLESS_VICTIMS = 4;
/** Free segments below which each allocation does a share of compaction. */
const LOW_FREE_SEGMENTS = 3;
/** Bytes of a victim segment walked for each byte allocated while free segments are low. */
const PACE = 24;
/**
 * What one write may copy when room must be made at once: so many segments, or so many times its own bytes and those of what it evicts.
 * Four times is enough to gain room from records that pack well; for others it is better to evict.
 */
const COPY_SEGMENTS = 2;
const COPY_PACE = 4;
const MIN_STEP_BYTES = 16 * 1024;

export class Arena {
  readonly maxRecordBytes: number;
  /** Live bytes may not go above this. */
  readonly usableBytes: number;
  liveBytes = 0;
  /** Bytes that compaction has copied, for statistics. */
  movedBytes = 0;

  private readonly region: Region;
  private readonly live: Float64Array;
  private readonly filled: Float64Array;
  private readonly free: number[] = [];
  /** Segments that hold records and are neither open nor being filled by compaction. */
  private readonly sealed = new Set<number>();
  private open: number;
  private survivors: number;
  private victim = -1;
  private victimAt = 0;
  /** What the write under way may still copy. */
  private copyAllowanceBytes = 0;

  constructor(region: Region) {
    this.region = region;
    const { segmentCount, segmentBytes } = region;
    this.maxRecordBytes = segmentBytes;
    this.usableBytes = Math.floor((segmentCount - RESERVED_SEGMENTS) * segmentBytes * MAX_LIVE_SHARE);
    this.live = new Float64Array(segmentCount);
    this.filled = new Float64Array(segmentCount);
    for (let segment = segmentCount - 1; segment >= 2; segment--) this.free.push(segment);
    this.open = 0;
    this.survivors = 1;
  }

  /**
   * Room for a record of `bytes` (a multiple of RECORD_ALIGN_BYTES), as an offset in the region; or -1 when none can be made without
   * copying too much: the caller evicts an entry and asks again.
   * @param evictedBytes 0 when a write asks first; then the size of what it has evicted since it asked last.
   */
  allocate(bytes: number, evictedBytes = 0): number {
    if (evictedBytes === 0) this.copyAllowanceBytes = Math.max(COPY_SEGMENTS * this.region.segmentBytes, bytes * COPY_PACE);
    else this.copyAllowanceBytes += evictedBytes * COPY_PACE;
    if (this.free.length < LOW_FREE_SEGMENTS) this.compact(Math.max(MIN_STEP_BYTES, bytes * PACE));
    let segment = this.open;
    if (!this.hasRoom(segment, bytes)) {
      segment = this.fullestWithRoom(bytes);
      if (segment < 0) {
        if (!this.openNext()) return -1;
        segment = this.open;
      }
    }
    const at = this.append(segment, bytes);
    this.live[segment] += bytes;
    this.liveBytes += bytes;
    return at;
  }

  /** The record at `at` is no longer any slot's: its seq has changed already. */
  release(at: number, bytes: number): void {
    this.live[this.segmentOf(at)] -= bytes;
    this.liveBytes -= bytes;
  }

  /** Every slot is empty already. */
  reset(): void {
    const { segmentCount } = this.region;
    this.live.fill(0);
    this.filled.fill(0);
    this.sealed.clear();
    this.free.length = 0;
    for (let segment = segmentCount - 1; segment >= 2; segment--) this.free.push(segment);
    this.open = 0;
    this.survivors = 1;
    this.victim = -1;
    this.liveBytes = 0;
    this.fence();
  }

  /** For verification: what this arena believes of each segment. */
  segments(): { segment: number; start: number; filledBytes: number; liveBytes: number; free: boolean }[] {
    const free = new Set(this.free);
    return Array.from(this.live, (liveBytes, segment) => ({
      segment, start: this.startOf(segment), filledBytes: this.filled[segment], liveBytes, free: free.has(segment),
    }));
  }

  private openNext(): boolean {
    // One free segment is kept for compaction, or it could not go on.
    // Gain is counted against the most room seen: with records too large to pack, room can go down and up again for ever.
    let mostRoomBytes = this.roomBytes();
    for (let fruitless = 0; this.free.length < 2; ) {
      if (fruitless > MAX_FRUITLESS_VICTIMS || this.copyAllowanceBytes <= 0 || !this.compact(Infinity)) return false;
      const gained = this.roomBytes() - mostRoomBytes >= this.region.segmentBytes / 64;
      fruitless = gained ? 0 : fruitless + 1;
      if (gained) mostRoomBytes = this.roomBytes();
    }
    this.sealed.add(this.open);
    this.open = this.takeFree();
    return true;
  }

  private hasRoom(segment: number, bytes: number): boolean {
    return this.filled[segment] + bytes <= this.region.segmentBytes;
  }

  /** Among the sealed ones; -1 when none has room. What lies behind their last record was written by nobody since they were free. */
  private fullestWithRoom(bytes: number): number {
    let best = -1;
    for (const segment of this.sealed) {
      if (this.hasRoom(segment, bytes) && (best < 0 || this.filled[segment] > this.filled[best])) best = segment;
    }
    return best;
  }

  private roomBytes(): number {
    return (this.free.length + 1) * this.region.segmentBytes - this.filled[this.survivors];
  }

  private takeFree(): number {
    const segment = this.free.pop() as number;
    this.filled[segment] = 0;
    this.fence();
    return segment;
  }

  /**
   * Between the changes of seq that emptied a segment and the first byte written into it again stands a read-modify-write:
   * no store that follows may become visible before it.
   */
  private fence(): void {
    Atomics.add(this.region.i32, HEADER.reuseFence, 1);
  }

  private append(segment: number, bytes: number): number {
    const at = this.startOf(segment) + this.filled[segment];
    this.filled[segment] += bytes;
    return at;
  }

  /** Walks up to `budgetBytes` of a victim, as far as copying is allowed; false when there is no segment worth compacting. */
  private compact(budgetBytes: number): boolean {
    if (this.victim < 0 && !this.chooseVictim()) return false;
    const start = this.startOf(this.victim);
    const end = this.filled[this.victim];
    let walked = 0;
    while (this.victimAt < end && walked < budgetBytes && this.copyAllowanceBytes > 0 && this.live[this.victim] > 0) {
      const at = start + this.victimAt;
      const bytes = recordSize(this.region, at);
      if (this.isLive(at)) this.move(at, bytes);
      this.victimAt += bytes;
      walked += bytes;
    }
    if (this.victimAt < end && this.live[this.victim] > 0) return true;
    this.free.unshift(this.victim);
    this.victim = -1;
    return true;
  }

  private chooseVictim(): boolean {
    let best = -1;
    for (const segment of this.sealed) if (best < 0 || this.live[segment] < this.live[best]) best = segment;
    // A nearly full segment frees less than its records' slack: nothing would be gained.
    if (best < 0 || this.live[best] > this.region.segmentBytes * FULL_SHARE) return false;
    this.sealed.delete(best);
    this.victim = best;
    this.victimAt = 0;
    return true;
  }

  private isLive(at: number): boolean {
    const slot = recordSlot(this.region, at);
    return this.region.u32[this.slotWords(slot) + SLOT.offset] === offsetOfRecord(this.region, at);
  }

  private move(from: number, bytes: number): void {
    const { region } = this;
    let segment = this.survivors;
    if (!this.hasRoom(segment, bytes)) {
      segment = this.fullestWithRoom(bytes);
      if (segment < 0) {
        this.sealed.add(this.survivors);
        segment = this.survivors = this.takeFree();
      }
    }
    const to = this.append(segment, bytes);
    region.u8.copyWithin(to, from, from + bytes);
    const words = this.slotWords(recordSlot(region, from));
    beginChange(region.i32, words);
    Atomics.store(region.u32, words + SLOT.offset, offsetOfRecord(region, to));
    endChange(region.i32, words);
    this.live[segment] += bytes;
    this.live[this.victim] -= bytes;
    this.movedBytes += bytes;
    this.copyAllowanceBytes -= bytes;
  }

  private startOf = (segment: number) => this.region.arenaStart + segment * this.region.segmentBytes;
  private segmentOf = (at: number) => Math.floor((at - this.region.arenaStart) / this.region.segmentBytes);
  private slotWords = (slot: number) => this.region.slotsStart / 4 + slot * SLOT.words;
}
