import { describe, expect, test } from 'vitest';
import { NearCache } from '../../src/l1/near-cache.ts';

const filled = (maxEntries: number, wallets: number) => {
  const near = new NearCache(maxEntries);
  for (let i = 0; i < wallets; i++) near.set(`w${i}`, { i }, i, 1, 1e9);
  return near;
};
const held = (near: NearCache, wallets: number) => Array.from({ length: wallets }, (_, i) => i).filter((i) => near.get(`w${i}`));

test('never holds more than its bound', () => {
  const near = new NearCache(8);
  for (let i = 0; i < 1_000; i++) {
    near.set(`w${i % 37}`, {}, i, i, 1e9);
    expect(near.size).toBeLessThanOrEqual(8);
  }
  expect(near.size).toBe(8);
});

test('a bound of 0 holds nothing', () => {
  const near = filled(0, 3);
  expect([near.size, near.get('w0')]).toEqual([0, undefined]);
});

describe('second chance', () => {
  test('without hits the first in is the first out', () => {
    expect(held(filled(4, 6), 6)).toEqual([2, 3, 4, 5]);
  });
  test('what was hit is passed over once', () => {
    const near = filled(4, 4);
    (near.get('w0') as { hit: boolean }).hit = true;
    near.set('w4', {}, 4, 1, 1e9);
    expect(held(near, 5)).toEqual([0, 2, 3, 4]);
    // The hand has gone on from w1; w0 has used its chance.
    near.set('w5', {}, 5, 1, 1e9);
    near.set('w6', {}, 6, 1, 1e9);
    near.set('w7', {}, 7, 1, 1e9);
    expect(held(near, 8)).toEqual([4, 5, 6, 7]);
  });
  test('all hit: one round clears the marks and somebody goes', () => {
    const near = filled(4, 4);
    for (let i = 0; i < 4; i++) (near.get(`w${i}`) as { hit: boolean }).hit = true;
    near.set('w4', {}, 4, 1, 1e9);
    expect(near.size).toBe(4);
  });
});

test('set again replaces, in the same place', () => {
  const near = filled(2, 2);
  near.set('w0', { newer: true }, 9, 7, 5);
  expect(near.size).toBe(2);
  expect(near.get('w0')).toMatchObject({ profile: { newer: true }, slot: 9, slotVersion: 7, expiresAtMs: 5 });
});

describe('delete', () => {
  test('frees the place, which is filled before anybody is evicted', () => {
    const near = filled(4, 4);
    near.delete(near.get('w2') as never);
    expect(near.get('w2')).toBe(undefined);
    near.set('w9', {}, 9, 1, 1e9);
    expect(held(near, 10)).toEqual([0, 1, 3, 9]);
  });
  test('of an entry that has been replaced does nothing', () => {
    const near = filled(4, 4);
    const old = near.get('w2') as never;
    near.set('w2', {}, 2, 2, 1e9);
    near.delete(old);
    expect(near.get('w2')).toMatchObject({ slotVersion: 2 });
    expect(near.size).toBe(4);
  });
  test('of everything, then filling beyond the bound again', () => {
    const near = filled(4, 4);
    for (let i = 0; i < 4; i++) near.delete(near.get(`w${i}`) as never);
    expect(near.size).toBe(0);
    for (let i = 10; i < 30; i++) near.set(`w${i}`, {}, i, 1, 1e9);
    expect(held(near, 30)).toHaveLength(4);
  });
});

test('clear forgets all', () => {
  const near = filled(4, 9);
  near.clear();
  expect([near.size, near.get('w8')]).toEqual([0, undefined]);
  for (let i = 0; i < 9; i++) near.set(`w${i}`, {}, i, 1, 1e9);
  expect(near.size).toBe(4);
});

test('any order of set, hit, delete and clear keeps the bound and the entries', () => {
  let seed = 12_345;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (const maxEntries of [1, 2, 3, 16]) {
    const near = new NearCache(maxEntries);
    const newest = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const wallet = `w${random(40)}`;
      const entry = near.get(wallet);
      if (entry) {
        // Not an expect of each of 80,000: those cost more than the test.
        if (entry.wallet !== wallet || entry.slotVersion !== newest.get(wallet)) throw new Error(`${wallet} came back as ${entry.wallet}, version ${entry.slotVersion}`);
        entry.hit = true;
      }
      const choice = random(100);
      if (choice < 60) {
        near.set(wallet, {}, 0, i, 1e9);
        newest.set(wallet, i);
      } else if (choice < 80 && entry) {
        near.delete(entry);
        if (near.get(wallet) !== undefined) throw new Error(`${wallet} was deleted and is there`);
      } else if (choice === 99) near.clear();
      if (near.size > maxEntries) throw new Error(`${near.size} entries, ${maxEntries} allowed`);
    }
  }
});
