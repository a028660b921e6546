/**
 * Versions by wallet, bounded, in one allocation outside the heap: a Map of a million wallets costs 100 to 300 MB of heap, and an
 * update that finds it full of holes waits until all of it has been hashed again.
 *
 * A wallet is known by 55 bits or more of keyed hashes: that two have the same is out of reach, and were it to happen, one would be refused
 * promotions that it could have had. Sets of WAYS places, by the hash; where a set is full, the lowest version goes: versions are time
 * stamps, so that is the one raised longest ago. With half of the places taken one floor in 120 is lost so, with as many wallets as
 * places one in seven, with a quarter of the places one in 6,000.
 *
 *   place  │ tag u32 │ version low u32 │ version high 21 bits, tag 11 bits │      version 0 = empty
 */
import { randomInt } from 'node:crypto';
import { hashWords } from '../l1/hash.ts';
import { WalletKey } from '../l1/wallet-key.ts';

const WAYS = 8;
const PLACE_WORDS = 3;
const SET_WORDS = WAYS * PLACE_WORDS;
const WORD = 2 ** 32;
const HIGH_MASK = 2 ** 21 - 1;

export class FloorTable {
  private readonly words: Uint32Array;
  private readonly setMask: number;
  private readonly key = new WalletKey(randomInt(WORD) | 0, randomInt(WORD) | 0);
  private readonly secondKey0 = randomInt(WORD) | 0;
  private readonly secondKey1 = randomInt(WORD) | 0;
  private isEmpty = true;
  private tag = 0;
  private highTag = 0;

  /** @param maxWallets as many places there are, or up to twice as many. */
  constructor(maxWallets: number) {
    const sets = 2 ** Math.ceil(Math.log2(Math.max(1, maxWallets / WAYS)));
    this.words = new Uint32Array(sets * SET_WORDS);
    this.setMask = sets - 1;
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  /** 0 when nothing is known of the wallet. */
  get(wallet: string): number {
    // A process that only reads, or has just started: two hashes a record are a tenth of what a promotion costs.
    if (this.isEmpty) return 0;
    const place = this.placeOf(this.setOf(wallet));
    return place < 0 ? 0 : this.versionAt(place);
  }

  /** Unless a higher version is known. */
  raise(wallet: string, version: number): void {
    const { words } = this;
    this.isEmpty = false;
    const start = this.setOf(wallet);
    let place = this.placeOf(start);
    if (place < 0) place = this.lowestOf(start);
    else if (this.versionAt(place) >= version) return;
    words[place] = this.tag;
    words[place + 1] = version;
    words[place + 2] = Math.floor(version / WORD) + this.highTag;
  }

  /** Forgets what is known of the wallet, if it is this version. */
  forget(wallet: string, version: number): void {
    if (this.isEmpty) return;
    const place = this.placeOf(this.setOf(wallet));
    if (place >= 0 && this.versionAt(place) === version) this.words.fill(0, place, place + PLACE_WORDS);
  }

  clear(): void {
    if (!this.isEmpty) this.words.fill(0);
    this.isEmpty = true;
  }

  /** Takes note of the wallet's tags. */
  private setOf(wallet: string): number {
    const { key } = this;
    key.set(wallet);
    this.tag = hashWords(key.words, key.length, this.secondKey0, this.secondKey1) >>> 0;
    // The bits of the first hash that do not choose the set.
    this.highTag = key.hash & ~HIGH_MASK;
    if (this.highTag < 0) this.highTag += WORD;
    return (key.hash & this.setMask) * SET_WORDS;
  }

  private placeOf(start: number): number {
    const { words, tag, highTag } = this;
    for (let place = start; place < start + SET_WORDS; place += PLACE_WORDS) {
      if (words[place] === tag && words[place + 2] - (words[place + 2] & HIGH_MASK) === highTag && this.versionAt(place) > 0) return place;
    }
    return -1;
  }

  private lowestOf(start: number): number {
    let lowest = start;
    for (let place = start; place < start + SET_WORDS; place += PLACE_WORDS) if (this.versionAt(place) < this.versionAt(lowest)) lowest = place;
    return lowest;
  }

  private versionAt(place: number): number {
    return (this.words[place + 2] & HIGH_MASK) * WORD + this.words[place + 1];
  }
}
