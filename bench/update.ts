/** What does it cost to write profiles to L1 and L2 and to tell every process? */
import { ProfileCache } from 'profilecache';
import { bench, withCluster, type ClusterContext, type Findings } from './support/bench.ts';
import { must, mustEqual } from './support/check.ts';
import { cpuSource, costOf, type Cost } from './support/main-thread.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { alternate, Budget } from './support/slices.ts';
import { max, median, min, pairRatios, quantile, ratioText, three } from './support/stats.ts';

const PROFILES = 10_000;
const ROUNDS = 7;
const WARM_UP_ROUNDS = 1;
const SINGLE_UPDATES = 1_500;
const SINGLE_WARM_UP = 200;
const SLICE = 50;
const TTL_SECONDS = 1_800;
const MAX_SECONDS = 25;

async function run({ l2, connect }: ClusterContext): Promise<Findings> {
  const fleet = makeFleet(PROFILES);
  const jsonKey = (wallet: string) => `json-update:${wallet}`;
  const open = () => ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES }, l2, l2TtlSeconds: TTL_SECONDS, l2TimeoutMs: 10_000 });
  const cache = await open();
  const cluster = await connect(true);
  const inline = (wallet: string, profile: BenchProfile) => Promise.all([
    cluster.setex(jsonKey(wallet), TTL_SECONDS, JSON.stringify(profile)),
    cluster.publish('bench:profile_updates', JSON.stringify({ wallet, timestamp: new Date().toISOString() })),
  ]);

  const costs: Record<'ours' | 'ioredis', Cost[]> = { ours: [], ioredis: [] };
  const budget = new Budget(ROUNDS, MAX_SECONDS);
  let written = 0;
  for (let round = -WARM_UP_ROUNDS; budget.goesOn(round); round++) {
    written = round + 100;
    const entries = fleet.profiles.map((profile) => [profile.wallet_address, { ...profile, total_trades: written }] as const);
    const variants: ['ours' | 'ioredis', () => Promise<Cost>][] = [
      ['ours', async () => {
        const cost = await costOf(() => cache.updateProfiles(entries));
        must(cost.result.l1 === PROFILES && cost.result.stored === PROFILES, `updateProfiles: ${JSON.stringify(cost.result)}`);
        return cost;
      }],
      ['ioredis', () => costOf(() => Promise.all(entries.map(([wallet, profile]) => inline(wallet, profile))))],
    ];
    if (round & 1) variants.reverse();
    for (const [name, work] of variants) {
      const cost = await work();
      if (round >= 0) costs[name].push(cost);
    }
  }
  // What was written last is what another process reads.
  const reader = await open();
  for (const [wallet, profile] of await reader.bulkPrefetch(fleet.wallets.slice(0, 500))) {
    must(profile.total_trades === written, `L2 holds an old profile of ${wallet}`);
    must((JSON.parse((await cluster.get(jsonKey(wallet)))!) as BenchProfile).total_trades === written, 'SETEX');
  }
  await reader.close();

  const single = await alternate([
    { name: 'ours', run: (i) => cache.updateProfile(fleet.wallets[i], fleet.profiles[i]) },
    { name: 'ioredis', run: (i) => inline(fleet.wallets[i], fleet.profiles[i]) },
  ], { operations: SINGLE_UPDATES, warmUp: SINGLE_WARM_UP });
  mustEqual(await cache.getProfile(fleet.wallets[0]), fleet.profiles[0], 'updateProfile');
  must(cache.getStats().l2Queued === 0, 'no write was queued');
  await cache.close();

  const part = (name: 'ours' | 'ioredis', field: keyof Cost) => costs[name].map((cost) => cost[field]);
  const wall = (name: 'ours' | 'ioredis') => part(name, 'wallMs');
  const cpu = (name: 'ours' | 'ioredis') => part(name, 'cpuMs');
  const bulkRow = (what: string, name: 'ours' | 'ioredis') => [
    what, three(min(wall(name))), three(median(wall(name))), `${three(PROFILES / median(wall(name)))} k/s`,
    name === 'ioredis' ? '1' : ratioText(pairRatios(wall('ioredis'), wall(name))),
    three(median(cpu(name))), name === 'ioredis' ? '1' : ratioText(pairRatios(cpu('ioredis'), cpu(name))),
    `${three(min(part(name, 'stallMs')))} / ${three(median(part(name, 'stallMs')))} / ${three(max(part(name, 'stallMs')))}`,
  ];
  const slices = (us: number[]) => Array.from({ length: SINGLE_UPDATES / SLICE }, (_, k) => median(us.slice(k * SLICE, (k + 1) * SLICE)));
  const [ours, bare] = [single.get('ours')!, single.get('ioredis')!];
  const singleRow = (what: string, us: number[], ratio: string) => [what, three(min(us)), three(median(us)), three(quantile(us, 0.99)), ratio];
  return {
    tables: [
      {
        title: `${PROFILES.toLocaleString('en-US')} profiles of 1.8 KB JSON written over older ones, six-node cluster on this machine, ${costs.ours.length} rounds`,
        columns: ['', 'min ms', 'median ms', 'profiles', 'times as fast', 'main-thread CPU ms', 'times less', 'longest stall ms: min / median / max'],
        rows: [
          bulkRow('updateProfiles: L1, compare-and-set in L2, event', 'ours'),
          bulkRow('ioredis auto-pipelined SETEX of JSON + PUBLISH', 'ioredis'),
        ],
        notes: [
          `Main-thread CPU: ${cpuSource}. Not like for like, to our cost: this cache compares versions in a script, writes L1, and listens to its own channel (10,000 events a round); nobody listens to the peer's.`,
        ],
      },
      {
        title: `One update at a time, ${SINGLE_UPDATES.toLocaleString('en-US')} of each in turns`,
        columns: ['', 'min us', 'p50 us', 'p99 us', 'time, times that of ioredis'],
        rows: [
          singleRow('updateProfile', ours, ratioText(pairRatios(slices(ours), slices(bare)))),
          singleRow('ioredis SETEX + PUBLISH', bare, '1'),
        ],
      },
    ],
    summary: [
      { what: 'updateProfiles of 10,000', ours: `${three(median(wall('ours')))} ms`, peer: `ioredis ${three(median(wall('ioredis')))} ms`, ratio: ratioText(pairRatios(wall('ioredis'), wall('ours'))) },
      { what: 'updateProfile, lone, p50', ours: `${three(median(ours))} us`, peer: `ioredis ${three(median(bare))} us`, ratio: ratioText(pairRatios(slices(bare), slices(ours))) },
    ],
  };
}

await bench('update', 'What does it cost to write profiles to L1 and L2 and to tell every process?', () => withCluster('update', run));
