/** Rows that measure what the channel costs: a flood of forged messages, and how stale an answer may be after the subscription failed. */
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProfileCacheOptions } from 'profilecache';
import { openChaosCache, type ChaosCache } from './chaos-cache.ts';
import { CHAOS_BASE_PORT, CHAOS_PASSWORD } from './chaos-cluster.ts';
import { isWhole, makeChaosProfile, STALE_AFTER_MS } from './chaos-oracle.ts';
import { atMost, check, optionsOf, type Row, type RowContext, type RowOutcome } from './chaos-row.ts';
import { subscribedNode } from './chaos-rows-channel.ts';
import { coreWaitUs } from './core-wait.ts';

const MIB = 1024 * 1024;
const SLICES = 5;
const SLICE_CONTROL_MS = 1_500;
const FLOOD_MS = Number(process.env.PROFILECACHE_FLOOD_MS ?? 20_000);
const HELD_WALLETS = 200;
const HITS_IN_A_BATCH = 500;
const BATCH_PAUSE_MS = 5;
/** A batch takes some 100 us: one that waited longer than this for a core was cut in two by another process. */
const CUT_US = 25;
/** So many of the batches must be left. */
const MIN_WHOLE_SHARE = 0.5;
/** RELIABILITY's mark. */
const MARK_PER_SECOND = 100_000;
const SINGLE_PORT = CHAOS_BASE_PORT + 30;
const SINGLE_START_MS = 500;
const KILL_TRIALS = 60;
const HANG_TRIALS = 5;
/** A stopped node comes back before the others take it for dead. */
const HANG_MS = 1_200;
const GIVE_UP_MS = 10_000;

interface Hits {
  /**
   * Of the mean time of a hit, over batches, in microseconds. Those that the system cut in two are left out of it: six nodes, a flooder and this
   * process want two cores, and one batch in a hundred that waited milliseconds for one would be all that p99 tells.
   */
  p50Us: number;
  p99Us: number;
  /** Over all batches, cut ones included. */
  rawP99Us: number;
  batches: number;
  wholeShare: number;
  /** Of the reads, those that were no hits: L1 was being checked against L2. */
  missShare: number;
  /** How much later than it was set a timer rang, less what the system kept us from running. */
  lateP99Ms: number;
  rssPeakBytes: number;
}

async function measureHits(cache: ChaosCache, wallets: readonly string[], forMs: number): Promise<Hits> {
  const allUs: number[] = [];
  const wholeUs: number[] = [];
  const lateMs: number[] = [];
  let misses = 0;
  let batches = 0;
  let rssPeakBytes = 0;
  for (const endMs = performance.now() + forMs; performance.now() < endMs; ) {
    let missed = 0;
    const setMs = performance.now();
    const setUs = coreWaitUs() ?? 0;
    await sleep(BATCH_PAUSE_MS);
    const waitedUs = coreWaitUs() ?? 0;
    const startMs = performance.now();
    lateMs.push(Math.max(0, startMs - setMs - BATCH_PAUSE_MS - (waitedUs - setUs) / 1e3));
    for (let i = 0; i < HITS_IN_A_BATCH; i++) if (cache.getProfileSync(wallets[i % wallets.length]) === undefined) missed++;
    const tookUs = ((performance.now() - startMs) * 1e3) / HITS_IN_A_BATCH;
    const uncut = (coreWaitUs() ?? 0) - waitedUs <= CUT_US;
    misses += missed;
    batches++;
    // A batch with a miss in it is none of hits.
    if (missed > 0) {
      await cache.bulkPrefetch(wallets);
    } else {
      allUs.push(tookUs);
      if (uncut) wholeUs.push(tookUs);
    }
    rssPeakBytes = Math.max(rssPeakBytes, process.memoryUsage.rss());
  }
  return {
    p50Us: quantile(wholeUs, 0.5), p99Us: quantile(wholeUs, 0.99), rawP99Us: quantile(allUs, 0.99), batches: allUs.length,
    wholeShare: wholeUs.length / Math.max(1, allUs.length), missShare: misses / (batches * HITS_IN_A_BATCH), lateP99Ms: quantile(lateMs, 0.99), rssPeakBytes,
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Of slices: medians, and the sums and peaks of what is no rate. */
function median(slices: readonly Hits[]): Hits {
  const mid = (of: (hits: Hits) => number) => slices.map(of).sort((a, b) => a - b)[slices.length >> 1];
  return {
    p50Us: mid(({ p50Us }) => p50Us), p99Us: mid(({ p99Us }) => p99Us), rawP99Us: mid(({ rawP99Us }) => rawP99Us),
    wholeShare: Math.min(...slices.map(({ wholeShare }) => wholeShare)), missShare: mid(({ missShare }) => missShare), lateP99Ms: mid(({ lateP99Ms }) => lateP99Ms),
    batches: slices.reduce((sum, { batches }) => sum + batches, 0), rssPeakBytes: Math.max(...slices.map(({ rssPeakBytes }) => rssPeakBytes)),
  };
}

interface Flooder {
  process: ReturnType<typeof fork>;
  sent(): number;
}

interface FloodAt {
  host: string;
  port: number;
  password?: string;
  perSecond?: number;
}

function startFlooder(at: FloodAt, channel: string, wallets: readonly string[], kind: string): Flooder {
  const child = fork(fileURLToPath(new URL('chaos-flooder.mjs', import.meta.url)), [JSON.stringify({ ...at, channel, wallets, kind })]);
  let sent = 0;
  child.on('message', (count) => (sent = count as number));
  return { process: child, sent: () => sent };
}

/** One node alone: in a cluster each of six takes every message, and two cores are worn out at some 20,000 a second. */
async function floodOfOne(): Promise<RowOutcome> {
  const node = spawn('redis-server', ['--port', String(SINGLE_PORT), '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' });
  const at = { host: '127.0.0.1', port: SINGLE_PORT };
  try {
    await sleep(SINGLE_START_MS);
    return await flood('CF1', 'mixed', { l2: { kind: 'redis', mode: 'standalone', nodes: [at], keyPrefix: 'chaos-CF1:' }, channel: { name: 'chaos-CF1' } }, { ...at, perSecond: MARK_PER_SECOND });
  } finally {
    node.kill('SIGTERM');
  }
}

function floodOfCluster(context: RowContext, id: 'CF' | 'CFF', kind: 'mixed' | 'forged'): Promise<RowOutcome> {
  return flood(id, kind, optionsOf(context, id), { ...context.cluster.addresses[0], password: CHAOS_PASSWORD });
}

/** @param kind of chaos-flooder.mjs */
async function flood(id: string, kind: 'mixed' | 'forged', cacheOptions: ProfileCacheOptions, at: FloodAt): Promise<RowOutcome> {
  const options = { ...cacheOptions, l2TimeoutMs: 2_000, l1: { maxProfiles: 1_000, nearProfiles: 1_000 } };
  const cache = await openChaosCache(options);
  const wallets = Array.from({ length: HELD_WALLETS }, (_, i) => `held${i}`);
  let flooder: Flooder | undefined;
  try {
    await cache.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
    await measureHits(cache, wallets, 1_000);
    const rssBefore = process.memoryUsage.rss();
    const channelRead = () => {
      const { eventsReceived, eventsMalformed, eventsUnread, channelGaps } = cache.getStats();
      return { read: eventsReceived + eventsMalformed, unread: eventsUnread, gaps: channelGaps };
    };
    const seen = { read: 0, unread: 0, gaps: 0, sent: 0, ms: 0 };
    const slices: Record<'idle' | 'alongside' | 'flooded', Hits[]> = { idle: [], alongside: [], flooded: [] };
    // In turns: the machine of the first slice is not that of the last.
    for (let i = 0; i < SLICES; i++) {
      slices.idle.push(await measureHits(cache, wallets, SLICE_CONTROL_MS));
      // The same flood on a channel that nobody hears: what it costs to share the machine with it.
      flooder = startFlooder(at, `${id}-elsewhere`, wallets, kind);
      slices.alongside.push(await measureHits(cache, wallets, SLICE_CONTROL_MS));
      flooder.process.kill('SIGKILL');
      flooder = startFlooder(at, `chaos-${id}`, wallets, kind);
      const before = channelRead();
      const startMs = performance.now();
      slices.flooded.push(await measureHits(cache, wallets, FLOOD_MS / SLICES));
      seen.sent += flooder.sent();
      seen.ms += performance.now() - startMs;
      flooder.process.kill('SIGKILL');
      const after = channelRead();
      seen.read += after.read - before.read;
      seen.unread += after.unread - before.unread;
      seen.gaps += after.gaps - before.gaps;
    }
    const [idle, alongside, flooded] = [median(slices.idle), median(slices.alongside), median(slices.flooded)];
    await sleep(STALE_AFTER_MS);
    const found = await cache.bulkPrefetch(wallets);
    const wrong = wallets.filter((wallet) => !found.has(wallet) || !isWhole(found.get(wallet)!, wallet)).length;
    const growthMb = (flooded.rssPeakBytes - rssBefore) / MIB;
    return {
      operations: idle.batches * HITS_IN_A_BATCH + flooded.batches * HITS_IN_A_BATCH, failed: 0, hung: 0, stale: 0, wrong,
      checks: [
        // Made-up losses, and a flood that is not all read, make L1 ask L2 again and again, as anybody may who can publish: that is bounded.
        atMost('gaps a second', seen.gaps / (seen.ms / 1e3), 4),
        ...(kind === 'forged' ? [] : [
          check(flooded.p99Us <= 2 * idle.p99Us, `p99 of an L1 hit ${flooded.p99Us.toFixed(2)} us <= 2 x ${idle.p99Us.toFixed(2)} us without a flood, where nobody else took the core (same flood, channel nobody hears: ${alongside.p99Us.toFixed(2)} us; medians of ${SLICES} slices in turn)`),
          check(flooded.wholeShare >= MIN_WHOLE_SHARE, `batches that nobody else cut in two ${Math.round(flooded.wholeShare * 100)} % >= ${MIN_WHOLE_SHARE * 100} %`),
        ]),
        atMost('RSS growth', growthMb, 64, ' MB'), check(wrong === 0, `lost or wrong after it ${wrong} = 0`), check(seen.sent > 10_000, `messages sent ${seen.sent} > 10000`),
      ],
      notes: [
        `${Math.round((seen.sent / seen.ms) * 1e3).toLocaleString('en')} messages a second for ${FLOOD_MS / 1e3} s (${seen.read.toLocaleString('en')} read, ${seen.unread.toLocaleString('en')} left unread, ${seen.gaps} gaps)`,
        `a hit: p50 ${idle.p50Us.toFixed(2)}, ${alongside.p50Us.toFixed(2)}, ${flooded.p50Us.toFixed(2)} us without a flood, beside one, in one; p99 ${idle.p99Us.toFixed(2)}, ${alongside.p99Us.toFixed(2)}, ${flooded.p99Us.toFixed(2)} us, with what the system took away ${idle.rawP99Us.toFixed(2)}, ${alongside.rawP99Us.toFixed(2)}, ${flooded.rawP99Us.toFixed(2)} us; ${(flooded.missShare * 100).toFixed(1)} % of the reads met an L1 that was being checked; our loop late by ${idle.lateP99Ms.toFixed(0)}, ${alongside.lateP99Ms.toFixed(0)}, ${flooded.lateP99Ms.toFixed(0)} ms (p99, less what the system took); RSS +${growthMb.toFixed(0)} MB`,
      ],
    };
  } finally {
    flooder?.process.kill('SIGKILL');
    await cache.close();
  }
}

/** How long the other process goes on answering with what an update has replaced, when its subscription fails just then. */
async function staleness(context: RowContext): Promise<RowOutcome> {
  const options = { ...optionsOf(context, 'CS'), l2TimeoutMs: 2_000 };
  const writer = await openChaosCache(options);
  const other = await openChaosCache(options);
  const latenessMs: { killed: number[]; hung: number[] } = { killed: [], hung: [] };
  let wrong = 0;
  let operations = 0;
  const trial = async (wallet: string, fault: () => Promise<void>, into: number[]) => {
    await writer.updateProfile(wallet, makeChaosProfile(wallet, 1));
    await other.getProfile(wallet);
    while (other.getProfileSync(wallet)?.version !== 1) await sleep(5);
    await fault();
    const { l2 } = await writer.updateProfile(wallet, makeChaosProfile(wallet, 2));
    if (l2 !== 'stored') return;
    const ackMs = performance.now();
    let oldMs = ackMs;
    // Until no old answer has come for a while, and a new one has.
    for (let isNew = false; !isNew || performance.now() - oldMs < 100; await sleep(1)) {
      if (performance.now() - ackMs > GIVE_UP_MS) break;
      operations++;
      const profile = other.getProfileSync(wallet);
      if (profile === undefined) void other.getProfile(wallet).catch(() => undefined); // A miss: the next look tells.
      else if (!isWhole(profile, wallet)) wrong++;
      isNew = profile?.version === 2;
      if (profile?.version === 1) oldMs = performance.now();
    }
    into.push(oldMs - ackMs);
  };
  try {
    for (let i = 0; i < KILL_TRIALS; i++) {
      await trial(`killed${i}`, async () => void (await context.cluster.onAll((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))), latenessMs.killed);
      await sleep(100);
    }
    for (let i = 0; i < HANG_TRIALS; i++) {
      const port = await subscribedNode(context, 'chaos-CS');
      let thawed: Promise<void> | undefined;
      const wallet = await walletElsewhere(context, writer, port, i);
      await trial(wallet, async () => {
        context.cluster.freeze(port);
        thawed = sleep(HANG_MS).then(() => context.cluster.thaw(port));
      }, latenessMs.hung);
      await thawed;
      await sleep(1_500);
    }
    const summary = (values: number[]) => {
      const sorted = values.toSorted((a, b) => a - b);
      return { p50: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0, count: sorted.length };
    };
    const killed = summary(latenessMs.killed);
    const hung = summary(latenessMs.hung);
    const stale = [...latenessMs.killed, ...latenessMs.hung].filter((ms) => ms > STALE_AFTER_MS).length;
    return {
      operations, failed: 0, hung: 0, stale, wrong,
      checks: [
        ...([['killed', killed], ['hung', hung]] as const).map(([how, { p50, max, count }]) =>
          check(max <= STALE_AFTER_MS, `old answers after the subscription was ${how}: p50 ${p50.toFixed(0)}, longest ${max.toFixed(0)} ms <= ${STALE_AFTER_MS} ms (${count} times)`)),
        check(killed.count >= KILL_TRIALS * 0.8, `trials ${killed.count} >= ${KILL_TRIALS * 0.8}`),
      ],
      notes: [`old answers after the update was acknowledged: subscription killed p50 ${killed.p50.toFixed(1)}, longest ${killed.max.toFixed(0)} ms (${killed.count}); its node hung p50 ${hung.p50.toFixed(0)}, longest ${hung.max.toFixed(0)} ms (${hung.count})`],
    };
  } finally {
    await context.cluster.heal();
    await Promise.all([writer.close(), other.close()]);
  }
}

/** A wallet that is not kept by the node at `port`: its updates go on while that hangs. */
async function walletElsewhere(context: RowContext, cache: ChaosCache, port: number, trial: number): Promise<string> {
  const candidates = Array.from({ length: 20 }, (_, i) => `hung${trial}x${i}x`);
  await cache.updateProfiles(candidates.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
  const held = (await context.cluster.at(port, (redis) => redis.keys('*'))).join('\n');
  return candidates.find((wallet) => !held.includes(wallet))!;
}

export const floodRows: Row[] = [
  { id: 'CF', fault: `a flood of messages, one in ten malformed or forged, ${FLOOD_MS / 1e3} s`, on: 'cluster', run: (context) => floodOfCluster(context, 'CF', 'mixed') },
  { id: 'CF1', fault: `the same flood from one node, as fast as it takes them, up to ${MARK_PER_SECOND.toLocaleString('en')} messages a second, ${FLOOD_MS / 1e3} s`, on: 'nothing', run: floodOfOne },
  { id: 'CFF', fault: `a flood of forged messages of made-up publishers, ${FLOOD_MS / 1e3} s`, on: 'cluster', run: (context) => floodOfCluster(context, 'CFF', 'forged') },
  { id: 'CS', fault: `the subscription fails just before an update: killed ${KILL_TRIALS} times, its node hung ${HANG_TRIALS} times`, on: 'cluster', run: staleness },
];
