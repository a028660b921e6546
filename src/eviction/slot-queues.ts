/** Doubly linked queues over slots in two typed arrays (8 bytes a slot): a slot is in one queue at most, and leaves it from anywhere. */
export class SlotQueues {
  /** One place past the slots for each queue: its anchor, whose `next` is the first slot and whose `previous` the last. */
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly slotCount: number;
  /** Slots in each queue. */
  readonly sizes: Int32Array;

  constructor(slotCount: number, queues: number) {
    this.slotCount = slotCount;
    this.next = new Int32Array(slotCount + queues);
    this.previous = new Int32Array(slotCount + queues);
    this.sizes = new Int32Array(queues);
    this.clear();
  }

  get bytes(): number {
    return this.next.byteLength + this.previous.byteLength;
  }

  pushFirst(queue: number, slot: number): void {
    const { next, previous } = this;
    const anchor = this.slotCount + queue;
    const first = next[anchor];
    next[slot] = first;
    previous[slot] = anchor;
    previous[first] = slot;
    next[anchor] = slot;
    this.sizes[queue]++;
  }

  unlink(queue: number, slot: number): void {
    const { next, previous } = this;
    next[previous[slot]] = next[slot];
    previous[next[slot]] = previous[slot];
    this.sizes[queue]--;
  }

  moveFirst(queue: number, slot: number): void {
    if (this.next[this.slotCount + queue] === slot) return;
    this.unlink(queue, slot);
    this.pushFirst(queue, slot);
  }

  /** -1 when the queue is empty. */
  first(queue: number): number {
    const slot = this.next[this.slotCount + queue];
    return slot < this.slotCount ? slot : -1;
  }

  /** -1 when the queue is empty. */
  last(queue: number): number {
    const slot = this.previous[this.slotCount + queue];
    return slot < this.slotCount ? slot : -1;
  }

  clear(): void {
    this.sizes.fill(0);
    for (let anchor = this.slotCount; anchor < this.next.length; anchor++) this.next[anchor] = this.previous[anchor] = anchor;
  }

  /** First to last. Throws when links or sizes are wrong. For tests. */
  slotsOf(queue: number): number[] {
    const anchor = this.slotCount + queue;
    const slots: number[] = [];
    for (let before = anchor, slot = this.next[anchor]; slot !== anchor; before = slot, slot = this.next[slot]) {
      if (slot > this.slotCount) throw new Error(`queue ${queue} runs into another queue`);
      if (this.previous[slot] !== before) throw new Error(`queue ${queue}: slot ${slot} is linked one way only`);
      if (slots.push(slot) > this.slotCount) throw new Error(`queue ${queue} is a loop`);
    }
    if (slots.length !== this.sizes[queue]) throw new Error(`queue ${queue}: ${slots.length} slots, but a size of ${this.sizes[queue]}`);
    return slots;
  }

  /** Throws unless the queues together hold exactly `resident`. For tests. */
  verify(name: string, resident: ReadonlySet<number>): void {
    const seen = new Set<number>();
    for (let queue = 0; queue < this.sizes.length; queue++) {
      for (const slot of this.slotsOf(queue)) {
        if (!resident.has(slot)) throw new Error(`${name}: slot ${slot} is in queue ${queue} but not resident`);
        if (seen.has(slot)) throw new Error(`${name}: slot ${slot} is in two queues`);
        seen.add(slot);
      }
    }
    if (seen.size !== resident.size) throw new Error(`${name}: ${seen.size} slots in its queues, ${resident.size} resident`);
  }
}
