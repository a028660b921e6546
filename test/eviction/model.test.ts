/** Each policy against a slow one of its kind, step by step, with its structure verified after every step. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashOfId, replay } from '../../src/cli/simulate-replay.ts';
import { GdsfPolicy } from '../../src/eviction/gdsf.ts';
import { FrequencySketch } from '../../src/eviction/frequency-sketch.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import { LruPolicy } from '../../src/eviction/lru.ts';
import type { EvictionPolicy } from '../../src/eviction/policy.ts';
import { S3FifoPolicy } from '../../src/eviction/s3-fifo.ts';
import { WTinyLfuPolicy } from '../../src/eviction/w-tinylfu.ts';
import { ExactCounts, SlowGdsf, SlowLru, SlowS3Fifo, SlowWTinyLfu, slowMisses, type Frequencies } from './slow-policies.ts';
import { drive, ops, zipfTrace, type SlowPolicy } from './support.ts';

/** The sketch of the policy under test, in keys. */
function sketchOf(slotCount: number): Frequencies {
  const sketch = new FrequencySketch(slotCount);
  return { add: (key) => sketch.add(hashOfId(key)), of: (key) => sketch.estimate(hashOfId(key)), clear: () => sketch.clear() };
}

// Five slots at the most: then no bucket of the ghost table ever drops a ghost that still counts, and steps are equal to the last one.
const pairs: [string, number, (slots: number) => EvictionPolicy, (slots: number) => SlowPolicy][] = [
  ['lru', 5, POLICIES.lru, () => new SlowLru()],
  // More slots than its queue holds, and a clock that starts again every 150 touches.
  ['lru, 100 slots', 100, POLICIES.lru, () => new SlowLru()],
  ['lru, the stamps dealt anew', 100, (slots) => new LruPolicy(slots, 150), () => new SlowLru()],
  ['s3-fifo', 5, POLICIES['s3-fifo'], () => new SlowS3Fifo()],
  ['s3-fifo, half small, one hit', 5, (slots) => new S3FifoPolicy(slots, { smallShare: 0.5, promoteAt: 1, ghosts: 1 }), () => new SlowS3Fifo(0.5, 1, 1)],
  ['w-tinylfu', 40, (slots) => new WTinyLfuPolicy(slots, { windowShare: 0.01 }), (slots) => new SlowWTinyLfu(sketchOf(slots))],
  ['w-tinylfu, wide window', 12, (slots) => new WTinyLfuPolicy(slots, { windowShare: 0.3 }), (slots) => new SlowWTinyLfu(sketchOf(slots), 0.3)],
  ['gdsf', 12, (slots) => new GdsfPolicy(slots), () => new SlowGdsf()],
];

describe('against a slow policy', () => {
  for (const [name, slots, fast, slow] of pairs) {
    test(name, () => {
      fc.assert(fc.property(ops(slots * 3, 300), (steps) => drive(fast(slots), slots, steps, slow(slots))), { numRuns: 150 });
    });
  }
});

describe('without a slow policy: the structure holds, and victims are resident', () => {
  const cases: [string, number, (slots: number) => EvictionPolicy][] = [
    ['s3-fifo', 40, POLICIES['s3-fifo']],
    ['w-tinylfu', 8, POLICIES['w-tinylfu']],
    ['adaptive', 1, POLICIES.adaptive],
    ['adaptive', 12, POLICIES.adaptive],
    ['adaptive', 60, POLICIES.adaptive],
  ];
  for (const [name, slots, make] of cases) {
    test(`${name}, ${slots} slots`, () => {
      fc.assert(fc.property(ops(slots * 3, 500), (steps) => drive(make(slots), slots, steps)), { numRuns: 60 });
    });
  }
});

describe('miss ratios on a Zipf trace, against an independent slow policy', () => {
  const trace = zipfTrace(3_000, 40_000, 0.9, 11);
  for (const entries of [60, 300, 1_500]) {
    for (const maxStamp of [undefined, 5_000]) {
      test(`lru, ${entries} entries${maxStamp ? `, the stamps dealt anew every ${maxStamp} touches` : ''}: the same to the last miss`, () => {
        expect(replay(trace, (slots) => new LruPolicy(slots, maxStamp), { entries }).misses).toBe(slowMisses(trace.ids, entries, new SlowLru()));
      });
    }
  }
  for (const entries of [60, 300]) {
    test(`s3-fifo, ${entries} entries`, () => {
      const slow = slowMisses(trace.ids, entries, new SlowS3Fifo());
      const fast = replay(trace, POLICIES['s3-fifo'], { entries }).misses;
      expect(Math.abs(fast / slow - 1)).toBeLessThan(0.002);
    });
    test(`w-tinylfu, ${entries} entries: a sketch instead of exact counts costs little`, () => {
      const slow = slowMisses(trace.ids, entries, new SlowWTinyLfu(new ExactCounts(entries * 10)));
      const fast = replay(trace, (slots) => new WTinyLfuPolicy(slots, { windowShare: 0.01 }), { entries }).misses;
      expect(Math.abs(fast / slow - 1)).toBeLessThan(0.01);
    });
  }
});
