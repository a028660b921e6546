/**
 * How often a hash was seen lately, from 0 to 15: a count-min sketch of 4-bit counters that are halved when `sampleSize`
 * additions have been counted (G. Einziger, R. Friedman, B. Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017).
 * The four counters of a hash lie in one block of 32 bytes, as in Caffeine: one cache line an operation.
 *
 *   block  │ 8 words of 8 counters │     row i of the sketch = words 2i and 2i + 1 of every block: 16 counters
 */
const BLOCK_WORDS = 8;
const SAMPLES_A_SLOT = 10;

export class FrequencySketch {
  private readonly words: Uint32Array;
  private readonly blockMask: number;
  private additions = 0;
  private sampleSize: number;

  /** 8 to 16 bytes for each of `capacity` entries. */
  constructor(capacity: number) {
    const blocks = 2 ** Math.ceil(Math.log2(Math.max(8, (capacity * 2) / BLOCK_WORDS)));
    this.words = new Uint32Array(blocks * BLOCK_WORDS);
    this.blockMask = blocks - 1;
    this.sampleSize = SAMPLES_A_SLOT * Math.max(1, capacity);
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  add(hash: number): void {
    const { words } = this;
    const block = (hash & this.blockMask) * BLOCK_WORDS;
    let places = spread(hash);
    let added = false;
    for (let row = 0; row < BLOCK_WORDS; row += 2, places >>>= 8) {
      const at = block + row + (places & 1);
      const shift = (places & 0xe) * 2;
      if (((words[at] >>> shift) & 15) === 15) continue;
      words[at] += 1 << shift;
      added = true;
    }
    if (added && ++this.additions >= this.sampleSize) this.halve();
  }

  estimate(hash: number): number {
    const { words } = this;
    const block = (hash & this.blockMask) * BLOCK_WORDS;
    let places = spread(hash);
    let least = 15;
    for (let row = 0; row < BLOCK_WORDS; row += 2, places >>>= 8) {
      const count = (words[block + row + (places & 1)] >>> ((places & 0xe) * 2)) & 15;
      if (count < least) least = count;
    }
    return least;
  }

  clear(): void {
    this.words.fill(0);
    this.additions = 0;
  }

  private halve(): void {
    const { words } = this;
    for (let i = 0; i < words.length; i++) words[i] = (words[i] >>> 1) & 0x77777777;
    this.additions >>>= 1;
  }
}

/** 8 bits for each row, from the whole hash: its low bits have chosen the block already. */
function spread(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
