/**
 * What is remembered of evicted keys: 2 bytes each, in a table of fixed size whose full buckets drop the oldest.
 *
 *   bucket  │ WAYS × u16: tag 13 bits │ uses 3 bits │      the newest first; 0 = empty, and so is what follows
 *
 * Two keys are taken for one with a chance of WAYS / 8,192 a look-up: 0.1 %.
 */
const WAYS = 8;
const USES_BITS = 3;
const USES = (1 << USES_BITS) - 1;

export class UseGhosts {
  private readonly entries: Uint16Array;
  private readonly buckets: number;

  constructor(capacity: number) {
    this.buckets = Math.max(1, Math.ceil(capacity / WAYS));
    this.entries = new Uint16Array(this.buckets * WAYS);
  }

  get bytes(): number {
    return this.entries.byteLength;
  }

  /** @returns what `add` was told of the key, 0 when it is not known; it is forgotten. */
  take(hash: number): number {
    const { entries } = this;
    const start = this.bucketOf(hash);
    const tag = hash >>> (32 - 16 + USES_BITS);
    for (let at = start; at < start + WAYS; at++) {
      const entry = entries[at];
      if (entry === 0) return 0;
      if (entry >>> USES_BITS !== tag) continue;
      let gap = at;
      for (; gap < start + WAYS - 1; gap++) entries[gap] = entries[gap + 1];
      entries[gap] = 0;
      return entry & USES;
    }
    return 0;
  }

  /** @param uses 1 to 7 */
  add(hash: number, uses: number): void {
    const { entries } = this;
    const start = this.bucketOf(hash);
    for (let at = start + WAYS - 1; at > start; at--) entries[at] = entries[at - 1];
    entries[start] = ((hash >>> (32 - 16 + USES_BITS)) << USES_BITS) | uses;
  }

  clear(): void {
    this.entries.fill(0);
  }

  /** The tag is of the high bits: here the low ones count most. */
  private bucketOf(hash: number): number {
    return Math.floor((((hash << 13) | (hash >>> 19)) >>> 0) / 2 ** 32 * this.buckets) * WAYS;
  }
}
