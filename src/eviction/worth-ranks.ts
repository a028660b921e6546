/**
 * What keeping an entry is worth, at each age, given the chance of a hit in each bin of ages: the best, over all ages to stop at, of expected hits until then / expected requests until
 * then. An index of J. Gittins ("Bandit Processes and Dynamic Allocation Indices", J. Royal Statistical Society B, 1979). Right before an expected use an entry is worth the most, which
 * holds on to a part of a loop; where chances only fall with age it is the chance itself, which for one class alone is LRU.
 *
 * Worth is kept as a rank: 11 bits, from 2^-32 to 1 in 64 steps an octave, above 20 bits that are 0, for the age of two of the same worth.
 */
import { AGE_BITS, BINS, BIN_WIDTH, STRIDE, placeOf } from './age-bins.ts';

/** Class of what is not there: worth more than anything. */
export const NO_CLASS = 31;
const RANK_BITS = 31 - AGE_BITS;
export const MAX_RANK = 2 ** RANK_BITS - 1;
/** The bits of a float are in the order of what they stand for. */
const FLOAT_SHIFT = 17;
const LEAST_FLOAT = (127 - 2 ** (RANK_BITS - 6)) << 6;
const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);

export class WorthRanks {
  /** Of each class and age, at its `placeOf`. */
  readonly ranks = new Int32Array((NO_CLASS + 1) * STRIDE).fill(MAX_RANK << AGE_BITS);
  /** A stack: stretches of bins, each better than what comes after it. */
  private readonly hits = new Float64Array(BINS);
  private readonly requests = new Float64Array(BINS);
  private readonly survive = new Float64Array(BINS);

  get bytes(): number {
    return this.ranks.byteLength + this.hits.byteLength + this.requests.byteLength + this.survive.byteLength;
  }

  /** To 1.5 %. */
  worthOf(entryClass: number, age: number): number {
    floatBits[0] = ((this.ranks[placeOf(entryClass, age)] >> AGE_BITS) + LEAST_FLOAT) << FLOAT_SHIFT;
    return float[0];
  }

  /** From old to young: a stretch of bins goes on as long as what follows it is better than it is. */
  rank(entryClass: number, chances: Float64Array): void {
    const { ranks, hits, requests, survive } = this;
    const first = entryClass * STRIDE;
    let depth = 0;
    for (let bin = BINS - 1; bin >= 0; bin--) {
      const chance = chances[bin];
      let itsSurvive = 1 - chance;
      let itsHits = chance;
      let itsRequests = BIN_WIDTH[bin] * (1 - chance / 2);
      for (; depth > 0 && hits[depth - 1] * itsRequests > itsHits * requests[depth - 1]; depth--) {
        itsHits += itsSurvive * hits[depth - 1];
        itsRequests += itsSurvive * requests[depth - 1];
        itsSurvive *= survive[depth - 1];
      }
      hits[depth] = itsHits;
      requests[depth] = itsRequests;
      survive[depth++] = itsSurvive;
      ranks[first + bin] = rankOf(itsHits / itsRequests);
    }
  }
}

function rankOf(worth: number): number {
  float[0] = worth;
  return Math.max(0, Math.min(MAX_RANK - 1, (floatBits[0] >> FLOAT_SHIFT) - LEAST_FLOAT)) << AGE_BITS;
}
