import { describe, expect, test } from 'vitest';
import { NearCache, tickOf } from '../../src/l1/near-cache.ts';

const filled = (maxEntries: number, wallets: number) => {
  const near = new NearCache(maxEntries);
  for (let i = 0; i < wallets; i++) near.set(`w${i}`, { i }, i, 1, 1e9);
  return near;
};
const held = (near: NearCache, wallets: number) => Array.from({ length: wallets }, (_, i) => i).filter((i) => near.find(`w${i}`) >= 0);
const NOWHERE = -1;

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
  expect([near.size, near.find('w0')]).toEqual([0, NOWHERE]);
});

describe('second chance', () => {
  test('without hits the first in is the first out', () => {
    expect(held(filled(4, 6), 6)).toEqual([2, 3, 4, 5]);
  });
  test('what was hit is passed over once', () => {
    const near = filled(4, 4);
    near.hit('w0');
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
    for (let i = 0; i < 4; i++) near.hit(`w${i}`);
    near.set('w4', {}, 4, 1, 1e9);
    expect(near.size).toBe(4);
  });
});

test('set again replaces, in the same place', () => {
  const near = filled(2, 2);
  near.set('w0', { newer: true }, 9, 7, 5);
  expect(near.size).toBe(2);
  const place = near.find('w0');
  expect([near.profileAt(place), near.slotAt(place), near.slotVersionAt(place), near.expiresAtMs(place)]).toEqual([{ newer: true }, 9, 7, 5]);
});

describe('delete', () => {
  test('frees the place, which is filled before anybody is evicted', () => {
    const near = filled(4, 4);
    near.delete(near.find('w2'));
    expect(near.find('w2')).toBe(NOWHERE);
    near.set('w9', {}, 9, 1, 1e9);
    expect(held(near, 10)).toEqual([0, 1, 3, 9]);
  });
  test('of everything, then filling beyond the bound again', () => {
    const near = filled(4, 4);
    for (let i = 0; i < 4; i++) near.delete(near.find(`w${i}`));
    expect(near.size).toBe(0);
    for (let i = 10; i < 30; i++) near.set(`w${i}`, {}, i, 1, 1e9);
    expect(held(near, 30)).toHaveLength(4);
  });
});

test('a deadline: told by the tick where that is enough, by the time where it is not', () => {
  const near = new NearCache(4);
  near.set('w', {}, 0, 1, 10_000.5);
  const place = near.hit('w');
  const tick = tickOf(10_000.5);
  expect([near.outlasts(place, tick - 1), near.outlasts(place, tick), near.outlasts(place, tick + 1)]).toEqual([true, false, false]);
  expect(near.expiresAtMs(place)).toBe(10_000.5);
});

test('versions with the top bit are told apart', () => {
  const words = new Uint32Array([2 ** 32 - 1]);
  const near = new NearCache(4, { words, at: () => 0 });
  near.set('w', {}, 0, 2 ** 32 - 1, 1e9);
  expect(near.slotVersionAt(near.hit('w'))).toBe(2 ** 32 - 1);
  words[0] = 2 ** 31 - 1;
  expect(near.hit('w')).toBe(NOWHERE);
});

test('clear forgets all', () => {
  const near = filled(4, 9);
  near.clear();
  expect([near.size, near.find('w8')]).toEqual([0, NOWHERE]);
  for (let i = 0; i < 9; i++) near.set(`w${i}`, {}, i, 1, 1e9);
  expect(near.size).toBe(4);
});

describe('a changed slot', () => {
  test('ends the entry that was read from it, and no other', () => {
    const near = filled(4, 4);
    near.slotChanged(2);
    near.slotChanged(17);
    expect([near.size, held(near, 4)]).toEqual([3, [0, 1, 3]]);
    // Who asks is shown an entry that expired long ago, and forgets it.
    const place = near.hit('w2');
    expect([near.outlasts(place, 0), near.expiresAtMs(place) < 0]).toEqual([false, true]);
    near.delete(place);
    expect(near.hit('w2')).toBe(NOWHERE);
  });
  test('lets go of the profile and makes room, whether the wallet is asked for again or not', () => {
    for (const isAskedFor of [true, false]) {
      const near = filled(4, 4);
      for (const slot of [1, 3]) near.slotChanged(slot);
      if (isAskedFor) near.delete(near.hit('w3'));
      expect(near.admits(9)).toBe(true);
      for (const i of [8, 9]) near.set(`w${i}`, { i }, i, 1, 1e9);
      expect([near.size, held(near, 10)]).toEqual([4, [0, 2, 8, 9]]);
    }
  });
  test('whose wallet comes again has one entry, and its old place is free', () => {
    const near = filled(4, 4);
    near.slotChanged(0);
    near.slotChanged(1);
    for (const i of [0, 1, 5, 6]) near.set(`w${i}`, { again: i }, 20 + i, 1, 1e9);
    expect(near.size).toBe(4);
    for (const i of held(near, 7)) expect(near.profileAt(near.find(`w${i}`))).toEqual(i === 2 || i === 3 ? { i } : { again: i });
  });
});

test('any order of set, hit, delete, changes and clear keeps the bound and the entries', () => {
  let seed = 12_345;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (const maxEntries of [1, 2, 3, 16, 100]) {
    const near = new NearCache(maxEntries);
    const newest = new Map<string, { wallet: string; i: number }>();
    const changed = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const wallet = `w${random(maxEntries < 100 ? 40 : 150)}`;
      const place = near.hit(wallet);
      const stands = place >= 0 && near.outlasts(place, 0);
      const last = newest.get(wallet);
      // Not an expect of each of 80,000: those cost more than the test.
      if (stands && near.profileAt(place) !== last) throw new Error(`${wallet} came back as ${JSON.stringify(near.profileAt(place))}`);
      if (stands && near.slotAt(place) !== last?.i) throw new Error(`${wallet} is said to be in slot ${near.slotAt(place)}`);
      if (last !== undefined && changed.has(last.i) && (stands || near.find(wallet) >= 0)) throw new Error(`${wallet} came back from a slot that has changed`);
      const choice = random(100);
      if (choice < 50) {
        const profile = { wallet, i };
        near.set(wallet, profile, i, i, 1e9);
        newest.set(wallet, profile);
      } else if (choice < 65 && place >= 0) {
        near.delete(place);
        if (near.find(wallet) >= 0) throw new Error(`${wallet} was deleted and is there`);
      } else if (choice < 85 && last !== undefined) {
        near.slotChanged(last.i);
        changed.add(last.i);
      } else if (choice === 99) near.clear();
      if (near.size > maxEntries) throw new Error(`${near.size} entries, ${maxEntries} allowed`);
    }
  }
});
