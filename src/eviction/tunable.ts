/**
 * A small queue, a main queue and a few knobs, which may be turned while it runs: with them it is LRU, S3-FIFO with a small queue in LRU order, a window
 * with TinyLFU admission, or something in between. `adaptive` turns them; its shadow caches are the same code with fixed knobs.
 *
 *   inserted ──> small queue (LRU) ──admitted──> main queue (CLOCK or LRU) ──> gone
 *        └─ known ghost ─────────────────────────────^   └─ refused: gone, leaves a ghost
 *
 * 13 bytes a slot (links 8, hash 4, state 1), the sketch 8 to 16, and ghosts at 4 bytes each.
 */
import { FrequencySketch } from './frequency-sketch.ts';
import { GhostTable } from './ghost-table.ts';
import type { EvictionPolicy } from './policy.ts';
import { SlotQueues } from './slot-queues.ts';

export interface Knobs {
  readonly name: string;
  /** Of the resident entries, how many wait in the small queue. At 0 new entries go to the main queue at once. */
  readonly smallShare: number;
  /** What leads from the end of the small queue to the main queue: that many hits in it, or being seen more often than the main queue's victim. */
  readonly admission: 1 | 2 | 3 | 'frequency';
  /** Ghosts for each resident entry that are believed. */
  readonly ghosts: number;
  readonly main: 'clock' | 'lru' | 'slru';
}

const SMALL = 0;
const MAIN = 1;
const PROTECTED = 2;
const QUEUES = 3;
/** Of the main queue, how much a segmented LRU protects. */
const PROTECTED_SHARE = 0.8;
const MAX_HITS = 3;
/** State of a slot: hits, then its queue. */
const HITS = 3;
const QUEUE_SHIFT = 2;

export interface TunableOptions {
  /** Room for ghosts. */
  ghostEntries: number;
  /** What several that see the same requests share: hashes by slot, and a sketch in which somebody else counts. */
  shared?: { hashes: Uint32Array; sketch: FrequencySketch };
}

export class TunableQueues implements EvictionPolicy {
  readonly name: string;
  knobs: Knobs;
  private readonly queues: SlotQueues;
  readonly hashes: Uint32Array;
  private readonly states: Uint8Array;
  private readonly ghosts: GhostTable;
  private readonly sketch: FrequencySketch;
  private readonly counts: boolean;
  private named = -1;

  constructor(slotCount: number, knobs: Knobs, { ghostEntries, shared }: TunableOptions) {
    this.name = knobs.name;
    this.knobs = knobs;
    this.queues = new SlotQueues(slotCount, QUEUES);
    this.hashes = shared?.hashes ?? new Uint32Array(slotCount);
    this.states = new Uint8Array(slotCount);
    this.ghosts = new GhostTable(ghostEntries);
    this.counts = shared === undefined;
    this.sketch = shared?.sketch ?? new FrequencySketch(slotCount);
  }

  get residents(): number {
    const { sizes } = this.queues;
    return sizes[SMALL] + sizes[MAIN] + sizes[PROTECTED];
  }

  /** What is not shared with others. */
  get ownBytes(): number {
    return this.queues.bytes + this.states.byteLength + this.ghosts.bytes + (this.counts ? this.hashes.byteLength + this.sketch.bytes : 0);
  }

  inserted(slot: number, hash: number): void {
    this.hashes[slot] = hash;
    if (this.counts) this.sketch.add(hash);
    const known = this.ghosts.take(hash, this.knobs.ghosts * this.residents) || this.knobs.smallShare === 0;
    this.enter(known ? MAIN : SMALL, slot);
  }

  touched(slot: number): void {
    const state = this.states[slot];
    if (this.counts) this.sketch.add(this.hashes[slot]);
    if ((state & HITS) < MAX_HITS) this.states[slot] = state + 1;
    const queue = state >> QUEUE_SHIFT;
    if (queue === SMALL) this.queues.moveFirst(SMALL, slot);
    else if (this.knobs.main === 'lru') this.queues.moveFirst(queue, slot);
    else if (this.knobs.main === 'slru') this.protect(queue, slot);
  }

  removed(slot: number): void {
    const queue = this.states[slot] >> QUEUE_SHIFT;
    if (slot === this.named) {
      if (queue === SMALL) this.ghosts.add(this.hashes[slot]);
      this.named = -1;
    }
    this.queues.unlink(queue, slot);
  }

  victim(): number {
    const { queues, knobs, states } = this;
    const { sizes } = queues;
    const residents = this.residents;
    const smallGoal = knobs.smallShare === 0 ? 0 : Math.max(1, Math.floor(knobs.smallShare * residents));
    while (sizes[SMALL] > 0 && sizes[SMALL] >= smallGoal) {
      const slot = queues.last(SMALL);
      if (typeof knobs.admission === 'number') {
        if ((states[slot] & HITS) < knobs.admission) return (this.named = slot);
      } else if (residents - sizes[SMALL] >= residents - smallGoal) {
        // The main queue has its share: who comes in must be worth more than who goes.
        const rival = this.mainVictim();
        if (rival < 0 || this.sketch.estimate(this.hashes[slot]) <= this.sketch.estimate(this.hashes[rival])) return (this.named = slot);
        this.admit(slot);
        return (this.named = rival);
      }
      this.admit(slot);
    }
    return (this.named = this.mainVictim());
  }

  /** Other knobs from now on. What the old ones let into the main queue and nobody has hit since has to prove itself again. */
  turn(knobs: Knobs): void {
    const { queues, states } = this;
    this.knobs = knobs;
    for (let slot = queues.last(PROTECTED); slot >= 0 && knobs.main !== 'slru'; slot = queues.last(PROTECTED)) {
      queues.unlink(PROTECTED, slot);
      queues.pushFirst(MAIN, slot);
      states[slot] = (states[slot] & HITS) | (MAIN << QUEUE_SHIFT);
    }
    if (knobs.smallShare === 0) {
      for (let slot = queues.last(SMALL); slot >= 0; slot = queues.last(SMALL)) this.admit(slot);
    } else if (typeof knobs.admission === 'number') {
      // From the front: the last of the main queue is the last of the small queue then, and goes first.
      for (let slot = queues.first(MAIN), next = -1; slot >= 0; slot = next) {
        next = queues.after(slot);
        if ((states[slot] & HITS) > 0) continue;
        queues.unlink(MAIN, slot);
        queues.pushLast(SMALL, slot);
        states[slot] = SMALL << QUEUE_SHIFT;
      }
    }
  }

  reset(): void {
    this.queues.clear();
    this.ghosts.clear();
    if (this.counts) this.sketch.clear();
    this.named = -1;
  }

  verify(resident: ReadonlySet<number>): void {
    this.queues.verify(this.name, resident);
    for (let queue = 0; queue < QUEUES; queue++) {
      for (const slot of this.queues.slotsOf(queue)) if (this.states[slot] >> QUEUE_SHIFT !== queue) throw new Error(`${this.name}: slot ${slot} is in queue ${queue} but marked otherwise`);
    }
  }

  private enter(queue: number, slot: number): void {
    this.states[slot] = queue << QUEUE_SHIFT;
    this.queues.pushFirst(queue, slot);
  }

  private admit(slot: number): void {
    this.queues.unlink(SMALL, slot);
    this.enter(MAIN, slot);
  }

  private protect(queue: number, slot: number): void {
    const { queues } = this;
    if (queue === PROTECTED) {
      queues.moveFirst(PROTECTED, slot);
      return;
    }
    queues.unlink(MAIN, slot);
    this.enter(PROTECTED, slot);
    if (queues.sizes[PROTECTED] <= PROTECTED_SHARE * (queues.sizes[MAIN] + queues.sizes[PROTECTED])) return;
    const demoted = queues.last(PROTECTED);
    queues.unlink(PROTECTED, demoted);
    this.enter(MAIN, demoted);
  }

  private mainVictim(): number {
    const { queues, states, knobs } = this;
    for (;;) {
      const slot = queues.last(MAIN);
      if (slot < 0) return queues.last(PROTECTED);
      if (knobs.main !== 'clock' || (states[slot] & HITS) === 0) return slot;
      states[slot]--;
      queues.moveFirst(MAIN, slot);
    }
  }
}
