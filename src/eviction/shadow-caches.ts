/**
 * Caches of hashes alone, one for each setting of the knobs, all fed with the same requests: what each would have missed tells which
 * setting suits (C. Waldspurger, T. Saemundsson, I. Ahmad, N. Park, "Cache Modeling and Optimization using Miniature Simulations",
 * USENIX ATC 2017). A hash that any of them holds is one record, found by one look-up for all; the record's number is its slot in each.
 *
 *   index    open addressing, record + 1; 0 = empty
 *   record   hash u32 │ tag i32 (the caller's) │ bytes u32 │ held u32: bit e = cache e holds it
 *
 * Caches of one capacity hold much the same: there are RECORDS_AN_ENTRY records for each entry of capacity, and a newcomer that finds none
 * free makes every cache give up an entry early. A record takes 16 bytes, 8 to 16 of index, and 9 in each cache (28 in that which looks at sizes).
 */
import { FrequencySketch } from './frequency-sketch.ts';
import { GdsfPolicy } from './gdsf.ts';
import type { EvictionPolicy } from './policy.ts';
import { TunableQueues, type Knobs } from './tunable.ts';

/** What one of the caches runs: knobs, or the policy that looks at sizes. */
export type Setting = Knobs | 'by size';
type ShadowCache = EvictionPolicy & { readonly residents: number; readonly ownBytes: number };

const RECORDS_AN_ENTRY = 3;

export class ShadowCaches {
  /** Misses of each cache; whoever compares them lets them decay. */
  readonly misses: Float64Array;
  readonly maxEntries: number;
  private entries: number;
  private readonly caches: ShadowCache[];
  /** Only the first so many are fed. */
  private active: number;
  private maxBytes = Infinity;
  private readonly usedBytes: Float64Array;
  private readonly sizes: Uint32Array;
  private readonly sketch: FrequencySketch;
  private readonly hashes: Uint32Array;
  private readonly tags: Int32Array;
  private readonly held: Uint32Array;
  private readonly index: Int32Array;
  private readonly indexMask: number;
  private readonly free: Int32Array;
  private freeCount = 0;
  /** Tags of what the followed cache gave up, oldest first; a ring that forgets the oldest. */
  private readonly givenUp: Int32Array;
  private givenFrom = 0;
  private givenTo = 0;
  private followed = -1;

  constructor(maxEntries: number, settings: readonly Setting[]) {
    const records = Math.min(settings.length, RECORDS_AN_ENTRY) * maxEntries + 1;
    this.maxEntries = maxEntries;
    this.entries = maxEntries;
    this.misses = new Float64Array(settings.length);
    this.sketch = new FrequencySketch(maxEntries);
    this.hashes = new Uint32Array(records);
    this.tags = new Int32Array(records);
    this.held = new Uint32Array(records);
    const shared = { hashes: this.hashes, sketch: this.sketch };
    this.sizes = new Uint32Array(records);
    this.usedBytes = new Float64Array(settings.length);
    this.active = settings.length;
    this.caches = settings.map((setting) => (setting === 'by size' ? new GdsfPolicy(records) : new TunableQueues(records, setting, { ghostEntries: setting.ghosts * maxEntries, shared })));
    this.index = new Int32Array(2 ** Math.ceil(Math.log2(records * 2)));
    this.indexMask = this.index.length - 1;
    this.free = new Int32Array(records);
    this.givenUp = new Int32Array(2 ** Math.ceil(Math.log2(maxEntries + 1)));
    this.clear();
  }

  /** One request. `tag` is the caller's name for what holds the hash. */
  access(hash: number, tag: number, bytes: number): void {
    const { caches, held, misses, usedBytes, active, maxBytes } = this;
    this.sketch.add(hash);
    let record = this.find(hash);
    if (record < 0) record = this.add(hash, bytes);
    this.tags[record] = tag;
    const mask = held[record];
    const size = this.sizes[record];
    for (let at = 0; at < active; at++) {
      const cache = caches[at];
      if (mask & (1 << at)) {
        cache.touched(record);
        continue;
      }
      misses[at]++;
      while (cache.residents >= this.entries || (usedBytes[at] + size > maxBytes && cache.residents > 0)) this.evict(at);
      cache.inserted(record, hash, size);
      usedBytes[at] += size;
      held[record] |= 1 << at;
    }
  }

  /** From now on only the first `count` caches are fed; the others forget what they hold. */
  keepOnly(count: number): void {
    for (let at = count; at < this.active; at++) {
      while (this.caches[at].residents > 0) this.evict(at);
      this.misses[at] = Infinity;
    }
    this.active = count;
  }

  /** From now on `takeGivenUp` tells what cache `at` gives up. */
  follow(at: number): void {
    this.followed = at;
    this.givenFrom = this.givenTo;
  }

  /** Adds to what `takeGivenUp` tells. */
  giveUp(tag: number): void {
    this.givenUp[this.givenTo++ & (this.givenUp.length - 1)] = tag;
    if (this.givenTo - this.givenFrom > this.givenUp.length) this.givenFrom = this.givenTo - this.givenUp.length;
  }

  /** The tag of what the followed cache gave up longest ago and has not been asked for; -1 when there is none. */
  takeGivenUp(): number {
    return this.givenFrom === this.givenTo ? -1 : this.givenUp[this.givenFrom++ & (this.givenUp.length - 1)];
  }

  /** Whether cache `at` holds `hash`. */
  holds(at: number, hash: number): boolean {
    const record = this.find(hash);
    return record >= 0 && (this.held[record] & (1 << at)) !== 0;
  }

  /** The record that cache `at` would give up next; -1 when it is empty. */
  nextVictim(at: number): number {
    return this.caches[at].victim();
  }

  hashOf(record: number): number {
    return this.hashes[record];
  }

  tagOf(record: number): number {
    return this.tags[record];
  }

  /** How many entries each cache may hold. */
  get size(): number {
    return this.entries;
  }

  /** How many entries, and bytes, each cache holds from now on: 1 to `maxEntries`, any number of bytes. */
  resize(entries: number, bytes = Infinity): void {
    this.entries = Math.max(1, Math.min(this.maxEntries, entries));
    this.maxBytes = bytes;
    for (let at = 0; at < this.active; at++) {
      while (this.caches[at].residents > this.entries || (this.usedBytes[at] > bytes && this.caches[at].residents > 1)) this.evict(at);
    }
  }

  /** Cache `at` gives up an entry before it must. @returns whether it had one */
  evictFrom(at: number): boolean {
    if (this.caches[at].residents === 0) return false;
    this.evict(at);
    return true;
  }

  clear(): void {
    for (const cache of this.caches) cache.reset();
    this.sketch.clear();
    this.misses.fill(0);
    this.usedBytes.fill(0);
    this.active = this.caches.length;
    this.maxBytes = Infinity;
    this.held.fill(0);
    this.index.fill(0);
    for (let i = 0; i < this.free.length; i++) this.free[i] = this.free.length - 1 - i;
    this.freeCount = this.free.length;
    this.givenFrom = this.givenTo = 0;
    this.entries = this.maxEntries;
  }

  /** Bytes of all parts. */
  get bytes(): number {
    const own = [this.hashes, this.tags, this.sizes, this.held, this.index, this.free, this.givenUp].reduce((sum, part) => sum + part.byteLength, 0);
    return this.caches.reduce((sum, cache) => sum + cache.ownBytes, own + this.sketch.bytes);
  }

  /** Throws when index, records and caches do not agree. For tests. */
  verify(): void {
    const used = new Set<number>();
    for (let record = 0; record < this.held.length; record++) if (this.held[record] !== 0) used.add(record);
    if (used.size + this.freeCount !== this.held.length) throw new Error(`shadow caches: ${used.size} records in use and ${this.freeCount} free of ${this.held.length}`);
    for (const record of used) if (this.find(this.hashes[record]) !== record) throw new Error(`shadow caches: record ${record} cannot be found`);
    this.caches.forEach((cache, at) => cache.verify(new Set([...used].filter((record) => this.held[record] & (1 << at)))));
  }

  private evict(at: number): void {
    const record = this.caches[at].victim();
    this.caches[at].removed(record);
    this.usedBytes[at] -= this.sizes[record];
    if (at === this.followed) this.giveUp(this.tags[record]);
    if ((this.held[record] &= ~(1 << at)) === 0) this.drop(record);
  }

  private find(hash: number): number {
    const { index, indexMask, hashes } = this;
    for (let cell = home(hash) & indexMask; index[cell] !== 0; cell = (cell + 1) & indexMask) if (hashes[index[cell] - 1] === hash) return index[cell] - 1;
    return -1;
  }

  private add(hash: number, bytes: number): number {
    while (this.freeCount === 0) for (let at = 0; at < this.active; at++) if (this.caches[at].residents > 0) this.evict(at);
    const record = this.free[--this.freeCount];
    this.hashes[record] = hash;
    this.sizes[record] = Math.max(1, bytes);
    let cell = home(hash) & this.indexMask;
    while (this.index[cell] !== 0) cell = (cell + 1) & this.indexMask;
    this.index[cell] = record + 1;
    return record;
  }

  /** Empties the record's cell and moves back those behind it that would no longer be found (Knuth, TAOCP 3, algorithm 6.4 R). */
  private drop(record: number): void {
    const { index, indexMask, hashes } = this;
    this.free[this.freeCount++] = record;
    let hole = home(hashes[record]) & indexMask;
    while (index[hole] !== record + 1) hole = (hole + 1) & indexMask;
    for (let cell = (hole + 1) & indexMask; index[cell] !== 0; cell = (cell + 1) & indexMask) {
      const wanted = home(hashes[index[cell] - 1]) & indexMask;
      if (((cell - wanted) & indexMask) < ((cell - hole) & indexMask)) continue;
      index[hole] = index[cell];
      hole = cell;
    }
    index[hole] = 0;
  }
}

/** The bits that chose the sample are spent: the index takes others. */
const home = (hash: number): number => (hash ^ (hash >>> 15)) >>> 0;
