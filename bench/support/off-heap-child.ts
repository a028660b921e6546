/**
 * One contender of bench/off-heap.ts in a process of its own: fills it, weighs it, then reads by Zipf with updates between. Sends one
 * `OffHeapResult` to its parent. What it must hold besides the contender (trace, samples) is made after the weighing, or lies off the heap.
 */
import { LRUCache } from 'lru-cache';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { ProfileCache } from 'profilecache';
import { collectGarbage } from './bench.ts';
import { must, mustEqual } from './check.ts';
import { makeProfile, seededRandom, zipfTrace, type BenchProfile } from './profiles.ts';

export type Contender = 'ours' | 'lru' | 'map' | 'none';

export interface OffHeapTask {
  contender: Contender;
  profiles: number;
  reads: number;
  /** Requests a second of the run by the clock, and how many. */
  pacedRate: number;
  pacedReads: number;
  /** Decoded profiles that the near cache of `ours` keeps. */
  nearProfiles: number;
}

export interface Quantiles { p50: number; p99: number; p999: number; max: number }

export interface OffHeapResult {
  /** Growth from before the fill to after it, garbage collected. */
  heapBytes: number;
  arrayBufferBytes: number;
  rssBytes: number;
  fillSeconds: number;
  /** Nanoseconds of one call, each timed alone. */
  hit: Quantiles;
  update: Quantiles;
  /** Microseconds from the moment a request was due to its answer. */
  paced: Quantiles;
  timerNs: number;
  gcLongestMs: number;
  gcTotalMs: number;
  gcCount: number;
  fullGcLongestMs: number;
  /** Longest time that one batch of BATCH operations held the thread. */
  longestBatchMs: number;
  heapAfterRunBytes: number;
  nearShare: number;
}

interface Subject {
  get(wallet: string): BenchProfile | undefined;
  update(wallet: string, profile: BenchProfile): unknown;
  fill(entries: Iterable<readonly [string, BenchProfile]>): Promise<void>;
  nearShare(): number;
}

const TTL_SECONDS = 86_400;
const ZIPF_EXPONENT = 0.99;
const TRACE = 1 << 18;
const BATCH = 100;
/** One operation in so many is an update. */
const UPDATE_EVERY = 20;
const WARM_UP = 100_000;
const CHECKED = 500;
const WALLET_BYTES = 44;
/** Encoded profiles of `makeProfile` with header and key, generously: nothing is to be evicted. */
const ARENA_BYTES_A_PROFILE = 1_480;

async function ours({ profiles, nearProfiles }: OffHeapTask): Promise<Subject> {
  const cache = await ProfileCache.open<BenchProfile>({
    l1: { maxProfiles: profiles, maxBytes: profiles * ARENA_BYTES_A_PROFILE, nearProfiles }, l2: { kind: 'none' }, l2TtlSeconds: TTL_SECONDS,
  });
  return {
    get: (wallet) => cache.getProfileSync(wallet),
    update: (wallet, profile) => cache.updateProfile(wallet, profile),
    fill: async (entries) => {
      const { l1 } = await cache.updateProfiles(entries);
      must(l1 === profiles && cache.getStats().evictions === 0, `L1 took ${l1} of ${profiles}`);
    },
    nearShare: () => cache.getStats().nearHits / Math.max(1, cache.getStats().l1Hits),
  };
}

function store(set: (wallet: string, profile: BenchProfile) => unknown, get: (wallet: string) => BenchProfile | undefined): Subject {
  return {
    get,
    update: set,
    fill: async (entries) => {
      let i = 0;
      for (const [wallet, profile] of entries) {
        set(wallet, profile);
        if (++i % 1_000 === 0) await turn();
      }
    },
    nearShare: () => 0,
  };
}

function peer(contender: Contender, profiles: number): Subject {
  if (contender === 'none') return store(() => {}, () => undefined);
  if (contender === 'map') {
    const map = new Map<string, BenchProfile>();
    return store((wallet, profile) => map.set(wallet, profile), (wallet) => map.get(wallet));
  }
  const lru = new LRUCache<string, BenchProfile>({ max: profiles, ttl: TTL_SECONDS * 1e3 });
  return store((wallet, profile) => lru.set(wallet, profile), (wallet) => lru.get(wallet));
}

const quantiles = (samples: Float64Array): Quantiles => {
  samples.sort();
  const at = (share: number) => samples[Math.min(samples.length - 1, Math.floor(share * samples.length))];
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: samples[samples.length - 1] };
};

function timerCostNs(): number {
  const costs = new Float64Array(10_000);
  for (let i = 0; i < costs.length; i++) {
    const before = performance.now();
    costs[i] = (performance.now() - before) * 1e6;
  }
  return quantiles(costs).p50;
}

export async function measure(task: OffHeapTask): Promise<OffHeapResult> {
  const { profiles, reads } = task;
  const subject = task.contender === 'ours' ? await ours(task) : peer(task.contender, profiles);
  const walletBytes = Buffer.alloc(profiles * WALLET_BYTES);
  const walletOf = (i: number) => walletBytes.toString('latin1', i * WALLET_BYTES, (i + 1) * WALLET_BYTES);
  function* entries() {
    for (let i = 0; i < profiles; i++) {
      const profile = makeProfile(i + 1);
      walletBytes.write(profile.wallet_address, i * WALLET_BYTES, 'latin1');
      yield [profile.wallet_address, profile] as const;
    }
  }

  const settle = async () => {
    // Twice, with a turn between: what was freed by the first may be held by a promise that the turn lets go.
    collectGarbage();
    await turn();
    collectGarbage();
    return process.memoryUsage();
  };
  const before = await settle();
  const started = performance.now();
  await subject.fill(entries());
  const fillSeconds = (performance.now() - started) / 1e3;
  const after = await settle();

  // Checked before anything is timed.
  const random = seededRandom(11);
  for (let i = 0; i < CHECKED; i++) {
    const which = Math.floor(random() * profiles);
    if (task.contender !== 'none') mustEqual(subject.get(walletOf(which)), makeProfile(which + 1), 'what was stored');
  }

  const draws = zipfTrace(profiles, TRACE, ZIPF_EXPONENT, 7);
  const trace = Array.from(draws, walletOf);
  const traceBytes = (await settle()).heapUsed - after.heapUsed;
  let nextSeed = profiles;
  let at = 0;
  const refresh = (wallet: string) => ({ ...makeProfile(++nextSeed), wallet_address: wallet });

  let gcTotalMs = 0;
  let gcLongestMs = 0;
  let fullGcLongestMs = 0;
  let gcCount = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as unknown as { duration: number; detail: { kind: number } }[]) {
      gcCount++;
      gcTotalMs += duration;
      gcLongestMs = Math.max(gcLongestMs, duration);
      // 1: scavenge.
      if (detail.kind !== 1) fullGcLongestMs = Math.max(fullGcLongestMs, duration);
    }
  });

  const hits = new Float64Array(reads);
  const updates = new Float64Array(Math.ceil(reads / (UPDATE_EVERY - 1)) + 1);
  let updated = 0;
  let longestBatchMs = 0;
  const run = async (count: number, measured: boolean) => {
    for (let done = 0; done < count; ) {
      const batchStarted = performance.now();
      for (let i = 0; i < BATCH && done < count; i++) {
        const wallet = trace[at++ % TRACE];
        if (at % UPDATE_EVERY === 0) {
          const profile = refresh(wallet);
          const from = performance.now();
          subject.update(wallet, profile);
          if (measured) updates[updated++] = (performance.now() - from) * 1e6;
          continue;
        }
        const from = performance.now();
        const profile = subject.get(wallet);
        const ns = (performance.now() - from) * 1e6;
        must(profile === undefined ? task.contender === 'none' : profile.wallet_address === wallet, `a read of ${wallet} gave another profile, or none`);
        if (measured) hits[done] = ns;
        done++;
      }
      if (measured) longestBatchMs = Math.max(longestBatchMs, performance.now() - batchStarted);
      await turn();
    }
  };
  await run(WARM_UP, false);
  await settle();
  observer.observe({ entryTypes: ['gc'] });
  await run(reads, true);

  // By the clock: a request that falls due while the thread is held waits, as those behind it do.
  const paced = new Float64Array(task.pacedReads);
  const everyMs = 1e3 / task.pacedRate;
  const firstMs = performance.now() + 1;
  for (let done = 0, due = 0; done < paced.length; ) {
    while (done < paced.length && performance.now() >= firstMs + due * everyMs) {
      const dueMs = firstMs + due++ * everyMs;
      const wallet = trace[at++ % TRACE];
      if (at % UPDATE_EVERY === 0) {
        subject.update(wallet, refresh(wallet));
        continue;
      }
      subject.get(wallet);
      paced[done++] = (performance.now() - dueMs) * 1e3;
    }
    await turn();
  }
  const heapAfterRunBytes = (await settle()).heapUsed - traceBytes - before.heapUsed;
  observer.disconnect();
  return {
    heapBytes: after.heapUsed - before.heapUsed, arrayBufferBytes: after.arrayBuffers, rssBytes: after.rss, fillSeconds,
    hit: quantiles(hits), update: quantiles(updates.subarray(0, updated)), paced: quantiles(paced), timerNs: timerCostNs(),
    gcLongestMs, gcTotalMs, gcCount, fullGcLongestMs, longestBatchMs, heapAfterRunBytes, nearShare: subject.nearShare(),
  };
}

if (process.send !== undefined) {
  process.once('message', (task) => {
    void measure(task as OffHeapTask).then((result) => {
      process.send!(result, () => process.exit(0));
    });
  });
}
