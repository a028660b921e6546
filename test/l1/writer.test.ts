/** Rules of the owner's side: versions, sizes, order of eviction, expiry, clear. The region is verified after every test. */
import { afterEach, describe, expect, test } from 'vitest';
import { HEADER, RECORD } from '../../src/l1/layout.ts';
import { TestL1, payloadFor, payloadOf, stands } from '../support/l1.ts';

let l1: TestL1;
afterEach(() => l1.verify());

const fresh = (maxProfiles = 4, maxBytes = 64 * 1024) => {
  l1 = new TestL1(maxProfiles, maxBytes);
};
const put = (wallet: string, version: number, bytes = 100, ttlMs = 1e9) => l1.put(wallet, payloadFor(wallet, version, bytes), version, ttlMs);
const readVersion = (wallet: string) => (l1.read(wallet) === 'hit' ? l1.reader.version : undefined);

test('a hit carries all that was put', () => {
  fresh();
  l1.nowMs = 500;
  put('w', 3, 77, 1_000);
  expect(l1.read('w')).toBe('hit');
  const { schemaId, version, expiresAtMs, createdAtMs } = l1.reader;
  expect({ schemaId, version, expiresAtMs, createdAtMs, payloadBytes: payloadOf(l1.reader).length }).toEqual({ schemaId: 1, version: 3, expiresAtMs: 1_500, createdAtMs: 0, payloadBytes: 77 });
  expect(l1.get('w')?.equals(payloadFor('w', 3, 77))).toBe(true);
});

test('an empty payload and one larger than the first scratch buffer', () => {
  fresh(4, 16 * 1024 * 1024);
  put('none', 1, 0);
  put('large', 2, 200_000);
  expect(l1.get('none')).toEqual(Buffer.alloc(0));
  expect(l1.get('large')?.equals(payloadFor('large', 2, 200_000))).toBe(true);
  expect(l1.get('none')).toEqual(Buffer.alloc(0));
});

describe('versions', () => {
  test('older and equal are refused and change nothing', () => {
    fresh();
    put('w', 5);
    expect(put('w', 5, 10)).toBe('older');
    expect(put('w', 4, 10)).toBe('older');
    expect(l1.get('w')?.equals(payloadFor('w', 5, 100))).toBe(true);
    expect(put('w', 6, 10)).toBe('stored');
    expect(readVersion('w')).toBe(6);
  });
  test('an older one that is too large does not remove the newer', () => {
    fresh();
    put('w', 5);
    expect(put('w', 4, 64 * 1024)).toBe('older');
    expect(readVersion('w')).toBe(5);
  });
  test('versions as large as 2^53 are told apart', () => {
    fresh();
    put('w', 2 ** 53 - 2);
    expect(put('w', 2 ** 53 - 1)).toBe('stored');
    expect(put('w', 2 ** 53 - 1)).toBe('older');
    expect(readVersion('w')).toBe(2 ** 53 - 1);
  });
});

describe('too large', () => {
  test('nothing else goes, and the older version is not left behind', () => {
    fresh();
    put('a', 1);
    put('b', 2);
    expect(put('c', 3, 64 * 1024)).toBe('too-large');
    expect(put('b', 4, 64 * 1024)).toBe('too-large');
    expect([readVersion('a'), readVersion('b'), readVersion('c')]).toEqual([1, undefined, undefined]);
    expect(l1.writer.evictions).toBe(0);
  });
  test('the largest that fits is stored, one byte more is not', () => {
    fresh();
    const largest = l1.writer.arena.maxRecordBytes - RECORD.headerBytes - 1;
    expect(put('a', 1, largest)).toBe('stored');
    expect(l1.get('a')?.equals(payloadFor('a', 1, largest))).toBe(true);
    expect(put('b', 2, largest + 1)).toBe('too-large');
  });
});

describe('exact LRU', () => {
  test('reads and updates count as use, the oldest goes', () => {
    fresh(3);
    put('a', 1); put('b', 2); put('c', 3);
    l1.get('a');
    put('b', 4);
    put('d', 5);
    expect(l1.has('c')).toBe(false);
    put('e', 6);
    expect(l1.has('a')).toBe(false);
    expect([l1.has('b'), l1.has('d'), l1.has('e'), l1.writer.evictions, l1.writer.size]).toEqual([true, true, true, 2, 3]);
  });
  test('eviction by bytes takes as many of the oldest as are needed, no more', () => {
    fresh(1_000, 64 * 1024);
    for (let i = 0; i < 100; i++) put(`w${i}`, i + 1, 400);
    const evicted = () => Array.from({ length: 100 }, (_, i) => i).filter((i) => !l1.has(`w${i}`));
    const before = evicted();
    put('large', 101, 3_000);
    const after = evicted();
    expect(after).toEqual(Array.from({ length: after.length }, (_, i) => i));
    // 3,048 bytes need at most the room of seven records of 448.
    expect(after.length - before.length).toBeLessThanOrEqual(7);
  });
  test('an update in a full cache evicts nobody', () => {
    fresh(3);
    put('a', 1); put('b', 2); put('c', 3);
    for (let version = 4; version < 200; version++) put('b', version, 500);
    expect([l1.has('a'), l1.has('b'), l1.has('c'), l1.writer.evictions]).toEqual([true, true, true, 0]);
  });
});

describe('expiry', () => {
  test('an expired entry is never a hit, to the millisecond', () => {
    fresh();
    l1.nowMs = 0;
    put('w', 1, 10, 50);
    l1.nowMs = 49.999;
    expect(l1.read('w')).toBe('hit');
    expect(l1.writer.removeExpired(l1.reader.slot, l1.nowMs)).toBe(false);
    l1.nowMs = 50;
    expect(l1.read('w')).toBe('expired');
  });
  test('found by a read, its slot and memory come back', () => {
    fresh();
    put('w', 1, 10, 50);
    l1.nowMs += 50;
    expect(l1.read('w')).toBe('expired');
    expect(l1.writer.removeExpired(l1.reader.slot, l1.nowMs)).toBe(true);
    expect([l1.writer.size, l1.writer.arena.liveBytes, l1.writer.expirations]).toEqual([0, 0, 1]);
    expect(l1.read('w')).toBe('miss');
  });
  test('the slot of an expired read that now holds another wallet is left alone', () => {
    fresh();
    put('w', 1, 10, 50);
    l1.nowMs += 50;
    l1.read('w');
    const { slot } = l1.reader;
    l1.remove('w');
    expect(l1.writer.removeExpired(slot, l1.nowMs)).toBe(false);
    put('other', 2);
    expect(l1.writer.removeExpired(slot, l1.nowMs)).toBe(false);
    expect(readVersion('other')).toBe(2);
  });
  test('the sweep goes round in portions, frees what has expired and nothing else', () => {
    fresh(100);
    for (let i = 0; i < 100; i++) put(`w${i}`, i + 1, 10, i % 2 === 0 ? 50 : 5_000);
    const bytesBefore = l1.writer.arena.liveBytes;
    l1.nowMs += 50;
    let freed = 0;
    for (let portion = 0; portion < 15; portion++) freed += l1.writer.sweep(7, l1.nowMs);
    expect([freed, l1.writer.size]).toEqual([50, 50]);
    expect(l1.writer.arena.liveBytes).toBe(bytesBefore / 2);
    for (let i = 0; i < 100; i++) expect(l1.has(`w${i}`)).toBe(i % 2 === 1);
  });
});

describe('clear', () => {
  test('all is gone, near caches included, and all memory is there again', () => {
    fresh(50);
    for (let i = 0; i < 50; i++) put(`w${i}`, i + 1, 600);
    l1.read('w49');
    const { slot, slotVersion } = l1.reader;
    expect(stands(l1.region, slot, slotVersion)).toBe(true);
    l1.writer.clear();
    expect(stands(l1.region, slot, slotVersion)).toBe(false);
    expect([l1.writer.size, l1.writer.arena.liveBytes]).toEqual([0, 0]);
    for (let i = 0; i < 50; i++) expect(l1.read(`w${i}`)).toBe('miss');
    for (let i = 0; i < 50; i++) expect(put(`w${i}`, i + 100, 600)).toBe('stored');
    for (let i = 0; i < 50; i++) expect(readVersion(`w${i}`)).toBe(i + 100);
  });
  test('clear of an empty cache, and twice', () => {
    fresh();
    l1.writer.clear();
    l1.writer.clear();
    expect(put('w', 1)).toBe('stored');
  });
});

describe('what a near cache compares', () => {
  const stood = () => {
    l1.read('w');
    const { slot, slotVersion } = l1.reader;
    return () => stands(l1.region, slot, slotVersion);
  };
  test.each<[string, () => void, boolean]>([
    ['an update', () => put('w', 10), false],
    ['a removal', () => l1.remove('w'), false],
    ['a removal and a put of the same version', () => { l1.remove('w'); put('w', 1); }, false],
    ['a refused older version', () => put('w', 1), true],
    ['another wallet', () => put('v', 10), true],
    ['an eviction', () => { for (let i = 0; i < 9; i++) put(`n${i}`, 10 + i); }, false],
    ['the expiry of it', () => { l1.nowMs += 1e9; l1.writer.sweep(4, l1.nowMs); }, false],
  ])('after %s', (_, change, stands) => {
    fresh();
    put('w', 1);
    const stillStands = stood();
    expect(stillStands()).toBe(true);
    change();
    expect(stillStands()).toBe(stands);
  });
  test('a move by compaction leaves it standing', () => {
    fresh(200, 32 * 1024);
    put('w', 1, 400);
    const stillStands = stood();
    for (let version = 2; version < 3_000; version++) {
      put(`f${version % 40}`, version, 200 + (version % 300));
      l1.get('w');
    }
    expect(l1.writer.arena.movedBytes).toBeGreaterThan(0);
    expect(readVersion('w')).toBe(1);
    expect(stillStands()).toBe(true);
  });
});

test('the header tells any thread how much is resident, and that the owner has closed', () => {
  fresh();
  put('a', 1); put('b', 2); l1.remove('a');
  expect(l1.region.u32[HEADER.residentProfiles]).toBe(1);
  expect(l1.region.u32[HEADER.residentBytesLow]).toBe(l1.writer.arena.liveBytes);
  expect(l1.reader.closed).toBe(false);
  l1.writer.close();
  expect(l1.reader.closed).toBe(true);
});
