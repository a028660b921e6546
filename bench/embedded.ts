/** What do the same reads and writes cost on the embedded store? There is no peer in this table: see its note. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProfileCache } from 'profilecache';
import { bench, type Findings } from './support/bench.ts';
import { must, mustEqual, mustHoldAll } from './support/check.ts';
import { cpuSource, costOf, type Cost } from './support/main-thread.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { reopenTable } from './support/reopen.ts';
import { alternate, Budget } from './support/slices.ts';
import { max, median, min, quantile, three } from './support/stats.ts';

const PROFILES = 10_000;
const ROUNDS = 7;
const WARM_UP_ROUNDS = 1;
const READS = 1_500;
const UPDATES = 600;
const WARM_UP = 200;

async function run(): Promise<Findings> {
  const folder = mkdtempSync(join(tmpdir(), 'profilecache-bench-'));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string): Promise<Findings> {
  const fleets = [makeFleet(PROFILES, 1), makeFleet(PROFILES, 1 + PROFILES)];
  const singles = makeFleet(READS + WARM_UP, 1 + 2 * PROFILES);
  const open = (maxProfiles: number) => ProfileCache.open<BenchProfile>({ l1: { maxProfiles, eviction: 'lru' }, l2: { kind: 'embedded', path: folder }, l2TtlSeconds: 1_800, l2TimeoutMs: 10_000 });
  const writer = await open(PROFILES);
  await writer.updateProfiles(singles.entries);

  const bulk: Record<'updateProfiles' | 'bulkPrefetch' | 'warm', Cost[]> = { updateProfiles: [], bulkPrefetch: [], warm: [] };
  const budget = new Budget(ROUNDS);
  for (let round = -WARM_UP_ROUNDS; budget.goesOn(round); round++) {
    for (const fleet of fleets) {
      const cost = await costOf(() => writer.updateProfiles(fleet.entries));
      must(cost.result.stored === PROFILES, `L2 took ${cost.result.stored} of ${PROFILES}`);
      if (round >= 0) bulk.updateProfiles.push(cost);
    }
    // L1 of the writer holds the second fleet: the first is cold, and prefetching it makes the second one cold.
    const prefetch = await costOf(() => writer.bulkPrefetch(fleets[0].wallets));
    await mustHoldAll(prefetch.result, fleets[0], 'bulkPrefetch');
    const warm = await costOf(() => writer.warm(fleets[1].wallets));
    must(warm.result.promoted === PROFILES, `warm promoted ${warm.result.promoted}`);
    if (round < 0) continue;
    bulk.bulkPrefetch.push(prefetch);
    bulk.warm.push(warm);
  }
  await writer.close();

  const cache = await open(singles.wallets.length);
  const single = await alternate([
    { name: 'read', run: (i) => cache.getProfile(singles.wallets[i]) },
  ], { operations: READS, warmUp: WARM_UP });
  const stats = cache.getStats();
  must(stats.l2Hits === READS + WARM_UP && stats.misses === 0, 'every read was an L2 hit');
  mustEqual(await cache.getProfile(singles.wallets[0]), singles.profiles[0], 'getProfile');
  const updates = await alternate([
    { name: 'update', run: (i) => cache.updateProfile(singles.wallets[i], singles.profiles[i]) },
  ], { operations: UPDATES, warmUp: WARM_UP });
  await cache.close();

  const part = (all: Cost[], field: keyof Cost) => all.map((cost) => cost[field]);
  const bulkRow = (what: string, all: Cost[]) => {
    const wall = part(all, 'wallMs');
    const stall = part(all, 'stallMs');
    return [what, three(min(wall)), three(median(wall)), `${three(PROFILES / median(wall))} k/s`, three(median(part(all, 'cpuMs'))), `${three(min(stall))} / ${three(median(stall))} / ${three(max(stall))}`];
  };
  const singleRow = (what: string, us: number[]) => [what, three(min(us)), three(median(us)), three(quantile(us, 0.99))];
  return {
    tables: [
      {
        title: `${PROFILES.toLocaleString('en-US')} profiles of 1.8 KB JSON, embedded store in the temporary folder, ${bulk.warm.length} rounds`,
        columns: ['', 'min ms', 'median ms', 'profiles', 'main-thread CPU ms', 'longest stall ms: min / median / max'],
        rows: [
          bulkRow('updateProfiles', bulk.updateProfiles),
          bulkRow('bulkPrefetch into a cold L1', bulk.bulkPrefetch),
          bulkRow('warm into a cold L1', bulk.warm),
        ],
        notes: [
          `Main-thread CPU: ${cpuSource}.`,
          'No peer: the usual one, lmdb, is not among the dependencies; why, and what it gave, is in native-notes/embedded-store.md.',
        ],
      },
      {
        title: 'One at a time',
        columns: ['', 'min us', 'p50 us', 'p99 us'],
        rows: [singleRow('getProfile of a wallet that is not in L1', single.get('read')!), singleRow('updateProfile', updates.get('update')!)],
      },
      await reopenTable(),
    ],
    summary: [],
  };
}

await bench('embedded', 'What do the same reads and writes cost on the embedded store?', run);
