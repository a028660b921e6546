/** Exact least-recently-used order: a doubly linked list over slots in one typed array, most recent at the head. */
import type { EvictionPolicy } from './policy.ts';

export class LruPolicy implements EvictionPolicy {
  readonly name = 'lru';
  /**
   * For each slot two neighbours, [2 slot] the next less recent and [2 slot + 1] the next more recent: one cache line for both.
   * One more than the slots: the last is the list's anchor, between the least and the most recent. Not in the list: -1.
   */
  private readonly links: Int32Array;
  private readonly anchor: number;

  constructor(slotCount: number) {
    this.links = new Int32Array(2 * (slotCount + 1));
    this.anchor = slotCount;
    this.reset();
  }

  inserted(slot: number): void {
    this.linkFirst(slot);
  }

  touched(slot: number): void {
    if (this.links[2 * this.anchor] === slot) return;
    this.unlink(slot);
    this.linkFirst(slot);
  }

  removed(slot: number): void {
    this.unlink(slot);
    this.links[2 * slot] = -1;
    this.links[2 * slot + 1] = -1;
  }

  victim(): number {
    const last = this.links[2 * this.anchor + 1];
    return last === this.anchor ? -1 : last;
  }

  reset(): void {
    this.links.fill(-1);
    this.links[2 * this.anchor] = this.anchor;
    this.links[2 * this.anchor + 1] = this.anchor;
  }

  verify(resident: ReadonlySet<number>): void {
    const { links, anchor } = this;
    let seen = 0;
    for (let slot = links[2 * anchor], before = anchor; slot !== anchor; before = slot, slot = links[2 * slot]) {
      if (!resident.has(slot)) throw new Error(`lru: slot ${slot} is in the list but not resident`);
      if (links[2 * slot + 1] !== before) throw new Error(`lru: slot ${slot} is linked one way only`);
      if (++seen > resident.size) throw new Error('lru: the list is a loop');
    }
    if (seen !== resident.size) throw new Error(`lru: ${seen} slots in the list, ${resident.size} resident`);
  }

  private linkFirst(slot: number): void {
    const { links, anchor } = this;
    const first = links[2 * anchor];
    links[2 * slot] = first;
    links[2 * slot + 1] = anchor;
    links[2 * first + 1] = slot;
    links[2 * anchor] = slot;
  }

  private unlink(slot: number): void {
    const { links } = this;
    const next = links[2 * slot];
    const previous = links[2 * slot + 1];
    links[2 * previous] = next;
    links[2 * next + 1] = previous;
  }
}
