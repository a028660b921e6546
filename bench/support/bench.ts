/**
 * The frame of one benchmark. A file of bench/ calls `bench` once; run alone it prints its report, under bench/run.ts it sends it there.
 */
import { Cluster } from 'ioredis';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ProfileCacheOptions } from 'profilecache';
import { built } from './built.ts';
import { environmentText, loadText } from './environment.ts';
import { reportText, type Report, type SummaryLine, type Table } from './report.ts';

/** Six nodes of their own: not those of `profilecache cluster up`, not those of the tests. */
export const BENCH_CLUSTER_PORT = 19_379;
/** Set by bench/run.ts, which starts one cluster for all. */
export const CLUSTER_RUNS_ENV = 'PROFILECACHE_BENCH_CLUSTER_RUNS';

export interface Findings {
  tables: Table[];
  summary?: SummaryLine[];
}

export interface ClusterContext {
  /** `l2` of `ProfileCache.open`, under a key prefix that only this benchmark uses. */
  l2: Extract<ProfileCacheOptions['l2'], { kind: 'redis' }>;
  /** The peer: ioredis' own cluster client, as its documentation has it. Closed by the frame. */
  connect(autoPipelining: boolean): Promise<Cluster>;
}

export async function bench(name: string, question: string, run: () => Promise<Findings>): Promise<void> {
  const loadBefore = loadText();
  const started = performance.now();
  const { tables, summary = [] } = await run();
  const report: Report = {
    name, question, tables, summary,
    ran: `${((performance.now() - started) / 1e3).toFixed(0)} s; load average ${loadBefore} before, ${loadText()} after`,
  };
  if (process.send === undefined) {
    console.log(`${environmentText()}\n\n${reportText(report)}`);
    return;
  }
  process.send(report);
  process.disconnect();
}

/** Runs `work` on a real six-node cluster; starts and stops it unless bench/run.ts has. */
export async function withCluster<T>(name: string, work: (context: ClusterContext) => Promise<T>): Promise<T> {
  const { startLocalCluster } = await built<typeof import('../../src/l2/local-cluster.ts')>('l2/local-cluster');
  const own = process.env[CLUSTER_RUNS_ENV] === undefined ? await startLocalCluster({ basePort: BENCH_CLUSTER_PORT }) : undefined;
  const nodes = Array.from({ length: 6 }, (_, i) => ({ host: '127.0.0.1', port: BENCH_CLUSTER_PORT + i }));
  const clients: Cluster[] = [];
  try {
    return await work({
      l2: { kind: 'redis', nodes, keyPrefix: `bench-${name}:` },
      connect: async (autoPipelining) => {
        const cluster = new Cluster(nodes, { enableAutoPipelining: autoPipelining, lazyConnect: true });
        clients.push(cluster);
        await cluster.connect();
        return cluster;
      },
    });
  } finally {
    for (const client of clients) client.disconnect();
    await own?.stop();
  }
}

/** Collects garbage now, whatever flags Node was started with. */
export const collectGarbage: () => void = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();
