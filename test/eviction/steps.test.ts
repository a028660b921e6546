/** Traces small enough to be worked by hand. */
import { describe, expect, test } from 'vitest';
import { nextUses, optimum } from '../../src/cli/simulate-optimum.ts';
import { hashOfId, replay } from '../../src/cli/simulate-replay.ts';
import { FrequencySketch } from '../../src/eviction/frequency-sketch.ts';
import { GhostTable } from '../../src/eviction/ghost-table.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import { S3FifoPolicy } from '../../src/eviction/s3-fifo.ts';
import { WTinyLfuPolicy } from '../../src/eviction/w-tinylfu.ts';
import { seeded, traceOf } from './support.ts';

const best = (keys: string, entries: number) => {
  const trace = traceOf([...keys]);
  return optimum(trace, nextUses(trace), { entries }).misses;
};

describe('worked by hand', () => {
  test('LRU', () => {
    // a b c | a hits, so d takes b's place | b takes c's | a hits | c takes d's
    expect(replay(traceOf([...'abcadbac']), POLICIES.lru, { entries: 3 }).misses).toBe(6);
    expect(replay(traceOf([...'abcabcabc']), POLICIES.lru, { entries: 2 }).misses).toBe(9);
  });

  test('Belady', () => {
    // a b c: b's next use is furthest from c on, and c goes for b later: hits are a (4th), a, c
    expect(best('abcadbac', 3)).toBe(5);
    // A loop of three in two places: every second request after the first two hits.
    expect(best('abcabcabc', 2)).toBe(6);
    expect(best('aaaa', 1)).toBe(1);
    expect(best('abcd', 4)).toBe(4);
  });

  test('Belady is never worse than a search over all choices', () => {
    const random = seeded(5);
    for (let round = 0; round < 60; round++) {
      const keys = Array.from({ length: 12 }, () => Math.floor(random() * 5));
      const trace = traceOf(keys);
      const search = (at: number, held: string): number => {
        if (at === keys.length) return 0;
        const key = String(keys[at]);
        if (held.includes(key)) return search(at + 1, held);
        if (held.length < 2) return 1 + search(at + 1, held + key);
        return 1 + Math.min(...[...held].map((other) => search(at + 1, held.replace(other, key))));
      };
      expect(optimum(trace, nextUses(trace), { entries: 2 }).misses, keys.join()).toBe(search(0, ''));
    }
  });

  test('with sizes: the bound grants the cheapest hits', () => {
    // a (2 bytes) is reused over 2 requests: 4 of room; b (10) over 2: 20. Six requests of 3 bytes each are 18: a's hit and the second a's (2 x 2) fit, b's does not.
    const trace = traceOf([...'abab'], [2, 10, 2, 10]);
    expect(optimum(trace, nextUses(trace), { entries: 9, bytes: 4 })).toEqual({ misses: 3, missedBytes: 22 });
    expect(optimum(trace, nextUses(trace), { entries: 9, bytes: 12 })).toEqual({ misses: 2, missedBytes: 12 });
  });

  test('bytes bound the cache, what is too large passes by', () => {
    const result = replay(traceOf([...'abcba'], [4, 4, 9, 4, 4]), POLICIES.lru, { entries: 9, bytes: 8 });
    expect(result).toMatchObject({ requests: 5, misses: 3, missedBytes: 17 });
    expect(replay(traceOf([...'abca'], [4, 4, 5, 4]), POLICIES.lru, { entries: 9, bytes: 8 }).misses).toBe(4);
  });
});

describe('S3-FIFO, step by step', () => {
  /** Ten slots, a small queue of one: entries are numbered by slot. */
  const filled = () => {
    const policy = new S3FifoPolicy(10, { smallShare: 0.1, promoteAt: 2, ghosts: 1 });
    for (let slot = 0; slot < 10; slot++) policy.inserted(slot, hashOfId(slot));
    return policy;
  };
  const evict = (policy: S3FifoPolicy) => {
    const slot = policy.victim();
    policy.removed(slot);
    return slot;
  };

  test('first in, first out of the small queue; two hits lead to the main queue', () => {
    const policy = filled();
    policy.touched(0);
    policy.touched(1);
    policy.touched(1);
    expect([evict(policy), evict(policy), evict(policy)]).toEqual([0, 2, 3]);
  });

  test('an entry whose ghost is known enters the main queue', () => {
    const policy = filled();
    expect(evict(policy)).toBe(0);
    policy.inserted(0, hashOfId(0));
    // Slots 1 to 9 are in the small queue and go one by one; slot 0 stays.
    expect(Array.from({ length: 9 }, () => evict(policy))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(evict(policy)).toBe(0);
  });

  test('what is removed for other reasons than eviction leaves no ghost', () => {
    const policy = filled();
    policy.removed(0);
    policy.inserted(0, hashOfId(0));
    expect(Array.from({ length: 10 }, () => evict(policy))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
  });

  test('the main queue gives an entry one more turn for each hit', () => {
    const policy = filled();
    for (const slot of [0, 1]) for (let hit = 0; hit < 2; hit++) policy.touched(slot);
    // 0 and 1 are promoted, 2 to 9 go; then one hit saves 0 once.
    expect(Array.from({ length: 8 }, () => evict(policy))).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    policy.touched(0);
    expect([evict(policy), evict(policy)]).toEqual([1, 0]);
  });
});

describe('parts', () => {
  test('ghosts: the newest of them, once each', () => {
    const ghosts = new GhostTable(100);
    for (let id = 0; id < 100; id++) ghosts.add(hashOfId(id));
    expect(ghosts.take(hashOfId(99), 1)).toBe(true);
    expect(ghosts.take(hashOfId(99), 1)).toBe(false);
    expect(ghosts.take(hashOfId(50), 49)).toBe(false);
    expect(ghosts.take(hashOfId(51), 49)).toBe(true);
  });

  test('ghosts: a large table keeps what it has room for, and takes few strangers for known', () => {
    const ghosts = new GhostTable(50_000);
    for (let id = 0; id < 500_000; id++) ghosts.add(hashOfId(id));
    let known = 0;
    let strangers = 0;
    let old = 0;
    for (let id = 450_000; id < 500_000; id++) if (ghosts.take(hashOfId(id), 50_100)) known++;
    for (let id = 600_000; id < 650_000; id++) if (ghosts.take(hashOfId(id), 50_100)) strangers++;
    for (let id = 300_000; id < 440_000; id++) if (ghosts.take(hashOfId(id), 50_100)) old++;
    expect(known).toBeGreaterThan(46_500);
    expect(strangers).toBeLessThan(25);
    expect(old).toBeLessThan(60);
  });

  test('the sketch never counts less than there was, up to 15, and seldom more', () => {
    const sketch = new FrequencySketch(1_000);
    let over = 0;
    for (let id = 0; id < 500; id++) for (let i = 0; i < (id % 16) + 1; i++) sketch.add(hashOfId(id));
    for (let id = 0; id < 500; id++) {
      const truth = Math.min(15, (id % 16) + 1);
      expect(sketch.estimate(hashOfId(id))).toBeGreaterThanOrEqual(truth);
      if (sketch.estimate(hashOfId(id)) > truth) over++;
    }
    expect(over).toBeLessThan(25);
  });

  test('the sketch halves itself', () => {
    const sketch = new FrequencySketch(100);
    for (let i = 0; i < 12; i++) sketch.add(hashOfId(0));
    for (let i = 0; i < 988; i++) sketch.add(hashOfId(1 + (i % 400)));
    expect(sketch.estimate(hashOfId(0))).toBeLessThanOrEqual(7);
    expect(sketch.estimate(hashOfId(0))).toBeGreaterThanOrEqual(6);
  });
});

test('W-TinyLFU: a warm candidate gets in by luck now and then, a cold one never', () => {
  const calls = (hits: number) => {
    const policy = new WTinyLfuPolicy(10, { windowShare: 0.1 });
    for (let slot = 0; slot < 10; slot++) policy.inserted(slot, hashOfId(slot));
    for (let slot = 0; slot < 9; slot++) for (let hit = 0; hit < 15; hit++) policy.touched(slot);
    // The newest is alone in the window, and all others have been seen more often.
    for (let hit = 0; hit < hits; hit++) policy.touched(9);
    for (let call = 1; call <= 4_000; call++) if (policy.victim() !== 9) return call;
    return Infinity;
  };
  expect(calls(6)).toBeLessThan(1_500);
  expect(calls(6)).toBeGreaterThan(1);
  expect(calls(3)).toBe(Infinity);
});
