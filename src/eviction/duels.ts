/**
 * Whose choice was better, without following it: the one whose victim is asked for later. While LRU decides, every few evictions the policy's own victim, which stays, is paired with
 * LRU's, which goes. The one of the two that is asked for first says who was wrong: that is L. Belady's rule ("A study of replacement algorithms for a virtual-storage computer",
 * IBM Systems Journal 1966), looked at afterwards. A pair of which the one that stayed has left the cache says nothing.
 *
 *   place, by hash │ hash i32 │ place of its rival and one, i16: positive for who stayed, negative for who went, 0 = free │
 */
const PLACES = 512;
/** So many more duels than the other must be won; lost ones count down to LEAST: what was lost long ago is not held against it. */
const ENOUGH = 8;
const LEAST = -8;
/** Odd, so that it is a permutation: other bits than those that choose whom LRU's shadow follows. */
const PLACE_FACTOR = 0x9e3779b1;

export class Duels {
  private readonly hashes = new Int32Array(PLACES);
  private readonly rivals = new Int16Array(PLACES);
  private score = 0;

  get bytes(): number {
    return this.hashes.byteLength + this.rivals.byteLength;
  }

  get isWon(): boolean {
    return this.score >= ENOUGH;
  }

  /** Where a place is taken there is no duel: it will be free when the one who stayed is asked for or leaves. */
  fight(stayed: number, went: number): void {
    const { hashes, rivals } = this;
    const here = placeOf(stayed);
    const there = placeOf(went);
    if (here === there || rivals[here] !== 0 || rivals[there] !== 0) return;
    hashes[here] = stayed;
    hashes[there] = went;
    rivals[here] = there + 1;
    rivals[there] = -(here + 1);
  }

  /** The key was asked for. If it is the one that LRU let go, LRU was wrong. */
  asked(hash: number): void {
    const place = placeOf(hash);
    const rival = this.rivals[place];
    if (rival === 0 || this.hashes[place] !== hash) return;
    this.score = rival < 0 ? this.score + 1 : Math.max(LEAST, this.score - 1);
    this.end(place);
  }

  /** The key has left the cache. */
  left(hash: number): void {
    const place = placeOf(hash);
    if (this.rivals[place] > 0 && this.hashes[place] === hash) this.end(place);
  }

  clear(): void {
    this.rivals.fill(0);
    this.score = 0;
  }

  private end(place: number): void {
    this.rivals[Math.abs(this.rivals[place]) - 1] = 0;
    this.rivals[place] = 0;
  }
}

const placeOf = (hash: number): number => (Math.imul(hash, PLACE_FACTOR) >>> 16) & (PLACES - 1);
