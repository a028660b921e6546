/** Rows in which events get lost, and rows in which our own process stands still. */
import { openChaosCache } from './chaos-cache.ts';
import { READS_A_RUN, startChild, type ChildLook } from './chaos-child.ts';
import { makeChaosProfile, Oracle } from './chaos-oracle.ts';
import { atMost, check, optionsOf, underLoad, type Row, type RowContext, type RowOutcome } from './chaos-row.ts';

const CLIENT_KILLS = 5;
const READER_WALLETS = 40;
const STILL_MS = Number(process.env.PROFILECACHE_STILL_MS ?? 10_000);
const BLOCK_MS = 12_000;
const FLOOD_MESSAGES = 60_000;
const FLOOD_BYTES = 2_000;
/** After a stillness, the time to look. */
const LOOK_MS = Math.min(4_000, STILL_MS);
const STALE_AFTER_WAKE_MS = 1_500;

/** The node at which most subscribers of the channel listen, as CLIENT LIST tells. */
export async function subscribedNode(context: RowContext, channel: string): Promise<number> {
  const counts = await context.cluster.onAll(async (redis, port) => ({ port, count: Number(((await redis.call('PUBSUB', 'NUMSUB', channel)) as [string, number])[1]) }));
  return counts.sort((a, b) => b.count - a.count)[0].port;
}

interface Still {
  pid: number;
  look(message: object): Promise<ChildLook>;
}

/**
 * A process of its own reads; it stands still while every wallet is updated; what it reads from then on is judged. `stand` tells when it went on.
 * Updates that were acknowledged after that bind it as those of any other process do, `STALE_AFTER_WAKE_MS` later.
 */
async function standStill(context: RowContext, id: string, graceMs: number, stand: (child: Still, update: () => Promise<void>) => Promise<{ look: ChildLook; wokeAtMs: number }>): Promise<RowOutcome> {
  const options = { ...optionsOf(context, id), l2TimeoutMs: 2_000, connectTimeoutMs: 15_000 };
  const writer = await openChaosCache(options);
  const wallets = Array.from({ length: READER_WALLETS }, (_, i) => `still${i}`);
  let updatedAtMs = 0;
  const update = async (version: number) => {
    const counts = await writer.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, version)] as const));
    if (counts.stored !== wallets.length) throw new Error(`updates that were not stored: ${JSON.stringify(counts)}`);
    updatedAtMs = Date.now();
  };
  await update(1);
  const { child, ready, next } = startChild({ role: 'reader', options, wallets });
  const look = (message: object) => {
    const answer = next();
    child.send(message);
    return answer;
  };
  try {
    await ready;
    const { look: found, wokeAtMs } = await stand({ pid: child.pid!, look }, () => update(2));
    const inTime = updatedAtMs < wokeAtMs;
    const boundMs = inTime ? wokeAtMs + graceMs : updatedAtMs + STALE_AFTER_WAKE_MS;
    const after = found.seen.filter(([, , atMs]) => atMs >= wokeAtMs);
    const old = after.filter(([, version, atMs]) => version === 1 && atMs >= updatedAtMs);
    // A run of hits that was under way shares one reading of the clock (coherence.md): the rest of it is answered as it was begun.
    const firstAfter = found.seen.length - after.length;
    const runEndsAt = Math.ceil(firstAfter / READS_A_RUN) * READS_A_RUN;
    const stale = old.filter((answer) => answer[2] >= boundMs && found.seen.indexOf(answer) >= runEndsAt);
    const lastMs = old.length === 0 ? 0 : old.at(-1)![2] - Math.max(wokeAtMs, updatedAtMs);
    return {
      operations: after.length, failed: 0, hung: 0, stale: stale.length, wrong: found.wrong, recoveryMs: lastMs,
      checks: [
        check(stale.length === 0, `old answers later than ${graceMs} ms after waking, but for the run under way, ${stale.length} = 0`), check(found.wrong === 0, `wrong ${found.wrong} = 0`),
        check(after.some(([, version]) => version === 2), 'the new profiles were read'),
      ],
      notes: [`${old.length} old answers of ${after.length} (of the run under way there were ${runEndsAt - firstAfter} left), the last ${lastMs} ms after waking; ${found.gaps} gaps told${inTime ? '' : `; the updates came ${updatedAtMs - wokeAtMs} ms after waking (busy machine)`}`],
    };
  } finally {
    child.kill('SIGKILL');
    await writer.close();
  }
}

export const channelRows: Row[] = [
  {
    id: 'C14', fault: `all subscribers killed (CLIENT KILL TYPE pubsub), ${CLIENT_KILLS} times`, on: 'cluster',
    run: (context) => underLoad(context, 'C14', {}, async ({ cluster, load, wait, checks, notes }) => {
      for (let i = 0; i < CLIENT_KILLS; i++) {
        await cluster.onAll((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
        await wait(1_500);
      }
      await wait(1_000);
      const gaps = load.events.filter(({ what }) => what === 'other channelGap').length;
      checks.push(check(gaps >= CLIENT_KILLS, `gaps noticed ${gaps} >= ${CLIENT_KILLS}`));
      notes.push(`${gaps} gaps noticed`);
    }, new Oracle(2_000)),
  },
  {
    id: 'C15', fault: 'SIGSTOP of the node that the subscriber listens at', on: 'cluster',
    run: (context) => underLoad(context, 'C15', {}, async ({ cluster, load, wait, checks }) => {
      const port = await subscribedNode(context, 'chaos-C15');
      const sinceMs = performance.now();
      cluster.freeze(port);
      await wait(6_000);
      const heard = ['writer channelGap', 'other channelGap'].map((what) => load.firstEvent(what, sinceMs)).filter((atMs) => atMs !== undefined);
      checks.push(atMost('gap noticed after', heard.length === 0 ? undefined : Math.max(...heard) - sinceMs, 1_500 + load.loopLagMs, ' ms'));
    }),
  },
  {
    id: 'C16', fault: `a subscriber that stands still for ${BLOCK_MS / 1e3} s while ${FLOOD_MESSAGES.toLocaleString('en')} messages of 2 KB come`, on: 'cluster',
    run: (context) => standStill(context, 'C16', STALE_AFTER_WAKE_MS, async ({ look }, update) => {
      const looking = look({ block: BLOCK_MS, look: LOOK_MS });
      const wokeAtMs = Date.now() + BLOCK_MS;
      const port = await subscribedNode(context, 'chaos-C16');
      const flood = 'x'.repeat(FLOOD_BYTES);
      await context.cluster.at(port, async (redis) => {
        for (let sent = 0; sent < FLOOD_MESSAGES; sent += 2_000) await Promise.all(Array.from({ length: 2_000 }, () => redis.publish('chaos-C16', flood)));
      });
      await update();
      return { look: await looking, wokeAtMs };
    }),
  },
  {
    id: 'C24', fault: `SIGSTOP of our own process for ${STILL_MS / 1e3} s, then SIGCONT`, on: 'cluster',
    run: (context) => standStill(context, 'C24', 0, async ({ pid, look }, update) => {
      const looking = look({ look: STILL_MS + LOOK_MS });
      await new Promise((resolve) => setTimeout(resolve, 200));
      process.kill(pid, 'SIGSTOP');
      await update();
      await new Promise((resolve) => setTimeout(resolve, STILL_MS));
      const wokeAtMs = Date.now();
      process.kill(pid, 'SIGCONT');
      return { look: await looking, wokeAtMs };
    }),
  },
];
