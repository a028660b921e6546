/**
 * Rows of `npm run chaos` that take little time and catch much, on a six-node cluster of their own; the rest runs in the script. Nothing here is about
 * speed: marks in milliseconds are left to the script, and the deadline of L2 is one that a busy machine keeps.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChaosCluster } from '../../bench/support/chaos-cluster.ts';
import { until } from '../support/caches.ts';

process.env.PROFILECACHE_CHAOS_TIMEOUT_MS = '2000';
// More than the time after which a thread counts as having stood still.
process.env.PROFILECACHE_STILL_MS = '2000';
const { ChaosCluster: Cluster, NODE_TIMEOUT_MS } = await import('../../bench/support/chaos-cluster.ts');
const { openChaosCache } = await import('../../bench/support/chaos-cache.ts');
const { makeChaosProfile, PROFILE_MARK } = await import('../../bench/support/chaos-oracle.ts');
const { optionsOf } = await import('../../bench/support/chaos-row.ts');
const { chaosRows } = await import('../../bench/support/chaos-rows.ts');
const { said } = await import('../../bench/support/chaos-cache.ts');
const { CHAOS_PASSWORD } = await import('../../bench/support/chaos-cluster.ts');

const seed = Number(process.env.PROFILECACHE_SEED ?? Date.now() % 100_000);

describe(`faults (seed ${seed})`, () => {
  let cluster: ChaosCluster;
  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster?.stop());

  it.each(['C2', 'C11', 'C18', 'C24'])('%s', async (id) => {
    const row = chaosRows.find((one) => one.id === id)!;
    const { checks, notes } = await row.run({ cluster, nodes: cluster.addresses, seed });
    expect(checks.length).toBeGreaterThan(2);
    expect(checks.filter(({ ok, text }) => !ok && !text.endsWith(' ms')), notes.join('; ')).toEqual([]);
  });

  it('a node that hangs does not hide the others: health() tells, within its time', async () => {
    const cache = await openChaosCache(optionsOf({ cluster, nodes: cluster.addresses, seed }, 'health'));
    try {
      await cache.updateProfile('w', makeChaosProfile('w', 1));
      const [{ port }] = cluster.addresses;
      // The first that is asked for the list.
      cluster.freeze(port);
      const { l2 } = await cache.health();
      expect(l2).toMatchObject({ reachable: true });
      expect(l2!.nodes.filter(({ reachable }) => reachable)).toHaveLength(5);
      expect(l2!.nodes.find(({ node }) => node.endsWith(`:${port}`))).toMatchObject({ reachable: false });
    } finally {
      await cluster.heal();
      await cache.close();
    }
  });

  it('a shard that is gone takes no other away', async () => {
    // A node that is dead refuses at once; the living ones may take their time on a busy machine, and are not taken for dead by each other for that:
    // two of three masters are left, and with one more away the cluster answers nobody.
    const options = { ...optionsOf({ cluster, nodes: cluster.addresses, seed }, 'shard'), l2TimeoutMs: 10_000 };
    const waitForNodes = (ms: number) => cluster.onAll((redis) => redis.config('SET', 'cluster-node-timeout', ms));
    await waitForNodes(60_000);
    const [cache, reader] = [await openChaosCache(options), await openChaosCache({ ...options, l1: { maxProfiles: 16 } })];
    let downs = 0;
    reader.on('l2Down', () => downs++);
    try {
      const wallets = Array.from({ length: 120 }, (_, i) => `shard${i}`);
      expect(await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const))).toMatchObject({ stored: 120 });
      const [{ port }] = await cluster.masters();
      const lost = (await cluster.at(port, (redis) => redis.keys('*shard*'))).map((key) => key.slice(key.lastIndexOf('shard'))).filter((wallet) => wallets.includes(wallet));
      let replica = 0;
      // The rows before have killed nodes, too: it may still be on its way back.
      await until('the replica is there', async () => (replica = await cluster.at(port, async (redis) => Number(/slave0:.*port=(\d+),state=online/.exec(await redis.info('replication'))?.[1]))) > 0, 30_000);
      cluster.kill(replica);
      cluster.kill(port);
      expect(lost.length).toBeGreaterThan(10);
      // One at a time, and none in between that would succeed.
      for (const wallet of lost) expect(await reader.getProfile(wallet)).toBeUndefined();
      const rest = wallets.filter((wallet) => !lost.includes(wallet));
      expect((await reader.bulkPrefetch(rest)).size).toBe(rest.length);
      expect(downs).toBe(0);
    } finally {
      await cluster.heal();
      await waitForNodes(NODE_TIMEOUT_MS);
      await Promise.all([cache.close(), reader.close()]);
    }
  });

  it('nothing that the caches said in all this holds the password or a value of a profile', () => {
    const text = said.join('\n');
    expect(said.length).toBeGreaterThan(0);
    expect(text).not.toContain(CHAOS_PASSWORD);
    expect(text).not.toContain(PROFILE_MARK);
  });
});
