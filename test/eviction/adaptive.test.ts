/** `adaptive`: its shadow caches are what they say, it finds the right expert, and it does not lose where LRU is best. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextUses, optimum } from '../../src/cli/simulate-optimum.ts';
import { hashOfId, replay, type Trace } from '../../src/cli/simulate-replay.ts';
import { readTrace } from '../../src/cli/simulate-trace.ts';
import { EXPERTS } from '../../src/eviction/experts.ts';
import { GdsfPolicy } from '../../src/eviction/gdsf.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import { MiniaturePolicy } from '../../src/eviction/miniature.ts';
import type { PolicyFactory } from '../../src/eviction/policy.ts';
import { ShadowCaches } from '../../src/eviction/shadow-caches.ts';
import { TunableQueues, type Knobs } from '../../src/eviction/tunable.ts';
import { seeded, traceOf, zipfTrace } from './support.ts';

const alone = (knobs: Knobs): PolicyFactory => (slots) => new TunableQueues(slots, knobs, { ghostEntries: slots * knobs.ghosts });
const loop = (keys: number, requests: number): Trace => traceOf(Array.from({ length: requests }, (_, i) => i % keys));
/** Each key is asked for again soon or never: nothing is better than LRU by much. */
function recent(requests: number): Trace {
  const random = seeded(9);
  let fresh = 0;
  return traceOf(Array.from({ length: requests }, () => (fresh > 0 && random() < 0.6 ? fresh - 1 - Math.floor(random() ** 2 * Math.min(fresh, 60)) : fresh++)));
}

describe('shadow caches', () => {
  // Frequencies are counted a moment earlier in shadow caches than alone: those experts differ by a few misses.
  for (const knobs of EXPERTS.filter(({ admission }) => admission !== 'frequency')) {
    test(`${knobs.name}: misses what it misses alone`, () => {
      const trace = zipfTrace(2_000, 20_000, 0.8, 2);
      const shadows = new ShadowCaches(150, [knobs, EXPERTS[EXPERTS.length - 1]]);
      for (const id of trace.ids) shadows.access(hashOfId(id), 0, 1);
      shadows.verify();
      expect(shadows.misses[0]).toBe(replay(trace, alone(knobs), { entries: 150 }).misses);
    });
  }

  test('LRU among the experts is exact', () => {
    const trace = zipfTrace(2_000, 20_000, 0.8, 4);
    expect(replay(trace, alone(EXPERTS[EXPERTS.length - 1]), { entries: 77 }).misses).toBe(replay(trace, POLICIES.lru, { entries: 77 }).misses);
  });

  test('bounds in entries and bytes hold while they change, and the structure after every step', () => {
    const step = fc.oneof(
      { weight: 30, arbitrary: fc.record({ id: fc.integer({ min: 0, max: 50 }), bytes: fc.integer({ min: 1, max: 30 }) }) },
      { weight: 1, arbitrary: fc.record({ entries: fc.integer({ min: 1, max: 12 }), maxBytes: fc.integer({ min: 40, max: 200 }) }) },
      { weight: 1, arbitrary: fc.record({ evictFrom: fc.integer({ min: 0, max: EXPERTS.length }) }) },
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const shadows = new ShadowCaches(12, [...EXPERTS, 'by size']);
      for (const now of steps) {
        if ('id' in now) shadows.access(hashOfId(now.id), now.id, now.bytes);
        else if ('entries' in now) shadows.resize(now.entries, now.maxBytes);
        else shadows.evictFrom(now.evictFrom);
        shadows.verify();
      }
    }), { numRuns: 60 });
  });
});

describe('what it finds', () => {
  const missesOf = (trace: Trace, make: PolicyFactory, entries: number) => replay(trace, make, { entries }).misses;
  const miniature: PolicyFactory = (slots) => new MiniaturePolicy(slots, 300);

  for (const [name, make] of [['in full', POLICIES.adaptive], ['in miniature', miniature]] as const) {
    test(`${name}: a loop larger than the cache, where LRU never hits`, () => {
      const trace = loop(1_500, 60_000);
      expect(missesOf(trace, POLICIES.lru, 600)).toBe(60_000);
      expect(missesOf(trace, make, 600)).toBeLessThan(0.8 * 60_000);
    });

    test(`${name}: recency, where frequency loses`, () => {
      const trace = recent(60_000);
      const lru = missesOf(trace, POLICIES.lru, 600);
      expect(missesOf(trace, make, 600)).toBeLessThan(lru * 1.01);
    });

    test(`${name}: Zipf, as good as the best of its experts by 3 %`, () => {
      const trace = zipfTrace(20_000, 100_000, 0.9, 8);
      const best = Math.min(...EXPERTS.map((knobs) => missesOf(trace, alone(knobs), 600)));
      expect(missesOf(trace, make, 600)).toBeLessThan(best * 1.03);
    });
  }

  test('it changes its mind when the workload does', () => {
    const scan = loop(1_500, 60_000);
    const keys = [...scan.ids, ...[...recent(60_000).ids].map((id) => id + 10_000)];
    const trace = traceOf(keys);
    const sum = missesOf(scan, POLICIES.adaptive, 600) + missesOf(recent(60_000), POLICIES.lru, 600);
    expect(missesOf(trace, POLICIES.adaptive, 600)).toBeLessThan(sum * 1.03);
  });

  test('after a change of mind the entries of the old expert go first', () => {
    const trace = traceOf([...loop(1_500, 12_000).ids, ...[...zipfTrace(4_000, 20_000, 1, 3).ids].map((id) => id + 9_000)]);
    // 17,557; where they linger, 18,754.
    expect(missesOf(trace, POLICIES.adaptive, 300)).toBeLessThan(18_000);
  });

  test('mixed sizes in bytes: near to GDSF from the start, far from LRU', () => {
    const { ids, uniqueKeys } = zipfTrace(5_000, 8_000, 0.8, 21);
    const sizes = Uint32Array.from(ids, (id) => 50 + ((id * 7_919) % 97) ** 2);
    const bounds = { entries: uniqueKeys, bytes: 1_000_000 };
    const misses = (make: PolicyFactory) => replay({ ids, sizes, uniqueKeys }, make, bounds).misses;
    const [lru, gdsf] = [misses(POLICIES.lru), misses((slots) => new GdsfPolicy(slots))];
    expect(gdsf).toBeLessThan(lru * 0.9);
    expect(misses(POLICIES.adaptive)).toBeLessThan(gdsf * 1.01);
  });
});

const trace = join(process.env.PROFILECACHE_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url)), 'traces', 'lirs-multi3.u32.gz');
test.skipIf(!existsSync(trace))('a real trace (PROFILECACHE_DATA: lirs-multi3): half of the gap between LRU and the optimum and more', async () => {
  const read = await readTrace({ path: trace });
  const lru = replay(read, POLICIES.lru, { entries: 375 }).misses;
  const best = optimum(read, nextUses(read), { entries: 375 }).misses;
  expect((lru - replay(read, POLICIES.adaptive, { entries: 375 }).misses) / (lru - best)).toBeGreaterThan(0.5);
});
