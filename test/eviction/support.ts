/** Small things that the tests of eviction share. */
import fc from 'fast-check';
import { seededRandom, zipfRanks } from '../../bench/support/profiles.ts';
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

export { seededRandom as seeded };

export function zipfTrace(keys: number, requests: number, exponent: number, seed: number): Trace {
  return traceOf(Array.from({ length: requests }, zipfRanks(keys, exponent, seededRandom(seed))));
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
  /** The key that goes, when there is no room; `named` where it is as good as any. */
  evict(named?: number): number;
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
        const expected = slow?.evict(keyIn.get(victim));
        if (expected !== undefined && expected !== keyIn.get(victim)) throw new Error(`evicts key ${keyIn.get(victim)}, the slow policy ${expected}`);
        drop(victim);
      }
      const slot = free.pop() as number;
      slotOf.set(step.key, slot);
      keyIn.set(slot, step.key);
      // Sizes that differ from key to key and by little.
      policy.inserted(slot, hashOfId(step.key), 1_000 + step.key);
      slow?.insert(step.key, 1_000 + step.key);
    }
    policy.verify(new Set(keyIn.keys()));
  }
  if (slotOf.size === 0 && policy.victim() !== -1) throw new Error('an empty cache has a victim');
}
