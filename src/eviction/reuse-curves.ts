/**
 * Learns when entries are used again, and from it what keeping one is worth: hits for each request that it stays. Entries are of a class (what is known of
 * their past), and their age is the number of requests since their last use, in bins, four an octave.
 *
 * 1. Sample. Keys chosen by hash are followed whether the cache holds them or not: so it learns from what was evicted too early, or rightly. Each
 *    is counted in every bin that it reaches, and in the `hits` of the bin in which it is used again. Both fade.
 * 2. Chance of a hit in a bin = hits / begun, drawn towards what the class had in younger bins relative to all classes: few observations say little.
 * 3. Worth at an age = the best, over all ages to stop at, of expected hits until then / expected requests until then: an index of J. Gittins
 *    ("Bandit Processes and Dynamic Allocation Indices", J. Royal Statistical Society B, 1979). Right before an expected use an entry is worth
 *    the most, which holds on to a part of a loop; where chances only fall with age it is the chance itself, which for one class alone is LRU.
 *
 *   sample   buckets of WAYS │ hash u32 │ last use i32 │ class u8, NO_CLASS = empty │ bin reached u8 │
 *
 * Hit densities by class and age come from N. Beckmann, H. Chen, A. Cidon, "LHD: Improving Cache Hit Rate by Maximizing Hit Density", NSDI 2018.
 */
const BINS = 120;
/** Places a class takes: the last is where stretches end that reach the last bin. */
const STRIDE = BINS + 1;
const MAX_AGE = 2 ** 31 - 1;
const WAYS = 8;
const NO_CLASS = 255;
const SAMPLE_BYTES = 10;
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
/** All curves are drawn anew once in so many requests, or a quarter of as many as there are entries: one class at a time, that no request waits for long. */
const MIN_ROUND = 2_048;
/** Requests of the first round; the next takes twice as many, and so on. */
const FIRST_ROUND = 64;
/** So many rounds look at the whole sample. */
const FULL_WALKS = 24;
/** Of the sample, how many are looked at for each request after that. */
const WALK_A_REQUEST = 2;

/** First age of each bin. */
const START = Float64Array.from({ length: BINS + 1 }, (_, bin) => (bin < 8 ? bin : 2 ** ((bin >> 2) + 1) + (bin & 3) * 2 ** ((bin >> 2) - 1)));

/** 0 to 7 are bins of their own; from there four bins an octave. */
function binOf(age: number): number {
  if (age < 8) return age;
  const octave = 31 - Math.clz32(age);
  return Math.min(BINS - 1, (octave - 1) * 4 + ((age >>> (octave - 2)) & 3));
}

export class ReuseCurves {
  private readonly trust: readonly number[];
  private readonly classes: number;
  /** How many reached a bin, as differences: of a stretch of bins that was passed only both ends are written. */
  private readonly begun: Float64Array;
  private readonly hits: Float64Array;
  private readonly worth: Float32Array;
  private readonly hashes: Uint32Array;
  private readonly lastUse: Int32Array;
  private readonly classOf: Uint8Array;
  private readonly reached: Uint8Array;
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
  /** Stack of `draw`: stretches of bins, each better than what comes after it. */
  private readonly stretch = { hits: new Float64Array(BINS), requests: new Float64Array(BINS), survive: new Float64Array(BINS) };

  /** @param trust For each class: by how much more than others its entries are used again, as far as anything is known before the first request. */
  constructor(trust: readonly number[], entries: number) {
    const classes = trust.length;
    this.trust = trust;
    this.classes = classes;
    this.begun = new Float64Array(classes * STRIDE);
    this.hits = new Float64Array(classes * STRIDE);
    this.worth = new Float32Array(classes * BINS);
    const room = Math.min(ROOM_AN_ENTRY * entries, Math.max(SMALL_SAMPLE, LARGE_ROOM_AN_ENTRY * entries), MAX_SAMPLE);
    const sample = 2 ** Math.ceil(Math.log2(Math.max(MIN_SAMPLE, room)));
    this.hashes = new Uint32Array(sample);
    this.lastUse = new Int32Array(sample);
    this.classOf = new Uint8Array(sample);
    this.reached = new Uint8Array(sample);
    this.bucketMask = sample / WAYS - 1;
    this.fit(entries);
    this.clear();
  }

  /** The cache holds so many entries, or about. */
  fit(entries: number): void {
    const sample = this.hashes.length;
    this.sampleBelow = Math.min(1, (0.8 * sample) / (KEYS_AN_ENTRY * entries)) * 2 ** 32;
    this.longestRound = Math.ceil(Math.max(MIN_ROUND, entries / 4));
    this.fading = Math.exp(-this.longestRound / Math.max(MEMORY_AN_ENTRY * entries, MIN_MEMORY));
  }

  get bytes(): number {
    return this.begun.byteLength + this.hits.byteLength + this.worth.byteLength + this.hashes.length * SAMPLE_BYTES;
  }

  /** What keeping an entry of this class and age is worth. */
  worthOf(entryClass: number, age: number): number {
    return this.worth[entryClass * BINS + binOf(age)];
  }

  /** The request at `now`, a count that wraps at 2^32, was for `hash`, which is of this class from here on. */
  used(hash: number, entryClass: number, now: number): void {
    if (Math.imul(hash, SAMPLE_FACTOR) >>> 0 < this.sampleBelow) this.observe(hash, entryClass, now);
    if (--this.requestsLeft <= 0) this.takeStep(now);
  }

  clear(): void {
    this.begun.fill(0);
    this.hits.fill(0);
    this.classOf.fill(NO_CLASS);
    this.rounds = 0;
    this.walked = 0;
    this.round = FIRST_ROUND;
    this.step = 0;
    this.requestsLeft = FIRST_ROUND;
    this.pool();
    for (let drawn = 0; drawn < this.classes; drawn++) this.draw(drawn);
  }

  /** A round is a walk, then one curve after the other. */
  private takeStep(now: number): void {
    const { classes } = this;
    const steps = classes + 1;
    const sample = this.classOf.length;
    this.walk(now, Math.ceil((this.rounds < FULL_WALKS ? sample : Math.min(sample, WALK_A_REQUEST * this.round)) / steps));
    if (this.step === 0) this.pool();
    else this.draw(this.step - 1);
    if (++this.step === steps) {
      this.step = 0;
      this.rounds++;
      this.round = Math.min(this.longestRound, this.round * 2);
    }
    // Whole requests, and the same number of them in each round.
    this.requestsLeft = Math.floor(((this.step + 1) * this.round) / steps) - Math.floor((this.step * this.round) / steps);
  }

  /** Who is not used again is counted by walking the sample. */
  private walk(now: number, places: number): void {
    const { classOf } = this;
    let at = this.walked;
    for (let left = places; left > 0; left--) {
      if (classOf[at] !== NO_CLASS) this.reach(at, now);
      at = at + 1 === classOf.length ? 0 : at + 1;
    }
    this.walked = at;
  }

  private observe(hash: number, entryClass: number, now: number): void {
    const { hashes, lastUse, classOf } = this;
    const start = ((hash ^ (hash >>> 15)) & this.bucketMask) * WAYS;
    let place = start;
    let oldest = -1;
    for (let at = start; at < start + WAYS; at++) {
      if (classOf[at] === NO_CLASS) {
        place = at;
        oldest = MAX_AGE;
        continue;
      }
      if (hashes[at] === hash) {
        place = at;
        this.hits[classOf[at] * STRIDE + this.reach(at, now)]++;
        break;
      }
      const age = (now - lastUse[at]) & MAX_AGE;
      if (age > oldest) {
        oldest = age;
        place = at;
      }
    }
    hashes[place] = hash;
    lastUse[place] = now;
    classOf[place] = entryClass;
    this.reached[place] = 0;
  }

  /** Counts the bins that the entry has come to since the last time. @returns the last of them */
  private reach(at: number, now: number): number {
    const bin = binOf((now - this.lastUse[at]) & MAX_AGE);
    const from = this.reached[at];
    if (bin > from) {
      const base = this.classOf[at] * STRIDE + 1;
      this.begun[base + from]++;
      this.begun[base + bin]--;
      this.reached[at] = bin;
    }
    return bin;
  }

  /** Draws the curve of one class, and lets its observations fade. */
  private draw(entryClass: number): void {
    const { hits, begun, worth, chances, pooled, fading } = this;
    const observed = entryClass * STRIDE;
    const trust = this.trust[entryClass];
    let carriedHits = 0;
    let carriedExpected = 0;
    let reached = 0;
    for (let bin = 0; bin < BINS; bin++) {
      reached += begun[observed + bin];
      const used = hits[observed + bin];
      carriedHits = carriedHits * CARRY + used;
      carriedExpected = carriedExpected * CARRY + reached * pooled[bin];
      const prior = (pooled[bin] * (carriedHits + CLASS_WEIGHT * trust)) / (carriedExpected + CLASS_WEIGHT);
      chances[bin] = Math.min(1, (used + PRIOR_WEIGHT * Math.min(1, prior)) / (reached + PRIOR_WEIGHT));
      hits[observed + bin] = used * fading;
      begun[observed + bin] *= fading;
    }
    begun[observed + BINS] *= fading;
    // From old to young: a stretch goes on as long as what follows it is better than it is.
    const stack = this.stretch;
    let depth = 0;
    for (let bin = BINS - 1; bin >= 0; bin--) {
      let survive = 1 - chances[bin];
      let expectedHits = chances[bin];
      let requests = (START[bin + 1] - START[bin]) * (1 - chances[bin] / 2);
      for (; depth > 0 && stack.hits[depth - 1] * requests > expectedHits * stack.requests[depth - 1]; depth--) {
        expectedHits += survive * stack.hits[depth - 1];
        requests += survive * stack.requests[depth - 1];
        survive *= stack.survive[depth - 1];
      }
      stack.hits[depth] = expectedHits;
      stack.requests[depth] = requests;
      stack.survive[depth++] = survive;
      worth[entryClass * BINS + bin] = expectedHits / requests;
    }
  }

  /** Chances of all classes together; a bin that few have reached goes on as those before it. */
  private pool(): void {
    const { hits, begun, pooled } = this;
    let carriedHits = 0;
    let carriedBegun = 0;
    let allBegun = 0;
    for (let bin = 0; bin < BINS; bin++) {
      let allHits = 0;
      for (let at = bin; at < hits.length; at += STRIDE) {
        allHits += hits[at];
        allBegun += begun[at];
      }
      carriedHits = carriedHits * CARRY + allHits;
      carriedBegun = carriedBegun * CARRY + allBegun;
      const prior = (carriedHits + POOLED_WEIGHT * PRIOR_CHANCE) / (carriedBegun + POOLED_WEIGHT);
      pooled[bin] = (allHits + POOLED_WEIGHT * prior) / (allBegun + POOLED_WEIGHT);
    }
  }
}
