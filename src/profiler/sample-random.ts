/** Seeded random numbers for the sample trades: the same seed gives the same numbers on every machine. */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    // Small seeds differ in few bits: let them spread.
    for (let i = 0; i < 20; i++) this.uint32();
  }

  /** sfc32 (Chris Doty-Humphrey, PractRand). */
  uint32(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  /** [0, 1) */
  unit(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.unit());
  }

  /** Given by its median and the deviation of its logarithm (Box-Muller). */
  logNormal(median: number, sigma: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.unit())) * Math.cos(2 * Math.PI * this.unit());
    return median * Math.exp(sigma * normal);
  }

  base58(length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += BASE58[this.below(BASE58.length)];
    return text;
  }

  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Draws an index with probability proportional to its weight. */
export class WeightedChoice {
  readonly #upTo: Float64Array;

  constructor(weights: readonly number[]) {
    this.#upTo = new Float64Array(weights.length);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) this.#upTo[i] = sum += weights[i];
  }

  draw(random: SeededRandom): number {
    const upTo = this.#upTo;
    const target = random.unit() * upTo[upTo.length - 1];
    let low = 0;
    let high = upTo.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (upTo[middle] <= target) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Zipf weights: the k-th of `count` has 1 / k^exponent. */
export const zipfWeights = (count: number, exponent: number): number[] => Array.from({ length: count }, (_, k) => (k + 1) ** -exponent);
