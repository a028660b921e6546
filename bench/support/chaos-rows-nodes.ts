/** Rows in which nodes die, hang, change roles or move slots. */
import { BareClient } from './chaos-bare.ts';
import { NODE_TIMEOUT_MS, type ChaosCluster } from './chaos-cluster.ts';
import { L2_TIMEOUT_MS, openChaosCache, type ChaosCache } from './chaos-cache.ts';
import { makeChaosProfile, Oracle, STALE_AFTER_MS } from './chaos-oracle.ts';
import type { Row, RowContext, RowOutcome } from './chaos-row.ts';
import { collectGarbage } from './bench.ts';
import { built } from './built.ts';
import { atMost, check, optionsOf, underLoad } from './chaos-row.ts';

/** Of the cache's key layout. */
const DEFAULT_BUCKETS = 256;
const MIB = 1024 * 1024;
const FAILOVERS = 20;
const BACK_AND_FORTH = 8;
const VOTE_SLACK_MS = 300;
const RESHARD_SLOTS = 1_000;
const ROLLING_ROUNDS = 3;
const CLUSTERDOWN_MS = 12_000;
const RECOVERY_MS = 2_000;

const pick = <T>(items: readonly T[], seed: number): T => items[seed % items.length];

/**
 * Masters hand over, the shards in turn. A master votes once for a shard in twice the node timeout; asked for a second hand-over before that (`back`),
 * the one that hands over holds writes back until its peers may vote again. That is what Redis does to any client, so a bare one runs beside ours.
 */
async function handOver(context: RowContext, id: string, times: number, back: boolean): Promise<RowOutcome> {
  const bare = new BareClient(context.nodes, `chaos-${id}-bare-${context.seed}:`, L2_TIMEOUT_MS);
  try {
    return await underLoad(context, id, {}, async ({ cluster, load, wait, checks, notes }) => {
      // Of the cache that only reads: what it was not answered are reads.
      const unreadNow = () => load.other.getStats().l2Failures;
      const before = { unread: unreadNow(), queued: load.queued };
      const shards = await Promise.all((await cluster.masters()).map(async ({ port }) => ({ master: port, replica: await replicaOf(cluster, port), notBeforeMs: 0 })));
      let longestMs = 0;
      for (let i = 0; i < times; i++) {
        const shard = shards[back ? 0 : i % shards.length];
        await wait(Math.max(50, shard.notBeforeMs - performance.now()));
        const startMs = performance.now();
        await cluster.failover('', shard.replica);
        longestMs = Math.max(longestMs, performance.now() - startMs);
        if (!back) shard.notBeforeMs = performance.now() + 2 * NODE_TIMEOUT_MS + VOTE_SLACK_MS;
        [shard.master, shard.replica] = [shard.replica, shard.master];
        // The demoted master has to be a linked replica before it can take over in its turn.
        await cluster.cluster.waitUntilHealthy();
      }
      await bare.stop();
      const unread = unreadNow() - before.unread;
      const queued = load.queued - before.queued;
      // Ours may be late where a bare client is: then it is Redis, or the machine, that took its time.
      checks.push(check(unread === 0 || (!back && bare.reads.late > 0), `unanswered reads ${unread} = 0 (reads of a bare client later than ${L2_TIMEOUT_MS} ms: ${bare.reads.late})`));
      checks.push(check(queued === 0 || bare.writes.late > 0, `queued writes ${queued} = 0 (writes of a bare client later than that: ${bare.writes.late})`));
      notes.push(bare.text, `longest hand-over ${Math.round(longestMs)} ms, by INFO of the new master`);
    });
  } finally {
    await bare.stop();
  }
}

/** A cache that reads, mostly from L2, what the living shards keep. Its deadline is a patient one: that a dead shard costs others their answer is looked for, and no busy machine. */
class OtherShards {
  readonly #cache: ChaosCache;
  readonly #wallets: readonly string[];
  readonly #figures = { reads: 0, missed: 0, l2Reads: 0 };
  #stopped = false;
  readonly #loop: Promise<void>;

  private constructor(cache: ChaosCache, wallets: readonly string[]) {
    this.#cache = cache;
    this.#wallets = wallets;
    this.#loop = this.#read();
  }

  static async open(context: RowContext, deadPort: number): Promise<OtherShards> {
    const options = optionsOf(context, 'C9-others');
    const { keyLayout } = await built<typeof import('../../src/l2/slots.ts')>('l2/slots');
    const { keyPrefix } = options.l2 as { keyPrefix: string };
    const ranges = (await context.cluster.at(deadPort, (redis) => redis.call('CLUSTER', 'SLOTS'))) as [number, number, [string, number]][];
    const dead = ranges.filter(([, , [, port]]) => port === deadPort);
    const all = Array.from({ length: 300 }, (_, i) => `other${i}`);
    const { slots } = keyLayout(keyPrefix, DEFAULT_BUCKETS).place(all);
    const wallets = all.filter((_, i) => !dead.some(([from, to]) => slots[i] >= from && slots[i] <= to));
    const cache = await openChaosCache({ ...options, l1: { maxProfiles: 16, nearProfiles: 16 }, l2TimeoutMs: 3_000 });
    await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
    return new OtherShards(cache, wallets);
  }

  async stop(): Promise<{ reads: number; missed: number; l2Reads: number }> {
    this.#stopped = true;
    await this.#loop;
    return { ...this.#figures, l2Reads: this.#cache.getStats().l2Hits };
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#cache.close();
  }

  async #read(): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const wallet = this.#wallets[i % this.#wallets.length];
      this.#figures.reads++;
      if ((await this.#cache.getProfile(wallet))?.version !== 1) this.#figures.missed++;
    }
  }
}

/** Of a master that has one. */
const replicaOf = (cluster: ChaosCluster, port: number): Promise<number> =>
  cluster.at(port, async (redis) => Number(/slave0:.*port=(\d+)/.exec(await redis.info('replication'))?.[1]));

export const nodeRows: Row[] = [
  {
    id: 'C0', fault: 'none', on: 'cluster',
    run: (context) => underLoad(context, 'C0', { unnoticed: true }, ({ wait }) => wait(10_000)),
  },
  {
    id: 'C1', fault: 'kill -9 of a master', on: 'cluster',
    run: (context) => underLoad(context, 'C1', { recoveryMs: 4_000 }, async ({ cluster, wait }) => {
      cluster.kill(pick(await cluster.masters(), context.seed).port);
      await wait(7_000);
    }),
  },
  {
    id: 'C2', fault: 'SIGSTOP of a master, for good', on: 'cluster',
    run: (context) => underLoad(context, 'C2', { recoveryMs: 4_000 }, async ({ cluster, wait }) => {
      cluster.freeze(pick(await cluster.masters(), context.seed + 1).port);
      await wait(7_000);
    }),
  },
  {
    id: 'C3', fault: 'SIGSTOP of a master for 8 s, then SIGCONT', on: 'cluster',
    run: (context) => underLoad(context, 'C3', {}, async ({ cluster, wait }) => {
      const { port } = pick(await cluster.masters(), context.seed + 2);
      cluster.freeze(port);
      await wait(8_000);
      cluster.thaw(port);
      await wait(4_000);
    }),
  },
  { id: 'C7', fault: `CLUSTER FAILOVER, ${FAILOVERS} times, the shards in turn`, on: 'cluster', run: (context) => handOver(context, 'C7', FAILOVERS, false) },
  { id: 'C7B', fault: `CLUSTER FAILOVER of one shard and back at once, ${BACK_AND_FORTH} times: its writes are held back for seconds`, on: 'cluster', run: (context) => handOver(context, 'C7B', BACK_AND_FORTH, true) },
  {
    id: 'C7F', fault: 'CLUSTER FAILOVER FORCE, then TAKEOVER: Redis may lose what it had acknowledged; promised is that no process goes back, and that who holds the newer writes it back', on: 'cluster',
    run: (context) => underLoad(context, 'C7F', { recoveryMs: 12_000, lostAndVisible: Infinity }, async ({ cluster, wait }) => {
      for (const how of ['FORCE', 'TAKEOVER', 'FORCE', 'TAKEOVER'] as const) {
        await cluster.failover(how);
        await cluster.cluster.waitUntilHealthy();
        await wait(500);
      }
    }, new Oracle(Infinity)),
  },
  {
    id: 'C8', fault: `${RESHARD_SLOTS} slots moved under load, and back`, on: 'cluster',
    run: (context) => underLoad(context, 'C8', { unnoticed: true }, async ({ cluster, notes, checks, wait }) => {
      const masters = await cluster.masters();
      const nodes = await cluster.at(masters[0].port, async (redis) => String(await redis.call('CLUSTER', 'NODES')));
      const own = nodes.split('\n').find((line) => line.includes('myself'))!.split(' ').slice(8).find((range) => /^\d+-\d+$/.test(range))!;
      const first = Number(own.split('-')[0]);
      const slots = Array.from({ length: RESHARD_SLOTS }, (_, i) => first + i);
      const moved = await cluster.migrate(slots, masters[0].port, masters[1].port);
      await wait(500);
      const back = await cluster.migrate(slots, masters[1].port, masters[0].port);
      await wait(500);
      checks.push(check(moved > 0 && back > 0, `keys moved ${moved} and ${back} > 0`));
      notes.push(`${moved} keys moved, ${back} moved back`);
    }),
  },
  {
    id: 'C9', fault: 'kill -9 of a master and its replica', on: 'cluster',
    run: (context) => underLoad(context, 'C9', { recoveryMs: 3_000, lostAndVisible: 0 }, async ({ cluster, load, wait, faultEnds, checks }) => {
      const status = await cluster.masters();
      const victim = pick(status, context.seed);
      const replicaPort = await replicaOf(cluster, victim.port);
      const elsewhere = await OtherShards.open(context, victim.port);
      try {
        cluster.kill(replicaPort);
        cluster.kill(victim.port);
        await wait(3_000);
        const { reads, missed, l2Reads } = await elsewhere.stop();
        checks.push(check(missed === 0 && l2Reads > 0, `reads of the other shards that were no answer ${missed} = 0 (of ${reads}, ${l2Reads} of them from L2)`));
      } finally {
        await elsewhere.close();
      }
      checks.push(check(load.firstEvent('writer l2Down', 0) === undefined, 'the breaker stays closed for the others'));
      await cluster.heal();
      faultEnds();
      await wait(3_000);
    }),
  },
  {
    id: 'C13', fault: `CLUSTERDOWN: kill -9 of two masters of three, ${CLUSTERDOWN_MS / 1e3} s`, on: 'cluster',
    run: (context) => underLoad(context, 'C13', { recoveryMs: RECOVERY_MS }, async ({ cluster, load, wait, faultEnds, checks, notes }) => {
      // What is held counts, not what a lazy collector has left lying about: thousands of errors are made a second.
      collectGarbage();
      const rssBefore = process.memoryUsage.rss();
      const [a, b] = await cluster.masters();
      load.oracle.l2GoesAway(performance.now());
      cluster.kill(a.port);
      cluster.kill(b.port);
      await wait(CLUSTERDOWN_MS);
      collectGarbage();
      checks.push(atMost('RSS growth', (process.memoryUsage.rss() - rssBefore) / MIB, 32, ' MB'));
      await cluster.heal();
      faultEnds();
      load.oracle.l2IsBack(performance.now() + RECOVERY_MS);
      await wait(4_000);
      const { servedUnchecked } = load.other.getStats();
      const { excused } = load.oracle;
      // What L2 cannot confirm is served on while it is away, and says so.
      checks.push(check(excused === 0 || servedUnchecked > 0, `entries served on and counted as unchecked ${servedUnchecked}, older than ${STALE_AFTER_MS} ms ${excused}`));
      notes.push(`the other process: ${servedUnchecked} entries served on, counted as unchecked; ${excused} answers during the outage were older than ${STALE_AFTER_MS} ms`);
    }),
  },
  {
    id: 'C25', fault: `all six nodes restarted one by one, ${ROLLING_ROUNDS} rounds, masters handing over first`, on: 'cluster',
    run: (context) => underLoad(context, 'C25', { recoveryMs: 60_000 }, async ({ cluster, load, wait, checks }) => {
      for (let round = 0; round < ROLLING_ROUNDS; round++) {
        for (const { port } of cluster.addresses) {
          const isMaster = (await cluster.masters()).find((node) => node.port === port);
          if (isMaster) {
            const replica = await replicaOf(cluster, port);
            await cluster.failover('', replica);
            await cluster.cluster.waitUntilHealthy();
          }
          await cluster.cluster.restartNode(port);
          await cluster.cluster.waitUntilHealthy();
        }
      }
      await wait(2_000);
      const reachable = (await load.writer.health().catch(() => undefined))?.l2?.nodes.filter((node) => node.reachable).length ?? 0;
      checks.push(check(reachable === 6, `nodes reachable ${reachable} = 6`));
    }),
  },
];
