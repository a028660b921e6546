/** Exact least-recently-used order: a doubly linked list over slots in two typed arrays, most recent at the head. */
import type { EvictionPolicy } from './policy.ts';

export class LruPolicy implements EvictionPolicy {
  readonly name = 'lru';
  /** One more than the slots: the last is the list's anchor, its `next` the most recent and its `previous` the least. */
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly anchor: number;

  constructor(slotCount: number) {
    this.next = new Int32Array(slotCount + 1).fill(-1);
    this.previous = new Int32Array(slotCount + 1).fill(-1);
    this.anchor = slotCount;
    this.reset();
  }

  inserted(slot: number): void {
    this.linkFirst(slot);
  }

  touched(slot: number): void {
    if (this.next[this.anchor] === slot) return;
    this.unlink(slot);
    this.linkFirst(slot);
  }

  removed(slot: number): void {
    this.unlink(slot);
    this.next[slot] = -1;
    this.previous[slot] = -1;
  }

  victim(): number {
    const last = this.previous[this.anchor];
    return last === this.anchor ? -1 : last;
  }

  reset(): void {
    this.next.fill(-1);
    this.previous.fill(-1);
    this.next[this.anchor] = this.anchor;
    this.previous[this.anchor] = this.anchor;
  }

  verify(resident: ReadonlySet<number>): void {
    let seen = 0;
    for (let slot = this.next[this.anchor], before = this.anchor; slot !== this.anchor; before = slot, slot = this.next[slot]) {
      if (!resident.has(slot)) throw new Error(`lru: slot ${slot} is in the list but not resident`);
      if (this.previous[slot] !== before) throw new Error(`lru: slot ${slot} is linked one way only`);
      if (++seen > resident.size) throw new Error('lru: the list is a loop');
    }
    if (seen !== resident.size) throw new Error(`lru: ${seen} slots in the list, ${resident.size} resident`);
  }

  private linkFirst(slot: number): void {
    const { next, previous, anchor } = this;
    const first = next[anchor];
    next[slot] = first;
    previous[slot] = anchor;
    previous[first] = slot;
    next[anchor] = slot;
  }

  private unlink(slot: number): void {
    const { next, previous } = this;
    next[previous[slot]] = next[slot];
    previous[next[slot]] = previous[slot];
  }
}
