/** What do 10,000 profiles cost that L2 has and L1 has not: in time, on the thread that asks, and in stalls? */
import { ProfileCache } from 'profilecache';
import { bench, withCluster, type ClusterContext, type Findings } from './support/bench.ts';
import { must, mustHoldAll } from './support/check.ts';
import { getAllJson } from './support/ioredis-read.ts';
import { cpuSource, costOf, type Cost } from './support/main-thread.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { Budget } from './support/slices.ts';
import { max, median, min, pairRatios, ratioText, three } from './support/stats.ts';

const PROFILES = 10_000;
const ROUNDS = 11;
const WARM_UP_ROUNDS = 1;
const MAX_SECONDS = 30;
const JSON_PREFIX = 'json-bulk:';

async function run({ l2, connect }: ClusterContext): Promise<Findings> {
  // L1 holds one fleet: prefetching one evicts the other, so that workers and compiler are warm and L1 is cold each time.
  const fleets = [makeFleet(PROFILES, 1), makeFleet(PROFILES, 1 + PROFILES)];
  // The default policy learns that two fleets come in turns, and keeps a part of one.
  const open = () => ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES, eviction: 'lru' }, l2, l2TtlSeconds: 1_800, l2TimeoutMs: 10_000 });

  const cluster = await connect(true);
  const writer = await open();
  for (const fleet of fleets) {
    const { stored } = await writer.updateProfiles(fleet.entries);
    must(stored === PROFILES, `L2 took ${stored} of ${PROFILES}`);
    await Promise.all(fleet.wallets.map((wallet, i) => cluster.setex(JSON_PREFIX + wallet, 1_800, fleet.json[i])));
  }
  await writer.close();

  const cache = await open();
  const coldOf = async (k: number) => {
    const fleet = fleets[k & 1];
    const isCold = () => fleet.wallets.every((wallet) => cache.getEntry(wallet) === undefined);
    // A thread that stood still for over a second asks L2 about all that L1 held, and what is confirmed may come in again.
    if (!isCold()) await cache.warm(fleets[(k + 1) & 1].wallets);
    must(isCold(), 'L1 is cold');
    return fleet;
  };
  const costs: Record<'bulkPrefetch' | 'warm' | 'ioredis', Cost[]> = { bulkPrefetch: [], warm: [], ioredis: [] };
  const variants: [keyof typeof costs, () => Promise<Cost>][] = [
    ['bulkPrefetch', async () => {
      const fleet = await coldOf(prefetches++);
      const cost = await costOf(() => cache.bulkPrefetch(fleet.wallets));
      await mustHoldAll(cost.result, fleet, 'bulkPrefetch');
      return cost;
    }],
    ['warm', async () => {
      const fleet = await coldOf(prefetches++);
      const cost = await costOf(() => cache.warm(fleet.wallets));
      must(cost.result.promoted === PROFILES && cost.result.missing === 0, `warm promoted ${cost.result.promoted}`);
      must(fleet.wallets.every((wallet, i) => cache.getProfileSync(wallet)?.risk_score === fleet.profiles[i].risk_score), 'L1 holds what was warmed');
      return cost;
    }],
    ['ioredis', async () => {
      const fleet = fleets[0];
      const cost = await costOf(() => getAllJson(cluster, fleet.wallets, JSON_PREFIX));
      must(cost.result.size === PROFILES && fleet.profiles.every((profile) => cost.result.get(profile.wallet_address)?.risk_score === profile.risk_score), 'ioredis found all');
      return cost;
    }],
  ];
  let prefetches = 0;
  const budget = new Budget(ROUNDS, MAX_SECONDS);
  for (let round = -WARM_UP_ROUNDS; budget.goesOn(round); round++) {
    for (let k = 0; k < variants.length; k++) {
      const [name, work] = variants[(k + round + WARM_UP_ROUNDS) % variants.length];
      const cost = await work();
      if (round >= 0) costs[name].push(cost);
    }
  }
  await cache.close();

  const part = (all: Cost[], field: keyof Cost) => all.map((cost) => cost[field]);
  const wall = (name: keyof typeof costs) => part(costs[name], 'wallMs');
  const cpu = (name: keyof typeof costs) => part(costs[name], 'cpuMs');
  const row = (what: string, name: keyof typeof costs) => {
    const stall = part(costs[name], 'stallMs');
    return [
      what, three(min(wall(name))), three(median(wall(name))), `${three(PROFILES / median(wall(name)))} k/s`,
      name === 'ioredis' ? '1' : ratioText(pairRatios(wall('ioredis'), wall(name))),
      three(median(cpu(name))), name === 'ioredis' ? '1' : ratioText(pairRatios(cpu('ioredis'), cpu(name))),
      `${three(min(stall))} / ${three(median(stall))} / ${three(max(stall))}`,
    ];
  };
  return {
    tables: [
      {
        title: `${PROFILES.toLocaleString('en-US')} profiles of 1.8 KB JSON from a six-node cluster on this machine into a cold L1, ${costs.warm.length} rounds`,
        columns: ['', 'min ms', 'median ms', 'profiles', 'times as fast', 'main-thread CPU ms', 'times less', 'longest stall ms: min / median / max'],
        rows: [
          row('bulkPrefetch: all decoded, frozen, in a Map, in order', 'bulkPrefetch'),
          row('warm: into L1, nothing decoded', 'warm'),
          row('ioredis auto-pipelined GET + JSON.parse', 'ioredis'),
        ],
        notes: [
          `Main-thread CPU: ${cpuSource}. A stall is the longest gap between two turns of the event loop in a call, waiting for a core included.`,
          'l2TimeoutMs is 10 s here, so that a busy machine makes calls late and not incomplete. L1 is full in every round: each promotion evicts (LRU, so that the other fleet is gone whole).',
          'Two cores serve six Redis nodes, the workers and the main thread: the workers take the time from the servers that they wait for.',
        ],
      },
    ],
    summary: [
      { what: 'bulkPrefetch of 10,000', ours: `${three(median(wall('bulkPrefetch')))} ms`, peer: `ioredis ${three(median(wall('ioredis')))} ms`, ratio: ratioText(pairRatios(wall('ioredis'), wall('bulkPrefetch'))) },
      { what: 'warm of 10,000', ours: `${three(median(wall('warm')))} ms`, peer: `ioredis ${three(median(wall('ioredis')))} ms`, ratio: ratioText(pairRatios(wall('ioredis'), wall('warm'))) },
      { what: 'warm, main-thread CPU', ours: `${three(median(cpu('warm')))} ms`, peer: `ioredis ${three(median(cpu('ioredis')))} ms`, ratio: ratioText(pairRatios(cpu('ioredis'), cpu('warm'))) },
    ],
  };
}

await bench('bulk-prefetch', 'What do 10,000 profiles cost that L2 has and L1 has not: in time, on the thread that asks, and in stalls?', () => withCluster('bulk', run));
