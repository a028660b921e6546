/**
 * Attached threads are terminated at random moments, over and over: nothing of them stays, and nobody else notices.
 * PROFILECACHE_DEATHS sets how many attached caches die (2,000 in the notes).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';

const DEATHS = Number(process.env.PROFILECACHE_DEATHS ?? 288);
/** Attached caches of one thread: starting a thread is what takes time. */
const CACHES = 48;
const ACTS = ['read', 'write', 'load', 'attach', 'block', 'exit', 'throw'];

closeCachesAfterEach();

test(`${DEATHS} attached caches die in the middle of something`, async () => {
  const home = mkdtempSync(join(tmpdir(), 'profilecache-deaths-'));
  const cache = await openCache({ l2: { kind: 'embedded', path: home }, l1: { maxProfiles: 200, maxBytes: 256 * 1024 } });
  await cache.updateProfiles(Array.from({ length: 300 }, (_, i) => [`w${i}`, { i }] as const));
  const spawn = (act: string) => new Worker(new URL('./mortal.mjs', import.meta.url), { workerData: { handle: cache.handle, caches: act === 'witness' ? 1 : CACHES, act } });
  // Reads, writes and is never disturbed; then blocks its event loop for two seconds.
  const witness = spawn('witness');
  const tell = async (message: string) => {
    const answer = once(witness, 'message');
    witness.postMessage(message);
    return ((await answer) as [any])[0];
  };
  await tell('hello');

  const channels = () => (process as unknown as { getActiveResourcesInfo(): string[] }).getActiveResourcesInfo().filter((what) => what === 'MessagePort').length;
  const threads = () => cache.getStats().threads;
  let [dead, rssEarly, channelsEarly] = [0, 0, 0];
  let lastCounts = 0;
  while (dead < DEATHS) {
    const act = ACTS[Math.floor(Math.random() * ACTS.length)];
    const worker = spawn(act);
    worker.on('error', () => {});
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await Promise.race([new Promise((resolve) => worker.once('message', resolve)), ended]);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 15));
    await worker.terminate();
    await ended;
    dead += CACHES;
    const { l1Hits, misses, l2Hits } = cache.getStats();
    expect(l1Hits + misses + l2Hits, 'counts of the dead stay').toBeGreaterThanOrEqual(lastCounts);
    lastCounts = l1Hits + misses + l2Hits;
    if (rssEarly === 0 && dead >= Math.min(DEATHS / 4, 320)) {
      await until('the rows of the first are back', () => threads() === 2, 20_000);
      [rssEarly, channelsEarly] = [process.memoryUsage.rss(), channels()];
    }
  }
  // Far more have died than there are rows: all of them attached.
  await until('all rows are back', () => threads() === 2, 20_000);
  await until('their channels are closed', () => channels() <= channelsEarly, 20_000);
  const grownMib = (process.memoryUsage.rss() - rssEarly) / 2 ** 20;
  console.log(`    ${dead} deaths; ${lastCounts.toLocaleString('en')} reads counted; resident memory ${grownMib.toFixed(1)} MiB more than early on`);
  expect(grownMib).toBeLessThan(64);

  const report = await tell('report');
  expect(report.faults).toEqual([]);
  expect(report.rounds).toBeGreaterThan(10);
  const blocked = tell('block');
  await new Promise((resolve) => setTimeout(resolve, 1_800));
  expect(threads()).toBe(2);
  await blocked;
  const reads = () => cache.getStats().l1Hits + cache.getStats().misses;
  const before = reads();
  await tell('read');
  expect(reads()).toBe(before + 1);
  await witness.terminate();
  await until('its row is back', () => threads() === 1, 20_000);
  rmSync(home, { recursive: true, force: true });
}, 600_000);
