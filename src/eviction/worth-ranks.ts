/**
 * What keeping an entry is worth, at each age, given the chance of a hit in each bin of ages: the best, over all ages to stop at, of expected hits until then / expected requests until
 * then. An index of J. Gittins ("Bandit Processes and Dynamic Allocation Indices", J. Royal Statistical Society B, 1979). Right before an expected use an entry is worth the most, which
 * holds on to a part of a loop; where chances only fall with age it is the chance itself, which for one class alone is LRU.
 *
 * Worth is kept as a rank: 11 bits, from 2^-32 to 1 in 64 steps an octave, above 20 bits that are 1: the age is subtracted from them, so that of two of the same worth the older one is less.
 */
import * as ageBins from './age-bins.ts';
import { NO_CLASS } from './entry-word.ts';

const { AGE_BITS, BINS, BIN_WIDTH, MAX_AGE, STRIDE, placeOf } = ageBins;
const RANK_BITS = 31 - AGE_BITS;
const MOST = 2 ** RANK_BITS - 1;
/** Of what is not there: worth more than anything. */
export const MAX_RANK = MOST;
/** The bits of a float are in the order of what they stand for. */
const FLOAT_SHIFT = 17;
const LEAST_FLOAT = (127 - 2 ** (RANK_BITS - 6)) << 6;
const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);

export class WorthRanks {
  /** Of each class and age, at its `placeOf`. */
  readonly ranks = new Int32Array((NO_CLASS + 1) * STRIDE).fill((MAX_RANK << AGE_BITS) | MAX_AGE);
  /** A stack: stretches of bins, each better than what comes after it. Below all lies one that is worth nothing. */
  private readonly hits = new Float64Array(STRIDE);
  private readonly requests = new Float64Array(STRIDE).fill(1);
  private readonly survive = new Float64Array(STRIDE);

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
    let nextHits = hits[0];
    let nextRequests = requests[0];
    for (let bin = BINS - 1; bin >= 0; bin--) {
      const chance = chances[bin];
      let itsSurvive = 1 - chance;
      let itsHits = chance;
      let itsRequests = BIN_WIDTH[bin] * (1 - chance / 2);
      while (nextHits * itsRequests > itsHits * nextRequests) {
        itsHits += itsSurvive * nextHits;
        itsRequests += itsSurvive * nextRequests;
        itsSurvive *= survive[depth--];
        nextHits = hits[depth];
        nextRequests = requests[depth];
      }
      depth++;
      hits[depth] = nextHits = itsHits;
      requests[depth] = nextRequests = itsRequests;
      survive[depth] = itsSurvive;
      ranks[first + bin] = rankOf(itsHits / itsRequests);
    }
  }
}

function rankOf(worth: number): number {
  float[0] = worth;
  return (Math.max(0, Math.min(MOST - 1, (floatBits[0] >> FLOAT_SHIFT) - LEAST_FLOAT)) << AGE_BITS) | MAX_AGE;
}

/** As if all entries were worth the same: with it the oldest goes. */
export const ALL_ALIKE = new Int32Array((NO_CLASS + 1) * STRIDE).fill(MAX_AGE).fill((MAX_RANK << AGE_BITS) | MAX_AGE, NO_CLASS * STRIDE);
