/** Rows in which the nodes live and the network between does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { L2_TIMEOUT_MS, openChaosCache, type ChaosCache } from './chaos-cache.ts';
import { makeChaosProfile } from './chaos-oracle.ts';
import type { Act, Row } from './chaos-row.ts';
import { atMost, check, DEADLINE_SLACK_MS, optionsOf, underLoad } from './chaos-row.ts';

const HELD_WALLETS = 200;
const HITS_IN_A_BATCH = 500;
const BATCH_PAUSE_MS = 5;
/** A gap is told in the turn in which L1 is hidden. */
const TOLD_WITHIN_MS = 20;

/** What a cache that holds all that it is asked for notices of a fault: it should be nothing. */
class HeldHits {
  /** Answers of `getProfile` that were a miss. */
  missed = 0;
  /** Times that L1 was not answering because of a gap in the channel, and times that it was not without one. */
  hidden = 0;
  unexplained = 0;
  longestHiddenMs = 0;
  readonly #cache: ChaosCache;
  readonly #wallets = Array.from({ length: HELD_WALLETS }, (_, i) => `held${i}`);
  #gapMs = -Infinity;
  #stopped = false;
  #asking: Promise<void> | undefined;

  constructor(cache: ChaosCache) {
    this.#cache = cache;
    cache.on('channelGap', () => (this.#gapMs = performance.now()));
  }

  async begin(): Promise<void> {
    await this.#cache.updateProfiles(this.#wallets.map((wallet) => [wallet, makeChaosProfile(wallet, 1)] as const));
    this.#asking = this.#ask();
  }

  /** 99th percentile of the mean time of a synchronous hit, over batches, in microseconds. */
  async p99Us(forMs: number): Promise<number> {
    const batchUs: number[] = [];
    let hiddenSinceMs: number | undefined;
    for (const endMs = performance.now() + forMs; performance.now() < endMs; await sleep(BATCH_PAUSE_MS)) {
      let misses = 0;
      const startMs = performance.now();
      for (let i = 0; i < HITS_IN_A_BATCH; i++) if (this.#cache.getProfileSync(this.#wallets[i % HELD_WALLETS]) === undefined) misses++;
      const nowMs = performance.now();
      if (misses === 0) {
        batchUs.push(((nowMs - startMs) * 1e3) / HITS_IN_A_BATCH);
        hiddenSinceMs = undefined;
        continue;
      }
      if (hiddenSinceMs === undefined) {
        hiddenSinceMs = startMs;
        if (startMs - this.#gapMs > TOLD_WITHIN_MS + BATCH_PAUSE_MS) this.unexplained++;
        else this.hidden++;
      }
      this.longestHiddenMs = Math.max(this.longestHiddenMs, nowMs - this.#gapMs);
    }
    return batchUs.sort((a, b) => a - b)[Math.floor(batchUs.length * 0.99)];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#asking;
  }

  async #ask(): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const profile = await this.#cache.getProfile(this.#wallets[i % HELD_WALLETS]);
      if (profile?.version !== 1) this.missed++;
      await sleep(BATCH_PAUSE_MS);
    }
  }
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
    run: async (context) => {
      const cache = await openChaosCache({ ...optionsOf(context, 'C6'), l1: { maxProfiles: 2 * HELD_WALLETS } });
      const held = new HeldHits(cache);
      try {
        await held.begin();
        return await underLoad(context, 'C6', { recoveryMs: 6_000 }, async ({ wait, load, checks, notes, faultEnds }) => {
          const beforeUs = await held.p99Us(2_000);
          const sinceMs = performance.now();
          context.proxies!.delay(L2_TIMEOUT_MS);
          const slowUs = await held.p99Us(4_000);
          const openMs = load.firstEvent('writer l2Down', sinceMs);
          context.proxies!.delay(10 * L2_TIMEOUT_MS);
          const slowerUs = await held.p99Us(5_000);
          const queued = await load.queuedNow();
          context.proxies!.mend();
          faultEnds();
          await wait(4_000);
          const afterUs = await held.p99Us(2_000);
          await held.stop();
          const idleUs = Math.max(beforeUs, afterUs);
          checks.push(
            atMost('breaker open after', openMs === undefined ? undefined : openMs - sinceMs, 1_000, ' ms'),
            check(held.missed === 0, `misses of held wallets ${held.missed} = 0`),
            check(held.unexplained === 0, `times L1 did not answer at once, without a gap in the channel ${held.unexplained} = 0`),
            atMost('after a gap L1 is asked about for', held.longestHiddenMs, L2_TIMEOUT_MS + DEADLINE_SLACK_MS + Math.round(load.loopLagMs), ' ms'),
            check(Math.max(slowUs, slowerUs) <= 1.2 * idleUs, `p99 of an L1 hit ${slowUs.toFixed(2)} and ${slowerUs.toFixed(2)} us <= 1.2 x ${idleUs.toFixed(2)} us (the worse of before and after)`),
            atMost('queued writes', queued, 300),
          );
          notes.push(`${held.hidden} gaps in the channel hid L1 for up to ${Math.round(held.longestHiddenMs)} ms`);
        });
      } finally {
        await held.stop();
        await cache.close();
      }
    },
  },
];
