/** Rows in which the nodes live and the network between does not. */
import { L2_TIMEOUT_MS } from './chaos-load.ts';
import { makeChaosProfile } from './chaos-oracle.ts';
import type { Act, Row } from './chaos-row.ts';
import { atMost, check, underLoad } from './chaos-row.ts';

const HITS_IN_A_BATCH = 500;
const BATCHES = 200;

/** 99th percentile of the mean time of an L1 hit, over batches, in microseconds. */
async function l1HitP99Us({ load, wait, notes }: Act): Promise<number> {
  const wallet = 'always-hit';
  await load.writer.updateProfile(wallet, makeChaosProfile(wallet, 1));
  const batchUs: number[] = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    // A lost subscription makes L1 ask L2 again: then this is no hit, and not what is measured.
    if (load.writer.getProfileSync(wallet) === undefined) {
      notes.push('the wallet of the measurement was not held for a moment');
      await load.writer.updateProfile(wallet, makeChaosProfile(wallet, 1));
    }
    const startMs = performance.now();
    for (let i = 0; i < HITS_IN_A_BATCH; i++) load.writer.getProfileSync(wallet);
    batchUs.push(((performance.now() - startMs) * 1e3) / HITS_IN_A_BATCH);
    await wait(5);
  }
  return batchUs.sort((a, b) => a - b)[Math.floor(BATCHES * 0.99) - 1];
}

const reachable = async ({ load }: Act, port: number): Promise<boolean | undefined> =>
  (await load.writer.health().catch(() => undefined))?.l2?.nodes.find(({ node }) => node.endsWith(`:${port}`))?.reachable;

export const networkRows: Row[] = [
  {
    id: 'C4', fault: 'clients cut from one master (silence, sockets stay open), cluster bus healthy, 8 s', on: 'proxies',
    run: (context) => underLoad(context, 'C4', { recoveryMs: 2_000 }, async (act) => {
      const { cluster, wait, checks, load, faultEnds } = act;
      const [{ port }] = await cluster.masters();
      const proxyPort = port + 100;
      context.proxies!.silenceClients(port);
      let noticedMs: number | undefined;
      const wallet = 'always-hit';
      let l1Errors = 0;
      await load.writer.updateProfile(wallet, makeChaosProfile(wallet, 1));
      const endMs = performance.now() + 8_000;
      while (performance.now() < endMs) {
        if (noticedMs === undefined && (await reachable(act, proxyPort)) === false) noticedMs = performance.now() - act.faultMs;
        if (load.writer.getProfileSync(wallet)?.version !== 1) l1Errors++;
        await wait(25);
      }
      // A distrusted L1 asks L2 again; a wallet of the silent shard then is a miss, and no error.
      act.notes.push(`L1 misses of a wallet that was held: ${l1Errors}`);
      checks.push(atMost('shard told unreachable after', noticedMs, 1_000, ' ms'));
      context.proxies!.mend();
      faultEnds();
      await wait(3_000);
    }),
  },
  {
    id: 'C5', fault: 'full partition of one master (clients, bus, replication, both ways), 9 s, then mended', on: 'proxies',
    run: (context) => underLoad(context, 'C5', {}, async ({ cluster, wait, load, notes }) => {
      const [{ port }] = await cluster.masters();
      context.proxies!.partition(port);
      await wait(9_000);
      const inTime = load.lastFailureMs;
      context.proxies!.mend();
      await wait(4_000);
      notes.push(`last unanswered operation ${Math.round(performance.now() - inTime)} ms before the end`);
    }),
  },
  {
    id: 'C6', fault: 'everything late by 1 x l2TimeoutMs, then by 10 x', on: 'proxies',
    run: (context) => underLoad(context, 'C6', { recoveryMs: 6_000 }, async (act) => {
      const { wait, load, checks, faultEnds } = act;
      const idleUs = await l1HitP99Us(act);
      const sinceMs = performance.now();
      context.proxies!.delay(L2_TIMEOUT_MS);
      const slowUs = await l1HitP99Us(act);
      await wait(2_500);
      const openMs = load.firstEvent('writer l2Down', sinceMs);
      context.proxies!.delay(10 * L2_TIMEOUT_MS);
      await wait(4_000);
      const queued = await load.queuedNow();
      context.proxies!.mend();
      faultEnds();
      await wait(6_000);
      checks.push(
        atMost('breaker open after', openMs === undefined ? undefined : openMs - sinceMs, 1_000, ' ms'),
        check(slowUs <= 1.2 * idleUs, `p99 of an L1 hit ${slowUs.toFixed(2)} us <= 1.2 x ${idleUs.toFixed(2)} us`),
        atMost('queued writes', queued, 300),
      );
    }),
  },
];
