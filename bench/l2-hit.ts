/** How long does a lone read wait that L1 cannot answer and L2 can? */
import { ProfileCache } from 'profilecache';
import { bench, withCluster, type ClusterContext, type Findings } from './support/bench.ts';
import { must, mustEqual } from './support/check.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { alternate } from './support/slices.ts';
import { median, min, pairRatios, quantile, ratioText, three } from './support/stats.ts';

const READS = 3_000;
const WARM_UP_READS = 400;
const CHECKED = 100;
/** Ratios are taken between medians of so many neighbours. */
const SLICE = 100;

async function run({ l2, connect }: ClusterContext): Promise<Findings> {
  const fleet = makeFleet(READS + WARM_UP_READS + CHECKED);
  const jsonKey = (wallet: string) => `json-l2-hit:${wallet}`;
  const open = () => ProfileCache.open<BenchProfile>({ l1: { maxProfiles: fleet.wallets.length }, l2, l2TtlSeconds: 600, l2TimeoutMs: 10_000 });

  const writer = await open();
  const { stored } = await writer.updateProfiles(fleet.entries);
  must(stored === fleet.wallets.length, `L2 took ${stored} of ${fleet.wallets.length}`);
  await writer.close();
  const filler = await connect(true);
  await Promise.all(fleet.wallets.map((wallet, i) => filler.setex(jsonKey(wallet), 600, fleet.json[i])));

  // Each wallet is read once: every read finds L1 without it.
  const cache = await open();
  const cluster = await connect(false);
  for (let i = READS + WARM_UP_READS; i < fleet.wallets.length; i++) {
    const wallet = fleet.wallets[i];
    must(cache.getProfileSync(wallet) === undefined, 'L1 is cold');
    mustEqual(await cache.getProfile(wallet), fleet.profiles[i], 'getProfile');
    must((await cluster.get(jsonKey(wallet))) === fleet.json[i], 'GET');
  }

  const before = cache.getStats();
  const times = await alternate([
    { name: 'ours', run: (i) => cache.getProfile(fleet.wallets[i]) },
    { name: 'ioredis', run: async (i) => JSON.parse((await cluster.get(jsonKey(fleet.wallets[i])))!) as BenchProfile },
  ], { operations: READS, warmUp: WARM_UP_READS });
  const after = cache.getStats();
  must(after.l2Hits - before.l2Hits === READS + WARM_UP_READS && after.misses === before.misses, 'every read was an L2 hit');
  await cache.close();

  const slices = (us: number[]) => Array.from({ length: READS / SLICE }, (_, k) => median(us.slice(k * SLICE, (k + 1) * SLICE)));
  const [ours, bare] = [times.get('ours')!, times.get('ioredis')!];
  const slower = pairRatios(slices(ours), slices(bare));
  const row = (what: string, us: number[], ratio: string) => [what, three(min(us)), three(median(us)), three(quantile(us, 0.99)), ratio];
  return {
    tables: [
      {
        title: `A lone read of a wallet that is not in L1, six-node cluster on this machine, ${READS.toLocaleString('en-US')} reads of each in turns`,
        columns: ['', 'min us', 'p50 us', 'p99 us', 'time, times that of ioredis'],
        rows: [
          row('getProfile: checked, promoted to L1, decoded', ours, ratioText(slower)),
          row('ioredis Cluster GET + JSON.parse', bare, '1'),
        ],
        notes: [`Ratios are of the p50 of ${SLICE} neighbouring reads. Client and servers share the cores, and there is no network between them: nothing hides what this thread does beside the read.`],
      },
    ],
    summary: [{ what: 'L2 hit, lone, p50', ours: `${three(median(ours))} us`, peer: `ioredis ${three(median(bare))} us`, ratio: ratioText(pairRatios(slices(bare), slices(ours))) }],
  };
}

await bench('l2-hit', 'How long does a lone read wait that L1 cannot answer and L2 can?', () => withCluster('l2-hit', run));
