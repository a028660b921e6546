/** What does a bulk read cost where nothing is compiled yet: as the first thing of a process, and of a cache that was opened just now? */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ProfileCache } from 'profilecache';
import { bench, withCluster, type ClusterContext, type Findings } from './support/bench.ts';
import { must, mustHoldAll } from './support/check.ts';
import { getAllJson } from './support/ioredis-read.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { Budget } from './support/slices.ts';
import { median, min, pairRatios, ratioText, three } from './support/stats.ts';

const PROFILES = 10_000;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 2;
const MAX_SECONDS = 40;
const JSON_PREFIX = 'json-cold:';
const PROCESS = fileURLToPath(new URL('./support/cold-process.mjs', import.meta.url));
const WAYS = ['bulkPrefetch', 'warm', 'ioredis'] as const;
type Way = (typeof WAYS)[number];

interface Cost { wallMs: number; cpuMs: number }
type Costs = Record<Way, Cost[]>;

async function run({ l2, connect }: ClusterContext): Promise<Findings> {
  const fleet = makeFleet(PROFILES, 1);
  const { wallets } = fleet;
  const open = () => ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES }, l2, l2TtlSeconds: 1_800, l2TimeoutMs: 10_000 });
  const cluster = await connect(true);
  const writer = await open();
  must((await writer.updateProfiles(fleet.entries)).stored === PROFILES, 'L2 took all');
  await writer.close();
  await Promise.all(wallets.map((wallet, i) => cluster.setex(JSON_PREFIX + wallet, 1_800, fleet.json[i])));

  const hash = createHash('sha256');
  for (const { risk_score } of fleet.profiles) hash.update(`${risk_score};`);
  const scores = hash.digest('hex');
  const inProcess = async (way: Way): Promise<Cost> => {
    // No loader of this process: it would be part of the figures.
    const child = fork(PROCESS, { execArgv: [] });
    child.send({ way, l2, wallets, jsonPrefix: JSON_PREFIX });
    const [[cost], [code]] = await Promise.all([once(child, 'message'), once(child, 'exit')]) as [[Cost & { count: number; scores: string }], [number]];
    must(code === 0 && cost.count === PROFILES && cost.scores === scores, `${way} in a process of its own found ${cost.count}`);
    return cost;
  };

  const timed = async <T>(work: () => Promise<T>, check: (result: T) => Promise<void> | void): Promise<Cost> => {
    const before = process.cpuUsage();
    const startedMs = performance.now();
    const result = await work();
    const wallMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(before);
    await check(result);
    return { wallMs, cpuMs: (user + system) / 1e3 };
  };
  const byFreshCache = async (way: Way): Promise<Cost> => {
    if (way === 'ioredis') {
      return timed(() => getAllJson(cluster, wallets, JSON_PREFIX), (found) => must(found.size === PROFILES && fleet.profiles.every((profile) => found.get(profile.wallet_address)?.risk_score === profile.risk_score), 'ioredis found all'));
    }
    const cache = await open();
    const cost = way === 'warm'
      ? await timed(() => cache.warm(wallets), ({ promoted }) => must(promoted === PROFILES && fleet.profiles.every((profile) => cache.getProfileSync(profile.wallet_address)?.risk_score === profile.risk_score), 'L1 holds what was warmed'))
      : await timed(() => cache.bulkPrefetch(wallets), (found) => mustHoldAll(found, fleet, 'bulkPrefetch'));
    await cache.close();
    return cost;
  };

  const rounds = async (cost: (way: Way) => Promise<Cost>, warmUp: number): Promise<Costs> => {
    const costs: Costs = { bulkPrefetch: [], warm: [], ioredis: [] };
    const budget = new Budget(ROUNDS, MAX_SECONDS);
    for (let round = -warmUp; budget.goesOn(round); round++) {
      for (let k = 0; k < WAYS.length; k++) {
        const way = WAYS[(k + round + warmUp) % WAYS.length];
        const seen = await cost(way);
        if (round >= 0) costs[way].push(seen);
      }
    }
    return costs;
  };
  const fresh = await rounds(byFreshCache, WARM_UP_ROUNDS);
  const cold = await rounds(inProcess, 0);

  const part = (costs: Costs, way: Way, field: keyof Cost) => costs[way].map((cost) => cost[field]);
  const row = (what: string, costs: Costs, way: Way) => [
    what,
    three(min(part(costs, way, 'wallMs'))), three(median(part(costs, way, 'wallMs'))), way === 'ioredis' ? '1' : ratioText(pairRatios(part(costs, 'ioredis', 'wallMs'), part(costs, way, 'wallMs'))),
    three(median(part(costs, way, 'cpuMs'))), way === 'ioredis' ? '1' : ratioText(pairRatios(part(costs, 'ioredis', 'cpuMs'), part(costs, way, 'cpuMs'))),
  ];
  const columns = ['', 'min ms', 'median ms', 'times as fast', 'CPU ms, all threads', 'times less'];
  return {
    tables: [
      {
        title: `${PROFILES.toLocaleString('en-US')} profiles, a cache opened just now in a process that has had others, ${fresh.warm.length} rounds`,
        columns,
        rows: [row('bulkPrefetch', fresh, 'bulkPrefetch'), row('warm', fresh, 'warm'), row('ioredis auto-pipelined GET + JSON.parse, a client that has been in use', fresh, 'ioredis')],
        notes: ['Its I/O threads are new: what runs there is compiled anew.'],
      },
      {
        title: `The same as the first thing of a new process, ${cold.warm.length} rounds`,
        columns,
        rows: [row('bulkPrefetch', cold, 'bulkPrefetch'), row('warm', cold, 'warm'), row('ioredis auto-pipelined GET + JSON.parse', cold, 'ioredis')],
        notes: ['Connected and idle for 0.2 s before. Most of what a cold process spends is compiling, in threads of the engine that take the cores from everybody else.'],
      },
    ],
    summary: [
      { what: 'bulkPrefetch of 10,000 by a new cache', ours: `${three(median(part(fresh, 'bulkPrefetch', 'wallMs')))} ms`, peer: `ioredis ${three(median(part(fresh, 'ioredis', 'wallMs')))} ms`, ratio: ratioText(pairRatios(part(fresh, 'ioredis', 'wallMs'), part(fresh, 'bulkPrefetch', 'wallMs'))) },
      { what: 'bulkPrefetch of 10,000 by a new process', ours: `${three(median(part(cold, 'bulkPrefetch', 'wallMs')))} ms`, peer: `ioredis ${three(median(part(cold, 'ioredis', 'wallMs')))} ms`, ratio: ratioText(pairRatios(part(cold, 'ioredis', 'wallMs'), part(cold, 'bulkPrefetch', 'wallMs'))) },
      { what: 'warm of 10,000 by a new process', ours: `${three(median(part(cold, 'warm', 'wallMs')))} ms`, peer: `ioredis ${three(median(part(cold, 'ioredis', 'wallMs')))} ms`, ratio: ratioText(pairRatios(part(cold, 'ioredis', 'wallMs'), part(cold, 'warm', 'wallMs'))) },
    ],
  };
}

await bench('cold', 'What does a bulk read cost where nothing is compiled yet: as the first thing of a process, and of a cache that was opened just now?', () => withCluster('cold', run));
