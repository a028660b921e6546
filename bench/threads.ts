/** Do two threads read one L1 twice as fast as one, and how long does a thread wait until it can read? */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';
import { bench, type Findings } from './support/bench.ts';
import { must } from './support/check.ts';
import { makeFleet, zipfTrace, type BenchProfile } from './support/profiles.ts';
import { Budget } from './support/slices.ts';
import { max, median, min, pairRatios, ratioText, three } from './support/stats.ts';

const PROFILES = 5_000;
const ZIPF_EXPONENT = 0.99;
const TRACE = 1 << 15;
const ROUNDS = 25;
const WARM_UP_ROUNDS = 4;
const SLICE_MS = 60;
const ATTACHING_THREADS = 8;

interface Slice {
  reads: number;
  wrong: number;
  elapsedMs: number;
  /** Of the thread alone. */
  cpuMs: number;
}

const READERS = { near: 'near hits (nearProfiles 5,000)', cold: 'cold hits (near cache off)', map: 'a Map of its own in each thread',
  json: 'control: JSON.parse of its own strings', spin: 'control: arithmetic, no memory' } as const;
type Reader = keyof typeof READERS;

async function run(): Promise<Findings> {
  const fleet = makeFleet(PROFILES);
  const open = (nearProfiles: number) => ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES, nearProfiles }, l2: { kind: 'none' }, l2TtlSeconds: 600 });
  const caches = { near: await open(PROFILES), cold: await open(0) };
  for (const cache of Object.values(caches)) must((await cache.updateProfiles(fleet.entries)).l1 === PROFILES, 'all are resident');
  const wallets = Array.from(zipfTrace(PROFILES, TRACE, ZIPF_EXPONENT, 7), (i) => fleet.wallets[i]);
  const handles = { near: caches.near.handle, cold: caches.cold.handle };

  const startMs: number[] = [];
  const attachMs: number[] = [];
  const firstAttachMs: number[] = [];
  const start = async (k: number): Promise<Worker> => {
    const started = performance.now();
    // No loader of this process goes into the thread: it would be part of the figures.
    const worker = new Worker(new URL('./support/reader-thread.mjs', import.meta.url), { execArgv: [], workerData: { handles, wallets, startAt: k * 997 } });
    const [ready] = (await once(worker, 'message')) as [{ attachMs: number[] }];
    startMs.push(performance.now() - started);
    firstAttachMs.push(ready.attachMs[0]);
    attachMs.push(...ready.attachMs.slice(1));
    return worker;
  };
  const stop = async (worker: Worker) => {
    worker.postMessage({});
    await once(worker, 'exit');
  };
  for (let k = 0; k < ATTACHING_THREADS - 2; k++) await stop(await start(k));
  const threads = [await start(0), await start(1)];

  /** Reads a second, of all threads together; CPU time a read. */
  const slice = async (reader: Reader, count: number): Promise<{ rate: number; cpuMs: number }> => {
    const slices = await Promise.all(threads.slice(0, count).map(async (worker) => {
      const answer = once(worker, 'message');
      worker.postMessage({ reader, forMs: SLICE_MS });
      return ((await answer) as [Slice])[0];
    }));
    must(slices.every(({ wrong }) => wrong === 0), `${reader}: a read found nothing`);
    const sum = (of: (one: Slice) => number) => slices.reduce((all, one) => all + of(one), 0);
    return { rate: sum(({ reads, elapsedMs }) => (reads / elapsedMs) * 1e3), cpuMs: sum((one) => one.cpuMs) / sum(({ reads }) => reads) };
  };
  const empty = () => ({ one: [] as number[], two: [] as number[], cpu: [] as number[] });
  const rates = Object.fromEntries(Object.keys(READERS).map((reader) => [reader, empty()])) as Record<Reader, ReturnType<typeof empty>>;
  const budget = new Budget(ROUNDS);
  for (let round = -WARM_UP_ROUNDS; budget.goesOn(round); round++) {
    for (const reader of Object.keys(READERS) as Reader[]) {
      const one = await slice(reader, 1);
      const two = await slice(reader, 2);
      if (round < 0) continue;
      rates[reader].one.push(one.rate);
      rates[reader].two.push(two.rate);
      // What two threads would give with a core for each all the time: only what they do to each other counts.
      rates[reader].cpu.push((2 * one.cpuMs) / two.cpuMs);
    }
  }
  must(caches.near.getStats().threads === 3, 'owner and two threads are attached');
  for (const worker of threads) await stop(worker);
  for (const cache of Object.values(caches)) await cache.close();

  const millions = (all: number[], pick: (values: number[]) => number) => three(pick(all) / 1e6);
  const ms = (what: string, all: number[]) => [what, three(min(all)), three(median(all)), three(max(all))];
  return {
    tables: [
      {
        title: `Threads that read ${PROFILES.toLocaleString('en-US')} resident profiles, Zipf ${ZIPF_EXPONENT}: million reads a second, of all threads together`,
        columns: ['', '1 thread: median', 'best', '2 threads: median', 'best', '2 threads, times 1', 'by CPU time'],
        rows: (Object.keys(READERS) as Reader[]).map((reader) => {
          const { one, two, cpu } = rates[reader];
          return [READERS[reader], millions(one, median), millions(one, max), millions(two, median), millions(two, max), ratioText(pairRatios(two, one)), ratioText(cpu)];
        }),
        notes: [
          'The last three rows share nothing and take no lock: what they scale by is what the machine gave in the same rounds.',
          'By CPU time: twice the CPU time of a read alone, over that with both threads at it; 2 means that neither slows the other, whoever else is on the cores.',
        ],
      },
      {
        title: `Until a thread can read, ${ATTACHING_THREADS} threads`,
        columns: ['', 'min ms', 'median ms', 'max ms'],
        rows: [
          ms('attach and first read, first of the thread (code is cold)', firstAttachMs),
          ms('attach and first read, second cache of the thread', attachMs),
          ms('thread started, package imported, two caches attached, one read of each', startMs),
        ],
      },
    ],
    summary: (['near', 'cold'] as const).map((reader) => ({
      what: `2 threads, ${reader} hits`, ours: `${millions(rates[reader].two, median)} M/s`, peer: `1 thread ${millions(rates[reader].one, median)} M/s`, ratio: ratioText(pairRatios(rates[reader].two, rates[reader].one)),
    })),
  };
}

await bench('threads', 'Do two threads read one L1 twice as fast as one, and how long does a thread wait until it can read?', run);
