/**
 * Who may enter a near cache that is full: a slot that was asked for once before, not long ago. In a long tail most profiles are read once in
 * the time that they could stay; each would push another out, and live just long enough to burden the garbage collector.
 * (The doorkeeper of TinyLFU: G. Einziger, R. Friedman and B. Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017: a
 * bitmap that is emptied when it has taken note of enough.)
 */

/** Marks between two emptyings, for each entry of the cache. More of them let slots in that come back too late to stay. */
const MARKS_AN_ENTRY = 2;
/** Bits for each mark: two slots with one bit let each other in. */
const BITS_A_MARK = 8;
const GOLDEN_RATIO = 0x9e3779b1;

export class NearAdmission {
  private readonly marks: Uint32Array;
  private readonly maxMarks: number;
  private readonly shift: number;
  private marked = 0;

  constructor(maxEntries: number) {
    this.maxMarks = Math.max(64, maxEntries * MARKS_AN_ENTRY);
    const bits = Math.ceil(Math.log2(this.maxMarks * BITS_A_MARK));
    this.marks = new Uint32Array(2 ** (bits - 5));
    this.shift = 32 - bits;
  }

  /** Whether `slot` has come before since the marks were last wiped; takes note of it. */
  seenBefore(slot: number): boolean {
    const bit = Math.imul(slot, GOLDEN_RATIO) >>> this.shift;
    const mask = 1 << (bit & 31);
    if ((this.marks[bit >>> 5] & mask) !== 0) return true;
    if (++this.marked > this.maxMarks) {
      this.marks.fill(0);
      this.marked = 1;
    }
    this.marks[bit >>> 5] |= mask;
    return false;
  }
}
