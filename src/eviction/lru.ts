/**
 * Exact least-recently-used order, at one store a hit: a touch writes the time of a logical clock into the slot's stamp, and the order is
 * worked out only when somebody has to go.
 *
 * For that, the oldest few per cent of the slots are put into a queue, sorted by stamp. The next victim is the first of the queue whose
 * stamp is still the one it was queued with: whoever was touched since is younger than everybody in the queue, and whoever is not in
 * the queue was younger when it was made. So the answer is the exact one, and the queue is made anew when it is used up. Between
 * two makings each queued slot was touched or has left, so that the scan is paid for by those (16 sequential reads each, at the most).
 *
 * A linked list moves three entries in random places at every hit; this writes one.
 */
import type { EvictionPolicy } from './policy.ts';

/** A stamp is a small integer for the engine. After so many touches all stamps are dealt anew, in their order. */
const MAX_STAMP = 2 ** 31 - 2;
/** The queue is made of this share of the resident slots; a smaller one is made anew more often, a larger one takes longer to sort. */
const QUEUE_SHARE = 1 / 16;
const MIN_QUEUE = 64;
/** Stamps looked at to guess which one a share of all is older than. */
const SAMPLES = 256;
const NOBODY = -1;

export class LruPolicy implements EvictionPolicy {
  readonly name = 'lru';
  /** When the slot was touched last; 0 when it is empty. */
  private readonly stamps: Int32Array;
  private now = 0;
  private size = 0;
  /** Slots from here on have never been in use. */
  private slotsEnd = 0;

  private readonly queue: Int32Array;
  private readonly queueStamps: Int32Array;
  private readonly unsorted: Int32Array;
  private queueNext = 0;
  private queueEnd = 0;
  private readonly samples = new Int32Array(SAMPLES);
  private readonly maxStamp: number;

  /** @param maxStamp for tests: the clock starts again past it. */
  constructor(slotCount: number, maxStamp: number = MAX_STAMP) {
    this.maxStamp = maxStamp;
    this.stamps = new Int32Array(slotCount);
    const queueSlots = Math.min(slotCount, Math.max(MIN_QUEUE, Math.ceil(slotCount * QUEUE_SHARE)));
    this.queue = new Int32Array(queueSlots);
    this.queueStamps = new Int32Array(queueSlots);
    this.unsorted = new Int32Array(queueSlots);
  }

  get bytes(): number {
    return this.stamps.byteLength + this.queue.byteLength + this.queueStamps.byteLength + this.unsorted.byteLength;
  }

  inserted(slot: number): void {
    this.size++;
    if (slot >= this.slotsEnd) this.slotsEnd = slot + 1;
    this.touched(slot);
  }

  touched(slot: number): void {
    if (this.now >= this.maxStamp) this.dealStampsAnew();
    this.stamps[slot] = ++this.now;
  }

  removed(slot: number): void {
    this.size--;
    this.stamps[slot] = 0;
  }

  victim(): number {
    if (this.size === 0) return NOBODY;
    for (;;) {
      for (; this.queueNext < this.queueEnd; this.queueNext++) {
        const slot = this.queue[this.queueNext];
        if (this.stamps[slot] === this.queueStamps[this.queueNext]) return slot;
      }
      this.makeQueue();
    }
  }

  reset(): void {
    this.stamps.fill(0);
    this.now = this.size = this.slotsEnd = this.queueNext = this.queueEnd = 0;
  }

  verify(resident: ReadonlySet<number>): void {
    if (this.size !== resident.size) throw new Error(`lru: counts ${this.size} slots, ${resident.size} resident`);
    const seen = new Set<number>();
    for (let slot = 0; slot < this.stamps.length; slot++) {
      const stamp = this.stamps[slot];
      if ((stamp > 0) !== resident.has(slot)) throw new Error(`lru: slot ${slot} is ${stamp > 0 ? 'stamped but not resident' : 'resident without a stamp'}`);
      if (stamp > this.now || (stamp > 0 && seen.has(stamp))) throw new Error(`lru: slot ${slot} has a stamp of the future, or another's`);
      seen.add(stamp);
    }
    const queued = new Set(this.queue.subarray(this.queueNext, this.queueEnd));
    const newestQueued = this.queueNext < this.queueEnd ? this.queueStamps[this.queueEnd - 1] : 0;
    for (const slot of resident) {
      if (this.stamps[slot] <= newestQueued && !queued.has(slot)) throw new Error(`lru: slot ${slot} is old and was forgotten by the queue`);
    }
  }

  /** Puts the oldest slots into the queue: everybody whose stamp is not past a cutoff, so that nobody left out is older. At least one. */
  private makeQueue(): void {
    const { stamps, slotsEnd, queueStamps, unsorted } = this;
    let cutoff = this.guessCutoff();
    for (;;) {
      let found = 0;
      for (let slot = 0; slot < slotsEnd && found <= unsorted.length; slot++) {
        const stamp = stamps[slot];
        if (stamp > cutoff || stamp === 0) continue;
        if (found < unsorted.length) {
          unsorted[found] = slot;
          queueStamps[found] = stamp;
        }
        found++;
      }
      if (found <= unsorted.length) return this.sortQueue(found);
      // More than the queue holds: half of those seen so far are older than this.
      cutoff = queueStamps.sort()[queueStamps.length >> 1];
    }
  }

  private sortQueue(length: number): void {
    const { stamps, queue, queueStamps, unsorted } = this;
    const sorted = queueStamps.subarray(0, length).sort();
    for (let i = 0; i < length; i++) queue[placeOf(sorted, stamps[unsorted[i]])] = unsorted[i];
    this.queueNext = 0;
    this.queueEnd = length;
  }

  /** About half a queue of slots are older than this stamp, which is some resident slot's. */
  private guessCutoff(): number {
    const { stamps, slotsEnd, samples } = this;
    const step = Math.max(1, Math.floor(slotsEnd / SAMPLES));
    let taken = 0;
    for (let slot = this.now % step; slot < slotsEnd && taken < SAMPLES; slot += step) {
      if (stamps[slot] > 0) samples[taken++] = stamps[slot];
    }
    // So few residents in so many slots that none was met: begin with everybody.
    if (taken === 0) return this.now;
    const share = (this.queue.length / 2) / this.size;
    return samples.subarray(0, taken).sort()[Math.min(taken - 1, Math.floor(taken * share))];
  }

  /** The same order with the smallest stamps: once in two thousand million touches. */
  private dealStampsAnew(): void {
    const { stamps } = this;
    const sorted = stamps.filter((stamp) => stamp > 0).sort();
    for (let slot = 0; slot < this.slotsEnd; slot++) if (stamps[slot] > 0) stamps[slot] = placeOf(sorted, stamps[slot]) + 1;
    this.now = sorted.length;
    this.queueNext = this.queueEnd = 0;
  }
}

/** Where `stamp` stands in `sorted`; it is there. */
function placeOf(sorted: Int32Array, stamp: number): number {
  let low = 0;
  for (let high = sorted.length - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < stamp) low = middle + 1;
    else high = middle;
  }
  return low;
}
