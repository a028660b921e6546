/** The thread that owns the cache is terminated: attached threads read on, and everything else ends with a code, soon. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { CacheHandle } from '../../src/handle.ts';
import { HEADER, SLOT } from '../../src/l1/layout.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { openRegion } from '../../src/l1/region.ts';
import { beginChange } from '../../src/l1/seqlock.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { ProfileCache } from '../../src/profile-cache.ts';

interface Profile extends Record<string, unknown> { i: number; n: number }

const TIMEOUT_MS = 250;
let worker: Worker;
const attached: ProfileCache<Profile>[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(attached.splice(0).map((cache) => cache.close()));
  await worker.terminate();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function start(l2TimeoutMs = TIMEOUT_MS): Promise<{ handle: CacheHandle; blocked: Int32Array }> {
  const path = mkdtempSync(join(tmpdir(), 'profilecache-owner-'));
  folders.push(path);
  const blocked = new Int32Array(new SharedArrayBuffer(4));
  const options = { l2: { kind: 'embedded', path }, l2TimeoutMs };
  worker = new Worker(new URL('./owner-thread.mjs', import.meta.url), { workerData: { options, blocked } });
  const [handle] = (await once(worker, 'message')) as [CacheHandle];
  return { handle, blocked };
}
const attach = (handle: CacheHandle) => {
  const cache = ProfileCache.attach<Profile>(handle);
  attached.push(cache);
  return cache;
};
/** How it ended, and after how long. */
async function timed(work: Promise<unknown>): Promise<{ ms: number; code: unknown }> {
  const started = performance.now();
  const code = await work.then(() => 'none', (error: { code?: string }) => error.code);
  return { ms: performance.now() - started, code };
}
/** Reads all of it; a profile is whole, its own, and no older than before. */
function readAll(cache: ProfileCache<Profile>, newest: Map<string, number>): number {
  let found = 0;
  for (let i = 0; i < 200; i++) {
    const profile = cache.getProfileSync(`w${i}`);
    if (profile === undefined) continue;
    found++;
    if (profile.i !== i || profile.n < (newest.get(`w${i}`) ?? 0)) throw new Error(`w${i}: ${JSON.stringify(profile)} after ${newest.get(`w${i}`)}`);
    newest.set(`w${i}`, profile.n);
  }
  return found;
}

test('what is under way when it dies, and what comes after, ends with ERR_OWNER_GONE', async () => {
  const { handle } = await start(2_000);
  const cache = attach(handle);
  await cache.updateProfile('mine', { i: 0, n: 1 });
  const newest = new Map<string, number>();
  readAll(cache, newest);
  const death = worker.terminate();
  const calls = [cache.updateProfile('mine', { i: 0, n: 2 }), cache.invalidate('w1'), cache.getOrLoad('absent', () => ({ i: 1, n: 1 })), cache.clear(), cache.health()].map(timed);
  readAll(cache, newest);
  await death;
  for (const { code, ms } of await Promise.all(calls)) {
    // Answered just before the end, or refused; the machine may be busy, but clear alone would wait for ten minutes.
    expect(['none', 'ERR_OWNER_GONE']).toContain(code);
    expect(ms).toBeLessThan(5_000);
  }
  expect(await timed(cache.updateProfile('mine', { i: 0, n: 3 }))).toMatchObject({ code: 'ERR_OWNER_GONE' });
  expect((await timed(cache.getOrLoad('absent', () => ({ i: 1, n: 1 })))).code).toBe('ERR_OWNER_GONE');
  // At the most one slot was left odd, or a shift unfinished, which resident profiles do not notice.
  expect(readAll(cache, newest)).toBeGreaterThanOrEqual(199);
  const { l2Failures } = cache.getStats();
  expect(await cache.getProfile('absent')).toBeUndefined();
  expect(await cache.bulkPrefetch(['absent', 'absent too', 'w5'])).toHaveProperty('size', 1);
  // An outage is no miss without being counted as one.
  expect(cache.getStats().l2Failures).toBe(l2Failures + 3);
});

test('a thread that attaches after its death reads L1 and is told', async () => {
  const { handle } = await start();
  await worker.terminate();
  const cache = attach(handle);
  expect(readAll(cache, new Map())).toBeGreaterThanOrEqual(199);
  expect((await timed(cache.updateProfile('mine', { i: 0, n: 3 }))).code).toBe('ERR_OWNER_GONE');
  expect((await timed(cache.updateProfile('mine', { i: 0, n: 3 }))).code).toBe('ERR_OWNER_GONE');
});

test('a slot that it left odd is waited for once', async () => {
  const { handle, blocked } = await start();
  Atomics.store(blocked, 0, 1);
  const cache = attach(handle);
  const region = openRegion(handle.region);
  const reader = new L1Reader(region);
  expect(reader.read(new WalletKey(region.hashKey0, region.hashKey1).set('w7'), 0)).toBe('hit');
  // As if it had died in the middle of a change of this slot.
  await worker.terminate();
  beginChange(region.i32, region.slotsStart / 4 + reader.slot * SLOT.words + SLOT.seq);
  expect(cache.getProfileSync('w7')).toBeUndefined();
  expect(Atomics.load(region.u32, HEADER.closed)).toBe(1);
  // Nobody sleeps for it any more: the same many times over takes no time.
  const started = performance.now();
  for (let reads = 0; reads < 2_000; reads++) expect(cache.getProfileSync('w7')).toBeUndefined();
  expect(performance.now() - started).toBeLessThan(2_000 * 2);
  expect(cache.getProfileSync('w8')).toMatchObject({ i: 8 });
  expect(cache.getStats().contended).toBe(2_001);
});

describe('an owner that is busy', () => {
  test('is waited for, and no thread takes it for dead', async () => {
    const { handle, blocked } = await start(8_000);
    const cache = attach(handle);
    await cache.updateProfile('mine', { i: 0, n: 1 });
    Atomics.store(blocked, 0, 1);
    const call = cache.updateProfile('mine', { i: 0, n: 2 });
    // Not near a second: who stood still for so long has its L1 compared with L2 before it is read on.
    await new Promise((resolve) => setTimeout(resolve, 600));
    Atomics.store(blocked, 0, 0);
    expect(await call).toMatchObject({ l1: true });
    expect(cache.getProfileSync('mine')).toEqual({ i: 0, n: 2 });
  });
  test('is waited for no longer than its deadline and a second, and may die meanwhile', async () => {
    const { handle, blocked } = await start();
    const cache = attach(handle);
    Atomics.store(blocked, 0, 1);
    // So that it is blocked, and not just about to be.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { code, ms } = await timed(cache.updateProfile('mine', { i: 0, n: 2 }));
    expect(code).toBe('ERR_OWNER_GONE');
    expect(ms).toBeGreaterThan(TIMEOUT_MS);
    const last = timed(cache.clear());
    await worker.terminate();
    expect(await last).toMatchObject({ code: 'ERR_OWNER_GONE' });
  });
});
