/**
 * What exact LRU would hold: the hashes of its keys, without any value. Of a larger cache only some keys are followed, chosen by hash, in as much less room
 * (C. Waldspurger, T. Saemundsson, I. Ahmad, N. Park, "Cache Modeling and Optimization using Miniature Simulations", USENIX ATC 2017).
 *
 *   place │ hash u32 │ used after it u16 │ used before it u16 │ next of its chain u16 │ lost u8 │        chain heads u16: 0 = nobody, else a place and one
 *
 * The place past the last stands for both ends of the order of use. Free places are a chain of their own.
 */

/** So large a cache is followed as a whole. */
const MAX_WHOLE = 2_048;
/** Of a larger one so many keys: what they say is off by some 3 % of its size. */
const MAX_SAMPLED = 1_024;
/** Odd, so that it is a permutation: the bits that choose who is followed are not those that choose a chain. */
const CHOICE_FACTOR = 0x85ebca6b;

export class LruShadow {
  /** How many keys it holds at most. */
  readonly room: number;
  /** Hashes up to it, once permuted, are followed: of 31 bits, which are compared as small integers. */
  private readonly followedUpTo: number;
  private readonly hashes: Int32Array;
  private readonly after: Uint16Array;
  private readonly before: Uint16Array;
  private readonly chain: Uint16Array;
  private readonly heads: Uint16Array;
  /** Of each place: whether the cache that is watched has evicted the key. */
  private readonly lost: Uint8Array;
  private lostCount = 0;
  private free = 0;

  constructor(entries: number) {
    this.room = entries <= MAX_WHOLE ? entries : MAX_SAMPLED;
    this.followedUpTo = Math.floor((this.room / entries) * (2 ** 31 - 1));
    this.hashes = new Int32Array(this.room);
    this.after = new Uint16Array(this.room + 1);
    this.before = new Uint16Array(this.room + 1);
    this.chain = new Uint16Array(this.room);
    this.lost = new Uint8Array(this.room);
    this.heads = new Uint16Array(2 ** Math.ceil(Math.log2(this.room)));
    this.clear();
  }

  get bytes(): number {
    return [this.hashes, this.after, this.before, this.chain, this.lost, this.heads].reduce((sum, part) => sum + part.byteLength, 0);
  }

  get isFull(): boolean {
    return this.free === 0;
  }

  /** How many of its keys the cache that is watched has evicted: what it would cost to become LRU now. */
  get apart(): number {
    return this.lostCount;
  }

  follows(hash: number): boolean {
    return Math.imul(hash, CHOICE_FACTOR) >>> 1 <= this.followedUpTo;
  }

  /** A key that is followed was asked for, and the cache that is watched has it from here on. @returns whether LRU had it */
  used(hash: number): boolean {
    const held = this.find(hash);
    if (held >= 0) {
      this.found(held);
      this.unlink(held);
      this.putFirst(held);
      return true;
    }
    if (this.free === 0) this.drop(this.before[this.room]);
    const place = this.free - 1;
    this.free = this.chain[place];
    const head = this.headOf(hash);
    this.hashes[place] = hash;
    this.chain[place] = this.heads[head];
    this.heads[head] = place + 1;
    this.putFirst(place);
    return false;
  }

  /** The cache that is watched has evicted a key that is followed. */
  evicted(hash: number): void {
    const held = this.find(hash);
    if (held < 0) return;
    this.lostCount += 1 - this.lost[held];
    this.lost[held] = 1;
  }

  /** The key has left every cache, for a reason of its own. */
  forget(hash: number): void {
    const held = this.find(hash);
    if (held >= 0) this.drop(held);
  }

  clear(): void {
    this.heads.fill(0);
    this.lost.fill(0);
    this.lostCount = 0;
    this.after[this.room] = this.before[this.room] = this.room;
    for (let place = 0; place < this.room; place++) this.chain[place] = place + 2;
    this.chain[this.room - 1] = 0;
    this.free = 1;
  }

  private find(hash: number): number {
    const { hashes, chain } = this;
    const wanted = hash | 0;
    let at = this.heads[this.headOf(hash)];
    while (at !== 0 && hashes[at - 1] !== wanted) at = chain[at - 1];
    return at - 1;
  }

  private drop(place: number): void {
    const { chain, heads } = this;
    const head = this.headOf(this.hashes[place]);
    if (heads[head] === place + 1) heads[head] = chain[place];
    else {
      let previous = heads[head] - 1;
      while (chain[previous] !== place + 1) previous = chain[previous] - 1;
      chain[previous] = chain[place];
    }
    this.found(place);
    this.unlink(place);
    chain[place] = this.free;
    this.free = place + 1;
  }

  private found(place: number): void {
    this.lostCount -= this.lost[place];
    this.lost[place] = 0;
  }

  private putFirst(place: number): void {
    const { after, before, room } = this;
    const first = after[room];
    after[place] = first;
    before[place] = room;
    before[first] = place;
    after[room] = place;
  }

  private unlink(place: number): void {
    const { after, before } = this;
    after[before[place]] = after[place];
    before[after[place]] = before[place];
  }

  /** Throws when a link, a chain or a count is broken. For tests. @returns the hashes, the one used last first */
  verify(): number[] {
    const { room, after, before, chain, hashes, lost } = this;
    const order: number[] = [];
    for (let previous = room, place = after[room]; place !== room; previous = place, place = after[place]) {
      if (before[place] !== previous || order.push(hashes[place] >>> 0) > room) throw new Error(`lru-shadow: place ${place} is linked wrongly`);
      if (this.find(hashes[place]) !== place) throw new Error(`lru-shadow: place ${place} is not in its chain`);
    }
    let free = 0;
    for (let at = this.free; at !== 0; at = chain[at - 1]) if (++free > room) throw new Error('lru-shadow: free places are a loop');
    if (order.length + free !== room) throw new Error(`lru-shadow: ${order.length} keys and ${free} free places in ${room}`);
    if (lost.reduce((sum, one) => sum + one, 0) !== this.lostCount) throw new Error('lru-shadow: counts its lost keys wrongly');
    return order;
  }

  private headOf(hash: number): number {
    return hash & (this.heads.length - 1);
  }
}
