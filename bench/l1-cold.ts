/** What does a hit cost that must be copied out of shared memory and decoded, and where does the time go? */
import { ProfileCache } from 'profilecache';
import { bench, type Findings } from './support/bench.ts';
import { built } from './support/built.ts';
import { must, mustEqual } from './support/check.ts';
import { makeFleet, zipfTrace, type BenchProfile } from './support/profiles.ts';
import { interleave, type Variant } from './support/slices.ts';
import { median, min, pairRatios, percent, ratioText, three } from './support/stats.ts';

const { ProfileCodec } = await built<typeof import('../src/codec/profile-codec.ts')>('codec/profile-codec');
const { StructureTables } = await built<typeof import('../src/codec/structure-tables.ts')>('codec/structure-tables');
const { probe } = await built<typeof import('../src/l1/index-cells.ts')>('l1/index-cells');
const { L1Reader } = await built<typeof import('../src/l1/reader.ts')>('l1/reader');
const { recordHasKey, recordOfSlot } = await built<typeof import('../src/l1/record.ts')>('l1/record');
const { openRegion } = await built<typeof import('../src/l1/region.ts')>('l1/region');
const { readSchemas } = await built<typeof import('../src/l1/schema-log.ts')>('l1/schema-log');
// Assertions need a declared type.
const walletKeys: typeof import('../src/l1/wallet-key.ts') = await built('l1/wallet-key');
const { systemClock } = await built<typeof import('../src/clock.ts')>('clock');

const PROFILES = 5_000;
const ZIPF_EXPONENT = 0.99;
const TRACE = 1 << 16;
const ROUNDS = 61;
const STEP_ROUNDS = 41;
const HITS = 3_000;

const fleet = makeFleet(PROFILES);
const draws = zipfTrace(PROFILES, TRACE, ZIPF_EXPONENT, 7);
let at = 0;
const next = () => draws[at++ & (TRACE - 1)];

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}

/** The containers of one profile, nearly empty: 5 objects, 5 arrays, 3 Dates, each frozen. */
function frozenParts(i: number): number {
  const { freeze } = Object;
  let sum = 0;
  for (let k = 0; k < 5; k++) sum += freeze({ a: i, b: k }).b + freeze([i, k]).length;
  for (let k = 0; k < 3; k++) sum += freeze(new Date(i + k)).getTime() & 1;
  return sum;
}

/** The steps of one read, each alone, on the very region that the cache reads. */
function steps(cache: ProfileCache<BenchProfile>): Variant[] {
  const region = openRegion(cache.handle.region);
  const tables = new StructureTables();
  for (const bytes of readSchemas(region, 0).tables) tables.add(bytes);
  const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1 << 20, tables });
  const reader = new L1Reader(region);
  const key = new walletKeys.WalletKey(region.hashKey0, region.hashKey1);
  const farMs = systemClock.monotonicMs();
  const matches = (slot: number) => recordHasKey(region, recordOfSlot(region, slot), key);
  fleet.wallets.forEach((wallet, i) => {
    must(reader.read(key.set(wallet), farMs) === 'hit', `${wallet} is not resident`);
    const raw = Buffer.from(reader.scratch.subarray(reader.payloadStart, reader.payloadEnd));
    mustEqual(codec.decode(raw, 0, raw.length, reader.schemaId), fleet.profiles[i], 'decode');
  });
  const hash = (i: number) => {
    const wallet = fleet.wallets[i];
    walletKeys.checkWallet(wallet);
    return key.set(wallet);
  };
  return [
    { name: 'hash', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += hash(next()).hash; return sum; } },
    { name: 'hash, probe', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += probe(region, hash(next()).hash, matches); return sum; } },
    { name: 'hash, probe, copy', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) { reader.read(hash(next()), farMs); sum += reader.payloadEnd; } return sum; } },
    { name: 'hash, probe, copy, decode', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) { reader.read(hash(next()), farMs); sum += (codec.decode(reader.scratch, reader.payloadStart, reader.payloadEnd, reader.schemaId) as BenchProfile).total_trades; } return sum; } },
    // What no decoder of this can do without: the same objects, arrays and Dates, frozen one by one.
    { name: 'freeze', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += frozenParts(i); return sum; } },
  ];
}

async function run(): Promise<Findings> {
  const cache = await ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES, nearProfiles: 0 }, l2: { kind: 'none' }, l2TtlSeconds: 600 });
  const { l1 } = await cache.updateProfiles(fleet.entries);
  must(l1 === PROFILES, `L1 took ${l1} of ${PROFILES}`);
  const json = new Map(fleet.wallets.map((wallet, i) => [wallet, fleet.json[i]]));
  const parse = (wallet: string) => JSON.parse(json.get(wallet)!) as BenchProfile;
  fleet.wallets.forEach((wallet, i) => {
    mustEqual(cache.getProfileSync(wallet), fleet.profiles[i], 'getProfileSync');
    must(parse(wallet).total_trades === fleet.profiles[i].total_trades, 'JSON.parse');
  });

  const whole: Variant = { name: 'whole', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += cache.getProfileSync(fleet.wallets[next()])!.total_trades; return sum; } };
  const slices = { operations: HITS, warmUpRounds: 6, cpuTime: true };
  const times = await interleave([
    whole,
    { name: 'json', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += parse(fleet.wallets[next()]).total_trades; return sum; } },
    { name: 'json, frozen', run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += (deepFreeze(parse(fleet.wallets[next()])) as BenchProfile).total_trades; return sum; } },
  ], { ...slices, rounds: ROUNDS });
  // After that, and not beside it: the steps have a second decoder with a table of its own, which no thread with one cache has.
  const parts = await interleave([whole, ...steps(cache)], { ...slices, rounds: STEP_ROUNDS });
  const stats = cache.getStats();
  must(stats.nearHits === 0 && stats.misses === 0, 'every read was a cold hit');
  await cache.close();

  const of = (name: string) => times.get(name)!;
  const step = (name: string) => parts.get(name)!;
  const minus = (all: number[], part: number[]) => all.map((value, round) => value - part[round]);
  const shares: [string, number[]][] = [
    ['check the wallet, make its bytes and hash', step('hash')],
    ['probe the index, compare the key', minus(step('hash, probe'), step('hash'))],
    ['read the record header, copy the payload, re-check the slot', minus(step('hash, probe, copy'), step('hash, probe'))],
    ['decode and freeze', minus(step('hash, probe, copy, decode'), step('hash, probe, copy'))],
    ['… of that: making and freezing 5 objects, 5 arrays, 3 Dates', step('freeze')],
    ['rest: counters, clock, order of eviction, the verb', minus(step('whole'), step('hash, probe, copy, decode'))],
  ];
  const row = (what: string, name: string) => [what, three(min(of(name)) / 1e3), three(median(of(name)) / 1e3), name === 'json' ? '1' : ratioText(pairRatios(of('json'), of(name)))];
  return {
    tables: [
      {
        title: `A cold hit: near cache off, ${PROFILES.toLocaleString('en-US')} resident, Zipf ${ZIPF_EXPONENT}, one thread`,
        columns: ['', 'min us of CPU time', 'median', 'times as fast as Map + JSON.parse'],
        rows: [
          row('getProfileSync (frozen, Dates as Dates)', 'whole'),
          row('Map + JSON.parse (not frozen, Dates as strings)', 'json'),
          row('Map + JSON.parse, deep freeze (Dates as strings)', 'json, frozen'),
        ],
      },
      {
        title: 'Where the time of a cold hit goes',
        columns: ['', 'median ns', 'share'],
        rows: shares.map(([what, ns]) => [what, three(median(ns)), percent(median(ns.map((value, round) => value / step('whole')[round])))]),
        notes: ['Steps are run alone, in rounds of their own after those above; a step that needs the one before it is a difference within the round. Shares are medians, so they need not add up to 100 %.'],
      },
    ],
    summary: [
      { what: 'L1 hit, cold (copy and decode)', ours: `${three(median(of('whole')) / 1e3)} us`, peer: `Map + JSON.parse ${three(median(of('json')) / 1e3)} us`, ratio: ratioText(pairRatios(of('json'), of('whole'))) },
    ],
  };
}

await bench('l1-cold', 'What does a hit cost that must be copied out of shared memory and decoded, and where does the time go?', run);
