/**
 * Follows the best of several shadow caches of its own size: what that one does not hold goes first. The entries so become those of
 * the followed cache, whatever its policy, with the history that it has, and a change of mind costs misses one by one as the entries
 * differ (R. Subramanian, Y. Smaragdakis, G. Loh, "Adaptive Caches: Effective Shaping of Cache Behavior to Workloads", MICRO 2006).
 *
 * A hit is written down, and shown to the shadow caches when something is next inserted or evicted: on a hit this costs a store, and what
 * simulating costs is paid by misses, which cost far more anyway. Between two of them MAX_PENDING_HITS are remembered, others are lost: a cache
 * that misses so seldom has nothing to learn from them.
 *
 * 9 bytes a slot, and the shadow caches.
 */
import { BY_SIZE, ExpertChoice, EXPERTS, EXPERTS_AND_SIZES, FIRST_EXPERT } from './experts.ts';
import type { EvictionPolicy } from './policy.ts';
import { ShadowCaches } from './shadow-caches.ts';

const MAX_PENDING_HITS = 1_024;
/** Sizes are mixed from this variance on, relative to the square of their mean: half the mean as standard deviation. */
const MIXED_SIZES = 0.25;

export class ImitatingPolicy implements EvictionPolicy {
  readonly name = 'adaptive';
  private readonly shadows: ShadowCaches;
  private readonly hashes: Uint32Array;
  private readonly bytesIn: Uint32Array;
  private readonly inUse: Uint8Array;
  private residentBytes = 0;
  /** The most that was resident in this epoch: what there is room for, where bytes are the bound. */
  private peakBytes = 0;
  private boundInBytes = false;
  private residents = 0;
  private readonly choice = new ExpertChoice();
  private full = false;
  private hand = 0;
  private readonly pending = new Int32Array(MAX_PENDING_HITS);
  private pendingCount = 0;

  constructor(slotCount: number) {
    this.hashes = new Uint32Array(slotCount);
    this.bytesIn = new Uint32Array(slotCount);
    this.inUse = new Uint8Array(slotCount);
    this.shadows = new ShadowCaches(slotCount, EXPERTS_AND_SIZES);
    this.reset();
  }

  get bytes(): number {
    return this.hashes.byteLength + this.bytesIn.byteLength + this.inUse.byteLength + this.shadows.bytes;
  }

  inserted(slot: number, hash: number, bytes: number): void {
    this.showHits();
    this.hashes[slot] = hash;
    this.bytesIn[slot] = bytes;
    this.residentBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.residentBytes);
    this.inUse[slot] = 1;
    this.residents++;
    this.observe(slot);
  }

  touched(slot: number): void {
    if (this.pendingCount < MAX_PENDING_HITS) this.pending[this.pendingCount++] = slot;
  }

  removed(slot: number): void {
    this.inUse[slot] = 0;
    this.residents--;
    this.residentBytes -= this.bytesIn[slot];
  }

  victim(): number {
    const { shadows, inUse, hashes } = this;
    if (this.residents === 0) return -1;
    this.showHits();
    if (!this.full) this.startComparing();
    const { chosen } = this.choice;
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
      // One request may take the room of several entries: the followed cache goes ahead.
      if (!shadows.evictFrom(chosen)) return this.anyInUse();
    }
  }

  reset(): void {
    this.shadows.clear();
    this.inUse.fill(0);
    this.residents = 0;
    this.residentBytes = 0;
    this.peakBytes = 0;
    this.pendingCount = 0;
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

  /** Before a slot is given to another key: what was removed meanwhile is passed over. */
  private showHits(): void {
    const count = this.pendingCount;
    this.pendingCount = 0;
    for (let i = 0; i < count; i++) if (this.inUse[this.pending[i]]) this.observe(this.pending[i]);
  }

  private observe(slot: number): void {
    const { shadows, choice, inUse, hashes } = this;
    shadows.access(hashes[slot], slot, this.bytesIn[slot]);
    const before = choice.chosen;
    if (!choice.decide(shadows.misses, this.residents)) return;
    this.fitShadows();
    if (choice.chosen === before) return;
    shadows.follow(choice.chosen);
    for (let other = 0; other < inUse.length; other++) if (inUse[other] && !shadows.holds(choice.chosen, hashes[other])) shadows.giveUp(other);
  }

  /** The first eviction: how much there is room for, and of what, is known from here on. */
  private startComparing(): void {
    this.full = true;
    this.boundInBytes = this.residents < this.inUse.length;
    if (!this.boundInBytes) this.shadows.keepOnly(EXPERTS.length);
    this.fitShadows();
    const first = this.boundInBytes && this.sizesDiffer() ? BY_SIZE : FIRST_EXPERT;
    this.choice.start(this.residents, first);
    this.shadows.follow(first);
  }

  /** With mixed sizes a policy that looks at them is ahead nearly always: no reason to start with another. */
  private sizesDiffer(): boolean {
    const { inUse, bytesIn, residents, residentBytes } = this;
    let squares = 0;
    for (let slot = 0; slot < inUse.length; slot++) if (inUse[slot]) squares += bytesIn[slot] ** 2;
    return (squares * residents) / residentBytes ** 2 - 1 > MIXED_SIZES;
  }

  private fitShadows(): void {
    if (this.boundInBytes) this.shadows.resize(this.inUse.length, this.peakBytes);
    else this.shadows.resize(this.residents);
    this.peakBytes = this.residentBytes;
  }

  /** The followed cache is empty: anything may go. */
  private anyInUse(): number {
    const { inUse } = this;
    do this.hand = this.hand + 1 >= inUse.length ? 0 : this.hand + 1;
    while (!inUse[this.hand]);
    return this.hand;
  }
}
