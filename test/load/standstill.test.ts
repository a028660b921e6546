/** A thread that stood still: what it holds is asked about before it is served, once; a loop that reads is not interrupted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { beat } from '../../src/l1/owner-beat.ts';
import { openRegion } from '../../src/l1/region.ts';
import { STANDSTILL_MS } from '../../src/load/hit-clock.ts';
import { ProfileCache } from '../../src/profile-cache.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';
import { makeTmpFolder } from '../support/tmp.ts';

/** More than the bound, counted from the last turn of the owner's timer. */
const LONG_MS = STANDSTILL_MS + 150;

function stand(ms: number, work: () => void = () => {}): void {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; ) work();
}

describe('the owner', () => {
  const folder = makeTmpFolder('standstill');
  closeCachesAfterEach();
  afterAll(folder.remove);
  let stores = 0;
  const open = async () => {
    const cache = await openCache({ l2: { kind: 'embedded', path: `${folder.path}/${++stores}` } });
    const gaps: string[] = [];
    cache.on('channelGap', (reason) => gaps.push(reason));
    await cache.updateProfile('w', { n: 1 });
    await sleep(150);
    return { cache, gaps };
  };

  test('after a stillness nothing of L1 is served before L2 has confirmed it; told and counted once', async () => {
    const { cache, gaps } = await open();
    expect(cache.getProfileSync('w')).toEqual({ n: 1 });
    stand(LONG_MS);
    expect(cache.getProfileSync('w')).toBeUndefined();
    expect(cache.getEntry('w')).toBeUndefined();
    // Listeners are not called in the middle of a read.
    expect(gaps).toEqual([]);
    expect(await cache.getProfile('w')).toEqual({ n: 1 });
    await until('the rest is confirmed', () => cache.getProfileSync('w') !== undefined);
    await until('the gap is told', () => gaps.length > 0);
    expect(gaps).toEqual([expect.stringMatching(/^this thread stood still for \d+ ms$/)]);
    expect(cache.getStats()).toMatchObject({ channelGaps: 1, servedUnchecked: 0 });
    expect(cache.getStats().revalidated).toBeGreaterThanOrEqual(1);
  });

  test('also when the first look at the clock is that of its own timer', async () => {
    const { cache, gaps } = await open();
    stand(LONG_MS);
    // Timers come before anything else.
    await sleep(0);
    await until('the gap is told', () => gaps.length > 0);
    await until('L1 is confirmed', () => cache.getProfileSync('w') !== undefined);
    expect(cache.getStats()).toMatchObject({ channelGaps: 1 });
  });

  test('a loop that goes on reading is not interrupted, and leaves no doubt behind', async () => {
    const { cache, gaps } = await open();
    let misses = 0;
    stand(2 * LONG_MS, () => {
      if (cache.getProfileSync('w') === undefined) misses++;
    });
    await sleep(50);
    expect([misses, gaps]).toEqual([0, []]);
  });

  test('where nobody else can write, there is nothing to ask', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.updateProfile('w', { n: 1 });
    stand(LONG_MS);
    expect(cache.getProfileSync('w')).toEqual({ n: 1 });
  });
});

describe('an attached thread', () => {
  closeCachesAfterEach();

  test('waits a moment for an owner that has not turned since, and reads on', async () => {
    const owner = await openCache({ l2: 'none:' });
    await owner.updateProfile('w', { n: 1 });
    const attached = ProfileCache.attach<{ n: number }>(owner.handle);
    const region = openRegion(owner.handle.region);
    const timed = () => {
      const startMs = performance.now();
      expect(attached.getProfileSync('w')).toEqual({ n: 1 });
      return performance.now() - startMs;
    };
    timed();
    stand(LONG_MS);
    // Both are in this thread: the owner cannot wake while the other waits for it.
    expect(timed()).toBeGreaterThanOrEqual(49);
    stand(LONG_MS);
    // It has turned: this thread alone was busy.
    beat(region, systemClock.monotonicMs());
    expect(timed()).toBeLessThan(49);
    await attached.close();
  });
});
