/** What a full near cache lets in, and what that is worth on a long tail. Hit counts of fixed seeds, no timing. */
import { describe, expect, test } from 'vitest';
import { seededRandom, zipfTrace } from '../../bench/support/profiles.ts';
import { NearAdmission } from '../../src/l1/near-admission.ts';
import { NearCache } from '../../src/l1/near-cache.ts';

describe('a full near cache', () => {
  test('lets everybody in while there is room, then who comes again', () => {
    const near = new NearCache(2);
    for (const slot of [0, 1]) {
      expect(near.admits(slot)).toBe(true);
      near.set(`w${slot}`, {}, slot, 1, 1e9);
    }
    expect([near.admits(7), near.admits(8), near.admits(7)]).toEqual([false, false, true]);
    near.delete(near.find('w0'));
    expect(near.admits(9)).toBe(true);
  });
  test('forgets who came long ago', () => {
    const admission = new NearAdmission(64);
    expect(admission.seenBefore(1_000_000)).toBe(false);
    let strangers = 0;
    for (let slot = 0; slot < 400; slot++) if (!admission.seenBefore(slot)) strangers++;
    expect(strangers).toBeGreaterThan(360);
    expect(admission.seenBefore(1_000_000)).toBe(false);
    expect(admission.seenBefore(1_000_000)).toBe(true);
  });
});

describe('on traces', () => {
  function replay(trace: Iterable<number>, admits: (near: NearCache, slot: number) => boolean): { hits: number; sets: number } {
    const near = new NearCache(1_024);
    let [hits, sets] = [0, 0];
    for (const slot of trace) {
      if (near.hit(`w${slot}`) >= 0) hits++;
      else if (admits(near, slot)) {
        near.set(`w${slot}`, {}, slot, 0, 1e9);
        sets++;
      }
    }
    return { hits, sets };
  }
  const both = (trace: Uint32Array) => ({ with: replay(trace, (near, slot) => near.admits(slot)), without: replay(trace, () => true) });

  test('a long tail: more hits, and a fifth of the entries or fewer', () => {
    const { with: admitted, without } = both(zipfTrace(100_000, 150_000, 0.99, 5));
    expect(admitted.hits).toBeGreaterThan(without.hits * 1.08);
    expect(admitted.sets).toBeLessThan(without.sets / 5);
  });
  test('no tail: as many hits', () => {
    const random = seededRandom(3);
    const { with: admitted, without } = both(Uint32Array.from({ length: 60_000 }, () => Math.floor(random() * 2_000)));
    expect(admitted.hits).toBeGreaterThan(without.hits * 0.97);
  });
  test('what is hot changes: the new ones get in', () => {
    const hot = (from: number) => Uint32Array.from({ length: 20_000 }, (_, i) => from + (i % 1_000));
    const { with: admitted, without } = both(Uint32Array.from([...hot(0), ...hot(50_000)]));
    expect(admitted.hits).toBeGreaterThan(without.hits * 0.95);
  });
});
