/**
 * Reads by real threads while the owner updates, removes, evicts, expires, compacts and clears; each one judged.
 * PROFILECACHE_TORTURE_MS and PROFILECACHE_TORTURE_READERS lengthen it; PROFILECACHE_TORTURE_SEED repeats the owner's choices.
 */
import { describe, expect, test } from 'vitest';
import { torture, tortureWithKills, type TortureOptions } from '../support/l1-torture.ts';

const runMs = Number(process.env.PROFILECACHE_TORTURE_MS ?? 1_200);
const readers = Number(process.env.PROFILECACHE_TORTURE_READERS ?? 2);
const seed = Number(process.env.PROFILECACHE_TORTURE_SEED ?? (Date.now() % 1_000_000) + 1);
const base: TortureOptions = { runMs, readers, wallets: 400, maxProfiles: 120, maxBytes: 128 * 1024, seed };

describe(`readers in threads, seed ${seed}`, () => {
  test('nothing foreign, torn, stale or expired', async () => {
    const report = await torture(base);
    console.log(`    ${JSON.stringify(report)}`);
    expect(report.faults).toEqual([]);
    // It was about something: each kind of change happened, and reads hit meanwhile.
    for (const what of ['puts', 'removes', 'clears', 'evictions', 'expirations', 'movedBytes'] as const) expect(report[what], what).toBeGreaterThan(0);
    expect(report.readers.hits).toBeGreaterThan(1_000);
    expect(report.readers.nearHits).toBeGreaterThan(0);
    expect(report.readers.cacheHits).toBeGreaterThan(1_000);
  }, runMs + 60_000);

  test('that are terminated anywhere: nothing of them stays', async () => {
    const report = await tortureWithKills(base);
    console.log(`    ${JSON.stringify(report)}`);
    expect(report).toMatchObject({ faults: [], oddSlots: 0, rowsKept: 0 });
    expect(report.kills).toBeGreaterThan(0);
  }, runMs + 60_000);

  // A canary each: the same run must notice these readers.
  test('a reader that does not check again after copying is caught', async () => {
    const report = await torture({ ...base, runMs: 20_000, broken: 'no-close' });
    expect(report.faults).not.toEqual([]);
  }, 60_000);
  test('a reader that does not compare keys is caught', async () => {
    const report = await torture({ ...base, runMs: 20_000, wallets: 4_000, maxProfiles: 3_000, maxBytes: 4 * 1024 * 1024, broken: 'no-key' });
    expect(report.faults).not.toEqual([]);
  }, 60_000);
  test('a reader whose clock is late is caught', async () => {
    const report = await torture({ ...base, runMs: 20_000, broken: 'late-clock' });
    expect(report.kinds.expired).toBeGreaterThan(0);
  }, 60_000);
});
