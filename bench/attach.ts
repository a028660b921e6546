/** How long does a fresh thread wait until it reads a cache that another thread owns? */
import { BroadcastChannel, Worker } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';
import { bench, type Findings } from './support/bench.ts';
import { must } from './support/check.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { Budget } from './support/slices.ts';
import { max, median, min, pairRatios, percent, quantile, ratioText, three } from './support/stats.ts';

const PROFILES = 2_000;
/** Caches that each thread attaches to, one after the other. */
const CACHES = 4;
const ROUNDS = 60;
const WARM_UP_ROUNDS = 3;
const LEVEL_MS = 10;
const CHANNEL = 'profilecache-bench-attach';

interface Attached { importMs: number; healthMs: number; secondHealthMs: number; attaches: { attachMs: number; readMs: number }[] }
interface Empty { openMs: number; channelMs: number; portMs: number }

/** @returns what the thread measured, and the milliseconds from its start to its answer. */
function inThread<T>(workerData: object): Promise<T & { wholeMs: number }> {
  const started = performance.now();
  // No loader of this process goes into the thread: it would be part of the figures.
  const worker = new Worker(new URL('./support/attach-thread.mjs', import.meta.url), { execArgv: [], workerData });
  return new Promise((resolve, reject) => {
    let answer: (T & { wholeMs: number }) | undefined;
    worker.on('message', (message: T | 'ask') => {
      if (message === 'ask') worker.postMessage('answer');
      else answer = { ...message, wholeMs: performance.now() - started };
    });
    worker.on('error', reject);
    worker.on('exit', () => (answer === undefined ? reject(new Error('a thread ended without an answer')) : resolve(answer)));
  });
}

async function run(): Promise<Findings> {
  const fleet = makeFleet(PROFILES);
  const caches: ProfileCache<BenchProfile>[] = [];
  for (let i = 0; i < CACHES; i++) {
    const cache = await ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES }, l2: { kind: 'none' }, l2TtlSeconds: 600 });
    must((await cache.updateProfiles(fleet.entries)).l1 === PROFILES, 'all are resident');
    caches.push(cache);
  }
  const asked = new BroadcastChannel(CHANNEL);
  asked.onmessage = () => asked.postMessage('answer');

  const attached: Attached[] = [];
  const empty: Empty[] = [];
  const workerData = { handles: caches.map(({ handle }) => handle), wallets: fleet.wallets.slice(0, CACHES), channel: CHANNEL };
  const doAttach = async () => attached.push(await inThread<Attached>({ ...workerData, what: 'attach' }));
  const doEmpty = async () => empty.push(await inThread<Empty>({ channel: CHANNEL, what: 'empty' }));
  const budget = new Budget(ROUNDS);
  for (let round = -WARM_UP_ROUNDS; budget.goesOn(round); round++) {
    // Neither is always the first.
    for (const one of round % 2 === 0 ? [doAttach, doEmpty] : [doEmpty, doAttach]) await one();
    if (round < 0) attached.length = empty.length = 0;
  }
  asked.close();
  for (const cache of caches) {
    must(cache.getStats().threads === 1, 'all have closed');
    await cache.close();
  }

  const first = attached.map(({ attaches }) => attaches[0].attachMs);
  const later = attached.flatMap(({ attaches }) => attaches.slice(1).map(({ attachMs }) => attachMs));
  const untilRead = attached.map(({ attaches }) => attaches[0].attachMs + attaches[0].readMs);
  const baseline = empty.map(({ channelMs }) => channelMs);
  const rows: [string, number[]][] = [
    ['first attach of a thread (code is cold)', first],
    ['first read after it', attached.map(({ attaches }) => attaches[0].readMs)],
    ['both: the thread reads', untilRead],
    ['later attaches of the thread', later],
    ['first read after each of these', attached.flatMap(({ attaches }) => attaches.slice(1).map(({ readMs }) => readMs))],
    ['first answer of the owner (health)', attached.map(({ healthMs }) => healthMs)],
    ['second answer', attached.map(({ secondHealthMs }) => secondHealthMs)],
    ['import of the package, before all this', attached.map(({ importMs }) => importMs)],
    ['baseline, empty thread: first BroadcastChannel opened', empty.map(({ openMs }) => openMs)],
    ['baseline, empty thread: first message there and back on it', baseline],
    ['baseline, empty thread: then one by postMessage', empty.map(({ portMs }) => portMs)],
  ];
  const under = (all: number[]) => percent(all.filter((ms) => ms < LEVEL_MS).length / all.length);
  const ratio = ratioText(pairRatios(first, baseline));
  return {
    tables: [{
      title: `${attached.length} fresh threads, each attached to ${CACHES} caches of ${PROFILES.toLocaleString('en-US')} profiles; an empty thread beside each`,
      columns: ['', 'min ms', 'median ms', 'p90 ms', 'max ms', `under ${LEVEL_MS} ms`],
      rows: rows.map(([what, all]) => [what, three(min(all)), three(median(all)), three(quantile(all, 0.9)), three(max(all)), under(all)]),
      notes: [`First attach, times the first message there and back of an empty thread: ${ratio}. Level: an attach under ${LEVEL_MS} ms.`],
    }],
    summary: [{ what: 'first attach of a fresh thread', ours: `${three(median(first))} ms`, peer: `an empty thread's first message there and back ${three(median(baseline))} ms`, ratio }],
  };
}

await bench('attach', 'How long does a fresh thread wait until it reads a cache that another thread owns?', run);
