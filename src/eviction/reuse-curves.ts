/**
 * Learns when entries are used again, and from it what keeping one is worth: hits for each request that it stays. Entries are of a class (what is known of
 * their past), and their age is the number of requests since their last use, in bins, four an octave.
 *
 * 1. Sample. Keys chosen by hash are followed whether the cache holds them or not: so it learns from what was evicted too early, or rightly. Each
 *    adds one to `begun` of every bin that it reaches, and one to `hits` of the bin in which it is used again. Both fade.
 * 2. Chance of a hit in a bin = hits / begun, drawn towards what the class had in younger bins relative to all classes: few observations say little.
 * 3. Worth at an age = the best, over all ages to stop at, of expected hits until then / expected requests until then: an index of J. Gittins
 *    ("Bandit Processes and Dynamic Allocation Indices", J. Royal Statistical Society B, 1979). Right before an expected use an entry is worth
 *    the most, which holds on to a part of a loop; where chances only fall with age it is the chance itself, which for one class alone is LRU.
 *
 *   sample   buckets of WAYS │ hash u32 │ last use u32 │ class u8, NO_CLASS = empty │ bin reached u8 │
 *
 * Hit densities by class and age come from N. Beckmann, H. Chen, A. Cidon, "LHD: Improving Cache Hit Rate by Maximizing Hit Density", NSDI 2018.
 */
const BINS = 120;
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
const CLASS_WEIGHT = 2;
/** Until something is known: the same chance in each bin, which is LRU. */
const PRIOR_CHANCE = 0.1;
/** What the next older bin is told of younger ones. */
const CARRY = 0.85;
/** Requests after which observations weigh 1/e: for each entry of the cache, and at the least. */
const MEMORY_AN_ENTRY = 5;
const MIN_MEMORY = 20_000;
/** Curves are drawn anew after so many requests, or a quarter of as many as there are entries. */
const MIN_REFRESH = 2_048;
/** Requests until the curves are drawn for the first time; then twice as many, and so on. */
const FIRST_INTERVAL = 64;
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
  private readonly classes: number;
  private readonly begun: Float64Array;
  private readonly hits: Float64Array;
  private readonly worth: Float32Array;
  private readonly hashes: Uint32Array;
  private readonly lastUse: Uint32Array;
  private readonly classOf: Uint8Array;
  private readonly reached: Uint8Array;
  private readonly bucketMask: number;
  /** Hashes below it, once permuted, are in the sample. */
  private sampleBelow = 0;
  private refreshEvery = 0;
  private fading = 1;
  private interval = FIRST_INTERVAL;
  private requestsLeft = FIRST_INTERVAL;
  private walks = 0;
  private walked = 0;
  /** Stack of `refresh`: stretches of bins, each better than what comes after it. */
  private readonly stretch = { hits: new Float64Array(BINS), requests: new Float64Array(BINS), survive: new Float64Array(BINS) };

  constructor(classes: number, entries: number) {
    this.classes = classes;
    this.begun = new Float64Array(classes * BINS);
    this.hits = new Float64Array(classes * BINS);
    this.worth = new Float32Array(classes * BINS);
    const room = Math.min(ROOM_AN_ENTRY * entries, Math.max(SMALL_SAMPLE, LARGE_ROOM_AN_ENTRY * entries), MAX_SAMPLE);
    const sample = 2 ** Math.ceil(Math.log2(Math.max(MIN_SAMPLE, room)));
    this.hashes = new Uint32Array(sample);
    this.lastUse = new Uint32Array(sample);
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
    this.refreshEvery = Math.ceil(Math.max(MIN_REFRESH, entries / 4));
    this.fading = Math.exp(-this.refreshEvery / Math.max(MEMORY_AN_ENTRY * entries, MIN_MEMORY));
  }

  get bytes(): number {
    return (this.begun.byteLength + this.hits.byteLength + this.worth.byteLength) + this.hashes.length * SAMPLE_BYTES;
  }

  /** What keeping an entry of this class and age is worth. */
  worthOf(entryClass: number, age: number): number {
    return this.worth[entryClass * BINS + binOf(age)];
  }

  /** The request at `now`, a count that wraps at 2^32, was for `hash`, which is of this class from here on. */
  used(hash: number, entryClass: number, now: number): void {
    if (Math.imul(hash, SAMPLE_FACTOR) >>> 0 < this.sampleBelow) this.observe(hash, entryClass, now);
    if (--this.requestsLeft > 0) return;
    this.walk(now);
    this.refresh();
    this.fade();
    this.interval = Math.min(this.refreshEvery, this.interval * 2);
    this.requestsLeft = this.interval;
  }

  clear(): void {
    this.begun.fill(0);
    this.hits.fill(0);
    this.classOf.fill(NO_CLASS);
    this.walks = 0;
    this.walked = 0;
    this.interval = FIRST_INTERVAL;
    this.requestsLeft = FIRST_INTERVAL;
    this.refresh();
  }

  /** Who is not used again is counted by walking the sample: all of it as long as little is known, and in turn later. */
  private walk(now: number): void {
    const { classOf } = this;
    const sample = classOf.length;
    this.walks++;
    let at = this.walked;
    for (let left = this.walks < FULL_WALKS ? sample : Math.min(sample, WALK_A_REQUEST * this.interval); left > 0; left--) {
      if (classOf[at] !== NO_CLASS) this.reach(at, now);
      at = at + 1 === sample ? 0 : at + 1;
    }
    this.walked = at;
  }

  private observe(hash: number, entryClass: number, now: number): void {
    const { hashes, lastUse, classOf } = this;
    const start = ((hash ^ (hash >>> 15)) & this.bucketMask) * WAYS;
    let place = start;
    for (let at = start; at < start + WAYS; at++) {
      if (classOf[at] !== NO_CLASS && hashes[at] === hash) {
        place = at;
        this.hits[classOf[at] * BINS + this.reach(at, now)]++;
        break;
      }
      if (classOf[place] !== NO_CLASS && (classOf[at] === NO_CLASS || (now - lastUse[at]) >>> 0 > (now - lastUse[place]) >>> 0)) place = at;
    }
    hashes[place] = hash;
    lastUse[place] = now;
    classOf[place] = entryClass;
    this.reached[place] = 0;
  }

  /** Counts the bins that the entry has come to since the last time. @returns the last of them */
  private reach(at: number, now: number): number {
    const bin = binOf((now - this.lastUse[at]) >>> 0);
    const base = this.classOf[at] * BINS;
    for (let passed = this.reached[at] + 1; passed <= bin; passed++) this.begun[base + passed]++;
    this.reached[at] = bin;
    return bin;
  }

  private refresh(): void {
    const { hits, begun, worth, classes } = this;
    const pooled = this.pooledChances();
    const stack = this.stretch;
    const chances = new Float64Array(BINS);
    for (let base = 0; base < classes * BINS; base += BINS) {
      let carriedHits = 0;
      let carriedExpected = 0;
      for (let bin = 0; bin < BINS; bin++) {
        carriedHits = carriedHits * CARRY + hits[base + bin];
        carriedExpected = carriedExpected * CARRY + begun[base + bin] * pooled[bin];
        const prior = (pooled[bin] * (carriedHits + CLASS_WEIGHT)) / (carriedExpected + CLASS_WEIGHT);
        chances[bin] = Math.min(1, (hits[base + bin] + PRIOR_WEIGHT * Math.min(1, prior)) / (begun[base + bin] + PRIOR_WEIGHT));
      }
      // From old to young: a stretch goes on as long as what follows it is better than it is.
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
        worth[base + bin] = expectedHits / requests;
      }
    }
  }

  /** Of all classes together; a bin that few have reached goes on as those before it. */
  private pooledChances(): Float64Array {
    const { hits, begun } = this;
    const pooled = new Float64Array(BINS);
    let carriedHits = 0;
    let carriedBegun = 0;
    for (let bin = 0; bin < BINS; bin++) {
      let allHits = 0;
      let allBegun = 0;
      for (let at = bin; at < hits.length; at += BINS) {
        allHits += hits[at];
        allBegun += begun[at];
      }
      carriedHits = carriedHits * CARRY + allHits;
      carriedBegun = carriedBegun * CARRY + allBegun;
      const prior = (carriedHits + POOLED_WEIGHT * PRIOR_CHANCE) / (carriedBegun + POOLED_WEIGHT);
      pooled[bin] = (allHits + POOLED_WEIGHT * prior) / (allBegun + POOLED_WEIGHT);
    }
    return pooled;
  }

  private fade(): void {
    const { hits, begun, fading } = this;
    for (let at = 0; at < hits.length; at++) {
      hits[at] *= fading;
      begun[at] *= fading;
    }
  }
}
