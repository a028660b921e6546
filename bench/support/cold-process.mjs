// A process of bench/cold.ts: does one bulk read as the first thing, and says what it cost. Plain JavaScript: no loader in the way.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** For what the start of a process leaves behind. */
const SETTLE_MS = 200;

process.once('message', async ({ way, l2, wallets, jsonPrefix }) => {
  const { read, close, fields } = way === 'ioredis' ? await peer(l2, wallets, jsonPrefix) : await ours(way, l2, wallets);
  await sleep(SETTLE_MS);
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const result = await read();
  const wallMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { count, scores } = fields(result);
  process.send({ wallMs, cpuMs: (user + system) / 1e3, count, scores });
  await close();
  process.disconnect();
});

/** Of the risk scores, in the order asked: what tells whether all came, and whose. */
function digest(wallets, scoreOf) {
  const hash = createHash('sha256');
  for (const wallet of wallets) hash.update(`${scoreOf(wallet)};`);
  return hash.digest('hex');
}

async function ours(way, l2, wallets) {
  const { ProfileCache } = await import('profilecache');
  const cache = await ProfileCache.open({ l1: { maxProfiles: wallets.length }, l2, l2TtlSeconds: 1_800, l2TimeoutMs: 10_000 });
  return {
    read: () => (way === 'warm' ? cache.warm(wallets) : cache.bulkPrefetch(wallets)),
    fields: (result) => ({
      count: way === 'warm' ? result.promoted : result.size,
      scores: digest(wallets, (wallet) => (way === 'warm' ? cache.getProfileSync(wallet) : result.get(wallet))?.risk_score),
    }),
    close: () => cache.close(),
  };
}

async function peer(l2, wallets, jsonPrefix) {
  const { Cluster } = await import('ioredis');
  const cluster = new Cluster(l2.nodes, { enableAutoPipelining: true });
  await once(cluster, 'ready');
  return {
    read: async () => {
      const found = new Map();
      await Promise.all(wallets.map(async (wallet) => {
        const json = await cluster.get(jsonPrefix + wallet);
        if (json !== null) found.set(wallet, JSON.parse(json));
      }));
      return found;
    },
    fields: (found) => ({ count: found.size, scores: digest(wallets, (wallet) => found.get(wallet)?.risk_score) }),
    close: () => cluster.disconnect(),
  };
}
