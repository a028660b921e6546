/**
 * Greedy-Dual-Size-Frequency (L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Labs
 * HPL-98-69, 1998): what goes has the least of `age at its last hit + hits / bytes`; the age is the priority of the last victim.
 * For caches bounded in bytes with mixed sizes. Its heap costs O(log n) for every hit: no policy of the engine, but a yardstick of the simulator.
 *
 * 28 bytes a slot.
 */
import type { EvictionPolicy } from './policy.ts';

export class GdsfPolicy implements EvictionPolicy {
  readonly name = 'gdsf';
  private readonly heap: Int32Array;
  private readonly placeOf: Int32Array;
  private readonly priority: Float64Array;
  private readonly hits: Uint32Array;
  private readonly sizes: Float64Array;
  private size = 0;
  private age = 0;
  private named = -1;

  constructor(slotCount: number) {
    this.heap = new Int32Array(slotCount);
    this.placeOf = new Int32Array(slotCount).fill(-1);
    this.priority = new Float64Array(slotCount);
    this.hits = new Uint32Array(slotCount);
    this.sizes = new Float64Array(slotCount);
  }

  get bytes(): number {
    return this.heap.byteLength + this.placeOf.byteLength + this.priority.byteLength + this.hits.byteLength + this.sizes.byteLength;
  }

  inserted(slot: number, _hash: number, bytes: number): void {
    this.sizes[slot] = Math.max(1, bytes);
    this.hits[slot] = 1;
    this.priority[slot] = this.age + 1 / this.sizes[slot];
    this.siftUp(this.size++, slot);
  }

  touched(slot: number): void {
    this.priority[slot] = this.age + ++this.hits[slot] / this.sizes[slot];
    this.siftDown(this.placeOf[slot], slot);
  }

  removed(slot: number): void {
    if (slot === this.named) this.age = this.priority[slot];
    this.named = -1;
    const place = this.placeOf[slot];
    this.placeOf[slot] = -1;
    const last = this.heap[--this.size];
    if (last === slot) return;
    this.siftUp(place, last);
    this.siftDown(this.placeOf[last], last);
  }

  victim(): number {
    return (this.named = this.size === 0 ? -1 : this.heap[0]);
  }

  reset(): void {
    this.placeOf.fill(-1);
    this.size = 0;
    this.age = 0;
    this.named = -1;
  }

  verify(resident: ReadonlySet<number>): void {
    if (this.size !== resident.size) throw new Error(`gdsf: ${this.size} slots in the heap, ${resident.size} resident`);
    for (let place = 0; place < this.size; place++) {
      const slot = this.heap[place];
      if (!resident.has(slot) || this.placeOf[slot] !== place) throw new Error(`gdsf: slot ${slot} is misplaced`);
      if (this.priority[this.heap[(place - 1) >> 1] ?? slot] > this.priority[slot]) throw new Error(`gdsf: slot ${slot} is above a lesser one`);
    }
  }

  private siftUp(start: number, slot: number): void {
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.priority[this.heap[parent]] <= this.priority[slot]) break;
      this.put(place, this.heap[parent]);
      place = parent;
    }
    this.put(place, slot);
  }

  private siftDown(start: number, slot: number): void {
    let place = start;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && this.priority[this.heap[child + 1]] < this.priority[this.heap[child]]) child++;
      if (this.priority[this.heap[child]] >= this.priority[slot]) break;
      this.put(place, this.heap[child]);
      place = child;
    }
    this.put(place, slot);
  }

  private put(place: number, slot: number): void {
    this.heap[place] = slot;
    this.placeOf[slot] = place;
  }
}
