/**
 * `adaptive`: of a few entries the one goes that is worth the least, by what has been learnt from the requests themselves. An entry's class is how
 * often it was used and how long before its last use the one before was; `reuse-curves.ts` knows what a class is worth at each age. No rule says that recency, or
 * frequency, or the middle of a loop counts: the curves come out so, or otherwise. A key that comes back while its ghost is known goes on where it was.
 *
 * Who goes: `candidates.ts`. Where bytes make entries go and not the number of slots, the worth is that of a byte.
 *
 * Where LRU would have done better it decides, for a time: `lru-regret.ts`. Not where bytes are the bound, for there LRU would hold another number of entries.
 *
 * A hit is written down, and looked at when something is next inserted or evicted: a hit costs one store. Of MAX_PENDING_HITS since the last miss all is
 * learnt, of the others only that they were used last: a cache that misses so seldom has little to learn.
 *
 * 9.5 bytes a slot (entry 4, ghosts 5.5), and what it learns and LRU's shadow: 43 to 241 KB.
 */
import * as ageBins from './age-bins.ts';
import { Candidates } from './candidates.ts';
import * as entryWord from './entry-word.ts';
import { LruRegret } from './lru-regret.ts';
import type { EvictionPolicy } from './policy.ts';
import { ReuseCurves } from './reuse-curves.ts';
import { SlotHashes, type KeptHashes } from './slot-hashes.ts';
import { UseGhosts } from './use-ghosts.ts';
import { ALL_ALIKE } from './worth-ranks.ts';

const { AGE_BITS, MAX_AGE } = ageBins;
const { CLASS_MASK, NEW, NO_CLASS, SIZES, SIZE_MASK, SIZE_SHIFT, USE_SHIFT } = entryWord;
const MAX_PENDING_HITS = 1_024;
/** While LRU decides. */
const EVICTIONS_A_DUEL = 4;
const GHOSTS_AN_ENTRY = 2.75;
/** Classes by number of uses: 1; 2; 3; 4 and 5; 6 to 9; 10 and more. Of 1, 1, 1, 2 and 4 uses in a class one leads on: by so many bits, which are 0 in its lot. */
const LOT_BITS = Uint8Array.of(0, 0, 0, 1, 2, 0);
const LAST_USES = LOT_BITS.length - 1;
/** Classes of gaps between the last two uses, two octaves each; the last begins at as many requests as there are entries. */
const GAP_CLASSES = 5;
const CLASSES = 1 + 5 * GAP_CLASSES;
/** Of each class: 0 to 5, its place in LOT_BITS. */
const USES_OF = Uint8Array.from({ length: CLASSES }, (_, of) => Math.ceil(of / GAP_CLASSES));
/** Who was used often will be used again: what a cold cache goes by, so that a scan in its first requests does not push out what is hot. */
const TRUST = Array.from({ length: CLASSES }, (_, of) => (of === 0 ? 0.5 : 1.3 + 0.4 * Math.floor((of - 1) / GAP_CLASSES)));
/** As many requests as there are entries are 4,096 ticks or more, where a tick is more than a request. */
const TICKS_AN_ENTRIES_OCTAVE = 12;

export class AdaptivePolicy implements EvictionPolicy {
  readonly name = 'adaptive';
  private readonly slotCount: number;
  private readonly curves: ReuseCurves;
  private readonly ghosts: UseGhosts;
  private readonly hashes: SlotHashes;
  private readonly entries: Int32Array;
  private readonly regret: LruRegret;
  /** Who was named last: when that slot is emptied it was evicted. */
  private named = -1;
  private residents = 0;
  /** Slots above were never used. */
  private slotsUsed = 0;
  private readonly candidates = new Candidates();
  private readonly oldCandidates = new Candidates();
  private untilDuel = 0;
  private readonly pending = new Int32Array(MAX_PENDING_HITS);
  private pendingHits = 0;
  /** A tick is 2 to this power requests. */
  private readonly tickShift: number;
  /** Class of a gap between two uses, by its octave in ticks. */
  private readonly gapClasses = new Uint8Array(AGE_BITS);
  private full = false;
  /** Requests so far: 32 bits with a sign, so that ages are small integers to the compiler. */
  private now: number;
  private random = 1;

  /** @param now for tests: where the count of requests begins. */
  constructor(slotCount: number, kept?: KeptHashes, now = 0) {
    this.now = now | 0;
    this.slotCount = slotCount;
    this.tickShift = Math.max(0, octaveOf(slotCount) - TICKS_AN_ENTRIES_OCTAVE);
    this.curves = new ReuseCurves(TRUST, slotCount);
    this.ghosts = new UseGhosts(GHOSTS_AN_ENTRY * slotCount);
    this.hashes = new SlotHashes(slotCount, kept);
    this.entries = new Int32Array(slotCount).fill(NO_CLASS);
    this.regret = new LruRegret(slotCount);
    this.fit(slotCount);
  }

  get bytes(): number {
    return this.entries.byteLength + this.candidates.bytes + this.oldCandidates.bytes + this.gapClasses.byteLength + this.pending.byteLength + this.hashes.bytes + this.curves.bytes + this.ghosts.bytes + this.regret.bytes;
  }

  inserted(slot: number, hash: number, bytes: number): void {
    if (this.pendingHits > 0) this.lookAtHits();
    this.hashes.inserted(slot, hash);
    this.residents++;
    if (slot >= this.slotsUsed) this.slotsUsed = slot + 1;
    const key = hash | 0;
    const tick = (this.now >>> this.tickShift) & MAX_AGE;
    const known = this.ghosts.take(key);
    // A ghost's last use was so long ago that its gap is of the last class, or nearly.
    const of = known === 0 ? NEW : this.classAfter(known - 1, GAP_CLASSES - 1);
    this.entries[slot] = (tick << USE_SHIFT) | (logOf(bytes) << SIZE_SHIFT) | of;
    if (this.regret.isBehind) this.regret.duels.asked(key);
    if (this.regret.follows(key)) this.regret.used(key, true);
    this.curves.used(key, of, tick);
    this.now = (this.now + 1) | 0;
  }

  touched(slot: number): void {
    const nth = this.pendingHits++;
    if (nth < MAX_PENDING_HITS) this.pending[nth] = slot;
    else this.entries[slot] = (this.entries[slot] & (SIZE_MASK | CLASS_MASK)) | (((this.now + nth) >>> this.tickShift) << USE_SHIFT);
  }

  resized(slot: number, bytes: number): void {
    this.entries[slot] = (this.entries[slot] & ~SIZE_MASK) | (logOf(bytes) << SIZE_SHIFT);
  }

  removed(slot: number): void {
    const hash = this.hashes.of(slot) | 0;
    this.ghosts.add(hash, USES_OF[this.entries[slot] & CLASS_MASK] + 1);
    if (this.regret.isBehind) this.regret.duels.left(hash);
    if (this.regret.follows(hash)) {
      if (slot === this.named) this.regret.evicted(hash);
      else this.regret.forget(hash);
    }
    this.named = -1;
    this.entries[slot] = NO_CLASS;
    this.residents--;
  }

  victim(): number {
    if (this.residents === 0) return -1;
    if (this.pendingHits > 0) this.lookAtHits();
    if (!this.full) this.measure();
    const byBytes = this.residents < this.slotCount;
    const least = this.regret.isBehind && !byBytes ? this.oldest() : this.look(this.candidates, this.curves.ranks, byBytes ? SIZE_MASK : 0);
    this.named = least >= 0 ? least : this.entries.findIndex((entry) => (entry & CLASS_MASK) !== NO_CLASS);
    return this.named;
  }

  reset(): void {
    this.curves.clear();
    this.ghosts.clear();
    this.regret.clear();
    this.named = -1;
    this.entries.fill(NO_CLASS);
    this.residents = 0;
    this.pendingHits = 0;
    this.full = false;
  }

  verify(resident: ReadonlySet<number>): void {
    if (this.residents !== resident.size) throw new Error(`${this.name}: counts ${this.residents} entries, ${resident.size} are resident`);
    for (let slot = 0; slot < this.slotCount; slot++) {
      const marked = (this.entries[slot] & CLASS_MASK) !== NO_CLASS;
      if (marked !== resident.has(slot)) throw new Error(`${this.name}: slot ${slot} is ${resident.has(slot) ? '' : 'not '}resident but marked otherwise`);
    }
  }

  /** LRU's choice, or nearly: whom LRU keeps, it keeps until its turn, so that a second look finds what the first has missed. At times it is compared with the policy's own. */
  private oldest(): number {
    this.look(this.oldCandidates, ALL_ALIKE, 0);
    const oldest = this.look(this.oldCandidates, ALL_ALIKE, 0);
    if (oldest >= 0 && --this.untilDuel <= 0) {
      this.untilDuel = EVICTIONS_A_DUEL;
      const own = this.look(this.candidates, this.curves.ranks, 0);
      if (own >= 0 && own !== oldest) this.regret.duels.fight(this.hashes.of(own) | 0, this.hashes.of(oldest) | 0);
    }
    return oldest;
  }

  private look(candidates: Candidates, ranks: Int32Array, sizeMask: number): number {
    return candidates.least(this.entries, this.slotsUsed, (((this.nextRandom() >>> 0) / 2 ** 32) * this.slotsUsed) | 0, ranks, (this.now >>> this.tickShift) & MAX_AGE, sizeMask);
  }

  /** The first eviction: how many entries there is room for is known from here on. */
  private measure(): void {
    this.full = true;
    this.fit(this.residents);
    this.curves.fit(this.residents);
  }

  private fit(entries: number): void {
    const last = Math.max(0, octaveOf(entries) - this.tickShift);
    for (let octave = 0; octave < AGE_BITS; octave++) this.gapClasses[octave] = Math.max(0, Math.min(GAP_CLASSES - 1, GAP_CLASSES - 1 + ((octave - last) >> 1)));
  }

  /** What was removed meanwhile is passed over, and what was hit again beyond those that wait. */
  private lookAtHits(): void {
    const { pending, pendingHits, entries, hashes, gapClasses, regret, curves, tickShift } = this;
    const first = this.now;
    const waiting = Math.min(pendingHits, MAX_PENDING_HITS);
    for (let at = 0; at < waiting; at++) {
      const slot = pending[at];
      const entry = entries[slot];
      const of = entry & CLASS_MASK;
      if (of === NO_CLASS) continue;
      const hash = hashes.of(slot) | 0;
      const tick = (((first + at) | 0) >>> tickShift) & MAX_AGE;
      const gap = (tick - (entry >>> USE_SHIFT)) & MAX_AGE;
      const next = this.classAfter(USES_OF[of], gapClasses[31 - Math.clz32(gap | 1)]);
      entries[slot] = (tick << USE_SHIFT) | (entry & SIZE_MASK) | next;
      if (regret.isBehind) regret.duels.asked(hash);
      if (regret.follows(hash)) regret.used(hash, false);
      curves.used(hash, next, tick);
    }
    this.pendingHits = 0;
    this.now = (first + pendingHits) | 0;
  }

  /** Class after one more use. */
  private classAfter(uses: number, gapClass: number): number {
    const bits = LOT_BITS[uses];
    const stays = bits === 0 ? uses === LAST_USES : this.nextRandom() >>> (32 - bits) !== 0;
    return 1 + (stays ? uses - 1 : uses) * GAP_CLASSES + gapClass;
  }

  /** Numerical Recipes' generator: its high bits are random enough for this. */
  private nextRandom(): number {
    return (this.random = (Math.imul(this.random, 1_664_525) + 1_013_904_223) | 0);
  }
}

const octaveOf = (requests: number): number => 31 - Math.clz32(requests | 1);
/** Quarters of an octave: a size to 10 %, in 7 bits. */
const logOf = (bytes: number): number => Math.min(SIZES, ageBins.binOf(bytes));
