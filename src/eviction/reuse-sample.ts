/**
 * Keys chosen by hash, followed whether the cache holds them or not: so it is learnt from what was evicted too early, or rightly. Each is counted in every bin of ages that it reaches,
 * and in the `hits` of the bin in which it is used again, in the counts of the class that it was in.
 *
 *   buckets of WAYS │ tag of the hash u16 │ and apart from it: last use 20 bits, bin reached 7 bits, class 5 bits, NO_CLASS = empty │
 *
 * Two keys are taken for one with a chance of WAYS / 65,536 a look-up: 0.01 %.
 */
import * as ageBins from './age-bins.ts';
import * as entryWord from './entry-word.ts';

const { MAX_AGE, STRIDE, binOf } = ageBins;
const { NEW, NO_CLASS } = entryWord;
const WAYS = 8;
const CLASS_SHIFT = 27;
const REACHED_SHIFT = 20;
const REACHED = 127;
const EMPTY = NO_CLASS << CLASS_SHIFT;
/** Room: a small cache has as much as it wants, a large one as much as walking it may cost. */
const MIN_ROOM = 1_024;
const SMALL_ROOM = 16_384;
const MAX_ROOM = 32_768;
const ROOM_AN_ENTRY = 16;
const LARGE_ROOM_AN_ENTRY = 3;
/** So many keys for each entry of the cache are followed, or all, if they fit. */
const KEYS_AN_ENTRY = 8;
/** So full it may become: buckets fill by chance. */
const FILL = 0.8;
/** Odd, so that it is a permutation: the bits that choose the sample are not those that choose a bucket. */
const CHOICE_FACTOR = 0x9e3779b1;

export class ReuseSample {
  readonly room: number;
  /** By class and bin. How many reached a bin, as differences: of a stretch of bins that was passed only both ends are written. */
  readonly begun: Float32Array;
  readonly hits: Float32Array;
  /** Of the class NEW: hits to be expected of one entry before each bin, and since some time those that were to be expected and those that came. */
  readonly newChances = new Float64Array(STRIDE);
  newExpected = 0;
  newHits = 0;
  private readonly tags: Uint16Array;
  private readonly words: Int32Array;
  /** Hashes up to it, once permuted, are followed: of 31 bits, which are compared as small integers. */
  private followedUpTo = 0;
  private walked = 0;

  constructor(classes: number, entries: number) {
    const room = Math.min(ROOM_AN_ENTRY * entries, Math.max(SMALL_ROOM, LARGE_ROOM_AN_ENTRY * entries), MAX_ROOM);
    this.room = 2 ** Math.ceil(Math.log2(Math.max(MIN_ROOM, room)));
    this.begun = new Float32Array(classes * STRIDE);
    this.hits = new Float32Array(classes * STRIDE);
    this.tags = new Uint16Array(this.room);
    this.words = new Int32Array(this.room).fill(EMPTY);
    this.fit(entries);
  }

  get bytes(): number {
    return [this.begun, this.hits, this.newChances, this.tags, this.words].reduce((sum, part) => sum + part.byteLength, 0);
  }

  /** The cache holds so many entries, or about. */
  fit(entries: number): void {
    this.followedUpTo = Math.floor(Math.min(1, (FILL * this.room) / (KEYS_AN_ENTRY * entries)) * (2 ** 31 - 1));
  }

  follows(hash: number): boolean {
    return Math.imul(hash, CHOICE_FACTOR) >>> 1 <= this.followedUpTo;
  }

  clear(): void {
    this.begun.fill(0);
    this.hits.fill(0);
    this.newChances.fill(0);
    this.newExpected = 0;
    this.newHits = 0;
    this.words.fill(EMPTY);
    this.walked = 0;
  }

  /**
   * A key that is followed was used, and is of this class from here on. In a full bucket it takes the place of the one used longest ago.
   * @param tick 20 bits, as everywhere here
   */
  used(hash: number, entryClass: number, tick: number): void {
    const { tags, words } = this;
    const start = ((hash ^ (hash >>> 15)) & (this.room / WAYS - 1)) * WAYS;
    const tag = hash >>> 16;
    let place = start;
    for (const end = start + WAYS; place < end; place++) if (tags[place] === tag && words[place] >>> CLASS_SHIFT !== NO_CLASS) break;
    if (place < start + WAYS) {
      const of = words[place] >>> CLASS_SHIFT;
      this.hits[of * STRIDE + this.reach(place, tick)]++;
      if (of === NEW) this.newHits++;
    } else {
      place = this.placeIn(start, tick);
      tags[place] = tag;
    }
    words[place] = (entryClass << CLASS_SHIFT) | tick;
  }

  /** Who is not used again is counted by walking the sample, so many places at a time. */
  walk(tick: number, places: number): void {
    const { words, room } = this;
    let at = this.walked;
    for (let left = places; left > 0; left--) {
      if (words[at] >>> CLASS_SHIFT !== NO_CLASS) this.reach(at, tick);
      at = (at + 1) & (room - 1);
    }
    this.walked = at;
  }

  private placeIn(start: number, tick: number): number {
    const { words } = this;
    let place = start;
    let oldest = -1;
    for (let at = start; at < start + WAYS; at++) {
      const word = words[at];
      if (word >>> CLASS_SHIFT === NO_CLASS) return at;
      const age = (tick - (word & MAX_AGE)) & MAX_AGE;
      if (age > oldest) {
        oldest = age;
        place = at;
      }
    }
    return place;
  }

  /** Counts the bins that the entry has come to since the last time. @returns the last of them */
  private reach(place: number, tick: number): number {
    const word = this.words[place];
    const bin = binOf((tick - (word & MAX_AGE)) & MAX_AGE);
    const from = (word >>> REACHED_SHIFT) & REACHED;
    if (bin >= from) {
      const { begun } = this;
      const of = word >>> CLASS_SHIFT;
      begun[of * STRIDE + from]++;
      begun[of * STRIDE + bin + 1]--;
      if (of === NEW) this.newExpected += this.newChances[bin + 1] - this.newChances[from];
      this.words[place] = (word & ~(REACHED << REACHED_SHIFT)) | ((bin + 1) << REACHED_SHIFT);
    }
    return bin;
  }
}
