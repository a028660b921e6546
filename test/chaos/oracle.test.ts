/** The judge of the chaos rows: what it lets pass, and what it must not. */
import { expect, it } from 'vitest';
import { makeChaosProfile, Oracle, STALE_AFTER_MS } from '../../bench/support/chaos-oracle.ts';

const BOUND = STALE_AFTER_MS;

/** Another process reads `version` at `nowMs`: is that stale? */
function reads(oracle: Oracle, version: number, nowMs: number): boolean {
  const before = oracle.stale;
  oracle.judge(makeChaosProfile('w', version), 'w', 'other', oracle.bound('w', 'other', nowMs), nowMs);
  return oracle.stale > before;
}

it('an update binds other processes after the bound, and nobody goes back behind what he has seen', () => {
  const oracle = new Oracle();
  oracle.updated('w', 1, true, 0);
  oracle.updated('w', 2, true, 100);
  expect([reads(oracle, 1, 100 + BOUND - 1), reads(oracle, 1, 100 + BOUND)]).toEqual([false, true]);
  expect([reads(oracle, 2, 100 + BOUND), oracle.excused]).toEqual([false, 0]);
  oracle.updated('w', 3, true, 5_000);
  expect([reads(oracle, 3, 5_001), reads(oracle, 2, 5_002)]).toEqual([false, true]);
});

it('L2 away excuses what would have become binding meanwhile, counts it, and nothing else', () => {
  const oracle = new Oracle();
  oracle.updated('w', 1, true, 0);
  oracle.updated('w', 2, true, 1_000);
  oracle.l2GoesAway(10_000);
  // Bound before it went away.
  expect(reads(oracle, 1, 12_000)).toBe(true);
  oracle.updated('w', 3, true, 9_900);
  expect([reads(oracle, 2, 15_000), oracle.excused]).toEqual([false, 1]);
  oracle.l2IsBack(20_000);
  expect([reads(oracle, 2, 19_999), reads(oracle, 2, 20_000)]).toEqual([false, true]);
});

it('where L2 may forget, a process is bound by what it has seen', () => {
  const oracle = new Oracle(Infinity);
  oracle.updated('w', 1, true, 0);
  oracle.updated('w', 2, true, 1);
  expect([reads(oracle, 1, 60_000), reads(oracle, 2, 60_001), reads(oracle, 1, 60_002)]).toEqual([false, false, true]);
});

it('another wallet, a torn profile: wrong', () => {
  const oracle = new Oracle();
  oracle.judge(makeChaosProfile('other', 1), 'w', 'writer', 0, 0);
  oracle.judge({ ...makeChaosProfile('w', 1), text: makeChaosProfile('w', 2).text }, 'w', 'writer', 0, 0);
  expect(oracle.wrong).toBe(2);
});
