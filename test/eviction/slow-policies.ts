/** The policies once more: plain arrays over keys, exact ghosts, no care for speed. Written from the papers, sharing no code with src/eviction. */
import type { SlowPolicy } from './support.ts';

export class SlowLru implements SlowPolicy {
  private order: number[] = [];
  hit(key: number): void { this.remove(key); this.order.unshift(key); }
  evict(): number { return this.order.pop() as number; }
  insert(key: number): void { this.order.unshift(key); }
  remove(key: number): void { this.order = this.order.filter((other) => other !== key); }
  reset(): void { this.order = []; }
}

export class SlowS3Fifo implements SlowPolicy {
  private small: number[] = [];
  private main: number[] = [];
  private hits = new Map<number, number>();
  /** When each was added, counted in additions. */
  private ghosts = new Map<number, number>();
  private additions = 0;
  private readonly share: number;
  private readonly promoteAt: number;
  private readonly factor: number;

  constructor(share = 0.1, promoteAt = 2, factor = 1.5) {
    this.share = share;
    this.promoteAt = promoteAt;
    this.factor = factor;
  }

  hit(key: number): void { this.hits.set(key, Math.min(3, (this.hits.get(key) ?? 0) + 1)); }

  evict(): number {
    const goal = Math.max(1, this.share * (this.small.length + this.main.length));
    for (;;) {
      if (this.small.length > 0 && (this.small.length >= goal || this.main.length === 0)) {
        const key = this.small.pop() as number;
        if ((this.hits.get(key) ?? 0) < this.promoteAt) {
          this.ghosts.set(key, this.additions++);
          return key;
        }
        this.hits.set(key, 0);
        this.main.unshift(key);
      } else {
        const key = this.main.pop() as number;
        const hits = this.hits.get(key) ?? 0;
        if (hits === 0) return key;
        this.hits.set(key, hits - 1);
        this.main.unshift(key);
      }
    }
  }

  insert(key: number): void {
    const added = this.ghosts.get(key);
    const known = added !== undefined && this.additions - added <= this.factor * (this.small.length + this.main.length);
    if (known) this.ghosts.delete(key);
    (known ? this.main : this.small).unshift(key);
    this.hits.set(key, 0);
  }

  remove(key: number): void {
    this.small = this.small.filter((other) => other !== key);
    this.main = this.main.filter((other) => other !== key);
  }

  reset(): void {
    [this.small, this.main, this.additions] = [[], [], 0];
    this.ghosts.clear();
  }
}

/** Frequencies come from outside: the sketch under test for equal steps, exact counts for an independent miss ratio. */
export interface Frequencies {
  add(key: number): void;
  of(key: number): number;
  clear(): void;
}

/** Exact counts, 15 at most, halved every `period` additions. */
export class ExactCounts implements Frequencies {
  private counts = new Map<number, number>();
  private additions = 0;
  private readonly period: number;
  constructor(period: number) { this.period = period; }
  add(key: number): void {
    if (this.of(key) === 15) return;
    this.counts.set(key, this.of(key) + 1);
    if (++this.additions < this.period) return;
    for (const [other, count] of this.counts) this.counts.set(other, count >> 1);
    this.additions >>= 1;
  }
  of(key: number): number { return this.counts.get(key) ?? 0; }
  clear(): void { this.counts.clear(); this.additions = 0; }
}

export class SlowWTinyLfu implements SlowPolicy {
  private window: number[] = [];
  private probation: number[] = [];
  private protectedKeys: number[] = [];
  private readonly frequencies: Frequencies;
  private readonly windowShare: number;

  constructor(frequencies: Frequencies, windowShare = 0.01) {
    this.frequencies = frequencies;
    this.windowShare = windowShare;
  }

  private get size(): number { return this.window.length + this.probation.length + this.protectedKeys.length; }
  private get windowGoal(): number { return Math.max(1, Math.floor(this.windowShare * this.size)); }

  hit(key: number): void {
    this.frequencies.add(key);
    if (this.window.includes(key)) this.window = [key, ...this.window.filter((other) => other !== key)];
    else if (this.protectedKeys.includes(key)) this.protectedKeys = [key, ...this.protectedKeys.filter((other) => other !== key)];
    else {
      this.probation = this.probation.filter((other) => other !== key);
      this.protectedKeys.unshift(key);
      if (this.protectedKeys.length > 0.8 * (this.size - this.windowGoal)) this.probation.unshift(this.protectedKeys.pop() as number);
    }
  }

  evict(): number {
    const main = this.probation.length > 0 ? this.probation : this.protectedKeys;
    if (main.length === 0) return this.window.pop() as number;
    if (this.window.length < this.windowGoal) return main.pop() as number;
    const candidate = this.window[this.window.length - 1];
    if (this.frequencies.of(candidate) <= this.frequencies.of(main[main.length - 1])) return this.window.pop() as number;
    const victim = main.pop() as number;
    this.probation.unshift(this.window.pop() as number);
    return victim;
  }

  insert(key: number): void {
    this.frequencies.add(key);
    this.window.unshift(key);
    if (this.window.length > this.windowGoal) this.probation.unshift(this.window.pop() as number);
  }

  remove(key: number): void {
    for (const queue of [this.window, this.probation, this.protectedKeys]) if (queue.includes(key)) queue.splice(queue.indexOf(key), 1);
  }

  reset(): void {
    [this.window, this.probation, this.protectedKeys] = [[], [], []];
    this.frequencies.clear();
  }
}

export class SlowGdsf implements SlowPolicy {
  private entries = new Map<number, { priority: number; hits: number; bytes: number }>();
  private age = 0;
  hit(key: number): void {
    const entry = this.entries.get(key) as { priority: number; hits: number; bytes: number };
    entry.priority = this.age + ++entry.hits / entry.bytes;
  }
  /** Which of several with the same priority goes is not defined: sums of the same terms in another order are equal. */
  evict(named?: number): number {
    const [least, { priority }] = [...this.entries].reduce((before, other) => (other[1].priority < before[1].priority ? other : before));
    const key = named !== undefined && this.entries.get(named)?.priority === priority ? named : least;
    this.age = priority;
    this.entries.delete(key);
    return key;
  }
  insert(key: number, bytes: number): void { this.entries.set(key, { priority: this.age + 1 / bytes, hits: 1, bytes }); }
  remove(key: number): void { this.entries.delete(key); }
  reset(): void { this.entries.clear(); this.age = 0; }
}

/** Misses of a slow policy with room for `entries`. */
export function slowMisses(ids: Uint32Array, entries: number, slow: SlowPolicy): number {
  const resident = new Set<number>();
  let misses = 0;
  for (const id of ids) {
    if (resident.has(id)) {
      slow.hit(id);
      continue;
    }
    misses++;
    if (resident.size === entries) resident.delete(slow.evict());
    slow.insert(id, 1);
    resident.add(id);
  }
  return misses;
}
