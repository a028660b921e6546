/**
 * What is remembered of evicted keys: 2 bytes each, in a table of fixed size whose full buckets drop the oldest.
 *
 *   bucket  │ WORDS × two halves: tag 13 bits │ uses 3 bits │      the newest first, in the lower half of the first word; 0 = empty, and so is what follows
 *
 * Two keys are taken for one with a chance of 8 / 8,192 a look-up: 0.1 %. Whole words are moved and compared, for every miss does both.
 */
const WORDS = 4;
const KEYS = 2 * WORDS;
const HALF = 16;
const USES_BITS = 3;
const USES = (1 << USES_BITS) - 1;
const TAG_SHIFT = 32 - HALF + USES_BITS;
const LOWER_TAG = (2 ** HALF - 1) & ~USES;
const UPPER_TAG = LOWER_TAG << HALF;

export class UseGhosts {
  private readonly words: Int32Array;
  private readonly buckets: number;

  constructor(capacity: number) {
    this.buckets = Math.max(1, Math.ceil(capacity / KEYS));
    this.words = new Int32Array(this.buckets * WORDS);
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  /** @returns what `add` was told of the key, 0 when it is not known; it is forgotten. */
  take(hash: number): number {
    const { words } = this;
    const start = this.bucketOf(hash);
    const tag = (hash >>> TAG_SHIFT) << USES_BITS;
    const both = tag | (tag << HALF);
    for (let at = start; at < start + WORDS; at++) {
      const differs = words[at] ^ both;
      if ((differs & LOWER_TAG) === 0) return this.forget(start, at, 0);
      if ((differs & UPPER_TAG) === 0) return this.forget(start, at, HALF);
    }
    return 0;
  }

  /** @param uses 1 to 7 */
  add(hash: number, uses: number): void {
    const { words } = this;
    const start = this.bucketOf(hash);
    let pushed = ((hash >>> TAG_SHIFT) << USES_BITS) | uses;
    for (let at = start; at < start + WORDS; at++) {
      const word = words[at];
      words[at] = (word << HALF) | pushed;
      pushed = word >>> HALF;
    }
  }

  clear(): void {
    this.words.fill(0);
  }

  /** Of the key in one half of a word; older ones move up. */
  private forget(start: number, at: number, shift: number): number {
    const { words } = this;
    const uses = (words[at] >>> shift) & USES;
    // What is younger stays: the lower half, when the upper one goes.
    words[at] = shift === 0 ? words[at] >>> HALF : words[at] & (2 ** HALF - 1);
    for (let older = at + 1; older < start + WORDS; older++) {
      words[older - 1] |= words[older] << HALF;
      words[older] >>>= HALF;
    }
    return uses;
  }

  /** The tag is of the high bits: here the low ones count most. */
  private bucketOf(hash: number): number {
    return (((((hash << 13) | (hash >>> 19)) >>> 0) / 2 ** 32 * this.buckets) | 0) * WORDS;
  }
}
