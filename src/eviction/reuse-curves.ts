/**
 * Learns when entries are used again, and from it what keeping one is worth: hits for each request that it stays. Entries are of a class (what is known of
 * their past), and their age is the number of requests since their last use, in bins, four an octave.
 *
 * 1. Sample. Keys chosen by hash are followed whether the cache holds them or not: so it learns from what was evicted too early, or rightly. Each
 *    is counted in every bin that it reaches, and in the `hits` of the bin in which it is used again. Both fade.
 * 2. Chance of a hit in a bin = hits / begun, drawn towards what the class had in younger bins relative to all classes: few observations say little.
 *    Of what was used once, what became of it lately counts more: `believeLately`.
 *    An age that few have reached is promised no more than younger ones got: who hopes that what nobody asked for in one pass comes back in the next holds on to the oldest,
 *    and is wrong wherever it is not a loop. The sample sees within the second pass whether it is one.
 * 3. Worth at an age = the best, over all ages to stop at, of expected hits until then / expected requests until then: an index of J. Gittins
 *    ("Bandit Processes and Dynamic Allocation Indices", J. Royal Statistical Society B, 1979). Right before an expected use an entry is worth
 *    the most, which holds on to a part of a loop; where chances only fall with age it is the chance itself, which for one class alone is LRU.
 *
 *   sample   buckets of WAYS │ hash u32 │ last use i32 │ class u8, NO_CLASS = empty │ bin reached u8 │
 *
 * Hit densities by class and age come from N. Beckmann, H. Chen, A. Cidon, "LHD: Improving Cache Hit Rate by Maximizing Hit Density", NSDI 2018.
 */
export const AGE_BITS = 20;
export const MAX_AGE = 2 ** AGE_BITS - 1;
const BINS = (AGE_BITS - 1) * 4;
/** Places a class takes: the one past the bins is where stretches end that reach the last. */
const STRIDE = BINS + 1;
/** Class of what is not there: worth more than anything. */
export const NO_CLASS = 31;
const WAYS = 8;
/** Of the second word of an entry of the sample. */
const CLASS_SHIFT = 27;
const REACHED_SHIFT = 20;
const REACHED = 127;
/** Room in the sample: a small cache has as much as it wants, a large one as much as walking it may cost. */
const MIN_SAMPLE = 1_024;
const SMALL_SAMPLE = 16_384;
const MAX_SAMPLE = 32_768;
const ROOM_AN_ENTRY = 16;
const LARGE_ROOM_AN_ENTRY = 3;
/** The sample follows so many keys for each entry of the cache, or all, if they fit. */
const KEYS_AN_ENTRY = 8;
/** Odd, so that it is a permutation: the bits that choose the sample are not those that choose a bucket. */
const SAMPLE_FACTOR = 0x9e3779b1;

/** Observations that an estimate weighs as much as. */
const PRIOR_WEIGHT = 32;
const POOLED_WEIGHT = 8;
const CLASS_WEIGHT = 4;
/** Until something is known: the same chance in each bin, which within a class is LRU. */
const PRIOR_CHANCE = 0.1;
/** What the next older bin is told of younger ones. */
const CARRY = 0.85;
/** Requests after which observations weigh 1/e: for each entry of the cache, and at the least. */
const MEMORY_AN_ENTRY = 5;
const MIN_MEMORY = 20_000;
/** The class of what was used once. What has become of it lately counts by itself, for so many requests an entry of the cache, or at the least. */
const NEW = 0;
const LATELY_AN_ENTRY = 2;
const MIN_LATELY = 2_000;
/** Its curve is drawn so often within a round: within the first thousand keys of a scan it should be known for one. */
const NEW_EVERY_STEPS = 4;
/** Hits that are taken for granted beside those of lately. */
const LATELY_WEIGHT = 16;
/** All curves are drawn anew once in so many requests, or a quarter of as many as there are entries: one class at a time, that no request waits for long. */
const MIN_ROUND = 2_048;
/** Requests of the first round; the next takes so much longer, and so on. */
const FIRST_ROUND = 64;
const ROUND_GROWTH = 1.25;
/** So many rounds look at the whole sample. */
const FULL_WALKS = 24;
/** Of the sample, how many are looked at for each request after that. */
const WALK_A_REQUEST = 1;

/** First age of each bin. */
const START = Float64Array.from({ length: BINS + 1 }, (_, bin) => (bin < 8 ? bin : 2 ** ((bin >> 2) + 1) + (bin & 3) * 2 ** ((bin >> 2) - 1)));
/** Ages in each bin. */
const WIDTH = Float64Array.from({ length: BINS }, (_, bin) => START[bin + 1] - START[bin]);

/** 0 to 7 are bins of their own; from there four bins an octave. */
function binOf(age: number): number {
  if (age < 4) return age;
  const octave = 31 - Math.clz32(age);
  return ((octave - 1) << 2) + ((age >>> (octave - 2)) & 3);
}

/** Place of an entry's rank in `ReuseCurves.ranks`. */
export const rankPlace = (entryClass: number, age: number): number => entryClass * STRIDE + binOf(age);
/** Bits of a rank: worth from 2^-32 to 1, 64 steps an octave. The bits of a float are in the order of what they stand for. */
const RANK_BITS = 31 - AGE_BITS;
export const MAX_RANK = 2 ** RANK_BITS - 1;
const FLOAT_SHIFT = 17;
const LEAST_FLOAT = (127 - 2 ** (RANK_BITS - 6)) << 6;
const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);

function rankOf(worth: number): number {
  float[0] = worth;
  return Math.max(0, Math.min(MAX_RANK - 1, (floatBits[0] >> FLOAT_SHIFT) - LEAST_FLOAT)) << AGE_BITS;
}

export class ReuseCurves {
  private readonly trust: readonly number[];
  private readonly classes: number;
  /** How many reached a bin, as differences: of a stretch of bins that was passed only both ends are written. */
  private readonly begun: Float32Array;
  private readonly hits: Float32Array;
  /** In order of what keeping an entry is worth, at its `rankPlace`: the lower AGE_BITS are 0, for the age of two of the same worth. */
  readonly ranks: Int32Array;
  /** Hits that the class NEW is to have before each bin, of one entry. */
  private readonly newChances = new Float64Array(STRIDE);
  private newHits = 0;
  private newExpected = 0;
  private lately = 0;
  private readonly sample: Uint32Array;
  private readonly bucketMask: number;
  /** Hashes below it, once permuted, are in the sample. */
  private sampleBelow = 0;
  private longestRound = 0;
  private fading = 1;
  private round = FIRST_ROUND;
  private rounds = 0;
  /** Class whose curve is drawn next; `classes`: what all have in common is worked out. */
  private step = 0;
  private requestsLeft = 0;
  private walked = 0;
  private readonly pooled = new Float64Array(BINS);
  private readonly chances = new Float64Array(BINS);
  /** Stack of `rank`: stretches of bins, each better than what comes after it. */
  private readonly stretch = { hits: new Float64Array(BINS), requests: new Float64Array(BINS), survive: new Float64Array(BINS) };

  /** @param trust For each class: by how much more than others its entries are used again, as far as anything is known before the first request. */
  constructor(trust: readonly number[], entries: number) {
    const classes = trust.length;
    this.trust = trust;
    this.classes = classes;
    this.begun = new Float32Array(classes * STRIDE);
    this.hits = new Float32Array(classes * STRIDE);
    this.ranks = new Int32Array((NO_CLASS + 1) * STRIDE).fill(MAX_RANK << AGE_BITS);
    const room = Math.min(ROOM_AN_ENTRY * entries, Math.max(SMALL_SAMPLE, LARGE_ROOM_AN_ENTRY * entries), MAX_SAMPLE);
    const sample = 2 ** Math.ceil(Math.log2(Math.max(MIN_SAMPLE, room)));
    this.sample = new Uint32Array(sample * 2);
    this.bucketMask = sample / WAYS - 1;
    this.fit(entries);
    this.clear();
  }

  /** The cache holds so many entries, or about. */
  fit(entries: number): void {
    const sample = this.sample.length / 2;
    this.sampleBelow = Math.min(1, (0.8 * sample) / (KEYS_AN_ENTRY * entries)) * 2 ** 32;
    this.lately = Math.max(LATELY_AN_ENTRY * entries, MIN_LATELY);
    this.longestRound = Math.ceil(Math.max(MIN_ROUND, entries / 4));
    this.fading = Math.exp(-this.longestRound / Math.max(MEMORY_AN_ENTRY * entries, MIN_MEMORY));
  }

  get bytes(): number {
    const parts = [this.begun, this.hits, this.ranks, this.sample, this.newChances, this.pooled, this.chances, ...Object.values(this.stretch)];
    return parts.reduce((sum, part) => sum + part.byteLength, 0);
  }

  /** What keeping an entry of this class and age is worth, to 1.5 %. */
  worthOf(entryClass: number, age: number): number {
    floatBits[0] = ((this.ranks[rankPlace(entryClass, age)] >> AGE_BITS) + LEAST_FLOAT) << FLOAT_SHIFT;
    return float[0];
  }

  /** The request at `now`, a count that wraps at 2^32, was for `hash`, which is of this class from here on. */
  used(hash: number, entryClass: number, now: number): void {
    if (Math.imul(hash, SAMPLE_FACTOR) >>> 0 < this.sampleBelow) this.observe(hash, entryClass, now);
    if (--this.requestsLeft <= 0) this.takeStep(now);
  }

  clear(): void {
    this.begun.fill(0);
    this.hits.fill(0);
    this.newChances.fill(0);
    this.newHits = 0;
    this.newExpected = 0;
    this.sample.fill(NO_CLASS << CLASS_SHIFT);
    this.rounds = 0;
    this.walked = 0;
    this.round = FIRST_ROUND;
    this.step = 0;
    this.requestsLeft = FIRST_ROUND;
    this.pool();
    for (let drawn = 0; drawn < this.classes; drawn++) this.draw(drawn, 1);
  }

  /** A round is a walk, then one curve after the other. */
  private takeStep(now: number): void {
    const { classes } = this;
    const steps = classes + 1;
    const sample = this.sample.length / 2;
    this.walk(now, Math.ceil((this.rounds < FULL_WALKS ? sample : Math.min(sample, WALK_A_REQUEST * this.round)) / steps));
    if (this.step % NEW_EVERY_STEPS === 0) this.draw(NEW, 1);
    if (this.step === 0) this.pool();
    else this.draw(this.step - 1, this.fading);
    if (++this.step === steps) {
      this.step = 0;
      this.rounds++;
      this.round = Math.min(this.longestRound, Math.ceil(this.round * ROUND_GROWTH));
    }
    // Whole requests, and the same number of them in each round.
    this.requestsLeft = Math.floor(((this.step + 1) * this.round) / steps) - Math.floor((this.step * this.round) / steps);
  }

  /** Who is not used again is counted by walking the sample. */
  private walk(now: number, places: number): void {
    const { sample } = this;
    let at = this.walked;
    for (let left = places; left > 0; left--) {
      const entry = sample[at + 1];
      if (entry >>> CLASS_SHIFT !== NO_CLASS) this.reach(at, entry, now);
      at = at + 2 === sample.length ? 0 : at + 2;
    }
    this.walked = at;
  }

  private observe(hash: number, entryClass: number, now: number): void {
    const { sample } = this;
    const start = ((hash ^ (hash >>> 15)) & this.bucketMask) * WAYS * 2;
    let place = start;
    let oldest = -1;
    for (let at = start; at < start + WAYS * 2; at += 2) {
      const entry = sample[at + 1];
      if (entry >>> CLASS_SHIFT === NO_CLASS) {
        place = at;
        oldest = MAX_AGE + 1;
        continue;
      }
      if (sample[at] === hash) {
        place = at;
        const of = entry >>> CLASS_SHIFT;
        this.hits[of * STRIDE + this.reach(at, entry, now)]++;
        if (of === NEW) this.newHits++;
        break;
      }
      const age = (now - entry) & MAX_AGE;
      if (age > oldest) {
        oldest = age;
        place = at;
      }
    }
    sample[place] = hash;
    sample[place + 1] = (entryClass << CLASS_SHIFT) | (now & MAX_AGE);
  }

  /** Counts the bins that the entry has come to since the last time. @returns the last of them */
  private reach(at: number, entry: number, now: number): number {
    const bin = binOf((now - entry) & MAX_AGE);
    const from = (entry >>> REACHED_SHIFT) & REACHED;
    if (bin >= from) {
      const of = entry >>> CLASS_SHIFT;
      this.begun[of * STRIDE + from]++;
      this.begun[of * STRIDE + bin + 1]--;
      if (of === NEW) this.newExpected += this.newChances[bin + 1] - this.newChances[from];
      this.sample[at + 1] = (entry & ~(REACHED << REACHED_SHIFT)) | ((bin + 1) << REACHED_SHIFT);
    }
    return bin;
  }

  /** Draws the curve of one class, and lets its observations fade. */
  private draw(entryClass: number, fading: number): void {
    const { hits, begun, chances, pooled } = this;
    const trusted = CLASS_WEIGHT * this.trust[entryClass];
    let carriedHits = 0;
    let carriedExpected = 0;
    let reached = 0;
    for (let bin = 0, at = entryClass * STRIDE; bin < BINS; bin++, at++) {
      const common = pooled[bin];
      const used = hits[at];
      reached += begun[at];
      carriedHits = carriedHits * CARRY + used;
      carriedExpected = carriedExpected * CARRY + reached * common;
      const prior = (common * (carriedHits + trusted)) / (carriedExpected + CLASS_WEIGHT);
      chances[bin] = Math.min(1, (used + PRIOR_WEIGHT * Math.min(1, prior)) / (reached + PRIOR_WEIGHT));
      if (fading === 1) continue;
      hits[at] = used * fading;
      begun[at] *= fading;
    }
    if (fading !== 1) begun[entryClass * STRIDE + BINS] *= fading;
    if (entryClass === NEW) this.believeLately(fading);
    this.rank(entryClass * STRIDE);
  }

  /** From old to young: a stretch of bins goes on as long as what follows it is better than it is. */
  private rank(first: number): void {
    const { chances, ranks } = this;
    const { hits, requests, survive } = this.stretch;
    let depth = 0;
    for (let bin = BINS - 1; bin >= 0; bin--) {
      const chance = chances[bin];
      let itsSurvive = 1 - chance;
      let itsHits = chance;
      let itsRequests = WIDTH[bin] * (1 - chance / 2);
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

  /**
   * In a scan all that is known of new entries is of another time, and their older bins go on promising what nobody keeps. So all their chances are lowered at once,
   * in the proportion of the hits of lately to those that were to be expected. Never raised, and of no other class: a scan says nothing about what is used often.
   */
  private believeLately(fading: number): void {
    const { chances, newChances } = this;
    const kept = Math.min(1, (this.newHits + LATELY_WEIGHT) / (this.newExpected + LATELY_WEIGHT));
    for (let bin = 0; bin < BINS; bin++) {
      newChances[bin + 1] = newChances[bin] + chances[bin];
      chances[bin] *= kept;
    }
    if (fading === 1) return;
    const fadingLately = Math.exp(-this.round / this.lately);
    this.newHits *= fadingLately;
    this.newExpected *= fadingLately;
  }

  /** Chances of all classes together; a bin that few have reached goes on as those before it, and no better. */
  private pool(): void {
    const { hits, begun, pooled } = this;
    let carriedHits = 0;
    let carriedBegun = 0;
    let allBegun = 0;
    let younger = 1;
    for (let bin = 0; bin < BINS; bin++) {
      let allHits = 0;
      for (let at = bin; at < hits.length; at += STRIDE) {
        allHits += hits[at];
        allBegun += begun[at];
      }
      carriedHits = carriedHits * CARRY + allHits;
      carriedBegun = carriedBegun * CARRY + allBegun;
      const prior = Math.min(younger, (carriedHits + POOLED_WEIGHT * PRIOR_CHANCE) / (carriedBegun + POOLED_WEIGHT));
      pooled[bin] = (allHits + POOLED_WEIGHT * prior) / (allBegun + POOLED_WEIGHT);
      younger = pooled[bin];
    }
  }
}
