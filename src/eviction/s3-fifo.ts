/**
 * S3-FIFO: three FIFO queues (J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi, "FIFO Queues are All You Need for Cache
 * Eviction", SOSP 2023). A new entry waits in a small queue; hit often enough there it moves to the main queue, otherwise it
 * goes and leaves a ghost. An entry whose ghost is still remembered comes back straight into the main queue. The main queue is a
 * two-bit CLOCK. A hit changes two bits of the entry and nothing else, so late or lost hits of other threads do little harm.
 *
 * 9 bytes a slot (links 8, state 1), and a ghost table of 4 bytes an entry: 7.5 to 15 bytes a slot at 1.5 ghosts a slot.
 */
import { GhostTable } from './ghost-table.ts';
import type { EvictionPolicy } from './policy.ts';
import { SlotHashes, type KeptHashes } from './slot-hashes.ts';
import { SlotQueues } from './slot-queues.ts';

export interface S3FifoOptions {
  /** Of the resident entries, how many wait in the small queue: 0 to 1. At 0 there is none, and what is left is a two-bit CLOCK. */
  smallShare?: number;
  /** Hits in the small queue that lead to the main queue: 1 to 3. */
  promoteAt?: number;
  /** Ghosts for each resident entry. */
  ghosts?: number;
}

const SMALL = 0;
const MAIN = 1;
const MAX_HITS = 3;
/** State of a slot: hits in the low two bits. */
const HITS = 3;
const IN_MAIN = 4;

export class S3FifoPolicy implements EvictionPolicy {
  readonly name = 's3-fifo';
  private readonly queues: SlotQueues;
  private readonly hashes: SlotHashes;
  private readonly states: Uint8Array;
  private readonly ghosts: GhostTable;
  private readonly smallShare: number;
  private readonly promoteAt: number;
  private readonly ghostFactor: number;
  /** What `victim` named last: it leaves a ghost, what is removed for other reasons does not. */
  private named = -1;

  constructor(slotCount: number, { smallShare = 0.1, promoteAt = 2, ghosts = 1.5 }: S3FifoOptions = {}, hashes?: KeptHashes) {
    this.queues = new SlotQueues(slotCount, 2);
    this.hashes = new SlotHashes(slotCount, hashes);
    this.states = new Uint8Array(slotCount);
    this.ghosts = new GhostTable(slotCount * ghosts);
    this.smallShare = smallShare;
    this.promoteAt = promoteAt;
    this.ghostFactor = ghosts;
  }

  get bytes(): number {
    return this.queues.bytes + this.hashes.bytes + this.states.byteLength + this.ghosts.bytes;
  }

  inserted(slot: number, hash: number): void {
    this.hashes.inserted(slot, hash);
    const known = this.smallShare === 0 || this.ghosts.take(hash, this.ghostFactor * this.residents);
    this.states[slot] = known ? IN_MAIN : 0;
    this.queues.pushFirst(known ? MAIN : SMALL, slot);
  }

  touched(slot: number): void {
    if ((this.states[slot] & HITS) < MAX_HITS) this.states[slot]++;
  }

  removed(slot: number): void {
    const queue = this.states[slot] & IN_MAIN ? MAIN : SMALL;
    if (slot === this.named) {
      if (queue === SMALL) this.ghosts.add(this.hashes.of(slot));
      this.named = -1;
    }
    this.queues.unlink(queue, slot);
  }

  /** Every turn promotes an entry, takes a hit from one, or ends: amortised, the hits of the past pay for it. */
  victim(): number {
    const { queues, states } = this;
    const smallGoal = Math.max(1, this.smallShare * this.residents);
    for (;;) {
      const small = queues.sizes[MAIN] === 0 || queues.sizes[SMALL] >= smallGoal;
      const slot = queues.last(small ? SMALL : MAIN);
      if (slot < 0) return (this.named = -1);
      if (small) {
        if ((states[slot] & HITS) < this.promoteAt) return (this.named = slot);
        queues.unlink(SMALL, slot);
        states[slot] = IN_MAIN;
      } else {
        if ((states[slot] & HITS) === 0) return (this.named = slot);
        queues.unlink(MAIN, slot);
        states[slot]--;
      }
      queues.pushFirst(MAIN, slot);
    }
  }

  reset(): void {
    this.queues.clear();
    this.ghosts.clear();
    this.named = -1;
  }

  verify(resident: ReadonlySet<number>): void {
    this.queues.verify(this.name, resident);
    for (const slot of this.queues.slotsOf(SMALL)) if (this.states[slot] & IN_MAIN) throw new Error(`${this.name}: slot ${slot} is in the small queue with the mark of the main queue`);
    for (const slot of this.queues.slotsOf(MAIN)) if (!(this.states[slot] & IN_MAIN)) throw new Error(`${this.name}: slot ${slot} is in the main queue without its mark`);
  }

  private get residents(): number {
    return this.queues.sizes[SMALL] + this.queues.sizes[MAIN];
  }
}
