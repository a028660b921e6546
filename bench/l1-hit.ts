/** What does a hit cost a thread whose profiles are all resident? */
import { LRUCache } from 'lru-cache';
import { ProfileCache } from 'profilecache';
import { bench, collectGarbage, type Findings } from './support/bench.ts';
import { must, mustEqual } from './support/check.ts';
import { makeFleet, makeProfile, zipfTrace, type BenchProfile } from './support/profiles.ts';
import { interleave, keep, type Variant } from './support/slices.ts';
import { median, min, pairRatios, percent, ratioText, three } from './support/stats.ts';

const PROFILES = 5_000;
const ZIPF_EXPONENT = 0.99;
const TRACE = 1 << 16;
const ROUNDS = 61;
const SYNC_HITS = 60_000;
const PROMISE_HITS = 15_000;
const COLD_SHARE_HITS = 20_000;
const TTL_MS = 600_000;
const ALLOCATION_HITS = 50_000;
const ALLOCATION_ROUNDS = 9;

const FIRST_SEED = 1;
const fleet = makeFleet(PROFILES, FIRST_SEED);
const trace = Array.from(zipfTrace(PROFILES, TRACE, ZIPF_EXPONENT, 7), (i) => fleet.wallets[i]);
let at = 0;
const next = () => trace[at++ & (TRACE - 1)];

function filled(nearProfiles: number, eviction: 'adaptive' | 'lru' = 'adaptive'): Promise<ProfileCache<BenchProfile>> {
  return ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES, nearProfiles, eviction }, l2: { kind: 'none' }, l2TtlSeconds: TTL_MS / 1e3 });
}

/** Bytes of heap that one hit leaves behind, the loop's own share taken off. */
function allocation(get: (wallet: string) => BenchProfile | undefined): number {
  const bytes: number[] = [];
  for (let round = 0; round < ALLOCATION_ROUNDS; round++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    let sum = 0;
    for (let i = 0; i < ALLOCATION_HITS; i++) sum += get(next())!.total_trades;
    bytes.push((process.memoryUsage().heapUsed - before) / ALLOCATION_HITS);
    keep(sum);
  }
  return median(bytes);
}

async function run(): Promise<Findings> {
  // What the default is, too.
  const hot = await filled(PROFILES);
  const exact = await filled(PROFILES, 'lru');
  const usual = await filled(1_024);
  const lru = new LRUCache<string, BenchProfile>({ max: PROFILES, ttl: TTL_MS });
  const map = new Map<string, BenchProfile>();
  for (const cache of [hot, exact, usual]) {
    const { l1 } = await cache.updateProfiles(fleet.entries);
    must(l1 === PROFILES, `L1 took ${l1} of ${PROFILES}`);
  }
  fleet.wallets.forEach((wallet, i) => {
    // Its own objects for each contender: two that share them would warm each other's cache lines.
    lru.set(wallet, makeProfile(FIRST_SEED + i));
    map.set(wallet, makeProfile(FIRST_SEED + i));
    for (const cache of [hot, exact, usual]) mustEqual(cache.getProfileSync(wallet), fleet.profiles[i], 'getProfileSync');
    mustEqual(lru.get(wallet), fleet.profiles[i], 'lru-cache');
  });
  for (const wallet of fleet.wallets.slice(0, 100)) mustEqual(await hot.getProfile(wallet), map.get(wallet), 'getProfile');
  must(Object.isFrozen(hot.getProfileSync(fleet.wallets[0])?.risk_factors), 'a returned profile is frozen');

  const sync = await interleave([
    { name: 'hot', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += hot.getProfileSync(next())!.total_trades; return sum; } },
    { name: 'exact', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += exact.getProfileSync(next())!.total_trades; return sum; } },
    { name: 'lru', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += lru.get(next())!.total_trades; return sum; } },
    { name: 'map', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += map.get(next())!.total_trades; return sum; } },
  ] satisfies Variant[], { rounds: ROUNDS, operations: SYNC_HITS });
  const nearBefore = hot.getStats();

  const promised = await interleave([
    { name: 'hot', run: async (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += (await hot.getProfile(next()))!.total_trades; return sum; } },
    { name: 'lru', run: async (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += (await Promise.resolve(lru.get(next())))!.total_trades; return sum; } },
    { name: 'map', run: async (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += (await Promise.resolve(map.get(next())))!.total_trades; return sum; } },
  ] satisfies Variant[], { rounds: ROUNDS, operations: PROMISE_HITS });

  const statsBefore = usual.getStats();
  const mixed = await interleave([
    { name: 'usual', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += usual.getProfileSync(next())!.total_trades; return sum; } },
    { name: 'lru', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += lru.get(next())!.total_trades; return sum; } },
  ] satisfies Variant[], { rounds: ROUNDS, operations: COLD_SHARE_HITS });
  const statsAfter = usual.getStats();
  const nearShare = (statsAfter.nearHits - statsBefore.nearHits) / (statsAfter.l1Hits - statsBefore.l1Hits);
  must(nearBefore.misses === 0 && statsAfter.misses === 0, 'every read was a hit');

  const bytes = {
    hot: allocation((wallet) => hot.getProfileSync(wallet)),
    lru: allocation((wallet) => lru.get(wallet)),
    map: allocation((wallet) => map.get(wallet)),
  };
  const row = (what: string, times: number[], peer: number[], leaves: string) =>
    [what, three(min(times)), three(median(times)), times === peer ? '1' : ratioText(pairRatios(peer, times)), leaves];
  const of = (times: ReadonlyMap<string, number[]>, name: string) => times.get(name)!;
  const heap = (value: number) => value.toFixed(1);
  await hot.close();
  await exact.close();
  await usual.close();
  return {
    tables: [
      {
        title: `A hit, ${PROFILES.toLocaleString('en-US')} resident profiles of 1.8 KB JSON, Zipf ${ZIPF_EXPONENT}, one thread`,
        columns: ['', 'min ns', 'median ns', 'times as fast as lru-cache', 'heap bytes a hit'],
        rows: [
          row('getProfileSync, all near (nearProfiles 5,000, the default)', of(sync, 'hot'), of(sync, 'lru'), heap(bytes.hot)),
          row("the same, eviction: 'lru'", of(sync, 'exact'), of(sync, 'lru'), ''),
          row('lru-cache with ttl, get', of(sync, 'lru'), of(sync, 'lru'), heap(bytes.lru)),
          row('bare Map, get (no expiry, no bound)', of(sync, 'map'), of(sync, 'lru'), heap(bytes.map)),
          row(`getProfileSync, nearProfiles 1,024: ${percent(nearShare)} near hits, the others decoded`, of(mixed, 'usual'), of(mixed, 'lru'), ''),
          row('await getProfile, all near', of(promised, 'hot'), of(promised, 'lru'), ''),
          row('await Promise.resolve(lru-cache get)', of(promised, 'lru'), of(promised, 'lru'), ''),
          row('await Promise.resolve(Map get)', of(promised, 'map'), of(promised, 'lru'), ''),
        ],
        notes: [
          'A wallet is the same string object each time: its hash for the Map is computed already, for all three.',
          'lru-cache and Map hand out the object that was stored, this cache a frozen copy; a near hit counts the read, checks the deadline, and tells the eviction policy; in other threads than the owner it checks the version in shared memory, too.',
        ],
      },
    ],
    summary: [
      { what: 'L1 hit, near (sync)', ours: `${three(median(of(sync, 'hot')))} ns`, peer: `lru-cache ${three(median(of(sync, 'lru')))} ns`, ratio: ratioText(pairRatios(of(sync, 'lru'), of(sync, 'hot'))) },
      { what: `L1 hit, ${percent(nearShare)} near (nearProfiles 1,024)`, ours: `${three(median(of(mixed, 'usual')))} ns`, peer: `lru-cache ${three(median(of(mixed, 'lru')))} ns`, ratio: ratioText(pairRatios(of(mixed, 'lru'), of(mixed, 'usual'))) },
    ],
  };
}

await bench('l1-hit', 'What does a hit cost a thread whose profiles are all resident?', run);
