/** Reads and writes of a few wallets over the owner thread's own connection, and what lies at our keys that is not ours. */
import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCache } from '../../src/profile-cache.ts';
import { keyLayout, keySlot } from '../../src/l2/slots.ts';
import { freshPrefix } from '../support/redis.ts';
import { redisCluster } from '../support/redis-servers.ts';

const caches: ProfileCache<{ n: number }>[] = [];
const { nodes } = redisCluster;

async function openCache(keyPrefix: string, more: object = {}) {
  const cache = await ProfileCache.open<{ n: number }>({ l2: { kind: 'redis', nodes: nodes.map(({ host, port }) => ({ host, port })), keyPrefix }, l2TimeoutMs: 5_000, ...more });
  caches.push(cache);
  return cache;
}

const inlineReads = async (cache: ProfileCache<{ n: number }>) => (await cache.health()).workers!.inlineReads;

afterEach(async () => {
  await Promise.all(caches.splice(0).map((cache) => cache.close()));
});

test('lone reads take the short way once it is open: hits, misses and tombstones as from a worker', async () => {
  const prefix = freshPrefix();
  const [writer, reader] = [await openCache(prefix), await openCache(prefix, { channel: { enabled: false } })];
  const wallets = Array.from({ length: 200 }, (_, i) => `w${i}`);
  await writer.updateProfiles(wallets.map((wallet, n) => [wallet, { n }]));
  await writer.invalidate('w7');
  expect(await reader.getProfile('nobody')).toBeUndefined();
  for (let tries = 0; (await inlineReads(reader)) === 0; tries++) {
    expect(tries, 'the short way is never open').toBeLessThan(200);
    await sleep(20);
    await reader.getProfile('nobody');
  }
  for (const [n, wallet] of wallets.entries()) expect(await reader.getProfile(wallet)).toEqual(n === 7 ? undefined : { n });
  // The ways take turns at first; which one the rest goes is told by their times (inline-store.test.ts), and on a busy machine that may be either.
  expect(await inlineReads(reader)).toBeGreaterThan(8);
  // Many wallets are a worker's, whatever the short way costs.
  const before = await inlineReads(reader);
  expect((await reader.bulkPrefetch(Array.from({ length: 50 }, (_, i) => `other${i}`))).size).toBe(0);
  expect(await inlineReads(reader)).toBe(before);
});

test('lone updates take the short way once it is open: newest wins, the event goes out, and the other tiers have it', async () => {
  const prefix = freshPrefix();
  const [writer, other] = [await openCache(prefix), await openCache(prefix)];
  const inlineWrites = async () => (await writer.health()).workers!.inlineWrites;
  const heard = new Map<string, number>();
  other.on('profileUpdated', ({ wallet }) => heard.set(wallet, (heard.get(wallet) ?? 0) + 1));
  for (let tries = 0; (await inlineWrites()) < 5; tries++) {
    expect(tries, 'the short way is never open').toBeLessThan(500);
    await sleep(5);
    expect(await writer.updateProfile('first', { n: tries })).toEqual({ l1: true, l2: 'stored' });
  }
  const before = await inlineWrites();
  for (let n = 0; n < 40; n++) {
    expect(await writer.updateProfile(`w${n % 10}`, { n })).toEqual({ l1: true, l2: 'stored' });
    // What another process has written since is not overwritten by an older stamp, whichever way it takes.
    if (n % 10 === 3) expect(await other.updateProfile('w3', { n: -n })).toEqual({ l1: true, l2: 'stored' });
  }
  expect(await inlineWrites()).toBeGreaterThan(before);
  const fresh = await openCache(prefix);
  for (let i = 0; i < 10; i++) expect(await fresh.getProfile(`w${i}`)).toEqual({ n: i === 3 ? -33 : 30 + i });
  for (let tries = 0; tries < 200 && (heard.get('w9') ?? 0) < 4; tries++) await sleep(10);
  expect(heard.get('w9')).toBe(4);
  // What is large is packed by a worker.
  const large = await inlineWrites();
  for (let i = 0; i < 10; i++) await writer.updateProfile('large', { n: i, text: 'x'.repeat(9_000) } as { n: number });
  expect(await inlineWrites()).toBe(large);
  expect(await fresh.getProfile('large')).toMatchObject({ n: 9 });
});

test('a foreign value of 40 MB at a key of ours is a counted miss, by a worker and inline, and its neighbours are read', async () => {
  const prefix = freshPrefix();
  const cache = await openCache(prefix, { maxProfileBytes: 64 * 1024 });
  const layout = keyLayout(prefix, 256);
  const wallet = 'huge';
  const neighbour = Array.from({ length: 100_000 }, (_, i) => `n${i}`).find((other) => layout.slotOf(other) === layout.slotOf(wallet))!;
  await cache.updateProfile(neighbour, { n: 1 });
  const slot = keySlot(layout.keyOf(wallet));
  for (const { host, port } of nodes) {
    const redis = new Redis({ host, port });
    const owns = ((await redis.cluster('SLOTS')) as unknown as [number, number, [string, number]][]).some(([first, last, master]) => slot >= first && slot <= last && master[1] === port);
    if (owns) await redis.set(layout.keyOf(wallet), Buffer.alloc(40 * 1024 * 1024), 'EX', 60);
    redis.disconnect();
  }
  const fresh = await openCache(prefix, { maxProfileBytes: 64 * 1024 });
  for (let round = 1; round <= 4; round++) {
    const before = fresh.getStats().corrupt;
    expect([...(await fresh.bulkPrefetch([wallet, neighbour])).keys()]).toEqual([neighbour]);
    expect(fresh.getStats().corrupt).toBe(before + 1);
    await sleep(100);
  }
  expect(process.memoryUsage().arrayBuffers).toBeLessThan(300 * 1024 * 1024);
});
