/**
 * `adaptive`: of a few entries the one goes that is worth the least, by what has been learnt from the requests themselves. An entry's class is how
 * often it was used and how long before its last use the one before was; `reuse-curves.ts` knows what a class is worth at each age. No rule says that recency, or
 * frequency, or the middle of a loop counts: the curves come out so, or otherwise. A key that comes back while its ghost is known goes on where it was.
 *
 * Who is looked at: both ends of each class's queue in order of last use, for worth mostly rises or falls with age, and some random entries, for it does not always.
 * Where bytes make entries go and not the number of slots, the worth is that of a byte, and only random entries are looked at.
 *
 * A hit is written down, and looked at when something is next inserted or evicted: a hit costs one store. Of MAX_PENDING_HITS since the last miss all is
 * learnt, of the others only that they were used last: a cache that misses so seldom has little to learn.
 *
 * 19 bytes a slot (queues 8, hash 4, last use 4, class 1, uses 1, size 1), 20 of ghosts, and 79 to 390 KB for the curves whatever the size.
 */
import type { EvictionPolicy } from './policy.ts';
import { ReuseCurves } from './reuse-curves.ts';
import { SlotQueues } from './slot-queues.ts';
import { UseGhosts } from './use-ghosts.ts';

const LANES = 16;
/** Lanes that an eviction looks at where it has the queues' ends besides. */
const LANES_BESIDE_ENDS = 8;
const MAX_PENDING_HITS = 1_024;
const GHOSTS_AN_ENTRY = 4;
const MAX_USES = 15;
/** Classes by number of uses: 1; 2; 3; 4 and 5; 6 to 9; 10 and more. */
const USES_CLASS = [0, 0, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5];
/** Classes of gaps between the last two uses, two octaves each; the last begins at as many requests as there are entries. */
const GAP_CLASSES = 5;
const CLASSES = 1 + 5 * GAP_CLASSES;
/** Who was used often will be used again: what a cold cache goes by, so that a scan in its first requests does not push out what is hot. */
const TRUST = Array.from({ length: CLASSES }, (_, of) => (of === 0 ? 0.5 : 1.3 + 0.4 * Math.floor((of - 1) / GAP_CLASSES)));
const MAX_AGE = 2 ** 31 - 1;
const NOT_RESIDENT = 255;
/** Flag beside the uses: hit since it was queued, and not looked at. */
const UNQUEUED = 16;
/** Of a class, how many such entries an eviction puts to the front at most. */
const MAX_REQUEUED = 8;

export class AdaptivePolicy implements EvictionPolicy {
  readonly name = 'adaptive';
  private readonly slotCount: number;
  private readonly curves: ReuseCurves;
  private readonly ghosts: UseGhosts;
  /** One for each class, the last used first. */
  private readonly queues: SlotQueues;
  private readonly hashes: Uint32Array;
  private readonly lastUse: Int32Array;
  /** NOT_RESIDENT where the slot is free. */
  private readonly classOf: Uint8Array;
  /** Number of uses, and UNQUEUED. */
  private readonly uses: Uint8Array;
  /** Logarithms, see `sizeOf`. */
  private readonly sizes: Uint8Array;
  private residents = 0;
  /** Slots above were never used. */
  private slotsUsed = 0;
  private readonly lanes = new Int32Array(LANES);
  private nextLane = 0;
  private readonly pending = new Int32Array(MAX_PENDING_HITS);
  private pendingHits = 0;
  private entriesOctave: number;
  private full = false;
  /** Requests so far: 32 bits with a sign, so that ages are small integers to the compiler. */
  private now: number;
  private random = 1;
  /** The best candidate of a `victim()` so far. */
  private least = -1;
  private leastWorth = 0;

  /** @param now for tests: where the count of requests begins. */
  constructor(slotCount: number, now = 0) {
    this.now = now | 0;
    this.slotCount = slotCount;
    this.curves = new ReuseCurves(TRUST, slotCount);
    this.ghosts = new UseGhosts(GHOSTS_AN_ENTRY * slotCount, Math.max(0, octaveOf(slotCount) - 5));
    this.queues = new SlotQueues(slotCount, CLASSES);
    this.hashes = new Uint32Array(slotCount);
    this.lastUse = new Int32Array(slotCount);
    this.classOf = new Uint8Array(slotCount).fill(NOT_RESIDENT);
    this.uses = new Uint8Array(slotCount);
    this.sizes = new Uint8Array(slotCount);
    this.entriesOctave = octaveOf(slotCount);
  }

  get bytes(): number {
    const parts = [this.hashes, this.lastUse, this.classOf, this.uses, this.sizes, this.lanes, this.pending];
    return parts.reduce((sum, part) => sum + part.byteLength, this.queues.bytes + this.curves.bytes + this.ghosts.bytes);
  }

  inserted(slot: number, hash: number, bytes: number): void {
    this.lookAtHits();
    this.hashes[slot] = hash;
    this.sizes[slot] = logOf(bytes);
    this.residents++;
    this.slotsUsed = Math.max(this.slotsUsed, slot + 1);
    this.use(slot, this.ghosts.take(hash, this.now), this.ghosts.gap);
    this.now = (this.now + 1) | 0;
  }

  touched(slot: number): void {
    const nth = this.pendingHits++;
    if (nth < MAX_PENDING_HITS) this.pending[nth] = slot;
    else {
      this.lastUse[slot] = (this.now + nth) | 0;
      this.uses[slot] |= UNQUEUED;
    }
  }

  resized(slot: number, bytes: number): void {
    this.sizes[slot] = logOf(bytes);
  }

  removed(slot: number): void {
    this.ghosts.add(this.hashes[slot], this.uses[slot] & MAX_USES, this.lastUse[slot], this.now);
    this.queues.unlink(this.classOf[slot], slot);
    this.classOf[slot] = NOT_RESIDENT;
    this.residents--;
  }

  victim(): number {
    if (this.residents === 0) return -1;
    this.lookAtHits();
    if (!this.full) this.measure();
    this.least = -1;
    const aByte = this.residents < this.slotCount;
    this.lookAtLanes(aByte ? LANES : LANES_BESIDE_ENDS, aByte);
    if (!aByte || this.least < 0) this.lookAtEnds();
    return this.least;
  }

  reset(): void {
    this.curves.clear();
    this.ghosts.clear();
    this.queues.clear();
    this.classOf.fill(NOT_RESIDENT);
    this.residents = 0;
    this.pendingHits = 0;
    this.full = false;
  }

  verify(resident: ReadonlySet<number>): void {
    this.queues.verify(this.name, resident);
    if (this.residents !== resident.size) throw new Error(`${this.name}: counts ${this.residents} entries, ${resident.size} are resident`);
    for (let slot = 0; slot < this.slotCount; slot++) {
      const marked = this.classOf[slot] !== NOT_RESIDENT;
      if (marked !== resident.has(slot)) throw new Error(`${this.name}: slot ${slot} is ${resident.has(slot) ? '' : 'not '}resident but marked otherwise`);
    }
    for (let of = 0; of < CLASSES; of++) {
      for (const slot of this.queues.slotsOf(of)) if (this.classOf[slot] !== of) throw new Error(`${this.name}: slot ${slot} is in the queue of class ${of} but of class ${this.classOf[slot]}`);
    }
  }

  /** Where worth rises or falls with age, the least of a class is the first or the last of its queue. */
  private lookAtEnds(): void {
    const { queues } = this;
    for (let of = 0; of < CLASSES; of++) {
      const size = queues.sizes[of];
      if (size === 0) continue;
      for (let tries = 0; tries < MAX_REQUEUED && this.uses[queues.last(of)] & UNQUEUED; tries++) this.requeue(of);
      const last = queues.last(of);
      this.consider(last, this.worthOf(last));
      if (size > 1) {
        const first = queues.first(of);
        this.consider(first, this.worthOf(first));
      }
    }
  }

  /** Hits that nobody looked at: the order of last use, made good at the one place where it counts. */
  private requeue(of: number): void {
    const slot = this.queues.last(of);
    this.uses[slot] &= MAX_USES;
    this.queues.moveFirst(of, slot);
  }

  /** Each lane keeps the least of the random entries that it has seen, while it is resident. */
  private lookAtLanes(count: number, aByte: boolean): void {
    const { lanes, slotsUsed } = this;
    for (let left = count; left > 0; left--) {
      const lane = this.nextLane;
      this.nextLane = (lane + 1) % LANES;
      // Numerical Recipes' generator: its high bits are random enough to choose candidates.
      this.random = (Math.imul(this.random, 1_664_525) + 1_013_904_223) >>> 0;
      const slot = Math.floor((this.random / 2 ** 32) * slotsUsed);
      const kept = lanes[lane];
      const worth = this.laneWorthOf(slot, aByte);
      const keptWorth = this.laneWorthOf(kept, aByte);
      const better = keptWorth < worth || (keptWorth === worth && this.ageOf(kept) > this.ageOf(slot)) ? kept : slot;
      lanes[lane] = better;
      if (this.classOf[better] !== NOT_RESIDENT) this.consider(better, Math.min(worth, keptWorth));
    }
  }

  private laneWorthOf(slot: number, aByte: boolean): number {
    if (this.classOf[slot] === NOT_RESIDENT) return Infinity;
    return aByte ? this.worthOf(slot) * A_BYTE[this.sizes[slot]] : this.worthOf(slot);
  }

  /** Of two of the same worth the older one goes: until something is learnt that is exact LRU. */
  private consider(slot: number, worth: number): void {
    if (this.least >= 0 && (worth > this.leastWorth || (worth === this.leastWorth && this.ageOf(slot) <= this.ageOf(this.least)))) return;
    this.least = slot;
    this.leastWorth = worth;
  }

  /** The first eviction: how many entries there is room for is known from here on. */
  private measure(): void {
    this.full = true;
    this.entriesOctave = octaveOf(this.residents);
    this.curves.fit(this.residents);
  }

  /** What was removed meanwhile is passed over, and what was hit again beyond those that wait. */
  private lookAtHits(): void {
    const { pending, pendingHits, classOf, lastUse, queues } = this;
    const first = this.now;
    this.pendingHits = 0;
    for (let nth = Math.min(pendingHits, MAX_PENDING_HITS), at = 0; at < nth; at++) {
      const slot = pending[at];
      this.now = (first + at) | 0;
      const gap = (this.now - lastUse[slot]) | 0;
      if (classOf[slot] === NOT_RESIDENT || gap < 0) continue;
      queues.unlink(classOf[slot], slot);
      this.use(slot, this.uses[slot] & MAX_USES, gap);
    }
    this.now = (first + pendingHits) | 0;
  }

  private use(slot: number, usesBefore: number, gap: number): void {
    const uses = Math.min(MAX_USES, usesBefore + 1);
    const gapClass = GAP_CLASSES - 1 + ((octaveOf(gap) - this.entriesOctave) >> 1);
    const of = uses === 1 ? 0 : 1 + (USES_CLASS[uses] - 1) * GAP_CLASSES + Math.max(0, Math.min(GAP_CLASSES - 1, gapClass));
    this.uses[slot] = uses;
    this.classOf[slot] = of;
    this.lastUse[slot] = this.now;
    this.queues.pushFirst(of, slot);
    this.curves.used(this.hashes[slot], of, this.now);
  }

  private ageOf(slot: number): number {
    return (this.now - this.lastUse[slot]) & MAX_AGE;
  }

  private worthOf(slot: number): number {
    return this.curves.worthOf(this.classOf[slot], this.ageOf(slot));
  }
}

const octaveOf = (requests: number): number => 31 - Math.clz32(requests | 1);
/** Eighths of an octave: a size to 5 %, in one byte. */
const logOf = (bytes: number): number => Math.min(255, Math.round(8 * Math.log2(Math.max(1, bytes))));
const A_BYTE = Float64Array.from({ length: 256 }, (_, log) => 2 ** (-log / 8));
