/**
 * Learns when entries are used again, and from it what keeping one is worth: hits for each request that it stays. Entries are of a class (what is known of
 * their past), and their age is the number of requests since their last use, in bins, four an octave.
 *
 * 1. Observations: of a sample of keys, by class and bin (`reuse-sample.ts`). They fade.
 * 2. Chance of a hit in a bin = hits / begun, drawn towards what the class had in younger bins relative to all classes: few observations say little.
 *    Of what was used once, what became of it lately counts more: `believeLately`.
 *    At an age that few have reached no more hits a request are hoped for than at younger ones: who hopes that what nobody asked for in one pass comes back in the next holds on to
 *    the oldest, and is wrong wherever it is not a loop. The sample sees within the second pass whether it is one.
 * 3. Worth at an age, from the chances at it and beyond: `worth-ranks.ts`.
 *
 * Hit densities by class and age come from N. Beckmann, H. Chen, A. Cidon, "LHD: Improving Cache Hit Rate by Maximizing Hit Density", NSDI 2018.
 */
import * as ageBins from './age-bins.ts';
import * as entryWord from './entry-word.ts';
import { ReuseSample } from './reuse-sample.ts';
import { WorthRanks } from './worth-ranks.ts';

const { BINS, BIN_WIDTH, STRIDE } = ageBins;
const { NEW } = entryWord;

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
/** What has become lately of what was used once counts by itself, for so many requests an entry of the cache, or at the least. */
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
/** Rounds without a question after which curves are no longer drawn, but for that of what is new, which the sample goes by: a cache that evicts nothing needs none. */
const QUIET_ROUNDS = 2;

export class ReuseCurves {
  private readonly trust: readonly number[];
  private readonly classes: number;
  private readonly sample: ReuseSample;
  private readonly worth = new WorthRanks();
  private lately = 0;
  private longestRound = 0;
  private fading = 1;
  private round = FIRST_ROUND;
  private rounds = 0;
  /** Class whose curve is drawn next; `classes`: what all have in common is worked out. */
  private step = 0;
  private requestsLeft = 0;
  /** Rounds that have ended since somebody asked what entries are worth. */
  private roundsUnasked = QUIET_ROUNDS;
  /** Some curve is older than its observations. */
  private behind = false;
  private readonly pooled = new Float64Array(BINS);
  private readonly chances = new Float64Array(BINS);

  /** @param trust For each class: by how much more than others its entries are used again, as far as anything is known before the first request. */
  constructor(trust: readonly number[], entries: number) {
    this.trust = trust;
    this.classes = trust.length;
    this.sample = new ReuseSample(this.classes, entries);
    this.fit(entries);
    this.clear();
  }

  /** The cache holds so many entries, or about. */
  fit(entries: number): void {
    this.sample.fit(entries);
    this.lately = Math.max(LATELY_AN_ENTRY * entries, MIN_LATELY);
    this.longestRound = Math.ceil(Math.max(MIN_ROUND, entries / 4));
    this.fading = Math.exp(-this.longestRound / Math.max(MEMORY_AN_ENTRY * entries, MIN_MEMORY));
  }

  get bytes(): number {
    return this.sample.bytes + this.worth.bytes + this.pooled.byteLength + this.chances.byteLength;
  }

  /** What keeping an entry is worth, in order, at its `placeOf`. */
  get ranks(): Int32Array {
    this.roundsUnasked = 0;
    if (this.behind) this.catchUp();
    return this.worth.ranks;
  }

  /** What keeping an entry of this class and age is worth, to 1.5 %. */
  worthOf(entryClass: number, age: number): number {
    if (this.behind) this.catchUp();
    return this.worth.worthOf(entryClass, age);
  }

  /** The request at `tick`, a count of 20 bits that wraps, was for `hash`, which is of this class from here on. */
  used(hash: number, entryClass: number, tick: number): void {
    if (this.sample.follows(hash)) this.sample.used(hash, entryClass, tick);
    if (--this.requestsLeft <= 0) this.takeStep(tick);
  }

  clear(): void {
    this.sample.clear();
    this.rounds = 0;
    this.round = FIRST_ROUND;
    this.step = 0;
    this.requestsLeft = FIRST_ROUND;
    this.roundsUnasked = QUIET_ROUNDS;
    this.catchUp();
  }

  /** A round is a walk, then one curve after the other. */
  private takeStep(tick: number): void {
    const { classes } = this;
    const steps = classes + 1;
    const { room } = this.sample;
    this.sample.walk(tick, Math.ceil((this.rounds < FULL_WALKS ? room : Math.min(room, WALK_A_REQUEST * this.round)) / steps));
    if (this.step % NEW_EVERY_STEPS === 0) this.draw(NEW, 1);
    if (this.step === 0) this.pool();
    else if (this.roundsUnasked < QUIET_ROUNDS || this.step - 1 === NEW) this.draw(this.step - 1, this.fading);
    else this.fade(this.step - 1);
    if (++this.step === steps) {
      this.step = 0;
      this.rounds++;
      this.roundsUnasked++;
      this.round = Math.min(this.longestRound, Math.ceil(this.round * ROUND_GROWTH));
    }
    // Whole requests, and the same number of them in each round.
    this.requestsLeft = Math.floor(((this.step + 1) * this.round) / steps) - Math.floor((this.step * this.round) / steps);
  }

  private catchUp(): void {
    this.behind = false;
    this.pool();
    for (let drawn = 0; drawn < this.classes; drawn++) this.draw(drawn, 1);
  }

  /** What `draw` leaves of the observations, without the curve. */
  private fade(entryClass: number): void {
    const { hits, begun } = this.sample;
    const from = entryClass * STRIDE;
    for (let at = from; at < from + BINS; at++) {
      hits[at] *= this.fading;
      begun[at] *= this.fading;
    }
    begun[from + BINS] *= this.fading;
    this.behind = true;
  }

  /** Draws the curve of one class, and lets its observations fade. */
  private draw(entryClass: number, fading: number): void {
    const { chances, pooled } = this;
    const { hits, begun } = this.sample;
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
      // Prior chance = hoped / weight. One division instead of two.
      const weight = carriedExpected + CLASS_WEIGHT;
      const hoped = Math.min(weight, common * (carriedHits + trusted));
      chances[bin] = Math.min(1, (used * weight + PRIOR_WEIGHT * hoped) / ((reached + PRIOR_WEIGHT) * weight));
      if (fading === 1) continue;
      hits[at] = used * fading;
      begun[at] *= fading;
    }
    if (fading !== 1) begun[entryClass * STRIDE + BINS] *= fading;
    if (entryClass === NEW) this.believeLately(fading);
    this.worth.rank(entryClass, chances);
  }

  /**
   * In a scan all that is known of new entries is of another time, and their older bins go on promising what nobody keeps. So all their chances are lowered at once,
   * in the proportion of the hits of lately to those that were to be expected. Never raised, and of no other class: a scan says nothing about what is used often.
   */
  private believeLately(fading: number): void {
    const { chances, sample } = this;
    const { newChances } = sample;
    const kept = Math.min(1, (sample.newHits + LATELY_WEIGHT) / (sample.newExpected + LATELY_WEIGHT));
    for (let bin = 0; bin < BINS; bin++) {
      newChances[bin + 1] = newChances[bin] + chances[bin];
      chances[bin] *= kept;
    }
    if (fading === 1) return;
    const fadingLately = Math.exp(-this.round / this.lately);
    sample.newHits *= fadingLately;
    sample.newExpected *= fadingLately;
  }

  /** Chances of all classes together; a bin that few have reached goes on as those before it, and at no better a rate. */
  private pool(): void {
    const { pooled } = this;
    const { hits, begun } = this.sample;
    let carriedHits = 0;
    let carriedBegun = 0;
    let allBegun = 0;
    let rate = Infinity;
    for (let bin = 0; bin < BINS; bin++) {
      let allHits = 0;
      for (let at = bin; at < hits.length; at += STRIDE) {
        allHits += hits[at];
        allBegun += begun[at];
      }
      carriedHits = carriedHits * CARRY + allHits;
      carriedBegun = carriedBegun * CARRY + allBegun;
      const prior = Math.min(rate * BIN_WIDTH[bin], (carriedHits + POOLED_WEIGHT * PRIOR_CHANCE) / (carriedBegun + POOLED_WEIGHT));
      pooled[bin] = (allHits + POOLED_WEIGHT * prior) / (allBegun + POOLED_WEIGHT);
      rate = pooled[bin] / BIN_WIDTH[bin];
    }
  }
}
