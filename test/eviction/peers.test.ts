/** The policies of others that the table measures against: right by hand on small traces, and nowhere better than the optimum. */
import { describe, expect, test } from 'vitest';
import { arc, lirs, PEERS, sieve, twoQ, type Peer } from '../../bench/support/peer-policies.ts';
import { nextUses, optimum } from '../../src/cli/simulate-optimum.ts';
import { replay } from '../../src/cli/simulate-replay.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import { seeded, traceOf, zipfTrace } from './support.ts';

const misses = (peer: Peer, keys: string, entries: number) => peer(traceOf([...keys]), entries);

test('SIEVE by hand', () => {
  // a was visited: the hand passes it and takes b; then it stands at c, which goes for e.
  expect(misses(sieve, 'abcadea', 3)).toBe(5);
  expect(misses(sieve, 'abcadeb', 3)).toBe(6);
  expect(misses(sieve, 'abcadec', 3)).toBe(6);
});

test('ARC by hand: two uses are kept from a scan of keys that come once', () => {
  expect(misses(arc, 'aabbcdefab', 4)).toBe(6);
  // LRU has lost both.
  expect(replay(traceOf([...'aabbcdefab']), POLICIES.lru, { entries: 4 }).misses).toBe(8);
  // All in T1, T1 as large as the cache: its oldest goes without a ghost, and a is new again.
  expect(misses(arc, 'abcda', 3)).toBe(5);
});

test('2Q by hand: what comes back from the list of those that left goes into the main queue', () => {
  // 4 entries: one in the first queue at least, two remembered. a, b and c leave for d.. and b comes back; then a scan does not push it out.
  expect(misses(twoQ, 'abcdefb', 4)).toBe(7);
  expect(misses(twoQ, 'abcdefbghijkb', 4)).toBe(12);
});

test('LIRS holds on to a part of a loop, as large as the cache less its hundredth', () => {
  const loop = traceOf(Array.from({ length: 30_000 }, (_, at) => at % 300));
  // 198 of 300 keys stay; two entries are for the others.
  expect(lirs(loop, 200)).toBe(300 + (30_000 - 300) * (102 / 300));
});

describe('never better than the optimum, all hits once everything fits', () => {
  const random = seeded(4);
  const mixed = traceOf(Array.from({ length: 20_000 }, (_, at) => (at % 900 < 500 ? at % 130 : 200 + Math.floor(random() ** 3 * 700))));
  for (const [name, peer] of Object.entries(PEERS)) {
    test(name, () => {
      for (const trace of [mixed, zipfTrace(2_000, 20_000, 0.9, 3)]) {
        for (const entries of [2, 10, 100, 400]) {
          const found = peer(trace, entries);
          expect(found).toBeGreaterThanOrEqual(optimum(trace, nextUses(trace), { entries }).misses);
          expect(found).toBeLessThan(trace.ids.length);
        }
        expect(peer(trace, trace.uniqueKeys)).toBe(trace.uniqueKeys);
      }
    });
  }
  test('on Zipf each is better than LRU', () => {
    const trace = zipfTrace(5_000, 40_000, 0.9, 8);
    const lru = replay(trace, POLICIES.lru, { entries: 300 }).misses;
    for (const peer of Object.values(PEERS)) expect(peer(trace, 300)).toBeLessThan(lru * 0.97);
  });
});
