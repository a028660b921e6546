import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { HitClock, STANDSTILL_MS } from '../../src/load/hit-clock.ts';
import { closeCachesAfterEach, openCache } from '../support/caches.ts';

const readMs = (clock: HitClock): number => {
  clock.nowTick();
  return clock.lastMs;
};

describe('HitClock', () => {
  test('hits in quick succession share a reading, 64 at the most', () => {
    let nowMs = 1_000;
    let readings = 0;
    const clock = new HitClock(() => {
      readings++;
      return nowMs;
    });
    for (let i = 0; i < 10_000; i++) readMs(clock);
    expect(readings).toBeGreaterThanOrEqual(10_000 / 65);
    expect(readings).toBeLessThan(10_000 / 50);
    nowMs += 5;
    const seen = Array.from({ length: 65 }, () => readMs(clock));
    expect(seen.at(-1)).toBe(1_005);
  });

  test('hits far apart read the clock each', () => {
    let nowMs = 0;
    const clock = new HitClock(() => nowMs);
    for (let i = 1; i < 100; i++) {
      nowMs = i;
      expect(readMs(clock)).toBe(i);
    }
  });

  test('a reading is not used in the next turn of the event loop', async () => {
    const clock = new HitClock(systemClock.monotonicMs);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 500; i++) readMs(clock);
      await sleep(20);
      expect(systemClock.monotonicMs() - readMs(clock)).toBeLessThan(10);
    }
  });
});

describe('a hole between two readings', () => {
  test('is told of before the reading that finds it is used, once; a loop that goes on reading leaves none', () => {
    let nowMs = 50_000;
    const holes: number[] = [];
    const clock = new HitClock(() => nowMs, (holeMs) => holes.push(holeMs));
    readMs(clock);
    for (let i = 0; i < 100_000; i++) {
      nowMs += 0.5;
      clock.nowTick();
    }
    expect(holes).toEqual([]);
    nowMs += STANDSTILL_MS;
    clock.freshMs();
    expect(holes).toEqual([]);
    nowMs += STANDSTILL_MS + 1;
    clock.nowTick();
    expect(holes).toEqual([STANDSTILL_MS + 1]);
    for (let i = 0; i < 1_000; i++) readMs(clock);
    expect(holes).toHaveLength(1);
  });
});

describe('expiry at a hot hit', () => {
  closeCachesAfterEach();

  test('is noticed however hot the profile is', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.updateProfile('w', { n: 1 }, { ttlSeconds: 0.2 });
    const expires = performance.now() + 200;
    let lastServed = 0;
    let late = 0;
    while (performance.now() < expires + 50) {
      for (let i = 0; i < 1_000; i++) {
        if (cache.getProfileSync('w') === undefined) continue;
        lastServed = performance.now();
        if (lastServed > expires + 10) late++;
      }
    }
    expect(lastServed).toBeGreaterThan(expires - 150);
    // The system may take the core away in the middle of a run: then the rest of that run, and no more.
    expect(late).toBeLessThanOrEqual(65);
    expect(cache.getProfileSync('w')).toBeUndefined();
  });

  test('is noticed after a pause that followed a hot run', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.updateProfile('w', { n: 1 }, { ttlSeconds: 0.1 });
    for (let i = 0; i < 5_000; i++) cache.getProfileSync('w');
    await sleep(150);
    expect(cache.getProfileSync('w')).toBeUndefined();
  });
});
