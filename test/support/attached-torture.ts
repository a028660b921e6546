/**
 * Deaths under the public API: attached threads are terminated in the middle of reads, writes, loads and attaching, and owners in the
 * middle of writing, while other threads read and time every read.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { ProfileCache, type CacheHandle } from 'profilecache';
import { HEADER, SLOT } from '../../src/l1/layout.ts';
import { openRegion } from '../../src/l1/region.ts';
import { verifyShared } from '../../src/l1/verify.ts';
import { Stalls, type StallReport, type TimesReport } from './stalls.mjs';

/** `rows` are what was counted, for a table. */
export interface DeathReport { rows: string[][]; faults: string[]; deaths: number }

const ACTS = ['read', 'write', 'load', 'attach', 'block', 'exit', 'throw'];
const CACHES = 8;
const ROWS_BACK_MS = 20_000;
const ms = (value: number) => `${value.toFixed(3)} ms`;
const number = (value: number) => value.toLocaleString('en');
const timesRows = (what: string, times: TimesReport): string[][] => [
  [`${what}: p99.9`, ms(times.p999Ms)],
  [`${what}: slowest, and how long of that the thread was ready to run and had no core`, `${ms(times.slowestMs)}, ${ms(times.slowestWaitedMs)}`],
  [`${what}: slowest when each is taken without that`, ms(times.longestOwnMs)],
];
const stallRows = ({ reads, idle }: StallReport): string[][] => [
  ['reads timed', number(reads.count)], ...timesRows('read', reads), ...timesRows('the same without a cache', idle),
];

export async function tortureAttached(runMs: number): Promise<DeathReport> {
  const home = mkdtempSync(join(tmpdir(), 'profilecache-torture-'));
  const cache = await ProfileCache.open<Record<string, unknown>>({ l2: { kind: 'embedded', path: home }, l1: { maxProfiles: 200, maxBytes: 256 * 1024 }, l2TimeoutMs: 5_000 });
  const spawn = (act: string, caches = CACHES) => new Worker(new URL('../threads/mortal.mjs', import.meta.url), { workerData: { handle: cache.handle, caches, act } });
  const faults: string[] = [];
  let [deaths, reads] = [0, 0];
  const watch = spawn('watch', 1);
  try {
    await cache.updateProfiles(Array.from({ length: 300 }, (_, i) => [`w${i}`, { i }] as const));
    await once(watch, 'message');
    const endMs = performance.now() + runMs;
    for (let kills = 0; performance.now() < endMs; kills++) {
      const worker = spawn(ACTS[kills % ACTS.length]);
      // `throw` ends by an error that nobody catches: that is what it is for.
      worker.on('error', () => {});
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      await Promise.race([new Promise((resolve) => worker.once('message', resolve)), ended]);
      await setTimeout(Math.random() * 20);
      await worker.terminate();
      await ended;
      deaths += CACHES;
      const { l1Hits, l2Hits, misses } = cache.getStats();
      if (l1Hits + l2Hits + misses < reads) faults.push('counts of the dead are gone');
      reads = l1Hits + l2Hits + misses;
    }
    for (const giveUpMs = performance.now() + ROWS_BACK_MS; cache.getStats().threads > 2 && performance.now() < giveUpMs; ) await setTimeout(50);
    const lost = cache.getStats().threads - 2;
    if (lost > 0) faults.push(`${lost} rows are lost`);
    watch.postMessage('end');
    const [report] = (await once(watch, 'message')) as [StallReport & { faults: string[] }];
    faults.push(...report.faults);
    await cache.close();
    const region = openRegion(cache.handle.region);
    verifyShared(region);
    return { deaths, faults, rows: [['attached caches that died', number(deaths)], ['rows lost', String(lost)], ['slots left odd', String(oddSlots(region))], ['reads counted over all threads, the dead included', number(reads)], ...stallRows(report)] };
  } finally {
    await watch.terminate();
    await cache.close();
    rmSync(home, { recursive: true, force: true });
  }
}

const oddSlots = (region: ReturnType<typeof openRegion>) => {
  let odd = 0;
  for (let slot = 0; slot < region.slotCount; slot++) odd += Atomics.load(region.i32, region.slotsStart / 4 + slot * SLOT.words + SLOT.seq) & 1;
  return odd;
};

/** This thread attaches to one owner after the other and reads while it dies. */
export async function tortureOwners(runMs: number): Promise<DeathReport> {
  const faults: string[] = [];
  const stalls = new Stalls();
  let [deaths, odd, shifts, slowestRefusalMs] = [0, 0, 0, 0];
  const endMs = performance.now() + runMs;
  while (performance.now() < endMs && faults.length === 0) {
    const blocked = new Int32Array(new SharedArrayBuffer(4));
    const options = { l2: 'none:', l2TimeoutMs: 250, l1: { maxProfiles: 150, maxBytes: 128 * 1024 } };
    const worker = new Worker(new URL('../threads/owner-thread.mjs', import.meta.url), { workerData: { options, blocked } });
    const [handle] = (await once(worker, 'message')) as [CacheHandle];
    const cache = ProfileCache.attach<{ i: number; n: number }>(handle);
    const newest = new Int32Array(200);
    const readFor = (forMs: number) => {
      stalls.restart();
      for (const stopMs = performance.now() + forMs; performance.now() < stopMs; ) {
        const i = Math.floor(Math.random() * 200);
        const startMs = performance.now();
        const profile = cache.getProfileSync(`w${i}`);
        const readMs = performance.now();
        for (let spin = 0; spin < 200; spin++) Math.sqrt(spin);
        stalls.note(startMs, readMs, performance.now());
        if (profile === undefined) continue;
        if (profile.i !== i) faults.push(`w${i} read as w${profile.i}`);
        if (profile.n < newest[i]) faults.push(`w${i}: ${profile.n} after ${newest[i]}`);
        newest[i] = profile.n;
      }
    };
    readFor(Math.random() * 20);
    const death = worker.terminate();
    readFor(5);
    await death;
    deaths++;
    readFor(5);
    const askedMs = performance.now();
    const outcome = await cache.updateProfile('w1', { i: 1, n: 2 ** 30 }).then(() => 'an answer', (error: { code?: string }) => error.code);
    slowestRefusalMs = Math.max(slowestRefusalMs, performance.now() - askedMs);
    if (outcome !== 'ERR_OWNER_GONE') faults.push(`a write after the owner's death ended with ${outcome}`);
    const region = openRegion(handle.region);
    odd += oddSlots(region);
    shifts += Atomics.load(region.i32, HEADER.indexShift) & 1;
    await cache.close();
  }
  return {
    deaths, faults,
    rows: [
      ['owners terminated', number(deaths)], ['slots they left odd, for good', number(odd)], ['index shifts they left unfinished', number(shifts)],
      ['slowest ERR_OWNER_GONE of a write', ms(slowestRefusalMs)], ...stallRows(stalls.report()),
    ],
  };
}
