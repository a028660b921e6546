/**
 * `adaptive`: of a few entries the one goes that is worth the least, by what has been learnt from the requests themselves. An entry's class is how
 * often it was used and how long before its last use the one before was; `reuse-curves.ts` knows what a class is worth at each age. No rule says that recency, or
 * frequency, or the middle of a loop counts: the curves come out so, or otherwise. A key that comes back while its ghost is known goes on where it was.
 *
 * Where bytes make entries go and not the number of slots, the worth is that of a byte.
 *
 * A hit is written down, and looked at when something is next inserted or evicted: a hit costs one store. Of MAX_PENDING_HITS since the last miss all is
 * learnt, of the others only that they were used last: a cache that misses so seldom has little to learn.
 *
 * 22 bytes a slot (hash 4, last use 4, class 1, uses 1, size 4, list of residents 8), ghosts 20 to 40, and 77 to 390 KB for the curves whatever the size.
 */
import type { EvictionPolicy } from './policy.ts';
import { ReuseCurves } from './reuse-curves.ts';
import { UseGhosts } from './use-ghosts.ts';

const LANES = 16;
const MAX_PENDING_HITS = 1_024;
const GHOSTS_AN_ENTRY = 4;
const MAX_USES = 15;
/** Classes by number of uses: 1; 2; 3; 4 and 5; 6 to 9; 10 and more. */
const USES_CLASS = [0, 0, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5];
/** Classes of gaps between the last two uses, two octaves each; the last begins at as many requests as there are entries. */
const GAP_CLASSES = 5;
const CLASSES = 1 + 5 * GAP_CLASSES;

export class AdaptivePolicy implements EvictionPolicy {
  readonly name = 'adaptive';
  private readonly slotCount: number;
  private readonly curves: ReuseCurves;
  private readonly ghosts: UseGhosts;
  private readonly hashes: Uint32Array;
  private readonly lastUse: Uint32Array;
  private readonly classOf: Uint8Array;
  private readonly uses: Uint8Array;
  private readonly sizes: Uint32Array;
  /** Resident slots without gaps, and where each is; -1 = not resident. */
  private readonly dense: Int32Array;
  private readonly placeOf: Int32Array;
  private residents = 0;
  private readonly lanes = new Int32Array(LANES);
  private readonly pending = new Int32Array(MAX_PENDING_HITS);
  private pendingHits = 0;
  private entriesOctave: number;
  private full = false;
  /** Requests so far; wraps at 2^32. */
  private now: number;
  private random = 1;

  /** @param now for tests: where the count of requests begins. */
  constructor(slotCount: number, now = 0) {
    this.now = now;
    this.slotCount = slotCount;
    this.curves = new ReuseCurves(CLASSES, slotCount);
    this.ghosts = new UseGhosts(GHOSTS_AN_ENTRY * slotCount, Math.max(0, octaveOf(slotCount) - 5));
    this.hashes = new Uint32Array(slotCount);
    this.lastUse = new Uint32Array(slotCount);
    this.classOf = new Uint8Array(slotCount);
    this.uses = new Uint8Array(slotCount);
    this.sizes = new Uint32Array(slotCount);
    this.dense = new Int32Array(slotCount);
    this.placeOf = new Int32Array(slotCount).fill(-1);
    this.entriesOctave = octaveOf(slotCount);
  }

  get bytes(): number {
    const parts = [this.hashes, this.lastUse, this.classOf, this.uses, this.sizes, this.dense, this.placeOf, this.lanes, this.pending];
    return parts.reduce((sum, part) => sum + part.byteLength, this.curves.bytes + this.ghosts.bytes);
  }

  inserted(slot: number, hash: number, bytes: number): void {
    this.lookAtHits();
    this.hashes[slot] = hash;
    this.sizes[slot] = Math.max(1, bytes);
    this.placeOf[slot] = this.residents;
    this.dense[this.residents++] = slot;
    this.uses[slot] = this.ghosts.take(hash, this.now);
    this.use(slot, this.ghosts.gap);
    this.now = (this.now + 1) >>> 0;
  }

  touched(slot: number): void {
    const nth = this.pendingHits++;
    if (nth < MAX_PENDING_HITS) this.pending[nth] = slot;
    else this.lastUse[slot] = this.now + nth;
  }

  resized(slot: number, bytes: number): void {
    this.sizes[slot] = Math.max(1, bytes);
  }

  removed(slot: number): void {
    this.ghosts.add(this.hashes[slot], this.uses[slot], this.lastUse[slot], this.now);
    const place = this.placeOf[slot];
    const last = this.dense[--this.residents];
    this.dense[place] = last;
    this.placeOf[last] = place;
    this.placeOf[slot] = -1;
  }

  victim(): number {
    if (this.residents === 0) return -1;
    this.lookAtHits();
    if (!this.full) this.measure();
    const aByte = this.residents < this.slotCount;
    return this.residents <= 2 * LANES ? this.leastOfAll(aByte) : this.leastOfLanes(aByte);
  }

  reset(): void {
    this.curves.clear();
    this.ghosts.clear();
    this.placeOf.fill(-1);
    this.residents = 0;
    this.pendingHits = 0;
    this.full = false;
  }

  verify(resident: ReadonlySet<number>): void {
    if (this.residents !== resident.size) throw new Error(`${this.name}: counts ${this.residents} entries, ${resident.size} are resident`);
    for (let slot = 0; slot < this.slotCount; slot++) {
      const place = this.placeOf[slot];
      if (place >= 0 !== resident.has(slot)) throw new Error(`${this.name}: slot ${slot} is ${resident.has(slot) ? '' : 'not '}resident but marked otherwise`);
      if (place >= 0 && (place >= this.residents || this.dense[place] !== slot)) throw new Error(`${this.name}: slot ${slot} is misplaced`);
    }
  }

  /** A small cache looks at every entry: until something is learnt it is exact LRU. */
  private leastOfAll(aByte: boolean): number {
    const { dense } = this;
    let victim = dense[0];
    let least = this.worthOf(victim, aByte);
    for (let place = 1; place < this.residents; place++) {
      const slot = dense[place];
      const worth = this.worthOf(slot, aByte);
      if (worth < least || (worth === least && this.ageOf(slot) > this.ageOf(victim))) {
        least = worth;
        victim = slot;
      }
    }
    return victim;
  }

  /** Each lane keeps the least of the random entries that it has seen, while it is resident; the least of all lanes goes. */
  private leastOfLanes(aByte: boolean): number {
    const { dense, residents, lanes, placeOf } = this;
    let victim = lanes[0];
    let least = Infinity;
    for (let lane = 0; lane < LANES; lane++) {
      // Numerical Recipes' generator: its high bits are random enough to choose candidates.
      this.random = (Math.imul(this.random, 1_664_525) + 1_013_904_223) >>> 0;
      let slot = dense[Math.floor((this.random / 2 ** 32) * residents)];
      let worth = this.worthOf(slot, aByte);
      const kept = lanes[lane];
      if (placeOf[kept] >= 0 && kept !== slot) {
        const keptWorth = this.worthOf(kept, aByte);
        if (keptWorth < worth || (keptWorth === worth && this.ageOf(kept) > this.ageOf(slot))) {
          slot = kept;
          worth = keptWorth;
        }
      }
      lanes[lane] = slot;
      if (worth < least || (worth === least && this.ageOf(slot) > this.ageOf(victim))) {
        least = worth;
        victim = slot;
      }
    }
    return victim;
  }

  /** The first eviction: how many entries there is room for is known from here on. */
  private measure(): void {
    this.full = true;
    this.entriesOctave = octaveOf(this.residents);
    this.curves.fit(this.residents);
  }

  /** What was removed meanwhile is passed over, and what was hit again beyond those that wait. */
  private lookAtHits(): void {
    const { pending, pendingHits, placeOf, lastUse } = this;
    const first = this.now;
    this.pendingHits = 0;
    for (let nth = Math.min(pendingHits, MAX_PENDING_HITS), at = 0; at < nth; at++) {
      const slot = pending[at];
      this.now = (first + at) >>> 0;
      const gap = (this.now - lastUse[slot]) >>> 0;
      if (placeOf[slot] >= 0 && gap < 2 ** 31) this.use(slot, gap);
    }
    this.now = (first + pendingHits) >>> 0;
  }

  private use(slot: number, gap: number): void {
    const uses = Math.min(MAX_USES, this.uses[slot] + 1);
    const gapClass = GAP_CLASSES - 1 + ((octaveOf(gap) - this.entriesOctave) >> 1);
    this.uses[slot] = uses;
    this.classOf[slot] = uses === 1 ? 0 : 1 + (USES_CLASS[uses] - 1) * GAP_CLASSES + Math.max(0, Math.min(GAP_CLASSES - 1, gapClass));
    this.lastUse[slot] = this.now;
    this.curves.used(this.hashes[slot], this.classOf[slot], this.now);
  }

  private ageOf(slot: number): number {
    return (this.now - this.lastUse[slot]) >>> 0;
  }

  private worthOf(slot: number, aByte: boolean): number {
    const worth = this.curves.worthOf(this.classOf[slot], this.ageOf(slot));
    return aByte ? worth / this.sizes[slot] : worth;
  }
}

const octaveOf = (requests: number): number => 31 - Math.clz32(requests | 1);
