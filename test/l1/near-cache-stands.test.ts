import { expect, test } from 'vitest';
import { NearCache } from '../../src/l1/near-cache.ts';
import { TestL1, payloadFor } from '../support/l1.ts';

test('another thread: an entry is a hit for as long as its slot\'s version stands', () => {
  const words = new Uint32Array(new SharedArrayBuffer(64));
  const near = new NearCache(4, { words, at: (slot) => slot * 2 + 1 });
  words[7] = 5;
  near.set('w', { n: 1 }, 3, 5, 1e9);
  expect([near.profileAt(near.hit('w')), near.slotAt(near.hit('w'))]).toEqual([{ n: 1 }, 3]);
  Atomics.store(words, 7, 6);
  expect(near.hit('w')).toBe(-1);
  Atomics.store(words, 7, 5);
  expect(near.hit('w')).toBe(-1);
  expect(near.size).toBe(0);
});

test('the owner: an entry is a hit until the writer tells of its slot, whatever it did to it', () => {
  const l1 = new TestL1(4, 64 * 1024);
  const near = new NearCache(3);
  l1.writer.onSlotChange = (slot) => near.slotChanged(slot);
  const keep = (wallet: string, version: number) => {
    l1.put(wallet, payloadFor(wallet, version, 100), version, 1e9);
    l1.read(wallet);
    near.set(wallet, { wallet, version }, l1.reader.slot, l1.reader.slotVersion, 1e9);
  };
  // What a change has ended is found as expired, or no longer.
  const stands = (wallet: string) => near.hit(wallet) >= 0 && near.outlasts(near.hit(wallet), 0);
  const held = () => ['a', 'b', 'c', 'd', 'e'].filter(stands);
  for (const wallet of ['a', 'b', 'c']) keep(wallet, 1);
  expect(held()).toEqual(['a', 'b', 'c']);
  l1.put('a', payloadFor('a', 2, 100), 2, 1e9);
  expect(held()).toEqual(['b', 'c']);
  l1.remove('b');
  expect(held()).toEqual(['c']);
  // The place of `b` in L1 is taken by another wallet: its entry must not fall with what was said of the slot before.
  keep('d', 1);
  keep('a', 3);
  expect(held()).toEqual(['a', 'c', 'd']);
  // A fourth takes somebody's place in the near cache, and a fifth somebody's in L1.
  keep('b', 2);
  expect(near.size).toBe(3);
  keep('e', 1);
  expect(held().every((wallet) => l1.read(wallet) === 'hit')).toBe(true);
  keep('e', 2);
  l1.writer.suspects.add(l1.reader.slot);
  expect(stands('e')).toBe(false);
  l1.writer.clear();
  expect(held()).toEqual([]);
  expect(near.size).toBe(0);
  l1.verify();
});
