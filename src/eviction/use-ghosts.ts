/**
 * What is remembered of evicted keys, in a table of fixed size that drops the oldest of a full bucket.
 *
 *   bucket  │ WAYS × u32: tag 12 bits │ uses 4 bits │ last use 16 bits, in ticks │      0 = empty
 */
const WAYS = 8;
/** Buckets fill unevenly. */
const SLACK = 1.25;

export class UseGhosts {
  /** Of the key taken last: requests since its last use; 0 where it was not known. */
  gap = 0;
  private readonly entries: Uint32Array;
  private readonly buckets: number;
  private readonly tickShift: number;

  /** Last uses are known to 2^tickShift requests. */
  constructor(capacity: number, tickShift: number) {
    this.buckets = Math.max(1, Math.ceil((capacity * SLACK) / WAYS));
    this.entries = new Uint32Array(this.buckets * WAYS);
    this.tickShift = tickShift;
  }

  get bytes(): number {
    return this.entries.byteLength;
  }

  /** @returns how often the key was used, 0 when it is not known; it is forgotten. */
  take(hash: number, now: number): number {
    const { entries } = this;
    const start = this.bucketOf(hash);
    for (let at = start; at < start + WAYS; at++) {
      const entry = entries[at];
      if (entry === 0 || entry >>> 20 !== hash >>> 20) continue;
      entries[at] = 0;
      this.gap = this.age(entry, now) * 2 ** this.tickShift;
      return (entry >>> 16) & 15;
    }
    this.gap = 0;
    return 0;
  }

  add(hash: number, uses: number, lastUse: number, now: number): void {
    const { entries } = this;
    const start = this.bucketOf(hash);
    let place = start;
    let oldest = -1;
    for (let at = start; at < start + WAYS; at++) {
      if (entries[at] === 0) {
        place = at;
        break;
      }
      const age = this.age(entries[at], now);
      if (age > oldest) {
        oldest = age;
        place = at;
      }
    }
    entries[place] = (((hash >>> 20) << 20) | (uses << 16) | ((lastUse >>> this.tickShift) & 0xffff)) >>> 0;
  }

  clear(): void {
    this.entries.fill(0);
  }

  /** The tag is of other bits: here the low ones count most. */
  private bucketOf(hash: number): number {
    return Math.floor((((hash << 12) | (hash >>> 20)) >>> 0) / 2 ** 32 * this.buckets) * WAYS;
  }

  private age(entry: number, now: number): number {
    return ((now >>> this.tickShift) - entry) & 0xffff;
  }
}
