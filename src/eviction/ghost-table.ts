/**
 * Remembers hashes of what has been evicted, in a table of fixed size: 4 bytes an entry, no chains, no deletions to clean up.
 *
 *   bucket  │ WAYS × u32: tag 16 bits │ age 16 bits │      0 = empty
 *
 * The low bits of the (keyed) hash choose the bucket, its high 16 bits are the tag. A full bucket drops its oldest entry. The age is
 * a count of additions, in ticks: an entry older than the caller's limit is as good as gone, which makes the table a FIFO queue whose
 * length may change at any time. Two keys are taken for one with a chance of about WAYS / 65,536 a look-up: 0.02 %.
 */
const WAYS = 8;
/** Additions fill the table in this many ticks; an entry that outlives 16 bits of ticks has long been overwritten by newer ones. */
const TICKS_A_TABLE = 4_096;

export class GhostTable {
  private readonly entries: Uint32Array;
  private readonly bucketMask: number;
  private readonly additionsATick: number;
  private additions = 0;

  /** Holds the newest `capacity` additions, but for up to 6 % in buckets that fill before others do. */
  constructor(capacity: number) {
    // Room to spare, a quarter at the least: buckets do not fill evenly.
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, (capacity * 1.25) / WAYS)));
    this.entries = new Uint32Array(buckets * WAYS);
    this.bucketMask = buckets - 1;
    this.additionsATick = Math.max(1, Math.floor(this.entries.length / TICKS_A_TABLE));
  }

  get bytes(): number {
    return this.entries.byteLength;
  }

  add(hash: number): void {
    const { entries } = this;
    const now = this.now();
    this.additions++;
    const tag = hash >>> 16;
    const start = (hash & this.bucketMask) * WAYS;
    let place = start;
    let oldest = -1;
    for (let at = start; at < start + WAYS; at++) {
      const entry = entries[at];
      if (entry === 0 || entry >>> 16 === tag) {
        place = at;
        break;
      }
      const age = (now - entry) & 0xffff;
      if (age > oldest) {
        oldest = age;
        place = at;
      }
    }
    entries[place] = ((tag << 16) | (now & 0xffff)) >>> 0 || 1;
  }

  /** Whether `hash` is among the newest `limit` additions; it is forgotten in any case. */
  take(hash: number, limit: number): boolean {
    const { entries } = this;
    const tag = hash >>> 16;
    const start = (hash & this.bucketMask) * WAYS;
    for (let at = start; at < start + WAYS; at++) {
      const entry = entries[at];
      if (entry === 0 || entry >>> 16 !== tag) continue;
      // One that is too old is cleared too: it must not be taken for the next ghost of the same hash.
      entries[at] = 0;
      return ((this.now() - entry) & 0xffff) * this.additionsATick <= limit;
    }
    return false;
  }

  clear(): void {
    this.entries.fill(0);
    this.additions = 0;
  }

  private now(): number {
    return Math.floor(this.additions / this.additionsATick);
  }
}
