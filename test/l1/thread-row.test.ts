/** Rows of counters and access rings. */
import { afterEach, describe, expect, test } from 'vitest';
import { ProfileCacheError } from '../../src/errors.ts';
import { RING_ENTRIES, ROW, THREAD_ROWS } from '../../src/l1/layout.ts';
import { claimedRows } from '../../src/l1/row-claim.ts';
import { ThreadRow, sumCounters } from '../../src/l1/thread-row.ts';
import { TestL1, payloadFor } from '../support/l1.ts';

let l1: TestL1;
afterEach(() => l1.verify());
const fresh = (maxProfiles = 4) => {
  l1 = new TestL1(maxProfiles, 64 * 1024);
};
let version = 0;
const put = (wallet: string) => l1.put(wallet, payloadFor(wallet, ++version, 32), version);

describe('counters', () => {
  test('are summed over rows, each counter by itself', () => {
    fresh();
    const [one, two] = [ThreadRow.claim(l1.region), ThreadRow.claim(l1.region)];
    one.count(0);
    one.count(0, 4);
    two.count(0, 10);
    two.count(3, 2 ** 40);
    expect([sumCounters(l1.region, 0), sumCounters(l1.region, 1), sumCounters(l1.region, 3)]).toEqual([15, 0, 2 ** 40]);
  });
  test('a freed row keeps its counts, and its next thread goes on from them', () => {
    fresh();
    const first = ThreadRow.claim(l1.region);
    first.count(2, 7);
    first.free();
    expect([sumCounters(l1.region, 2), claimedRows(l1.region)]).toEqual([7, 0]);
    const next = ThreadRow.claim(l1.region);
    expect(next.row).toBe(first.row);
    next.count(2, 3);
    expect([sumCounters(l1.region, 2), claimedRows(l1.region)]).toEqual([10, 1]);
  });
  test('rows run out with a typed error, and one that is freed can be claimed', () => {
    fresh();
    const rows = Array.from({ length: THREAD_ROWS }, () => ThreadRow.claim(l1.region));
    expect(new Set(rows.map((row) => row.row)).size).toBe(THREAD_ROWS);
    expect(claimedRows(l1.region)).toBe(THREAD_ROWS);
    let error: unknown;
    try {
      ThreadRow.claim(l1.region);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ProfileCacheError);
    expect(error).toMatchObject({ code: 'ERR_OVERLOADED' });
    rows[100].free();
    expect(ThreadRow.claim(l1.region).row).toBe(100);
    // The last row's ring ends where the schema log begins.
    for (let i = 0; i < RING_ENTRIES; i++) rows[THREAD_ROWS - 1].pushHit(2);
    expect(l1.region.u32[l1.region.schemaStart / 4]).toBe(0);
  });
});

describe('access rings', () => {
  const slotOf = (wallet: string) => {
    l1.read(wallet);
    return l1.reader.slot;
  };

  test('hits of attached threads reach the LRU order at the next write', () => {
    fresh(3);
    const row = ThreadRow.claim(l1.region);
    put('a'); put('b'); put('c');
    row.pushHit(slotOf('a'));
    put('d');
    expect([l1.has('a'), l1.has('b'), l1.has('c')]).toEqual([true, false, true]);
  });
  test('in order within a ring, and each hit counts once', () => {
    fresh(3);
    const row = ThreadRow.claim(l1.region);
    put('a'); put('b'); put('c');
    row.pushHit(slotOf('b'));
    row.pushHit(slotOf('a'));
    put('c');
    // Now c, a, b by age of use, newest first; a second drain must not bring b forward.
    put('d');
    expect([l1.has('a'), l1.has('b'), l1.has('c')]).toEqual([true, false, true]);
  });
  test('overflow loses the oldest hits and does no harm', () => {
    fresh(4);
    const row = ThreadRow.claim(l1.region);
    put('a'); put('b'); put('c');
    row.pushHit(slotOf('a'));
    for (let i = 0; i < RING_ENTRIES; i++) row.pushHit(slotOf('c'));
    put('d');
    put('e');
    // The hit of a was overwritten: a is the oldest again.
    expect([l1.has('a'), l1.has('b'), l1.has('c'), l1.has('d')]).toEqual([false, true, true, true]);
  });
  test('slots emptied or reused since, and numbers that are no slots', () => {
    fresh(3);
    const row = ThreadRow.claim(l1.region);
    put('a'); put('b'); put('c');
    const [a, b] = [slotOf('a'), slotOf('b')];
    row.pushHit(a);
    row.pushHit(b);
    row.pushHit(12_345);
    row.pushHit(0xffff_fffe);
    l1.remove('a');
    l1.remove('b');
    put('d');
    l1.verify();
    expect([l1.has('c'), l1.has('d')]).toEqual([true, true]);
    row.pushHit(a);
    row.pushHit(b);
    l1.writer.clear();
    put('e');
    expect(l1.writer.size).toBe(1);
  });
  test('a row that changes hands goes on in the same ring', () => {
    fresh(3);
    const first = ThreadRow.claim(l1.region);
    put('a'); put('b'); put('c');
    for (let i = 0; i < 10; i++) first.pushHit(slotOf('b'));
    put('c');
    first.free();
    const next = ThreadRow.claim(l1.region);
    next.pushHit(slotOf('a'));
    put('d');
    expect([l1.has('a'), l1.has('b'), l1.has('c')]).toEqual([true, false, true]);
  });
  test('the ring position may wrap at 2^32', () => {
    fresh(3);
    ThreadRow.claim(l1.region).free();
    const positionWord = (l1.region.rowsStart + ROW.ringPosition) / 4;
    l1.region.u32[positionWord] = 0xffff_fffe;
    put('a'); put('b'); put('c');
    const row = ThreadRow.claim(l1.region);
    for (const wallet of ['b', 'c', 'b', 'a']) row.pushHit(slotOf(wallet));
    expect(l1.region.u32[positionWord]).toBe(2);
    put('d');
    expect([l1.has('a'), l1.has('b'), l1.has('c')]).toEqual([true, true, false]);
  });
});
