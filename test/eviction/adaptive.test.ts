/** `adaptive`: its curves are what they say, it finds what rules, and it does not lose where LRU is best. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { nextUses, optimum } from '../../src/cli/simulate-optimum.ts';
import { hashOfId, replay, type Trace } from '../../src/cli/simulate-replay.ts';
import { readTrace } from '../../src/cli/simulate-trace.ts';
import { AdaptivePolicy } from '../../src/eviction/adaptive.ts';
import { GdsfPolicy } from '../../src/eviction/gdsf.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import type { PolicyFactory } from '../../src/eviction/policy.ts';
import { ReuseCurves } from '../../src/eviction/reuse-curves.ts';
import { UseGhosts } from '../../src/eviction/use-ghosts.ts';
import { seeded, traceOf, zipfTrace } from './support.ts';

const loop = (keys: number, requests: number): Trace => traceOf(Array.from({ length: requests }, (_, i) => i % keys));
/** Each key is asked for again soon or never: nothing is better than LRU by much. */
function recent(requests: number): Trace {
  const random = seeded(9);
  let fresh = 0;
  return traceOf(Array.from({ length: requests }, () => (fresh > 0 && random() < 0.6 ? fresh - 1 - Math.floor(random() ** 2 * Math.min(fresh, 60)) : fresh++)));
}
/** Class 0 for keys used again at every `period`th request, class 1 for keys that never come back. */
function taught(period: number, requests: number, ask: (curves: ReuseCurves) => void = () => {}): ReuseCurves {
  const curves = new ReuseCurves([1, 1], 100);
  for (let now = 1; now <= requests; now++) {
    curves.used(hashOfId(now % 2 ? 5_000_000 + now : (now / 2) % (period / 2)), now % 2, now);
    ask(curves);
  }
  return curves;
}

const missesOf = (trace: Trace, make: PolicyFactory, entries: number) => replay(trace, make, { entries }).misses;

describe('curves', () => {
  test('until something is known the youngest is worth most, in every class', () => {
    const curves = new ReuseCurves([1, 1, 1], 100);
    for (const age of [1, 5, 40, 3_000]) {
      expect(curves.worthOf(2, age)).toBe(curves.worthOf(0, age));
      expect(curves.worthOf(1, age)).toBeGreaterThan(curves.worthOf(1, age * 2 + 8));
    }
  });

  test('what is always used again after 400 requests is worth more the nearer it is, and little after', () => {
    const curves = taught(400, 30_000);
    expect(curves.worthOf(0, 350)).toBeGreaterThan(2 * curves.worthOf(0, 50));
    expect(curves.worthOf(0, 60)).toBeGreaterThan(curves.worthOf(0, 2));
    expect(curves.worthOf(0, 700)).toBeLessThan(0.2 * curves.worthOf(0, 350));
    // About one hit in the 50 requests that are left.
    expect(curves.worthOf(0, 350)).toBeGreaterThan(1 / 130);
    expect(curves.worthOf(0, 350)).toBeLessThan(1 / 25);
  });

  test('a class that never comes back is worth less at any age than one that does', () => {
    const curves = taught(400, 30_000);
    for (const age of [2, 20, 100, 300]) expect(curves.worthOf(1, age)).toBeLessThan(0.3 * curves.worthOf(0, age));
  });

  test('after a scan in which nothing came back an older entry is promised no more than a younger one', () => {
    const curves = new ReuseCurves([1], 300);
    for (let now = 1; now <= 1_300; now++) curves.used(hashOfId(now), 0, now);
    for (const [younger, older] of [[1, 100], [100, 600], [600, 1_100], [1_100, 3_000]]) expect(curves.worthOf(0, younger)).toBeGreaterThanOrEqual(curves.worthOf(0, older));
  });

  test('old observations fade', () => {
    const curves = taught(400, 30_000);
    for (let now = 30_001; now < 200_000; now++) curves.used(hashOfId(9_000_000 + now), 0, now);
    expect(curves.worthOf(0, 350)).toBeLessThan(0.1 * taught(400, 30_000).worthOf(0, 350));
  });

  test('are drawn when somebody asks for them, and say what they would have said', () => {
    const asked = taught(400, 30_000, (curves) => void curves.ranks);
    const unasked = taught(400, 30_000);
    const ranks = [...unasked.ranks];
    expect(ranks).not.toEqual([...new ReuseCurves([1, 1], 100).ranks]);
    for (const age of [2, 50, 200, 350]) {
      expect(unasked.worthOf(0, age) / asked.worthOf(0, age)).toBeGreaterThan(0.9);
      expect(unasked.worthOf(0, age) / asked.worthOf(0, age)).toBeLessThan(1.1);
    }
    // What is known by now is in the ranks, too: asking for a worth changes nothing any more.
    expect([...unasked.ranks]).toEqual(ranks);
  });

  test('forget all', () => {
    const curves = taught(400, 30_000);
    curves.clear();
    expect(curves.worthOf(0, 350)).toBe(new ReuseCurves([1, 1], 100).worthOf(0, 350));
  });
});

test('a class that is trusted more is worth more, as long as nothing is known', () => {
  const curves = new ReuseCurves([0.5, 2], 100);
  expect(curves.worthOf(1, 50)).toBeGreaterThan(2 * curves.worthOf(0, 50));
});

describe('ghosts', () => {
  test('tell what they were told, once', () => {
    const ghosts = new UseGhosts(100);
    ghosts.add(hashOfId(1), 6);
    ghosts.add(hashOfId(3), 1);
    expect(ghosts.take(hashOfId(2))).toBe(0);
    expect(ghosts.take(hashOfId(1))).toBe(6);
    expect(ghosts.take(hashOfId(1))).toBe(0);
    expect(ghosts.take(hashOfId(3))).toBe(1);
  });

  test('a full bucket forgets the oldest, and one that was taken makes room', () => {
    const ghosts = new UseGhosts(1);
    for (let id = 0; id < 9; id++) ghosts.add(hashOfId(id), 1 + (id % 7));
    expect(ghosts.take(hashOfId(0))).toBe(0);
    expect(ghosts.take(hashOfId(4))).toBe(5);
    ghosts.add(hashOfId(9), 3);
    expect([1, 2, 3, 5, 6, 7, 8, 9].map((id) => ghosts.take(hashOfId(id)))).toEqual([2, 3, 4, 6, 7, 1, 2, 3]);
  });

  test('keep the newest, and take few strangers for known', () => {
    const ghosts = new UseGhosts(12_500);
    for (let id = 0; id < 60_000; id++) ghosts.add(hashOfId(id), 1);
    let known = 0;
    let strangers = 0;
    for (let id = 50_000; id < 60_000; id++) if (ghosts.take(hashOfId(id)) > 0) known++;
    for (let id = 70_000; id < 80_000; id++) if (ghosts.take(hashOfId(id)) > 0) strangers++;
    expect(known).toBeGreaterThan(8_800);
    expect(strangers).toBeLessThan(20);
  });
});

describe('what it finds', () => {
  test('a loop larger than the cache, where LRU never hits', () => {
    const trace = loop(1_500, 60_000);
    expect(missesOf(trace, POLICIES.lru, 600)).toBe(60_000);
    expect(missesOf(trace, POLICIES.adaptive, 600)).toBeLessThan(0.7 * 60_000);
  });

  test('recency, where frequency loses', () => {
    const trace = recent(60_000);
    expect(missesOf(trace, POLICIES.adaptive, 600)).toBeLessThan(missesOf(trace, POLICIES.lru, 600) * 1.01);
  });

  test('Zipf, as good as S3-FIFO by 2 %', () => {
    const trace = zipfTrace(20_000, 100_000, 0.9, 8);
    expect(missesOf(trace, POLICIES.adaptive, 600)).toBeLessThan(missesOf(trace, POLICIES['s3-fifo'], 600) * 1.02);
  });

  test('it changes its mind when the workload does', () => {
    const scan = loop(1_500, 60_000);
    const trace = traceOf([...scan.ids, ...[...recent(60_000).ids].map((id) => id + 10_000)]);
    const sum = missesOf(scan, POLICIES.adaptive, 600) + missesOf(recent(60_000), POLICIES.lru, 600);
    expect(missesOf(trace, POLICIES.adaptive, 600)).toBeLessThan(sum * 1.03);
  });

  test('mixed sizes in bytes: no worse than GDSF, far from LRU', () => {
    const { ids, uniqueKeys } = zipfTrace(5_000, 40_000, 0.8, 21);
    const sizes = Uint32Array.from(ids, (id) => 50 + ((id * 7_919) % 97) ** 2);
    const bounds = { entries: uniqueKeys, bytes: 1_000_000 };
    const misses = (make: PolicyFactory) => replay({ ids, sizes, uniqueKeys }, make, bounds).misses;
    const [lru, gdsf] = [misses(POLICIES.lru), misses((slots) => new GdsfPolicy(slots))];
    expect(gdsf).toBeLessThan(lru * 0.9);
    expect(misses(POLICIES.adaptive)).toBeLessThan(gdsf * 1.01);
  });

  test('where slots are the bound sizes do not count', () => {
    const { ids, uniqueKeys } = zipfTrace(5_000, 20_000, 0.8, 21);
    const sizes = Uint32Array.from(ids, (id) => 1 + (id % 1_000));
    const alike = missesOf({ ids, uniqueKeys }, POLICIES.adaptive, 300);
    expect(replay({ ids, sizes, uniqueKeys }, POLICIES.adaptive, { entries: 300 }).misses).toBe(alike);
  });
});

test('where bytes are the bound, a size told later counts', () => {
  const policy = new AdaptivePolicy(100);
  for (let slot = 0; slot < 20; slot++) policy.inserted(slot, hashOfId(slot), 1_000);
  policy.resized(19, 1_000_000);
  // Each call looks at lanes and newcomers: soon every entry has been a candidate.
  let victim = -1;
  for (let call = 0; call < 20; call++) victim = policy.victim();
  expect(victim).toBe(19);
});

test('the count of requests wraps without a trace', () => {
  const trace = zipfTrace(3_000, 20_000, 0.9, 6);
  const missesFrom = (now: number) => replay(trace, (slots, hashes) => new AdaptivePolicy(slots, hashes, now), { entries: 300 }).misses;
  expect(missesFrom(2 ** 32 - 8_192)).toBe(missesFrom(0));
});

test('hits beyond what waits count as last uses', () => {
  const policy = new AdaptivePolicy(8);
  for (let slot = 0; slot < 8; slot++) policy.inserted(slot, hashOfId(slot), 1);
  for (let round = 0; round < 1_000; round++) for (let slot = 0; slot < 8; slot++) if (slot !== 3) policy.touched(slot);
  for (let call = 0; call < 10; call++) policy.victim();
  expect(policy.victim()).toBe(3);
});

const trace = join(process.env.PROFILECACHE_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url)), 'traces', 'lirs-multi3.u32.gz');
test.skipIf(!existsSync(trace))('a real trace (PROFILECACHE_DATA: lirs-multi3): half of the gap between LRU and the optimum and more', async () => {
  const read = await readTrace({ path: trace });
  const lru = replay(read, POLICIES.lru, { entries: 375 }).misses;
  const best = optimum(read, nextUses(read), { entries: 375 }).misses;
  expect((lru - replay(read, POLICIES.adaptive, { entries: 375 }).misses) / (lru - best)).toBeGreaterThan(0.5);
});

test('until something is learnt a small cache is exact LRU among entries that were used as often', () => {
  const scan = traceOf([...Array.from({ length: 30 }, (_, at) => at), 29, 28, 27, 3, 2]);
  for (const entries of [3, 7, 12]) expect(replay(scan, POLICIES.adaptive, { entries }).misses).toBe(replay(scan, POLICIES.lru, { entries }).misses);
});
