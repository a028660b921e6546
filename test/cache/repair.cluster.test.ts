/** A failover that loses acknowledged writes, and an old master that comes back. The cluster is this file's own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLocalCluster, type LocalCluster } from '../../src/l2/local-cluster.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';
import { bare, freshPrefix } from '../support/redis.ts';

const CLUSTER_PORT = 17_440;
/** Failover, and the time after which L2 is taken to have settled. */
const HEALED_MS = 30_000;

let cluster: LocalCluster;
beforeAll(async () => {
  cluster = await startLocalCluster({ basePort: CLUSTER_PORT });
});
afterAll(() => cluster.stop());
closeCachesAfterEach();

test('acknowledged writes that a failover lost are written back from L1, and no reader sees the older ones', { timeout: 90_000 }, async () => {
  const options = { l2: { kind: 'redis' as const, nodes: cluster.nodes.map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix() }, workers: 1, l2TimeoutMs: 300, channel: { name: freshPrefix() } };
  const cache = await openCache(options);
  const wallets = Array.from({ length: 60 }, (_, i) => `w${i}`);
  await cache.updateProfiles(wallets.map((wallet) => [wallet, { i: 1 }]));

  const roles = await Promise.all(cluster.nodes.map(async ({ host, port }) => {
    const redis = await bare({ host, port });
    const info = await redis.info('replication');
    redis.disconnect();
    return { role: /role:(\w+)/.exec(info)?.[1], masterPort: Number(/master_port:(\d+)/.exec(info)?.[1]) };
  }));
  const masterAt = roles.findIndex(({ role }) => role === 'master');
  const master = cluster.nodes[masterAt];
  const replica = cluster.nodes[roles.findIndex(({ masterPort }) => masterPort === master.port)];
  // The replica sleeps while the master acknowledges, and wakes up when the master hangs.
  process.kill(replica.pid, 'SIGSTOP');
  try {
    // Without its link: what lies in the socket of a sleeper would be read when it wakes.
    const redis = await bare(master);
    await redis.call('CLIENT', 'KILL', 'TYPE', 'replica');
    redis.disconnect();
    await cache.updateProfiles(wallets.map((wallet) => [wallet, { i: 2 }]));
  } finally {
    process.kill(master.pid, 'SIGSTOP');
    process.kill(replica.pid, 'SIGCONT');
  }
  let wrong = 0;
  const look = () => {
    for (const wallet of wallets) {
      const seen = cache.getProfileSync(wallet);
      if (seen !== undefined && seen.i !== 2) wrong++;
    }
  };
  // The wallets that nobody has keep asking L2, so that its failures are seen.
  const asking = setInterval(() => {
    look();
    for (let i = 0; i < 20; i++) void cache.getProfile(`nobody${i}`);
  }, 50);
  try {
    await sleep(6_000);
    process.kill(master.pid, 'SIGCONT');
    await until('the lost writes are written back', () => cache.getStats().repaired > 0, HEALED_MS);
  } finally {
    process.kill(master.pid, 'SIGCONT');
    clearInterval(asking);
  }
  const other = await openCache(options);
  await until('another process reads them all', async () => {
    const found = await other.bulkPrefetch(wallets);
    return wallets.every((wallet) => found.get(wallet)?.i === 2);
  }, HEALED_MS);
  look();
  expect(wrong).toBe(0);
});
