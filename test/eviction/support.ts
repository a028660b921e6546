/** Small things that the tests of eviction share. */
import fc from 'fast-check';
import type { EvictionPolicy } from '../../src/eviction/policy.ts';
import { hashOfId, type Trace } from '../../src/cli/simulate-replay.ts';

export const traceOf = (keys: readonly (string | number)[], sizes?: readonly number[]): Trace => {
  const known = new Map<string | number, number>();
  const ids = Uint32Array.from(keys, (key) => {
    if (!known.has(key)) known.set(key, known.size);
    return known.get(key) as number;
  });
  return { ids, uniqueKeys: known.size, sizes: sizes && Uint32Array.from(sizes) };
};

/** mulberry32 (T. Ettinger, public domain): the same numbers for the same seed, from 0 to 1. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function zipfTrace(keys: number, requests: number, exponent: number, seed: number): Trace {
  const random = seeded(seed);
  const upTo = new Float64Array(keys);
  let sum = 0;
  for (let i = 0; i < keys; i++) upTo[i] = sum += 1 / (i + 1) ** exponent;
  return traceOf(Array.from({ length: requests }, () => {
    const wanted = random() * sum;
    let low = 0;
    for (let high = keys - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (upTo[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }));
}

export type Op = { kind: 'get' | 'remove'; key: number } | { kind: 'reset' };

export const ops = (keys: number, maxLength: number): fc.Arbitrary<Op[]> => {
  const key = fc.integer({ min: 0, max: keys - 1 });
  return fc.array(fc.oneof(
    { weight: 40, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), key }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'reset' as const }) },
  ), { maxLength, size: 'max' });
};

/** The same decisions in keys, the slow way. */
export interface SlowPolicy {
  hit(key: number): void;
  /** The key that goes, when there is no room. */
  evict(): number;
  insert(key: number, bytes: number): void;
  remove(key: number): void;
  reset(): void;
}

/** Drives a policy as the engine does, verifies it after every step, and holds it against a slow one where there is one. */
export function drive(policy: EvictionPolicy, slotCount: number, steps: readonly Op[], slow?: SlowPolicy): void {
  const slotOf = new Map<number, number>();
  const keyIn = new Map<number, number>();
  const free = Array.from({ length: slotCount }, (_, i) => i);
  const drop = (slot: number) => {
    slotOf.delete(keyIn.get(slot) as number);
    keyIn.delete(slot);
    policy.removed(slot);
    free.push(slot);
  };
  for (const step of steps) {
    if (step.kind === 'reset') {
      policy.reset();
      slow?.reset();
      for (const slot of keyIn.keys()) free.push(slot);
      slotOf.clear();
      keyIn.clear();
    } else if (step.kind === 'remove') {
      const slot = slotOf.get(step.key);
      if (slot !== undefined) {
        drop(slot);
        slow?.remove(step.key);
      }
    } else if (slotOf.has(step.key)) {
      policy.touched(slotOf.get(step.key) as number);
      slow?.hit(step.key);
    } else {
      if (free.length === 0) {
        const victim = policy.victim();
        if (!keyIn.has(victim)) throw new Error(`victim ${victim} is not resident`);
        const expected = slow?.evict();
        if (expected !== undefined && expected !== keyIn.get(victim)) throw new Error(`evicts key ${keyIn.get(victim)}, the slow policy ${expected}`);
        drop(victim);
      }
      const slot = free.pop() as number;
      slotOf.set(step.key, slot);
      keyIn.set(slot, step.key);
      // Sizes that differ from key to key and by little: no two shares of hits and bytes are equal.
      policy.inserted(slot, hashOfId(step.key), 1_000 + step.key);
      slow?.insert(step.key, 1_000 + step.key);
    }
    policy.verify(new Set(keyIn.keys()));
  }
  if (slotOf.size === 0 && policy.victim() !== -1) throw new Error('an empty cache has a victim');
}
