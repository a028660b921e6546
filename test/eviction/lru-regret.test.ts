/** LRU's shadow is LRU, and who loses against it gives in, for a time. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashOfId, replay } from '../../src/cli/simulate-replay.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import { LruRegret } from '../../src/eviction/lru-regret.ts';
import { LruShadow } from '../../src/eviction/lru-shadow.ts';
import { SlowLru } from './slow-policies.ts';
import { seeded, traceOf, zipfTrace } from './support.ts';

describe('the shadow', () => {
  test.each([1, 5, 40])('of %i entries is exact LRU, whatever is forgotten', (entries) => {
    const step = fc.record({ key: fc.integer({ min: 0, max: entries * 3 }), kind: fc.constantFrom('use', 'use', 'use', 'use', 'evict', 'forget', 'clear') });
    fc.assert(fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const shadow = new LruShadow(entries);
      const slow = new SlowLru();
      let held: number[] = [];
      let lost = new Set<number>();
      for (const { key, kind } of steps) {
        const had = held.includes(key);
        if (kind === 'use') {
          expect(shadow.used(hashOfId(key))).toBe(had);
          if (had) slow.hit(key);
          else if (held.length === entries) {
            const gone = slow.evict();
            held = held.filter((other) => other !== gone);
            lost.delete(gone);
          }
          if (!had) slow.insert(key);
          held = [key, ...held.filter((other) => other !== key)];
          lost.delete(key);
        } else if (kind === 'evict') {
          shadow.evicted(hashOfId(key));
          if (had) lost.add(key);
        } else if (kind === 'forget') {
          shadow.forget(hashOfId(key));
          slow.remove(key);
          held = held.filter((other) => other !== key);
          lost.delete(key);
        } else if (steps.length % 3 === 0) {
          shadow.clear();
          slow.reset();
          held = [];
          lost = new Set();
        }
        expect(shadow.verify()).toEqual(held.map(hashOfId));
        expect(shadow.apart).toBe(lost.size);
        expect(shadow.isFull).toBe(held.length === entries);
      }
    }), { numRuns: 60 });
  });

  test('of a large cache follows a part of the keys, and misses in that part as LRU does in all', () => {
    const trace = zipfTrace(60_000, 200_000, 0.9, 5);
    const shadow = new LruShadow(8_000);
    let [followed, missed] = [0, 0];
    for (const id of trace.ids) {
      const hash = hashOfId(id);
      if (!shadow.follows(hash)) continue;
      followed++;
      if (!shadow.used(hash)) missed++;
    }
    expect(shadow.room).toBe(1_024);
    // Hot keys are in or out as a whole: the share of the requests says little, that of the misses all.
    expect(followed).toBeLessThan(0.3 * trace.ids.length);
    const scaled = missed * (8_000 / 1_024);
    const misses = replay(trace, POLICIES.lru, { entries: 8_000 }).misses;
    expect(scaled / misses).toBeGreaterThan(0.9);
    expect(scaled / misses).toBeLessThan(1.1);
  });
});

describe('regret', () => {
  const ENTRIES = 100;
  /** So many keys are asked for, one after the other, and the cache has none of them. */
  const scan = (regret: LruRegret, from: number, keys: number) => {
    for (let key = from; key < from + keys; key++) regret.used(hashOfId(key), true);
  };

  test('what costs as much as becoming LRU would is enough; two misses are taken beforehand', () => {
    const regret = new LruRegret(ENTRIES);
    scan(regret, 0, ENTRIES);
    for (let key = 0; key < 10; key++) regret.evicted(hashOfId(key));
    // Each of those asked for is held again: one miss more, and one less that LRU holds alone. Ten were apart; 2 - 6 < -4.
    for (let key = 0; key < 6; key++) {
      expect(regret.isBehind).toBe(false);
      regret.used(hashOfId(key), true);
    }
    expect(regret.isBehind).toBe(false);
    regret.used(hashOfId(6), true);
    expect(regret.isBehind).toBe(true);
  });

  test('LRU decides for as many of its misses as there are entries, then for twice as many, whatever duels are won', () => {
    const regret = new LruRegret(ENTRIES);
    scan(regret, 0, ENTRIES);
    const lose = () => { for (let times = 0; times < 3; times++) regret.used(hashOfId(99_999), true); };
    let from = 1_000;
    for (const wait of [ENTRIES, 2 * ENTRIES, 4 * ENTRIES]) {
      regret.used(hashOfId(99_999), false);
      for (let times = 0; times < 3 && !regret.isBehind; times++) lose();
      expect(regret.isBehind).toBe(true);
      for (let id = 0; id < 10; id++) {
        regret.duels.fight(hashOfId(5_000_000 + id) | 0, hashOfId(6_000_000 + id) | 0);
        regret.duels.asked(hashOfId(6_000_000 + id) | 0);
      }
      scan(regret, from, wait - 1);
      expect(regret.isBehind).toBe(true);
      scan(regret, from + wait, 1);
      expect(regret.isBehind).toBe(false);
      from += 10_000;
    }
  });

  test('gains pay for losses, up to half a miss an entry', () => {
    const regret = new LruRegret(ENTRIES);
    scan(regret, 0, ENTRIES);
    for (let key = 1_000; key < 2_000; key++) regret.used(hashOfId(key), false);
    for (let losses = 0; losses < ENTRIES / 2; losses++) regret.used(hashOfId(1_999), true);
    expect(regret.isBehind).toBe(false);
    regret.used(hashOfId(1_999), true);
    expect(regret.isBehind).toBe(true);
  });

  test('who was invalidated is missed by LRU too', () => {
    const regret = new LruRegret(ENTRIES);
    scan(regret, 0, ENTRIES);
    for (let times = 0; times < 50; times++) {
      regret.forget(hashOfId(7));
      regret.used(hashOfId(7), true);
    }
    expect(regret.isBehind).toBe(false);
  });

  test('forget all', () => {
    const regret = new LruRegret(ENTRIES);
    scan(regret, 0, ENTRIES);
    for (let times = 0; times < 5; times++) regret.used(hashOfId(7), true);
    expect(regret.isBehind).toBe(true);
    regret.clear();
    expect(regret.isBehind).toBe(false);
    for (let times = 0; times < 5; times++) regret.used(hashOfId(1_000 + times), true);
    expect(regret.isBehind).toBe(false);
  });
});

describe('adaptive', () => {
  test('bounds what it loses where only recency counts: sweeps to and fro', () => {
    const random = seeded(3);
    let [at, end] = [0, 0];
    const trace = traceOf(Array.from({ length: 100_000 }, () => {
      while (at === end) end = Math.floor(random() * 3_000);
      return (at += Math.sign(end - at));
    }));
    // 1.3 times without a bound.
    expect(replay(trace, POLICIES.adaptive, { entries: 1_185 }).misses).toBeLessThan(1.2 * replay(trace, POLICIES.lru, { entries: 1_185 }).misses);
  });

  test('takes no invalidation for a mistake of its own', () => {
    const trace = zipfTrace(6_000, 60_000, 0.8, 4);
    /** After every third request its key is invalidated and asked for again. */
    const missesOf = (name: 'lru' | 'adaptive') => {
      const words = new Uint32Array(400);
      const policy = POLICIES[name](400, { words, first: 0, step: 1 });
      const slotOf = new Map<number, number>();
      const idIn = new Int32Array(400);
      let misses = 0;
      const request = (id: number, free: number) => {
        const held = slotOf.get(id);
        if (held !== undefined) return policy.touched(held);
        misses++;
        let slot = free >= 0 ? free : slotOf.size;
        if (slot === 400) {
          slot = policy.victim();
          slotOf.delete(idIn[slot]);
          policy.removed(slot);
        }
        slotOf.set(id, slot);
        idIn[slot] = id;
        words[slot] = hashOfId(id);
        policy.inserted(slot, words[slot], 1);
      };
      trace.ids.forEach((id, at) => {
        request(id, -1);
        if (at % 3 > 0) return;
        const slot = slotOf.get(id) as number;
        slotOf.delete(id);
        policy.removed(slot);
        request(id, slot);
      });
      return misses - trace.ids.length / 3;
    };
    expect(missesOf('adaptive')).toBeLessThan(0.93 * missesOf('lru'));
  });
});
