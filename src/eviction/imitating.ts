/**
 * Follows the best of several shadow caches of its own size: what that one does not hold goes first. The entries so become those of
 * the followed cache, whatever its policy, with the history that it has, and a change of mind costs misses one by one as the entries
 * differ (R. Subramanian, Y. Smaragdakis, G. Loh, "Adaptive Caches: Effective Shaping of Cache Behavior to Workloads", MICRO 2006).
 *
 * 5 bytes a slot, and the shadow caches.
 */
import { ExpertChoice, EXPERTS } from './experts.ts';
import type { EvictionPolicy } from './policy.ts';
import { ShadowCaches } from './shadow-caches.ts';

export class ImitatingPolicy implements EvictionPolicy {
  readonly name = 'adaptive';
  private readonly shadows: ShadowCaches;
  private readonly hashes: Uint32Array;
  private readonly inUse: Uint8Array;
  private residents = 0;
  private readonly choice = new ExpertChoice();
  private full = false;
  private hand = 0;

  constructor(slotCount: number) {
    this.hashes = new Uint32Array(slotCount);
    this.inUse = new Uint8Array(slotCount);
    this.shadows = new ShadowCaches(slotCount, EXPERTS);
    this.reset();
  }

  get bytes(): number {
    return this.hashes.byteLength + this.inUse.byteLength + this.shadows.bytes;
  }

  inserted(slot: number, hash: number): void {
    this.hashes[slot] = hash;
    this.inUse[slot] = 1;
    this.residents++;
    this.observe(slot);
  }

  touched(slot: number): void {
    this.observe(slot);
  }

  removed(slot: number): void {
    this.inUse[slot] = 0;
    this.residents--;
  }

  victim(): number {
    const { shadows, inUse, hashes } = this;
    const { chosen } = this.choice;
    if (this.residents === 0) return -1;
    if (!this.full) {
      // How many entries there is room for is known from here on.
      this.full = true;
      shadows.resize(this.residents);
      this.choice.start(this.residents);
    }
    for (;;) {
      for (let slot = shadows.takeGivenUp(); slot >= 0; slot = shadows.takeGivenUp()) {
        if (inUse[slot] && !shadows.holds(chosen, hashes[slot])) return slot;
      }
      const record = shadows.nextVictim(chosen);
      if (record >= 0) {
        const slot = shadows.tagOf(record);
        // The followed cache may hold what is no longer here, and the slot may be another key's by now.
        if (inUse[slot] && hashes[slot] === shadows.hashOf(record)) return slot;
      }
      // One request may take the room of several entries (bytes): the shadows follow.
      if (shadows.size <= this.residents - 1 || this.residents === 1) return this.anyNotHeld();
      shadows.resize(this.residents - 1);
    }
  }

  reset(): void {
    this.shadows.clear();
    this.inUse.fill(0);
    this.residents = 0;
    this.full = false;
    this.hand = 0;
    this.choice.reset();
    this.shadows.follow(this.choice.chosen);
  }

  verify(resident: ReadonlySet<number>): void {
    this.shadows.verify();
    if (resident.size !== this.residents) throw new Error(`${this.name}: counts ${this.residents} entries, ${resident.size} are resident`);
    for (let slot = 0; slot < this.inUse.length; slot++) if ((this.inUse[slot] === 1) !== resident.has(slot)) throw new Error(`${this.name}: slot ${slot} is ${resident.has(slot) ? '' : 'not '}resident but marked otherwise`);
  }

  private observe(slot: number): void {
    const { shadows, choice, inUse, hashes } = this;
    shadows.access(hashes[slot], slot);
    const before = choice.chosen;
    if (!choice.decide(shadows.misses, this.residents)) return;
    shadows.resize(this.residents);
    if (choice.chosen === before) return;
    shadows.follow(choice.chosen);
    for (let other = 0; other < inUse.length; other++) if (inUse[other] && !shadows.holds(choice.chosen, hashes[other])) shadows.giveUp(other);
  }

  /** The followed cache holds fewer than are resident: there is such a slot. */
  private anyNotHeld(): number {
    const { inUse, hashes, shadows } = this;
    let any = -1;
    for (let turn = 0; turn < inUse.length; turn++) {
      this.hand = this.hand + 1 >= inUse.length ? 0 : this.hand + 1;
      if (!inUse[this.hand]) continue;
      any = this.hand;
      if (!shadows.holds(this.choice.chosen, hashes[any])) return any;
    }
    return any;
  }
}
