/**
 * For caches too large to be simulated in full: shadow caches see the requests of a sample of the keys, and the cache itself runs with the knobs of
 * the best of them. The sample is chosen by hash, so that a key is always in it or never.
 *
 * 13 bytes a slot, 8 to 16 of sketch and 16 to 32 of ghosts; the shadow caches have a fixed size.
 */
import { ExpertChoice, EXPERTS, FIRST_EXPERT } from './experts.ts';
import type { EvictionPolicy } from './policy.ts';
import { ShadowCaches } from './shadow-caches.ts';
import { TunableQueues } from './tunable.ts';

const HASHES = 2 ** 32;
/** Odd, so that it is a permutation: the bits that choose the sample are not those that choose a bucket. */
const SAMPLE_FACTOR = 0x9e3779b1;

export class MiniaturePolicy implements EvictionPolicy {
  readonly name = 'adaptive';
  private readonly cache: TunableQueues;
  private readonly shadows: ShadowCaches;
  private readonly slotCount: number;
  private readonly choice = new ExpertChoice();
  /** Hashes below it, once permuted, are in the sample. */
  private sampleBelow = 0;
  private full = false;

  constructor(slotCount: number, shadowEntries: number) {
    this.slotCount = slotCount;
    this.cache = new TunableQueues(slotCount, EXPERTS[FIRST_EXPERT], { ghostEntries: slotCount * Math.max(...EXPERTS.map((knobs) => knobs.ghosts)) });
    this.shadows = new ShadowCaches(Math.min(slotCount, shadowEntries), EXPERTS);
    this.sampleFor(slotCount);
  }

  get bytes(): number {
    return this.cache.ownBytes + this.shadows.bytes;
  }

  inserted(slot: number, hash: number): void {
    this.cache.inserted(slot, hash);
    this.observe(slot, hash);
  }

  touched(slot: number): void {
    this.cache.touched(slot);
    this.observe(slot, this.cache.hashes[slot]);
  }

  removed(slot: number): void {
    this.cache.removed(slot);
  }

  victim(): number {
    if (!this.full) {
      // How many entries there is room for is known from here on.
      this.full = true;
      this.sampleFor(this.cache.residents);
      this.choice.start(this.shadows.size);
    }
    return this.cache.victim();
  }

  reset(): void {
    this.cache.reset();
    this.cache.turn(EXPERTS[FIRST_EXPERT]);
    this.shadows.clear();
    this.choice.reset();
    this.full = false;
    this.sampleFor(this.slotCount);
  }

  verify(resident: ReadonlySet<number>): void {
    this.cache.verify(resident);
    this.shadows.verify();
  }

  private observe(slot: number, hash: number): void {
    if (Math.imul(hash, SAMPLE_FACTOR) >>> 0 >= this.sampleBelow) return;
    this.shadows.access(hash, slot, 1);
    const before = this.choice.chosen;
    if (!this.choice.decide(this.shadows.misses, this.shadows.size)) return;
    if (this.choice.chosen !== before) this.cache.turn(EXPERTS[this.choice.chosen]);
    this.sampleFor(this.cache.residents);
  }

  private sampleFor(residents: number): void {
    const entries = Math.max(1, Math.min(residents, this.shadows.maxEntries));
    this.sampleBelow = Math.floor((entries / Math.max(1, residents)) * HASHES);
    this.shadows.resize(entries);
  }
}
