/** Suspect entries: hidden from every reader and near copy at once, and as good as before when they are confirmed. */
import { afterEach, expect, test } from 'vitest';
import { NearCache } from '../../src/l1/near-cache.ts';
import { versionWord } from '../../src/l1/reader.ts';
import { TestL1, payloadFor, stands } from '../support/l1.ts';

let l1: TestL1;
afterEach(() => l1.verify());

const put = (wallet: string, version: number, bytes = 100) => l1.put(wallet, payloadFor(wallet, version, bytes), version, 1e9);

test('hidden, confirmed, replaced, removed', () => {
  l1 = new TestL1(4, 64 * 1024);
  for (const wallet of ['a', 'b', 'c']) put(wallet, 1);
  l1.read('a');
  const { slot, slotVersion } = l1.reader;
  const near = new NearCache(4, { words: l1.region.u32, at: (one) => versionWord(l1.region, one) });
  near.set('a', {}, slot, slotVersion, 1e9);
  l1.writer.suspects.addAll();
  for (const wallet of ['a', 'b', 'c']) expect(l1.read(wallet)).toBe('suspect');
  expect(stands(l1.region, slot, slotVersion)).toBe(false);
  // Not looked at meanwhile: the near copy stands again.
  l1.writer.suspects.confirm(slot);
  expect(l1.read('a')).toBe('hit');
  expect(near.hit('a')).toBeGreaterThanOrEqual(0);
  l1.writer.suspects.addAll();
  expect(near.hit('a')).toBe(-1);
  // The version itself tells that nothing is newer here; a newer one takes the place, and is no suspect.
  expect(put('b', 1)).toBe('older');
  expect(l1.read('b')).toBe('suspect');
  put('b', 2);
  expect(l1.read('b')).toBe('hit');
  expect(l1.writer.walletOf(slot)).toBe('a');
  expect(l1.writer.copyOf(slot)).toMatchObject({ version: 1, payload: new Uint8Array(payloadFor('a', 1, 100)) });
  l1.writer.removeExpired(slot, 2e9);
  expect(l1.writer.walletOf(slot)).toBeUndefined();
  expect(l1.read('a')).toBe('miss');
  put('d', 1);
  expect(l1.read('d')).toBe('hit');
});

test('an entry that was confirmed and then changed does not bring back a near copy', () => {
  l1 = new TestL1(2, 64 * 1024);
  put('a', 1);
  l1.read('a');
  const before = l1.reader.slotVersion;
  l1.writer.suspects.addAll();
  put('a', 2);
  expect(stands(l1.region, l1.reader.slot, before)).toBe(false);
});

test('suspects are evicted and moved like any other', () => {
  l1 = new TestL1(4, 16 * 1024);
  for (let round = 1; round < 200; round++) {
    put(`w${round % 6}`, round, (round * 37) % 700);
    if (round % 5 === 0) l1.writer.suspects.addAll();
    if (round % 3 === 0) for (let slot = 0; slot < l1.writer.slotCount; slot++) l1.writer.suspects.confirm(slot);
    l1.verify();
  }
});
