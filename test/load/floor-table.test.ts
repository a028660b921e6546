/** Floors outside the heap, against a Map. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../bench/support/profiles.ts';
import { FloorTable } from '../../src/load/floor-table.ts';
import { Floors } from '../../src/load/floors.ts';

test('the highest that was said is what is there, at the bounds of versions and wallets too', () => {
  const table = new FloorTable(100);
  const wallets = ['a', 'é💸', '__proto__', 'x'.repeat(1_024), 'x'.repeat(1_023)];
  for (const version of [1, 2 ** 32 - 1, 2 ** 33, 2 ** 53 - 1]) {
    const versions = wallets.map((_, i) => version - (version > 10 ? i : 0));
    wallets.forEach((wallet, i) => table.raise(wallet, versions[i]));
    for (const lower of [1, versions.at(-1)! - 1]) for (const wallet of wallets) table.raise(wallet, Math.max(1, lower));
    expect(wallets.map((wallet) => table.get(wallet))).toEqual(versions);
  }
  expect(table.get('b')).toBe(0);
});

test('as a Map, with a fifth of the places taken: any order of raise and get', () => {
  const table = new FloorTable(2_000);
  const map = new Map<string, number>();
  const random = seededRandom(5);
  for (let version = 1; version <= 40_000; version++) {
    const wallet = `wallet-${Math.floor(random() * 400)}`;
    if (random() < 0.5) {
      table.raise(wallet, version * 2 ** 30);
      map.set(wallet, version * 2 ** 30);
    } else if (table.get(wallet) !== (map.get(wallet) ?? 0)) throw new Error(`${wallet}: ${table.get(wallet)}, should be ${map.get(wallet)}`);
  }
});

describe('past its bound', () => {
  const wallets = 50_000;
  const table = new FloorTable(10_000);
  const bytes = table.bytes;
  for (let i = 0; i < wallets; i++) table.raise(`w${i}`, i + 1);
  const kept = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i).filter((i) => table.get(`w${i}`) > 0).length / (to - from);

  test('it takes no more memory', () => expect(table.bytes).toBe(bytes));
  test('the newest are kept, the oldest forgotten', () => {
    expect(kept(wallets - 4_000, wallets)).toBeGreaterThan(0.97);
    expect(kept(0, 10_000)).toBeLessThan(0.02);
  });
  test('nobody has the version of another', () => {
    const wrong = Array.from({ length: wallets }, (_, i) => i).filter((i) => ![0, i + 1].includes(table.get(`w${i}`)));
    const known = Array.from({ length: 20_000 }, (_, i) => i).filter((i) => table.get(`stranger${i}`) !== 0);
    expect([wrong, known]).toEqual([[], []]);
  });
});

test('floors rise and never sink, one by one and all at once', () => {
  const floors = new Floors(100);
  floors.raise('a', 10);
  floors.raise('a', 9);
  expect([floors.of('a'), floors.of('b')]).toEqual([10, 0]);
  floors.raiseAll(11, 11);
  floors.raiseAll(5, 12);
  expect([floors.of('a'), floors.of('b')]).toEqual([11, 11]);
  floors.raise('b', 12);
  expect([floors.of('a'), floors.of('b')]).toEqual([11, 12]);
});
