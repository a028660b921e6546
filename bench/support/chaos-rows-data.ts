/** Rows in which the nodes are well and what they hold, or let us do, is not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CHAOS_PASSWORD } from './chaos-cluster.ts';
import { openChaosCache } from './chaos-cache.ts';
import { isWhole, makeChaosProfile, STALE_AFTER_MS, type ChaosProfile } from './chaos-oracle.ts';
import { atMost, check, optionsOf, underLoad, type Row, type RowContext, type RowOutcome } from './chaos-row.ts';
import { chaosMutation } from './chaos-mutations.ts';
import { seededRandom } from './profiles.ts';

const CORRUPT_PROFILES = 2_000;
const CORRUPT_ROUNDS = 50;
const ORIGIN_WALLETS = 400;
const ORIGIN_MS = 30;
/** A load that an operator's FLUSHALL finds under way. */
const SLOW_ORIGIN_MS = 6_000;
const SLOW_WALLETS = 100;
/** Who is not told in time that another loads, loads himself; here it is the leases that are looked at, and not a busy machine. */
const PATIENT_MS = 10_000;
/** After the password is the old one again. */
const CA_RECOVERY_MS = 4_000;

/** The profiler of two processes: how often it is asked, and how often for one wallet at a time. */
class Origin {
  loads = 0;
  herd = 0;
  readonly #loading = new Map<string, number>();

  async load(wallet: string, ms: number): Promise<ChaosProfile> {
    this.loads++;
    const now = (this.#loading.get(wallet) ?? 0) + 1;
    this.#loading.set(wallet, now);
    this.herd = Math.max(this.herd, now);
    await sleep(ms);
    this.#loading.set(wallet, now - 1);
    return makeChaosProfile(wallet, 1);
  }
}

/**
 * FLUSHALL between rounds of loads, and FLUSHALL in the middle of loads, which takes their leases too: a process that waits for one of them
 * leaves it to its holder, who makes it anew.
 */
async function flushAll(context: RowContext): Promise<RowOutcome> {
  const options = { ...optionsOf(context, 'C10'), l1: { maxProfiles: ORIGIN_WALLETS / 2 }, l2TimeoutMs: PATIENT_MS };
  const caches = [await openChaosCache(options), await openChaosCache(options)];
  const counts = { operations: 0, failed: 0, wrong: 0, stallMs: 0 };
  const round = async (wallets: readonly string[], origin: Origin, originMs: number) => {
    await Promise.all(wallets.flatMap((wallet) => caches.map(async (cache) => {
      counts.operations++;
      const startMs = performance.now();
      const profile = await cache.getOrLoad(wallet, () => origin.load(wallet, originMs)).catch(() => void counts.failed++);
      counts.stallMs = Math.max(counts.stallMs, performance.now() - startMs);
      if (profile && !isWhole(profile, wallet)) counts.wrong++;
    })));
  };
  const flush = async () => context.cluster.onAll((redis) => redis.call('FLUSHALL'), (await context.cluster.masters()).map(({ port }) => port));
  const named = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);
  try {
    const wallets = named('origin', ORIGIN_WALLETS);
    const [cold, warm, after, under] = Array.from({ length: 4 }, () => new Origin());
    await round(wallets, cold, ORIGIN_MS);
    await round(wallets, warm, ORIGIN_MS);
    await flush();
    for (let i = 0; i < 3; i++) await round(wallets, after, ORIGIN_MS);
    const slow = named('slow', SLOW_WALLETS);
    const running = round(slow, under, SLOW_ORIGIN_MS);
    while (under.loads < SLOW_WALLETS) await sleep(10);
    // Both have asked by now, and one of them waits.
    await sleep(1_000);
    await flush();
    await running;
    const failures = caches.reduce((sum, cache) => sum + cache.getStats().l2Failures, 0);
    return {
      ...counts, hung: 0, stale: 0,
      checks: [
        check(counts.failed === 0, `failed ${counts.failed} = 0`), check(counts.wrong === 0, `wrong ${counts.wrong} = 0`),
        ...([['cold', cold], ['after the flush', after], ['flushed under way', under]] as const).map(([when, { herd }]) => atMost(`loads of one wallet at a time, ${when}`, herd, 1)),
        atMost('loads when cold', cold.loads, ORIGIN_WALLETS), atMost('loads after the flush', after.loads, 2 * ORIGIN_WALLETS), atMost('loads flushed under way', under.loads, SLOW_WALLETS),
      ],
      notes: [`${cold.loads} loads when cold, ${warm.loads} when warm, ${after.loads} in three rounds over ${ORIGIN_WALLETS} wallets after the flush, ${under.loads} of ${SLOW_WALLETS} that a flush found under way; ${failures} reads not answered within ${PATIENT_MS / 1e3} s`],
    };
  } finally {
    await Promise.all(caches.map((cache) => cache.close()));
  }
}

/** Values in L2 are overwritten with damaged ones and read through the public API by a cache that has nothing in L1. */
async function corruptValues(context: RowContext): Promise<RowOutcome> {
  const options = { ...optionsOf(context, 'C17'), l2TimeoutMs: 5_000, l1: { maxProfiles: 16, nearProfiles: 16 } };
  const cache = await openChaosCache(options);
  const random = seededRandom(context.seed);
  const wallets = Array.from({ length: CORRUPT_PROFILES }, (_, i) => `corrupt${i}`);
  try {
    await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
    const masters = (await context.cluster.masters()).map(({ port }) => port);
    const prefix = (options.l2 as { keyPrefix: string }).keyPrefix;
    let written = 0;
    let answered = 0;
    let wrong = 0;
    let slowestUs = 0;
    const originals = await context.cluster.onAll(async (redis) => {
      const keys = (await redis.keys(`${prefix}*corrupt*`)).filter((key) => !key.includes('{meta}'));
      return Promise.all(keys.map(async (key) => ({ key, bytes: (await redis.getBuffer(key))! })));
    }, masters);
    const all = originals.flat();
    for (let round = 0; round < CORRUPT_ROUNDS; round++) {
      await context.cluster.onAll(async (redis, port) => {
        const own = originals[masters.indexOf(port)];
        await Promise.all(own.map(({ key, bytes }) => redis.set(key, chaosMutation(bytes, all[Math.floor(random() * all.length)].bytes, random), 'PX', 300_000)));
      }, masters);
      written += all.length;
      const startMs = performance.now();
      const found = await cache.bulkPrefetch(wallets);
      slowestUs = Math.max(slowestUs, ((performance.now() - startMs) * 1e3) / wallets.length);
      for (const [wallet, profile] of found) {
        answered++;
        if (!isWhole(profile, wallet) || profile.version !== 1) wrong++;
      }
    }
    const { corrupt, l2Failures } = cache.getStats();
    const repaired = await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 2)] as const));
    return {
      operations: written, failed: 0, wrong, hung: 0, stale: 0,
      checks: [
        check(wrong === 0, `wrong ${wrong} = 0`), check(corrupt > 0, `counted corrupt ${corrupt} > 0`), check(repaired.stored === wallets.length, `overwritten by the next update ${repaired.stored} = ${wallets.length}`),
        atMost('slowest round, a profile', slowestUs / 1e3, 5, ' ms'),
      ],
      notes: [`${written} damaged values, ${corrupt} counted corrupt, ${answered} read whole (their damage was none), ${l2Failures} not answered, slowest round ${slowestUs.toFixed(0)} us a profile`],
    };
  } finally {
    await cache.close();
  }
}

async function wrongType(context: RowContext): Promise<RowOutcome> {
  const options = { ...optionsOf(context, 'C18'), l2TimeoutMs: 2_000 };
  const cache = await openChaosCache({ ...options, l1: { maxProfiles: 16, nearProfiles: 16 } });
  try {
    const wallets = Array.from({ length: 200 }, (_, i) => `list${i}`);
    await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
    const prefix = (options.l2 as { keyPrefix: string }).keyPrefix;
    let made = 0;
    await context.cluster.onAll(async (redis) => {
      for (const key of (await redis.keys(`${prefix}*list*`))) {
        await redis.del(key);
        await redis.lpush(key, 'not a profile');
        made++;
      }
    }, (await context.cluster.masters()).map(({ port }) => port));
    await cache.clear().catch(() => undefined);
    let failed = 0;
    const read = await cache.bulkPrefetch(wallets).catch(() => void failed++);
    const counts = await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 2)] as const)).catch(() => void failed++);
    const fresh = await openChaosCache(options);
    const after = await fresh.bulkPrefetch(wallets);
    await fresh.close();
    const stored = counts ? counts.stored : 0;
    const good = wallets.filter((wallet) => after.get(wallet)?.version === 2).length;
    return {
      operations: wallets.length * 3, failed, wrong: 0, hung: 0, stale: 0,
      checks: [check(failed === 0, `failed ${failed} = 0`), check(made === 200, `lists made ${made} = 200`), check(stored === 200, `stored over them ${stored} = 200`), check(good === 200, `read back ${good} = 200`)],
      notes: [`${read ? read.size : 'no'} profiles read where the lists were; ${stored} updates took their place`],
    };
  } finally {
    await cache.close();
  }
}

export const dataRows: Row[] = [
  { id: 'C10', fault: 'FLUSHALL on all masters, two processes load', on: 'cluster', run: flushAll },
  {
    id: 'C11', fault: 'maxmemory below what is used, noeviction: OOM on every write, 3 s', on: 'cluster',
    run: (context) => underLoad(context, 'C11', { recoveryMs: 2_000 }, async ({ cluster, load, wait, checks, faultEnds, notes }) => {
      // Of the cache that only reads: what it was not answered are reads.
      const misses = () => load.other.getStats().l2Failures;
      const before = misses();
      const sinceMs = performance.now();
      await cluster.onAll((redis) => redis.config('SET', 'maxmemory', '1mb'));
      await wait(3_000);
      const unread = misses() - before;
      const queued = await load.queuedNow();
      const downs = load.events.filter(({ what, atMs }) => what.endsWith('l2Down') && atMs >= sinceMs).length;
      const toldMs = Math.min(load.firstEvent('writer alert', sinceMs) ?? Infinity, load.firstEvent('writer error', sinceMs) ?? Infinity, load.firstEvent('writer l2Down', sinceMs) ?? Infinity);
      await cluster.onAll((redis) => redis.config('SET', 'maxmemory', '0'));
      faultEnds();
      await wait(2_000);
      checks.push(check(unread === 0, `unanswered reads ${unread} = 0`), check(downs === 0, `told to be down ${downs} = 0`), atMost('queued writes', queued, 240), atMost('told after', toldMs - sinceMs, 1_000, ' ms'));
      notes.push(`${queued} writes in the queue at the end of it`);
    }),
  },
  {
    id: 'C12', fault: 'a node that is LOADING its data (DEBUG RELOAD, slowed), 3 times', on: 'cluster',
    run: (context) => underLoad(context, 'C12', { recoveryMs: 20_000 }, async ({ cluster, wait, checks, notes }) => {
      const calls = async () => (await cluster.onAll(async (redis) => Number(/cmdstat_cluster\|slots:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0))).reduce((sum, count) => sum + count, 0);
      const before = await calls();
      const startMs = performance.now();
      for (const { port } of await cluster.masters()) {
        await cluster.at(port, async (redis) => {
          await redis.config('SET', 'key-load-delay', '5000');
          await redis.call('DEBUG', 'RELOAD').catch(() => undefined); // It may take longer than a patient client waits.
        });
        await cluster.at(port, (redis) => redis.config('SET', 'key-load-delay', '0')).catch(() => undefined);
        await wait(500);
      }
      await wait(1_000);
      // Two caches with two worker threads each, every one of which knows the topology for itself.
      const perSecond = ((await calls()) - before) / 4 / ((performance.now() - startMs) / 1e3);
      checks.push(atMost('topology asked for, a second and store', perSecond, 2));
      notes.push(`CLUSTER SLOTS ${perSecond.toFixed(2)} times a second and store`);
    }),
  },
  { id: 'C17', fault: 'corrupted values in L2 (flips, cuts, swapped keys, old format, bombs)', on: 'cluster', run: corruptValues },
  { id: 'C18', fault: 'a list at our keys (WRONGTYPE)', on: 'cluster', run: wrongType },
  {
    id: 'CA', fault: 'the password is changed and all connections killed, 4 s, then changed back', on: 'cluster',
    run: (context) => underLoad(context, 'CA', { recoveryMs: CA_RECOVERY_MS }, async ({ cluster, load, wait, checks, faultEnds }) => {
      const sinceMs = performance.now();
      const other = `${CHAOS_PASSWORD}-changed`;
      // Events and subscriptions die with the connections, and nobody can ask L2: as in C13, what L1 holds is served on unchecked meanwhile.
      load.oracle.l2GoesAway(sinceMs);
      // On one connection, which stays logged in: whoever connects anew is refused.
      await cluster.onAll(async (redis) => {
        await redis.config('SET', 'requirepass', other);
        await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      });
      await wait(4_000);
      checks.push(check(load.firstEvent('writer l2Down', sinceMs) !== undefined, 'l2Down told'));
      await withPassword(cluster, other, (redis) => redis.config('SET', 'requirepass', CHAOS_PASSWORD));
      load.oracle.l2IsBack(performance.now() + CA_RECOVERY_MS);
      faultEnds();
      await wait(4_000);
      const { excused } = load.oracle;
      const { servedUnchecked } = load.other.getStats();
      checks.push(check(excused === 0 || servedUnchecked > 0, `entries served on and counted as unchecked ${servedUnchecked}, older than ${STALE_AFTER_MS} ms ${excused}`));
    }),
  },
];

async function withPassword(cluster: RowContext['cluster'], password: string, use: (redis: import('ioredis').Redis) => Promise<unknown>): Promise<void> {
  const { Redis } = await import('ioredis');
  for (const { host, port } of cluster.addresses) {
    const redis = new Redis({ host, port, password, protocol: 2, enableReadyCheck: false, disableClientInfo: true });
    await use(redis);
    redis.disconnect();
  }
}
