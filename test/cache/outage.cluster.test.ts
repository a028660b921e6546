/** An L2 that is dead, hung or slow: a real server, stopped, continued and killed. */
import { afterEach, describe, expect, test } from 'vitest';
import { startStandalone, type LocalStandalone } from '../../src/l2/local-cluster.ts';
import type { ProfileCacheOptions } from '../../src/options.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';

const PORT = 17_396;
const L2_TIMEOUT_MS = 300;
/** Where no outage is looked at. */
const PATIENT_MS = 10_000;
/** A busy machine may wake us late; an answer that waited for a hung server would take for ever. */
const SLACK_MS = 4_000;

describe('outage of L2', () => {
  let server: LocalStandalone | undefined;
  const start = async () => (server = await startStandalone({ port: PORT }));
  const open = (options: ProfileCacheOptions = {}) => openCache({ l2: { kind: 'redis', nodes: [{ host: '127.0.0.1', port: PORT }] }, l2TimeoutMs: L2_TIMEOUT_MS, ...options });
  closeCachesAfterEach();
  afterEach(async () => {
    if (server !== undefined) {
      try { process.kill(server.pid, 'SIGCONT'); } catch { /* it has been killed by the test */ }
      await server.stop();
    }
    server = undefined;
  });

  test('hung: L1 answers, reads of L2 end at the deadline, writes are queued and replayed', async () => {
    const { pid } = await start();
    const cache = await open();
    await cache.updateProfile('held', { n: 1 });
    const heard: string[] = [];
    cache.on('l2Down', () => heard.push('down'));
    cache.on('l2Up', () => heard.push('up'));
    process.kill(pid, 'SIGSTOP');
    const timed = async <T>(work: Promise<T>) => {
      const from = performance.now();
      const value = await work;
      return { value, ms: performance.now() - from };
    };
    const read = await timed(cache.getProfile('elsewhere'));
    expect(read.value).toBeUndefined();
    expect(read.ms).toBeLessThan(L2_TIMEOUT_MS + SLACK_MS);
    const write = await timed(cache.updateProfile('late', { n: 2 }));
    expect(write.value).toEqual({ l1: true, l2: 'queued' });
    expect(write.ms).toBeLessThan(L2_TIMEOUT_MS + SLACK_MS);
    const bulk = await timed(cache.bulkPrefetch(['held', ...Array.from({ length: 500 }, (_, i) => `w${i}`)]));
    expect([...bulk.value]).toEqual([['held', { n: 1 }]]);
    expect(bulk.ms).toBeLessThan(L2_TIMEOUT_MS + SLACK_MS);
    await cache.invalidate('held');
    expect(cache.getProfileSync('held')).toBeUndefined();
    await until('l2Down', () => heard.includes('down'));
    // Known to be down: nobody waits any more, and L1 goes on.
    const fast = await timed(Promise.all(Array.from({ length: 200 }, (_, i) => cache.getProfile(`x${i}`))));
    expect(fast.ms).toBeLessThan(L2_TIMEOUT_MS + SLACK_MS);
    expect(cache.getProfileSync('late')).toEqual({ n: 2 });
    expect(cache.getStats().l2Failures).toBeGreaterThanOrEqual(501);
    expect((await cache.health()).l2).toMatchObject({ up: false, reachable: false, queuedWrites: 2 });

    process.kill(pid, 'SIGCONT');
    await until('l2Up', () => heard.includes('up'), 10_000);
    await until('the queue is empty', async () => (await cache.health()).l2?.queuedWrites === 0, 10_000);
    const other = await open();
    expect(await other.getProfile('late')).toEqual({ n: 2 });
    expect(await other.getProfile('held')).toBeUndefined();
    expect(cache.getStats().l2Replayed).toBeGreaterThanOrEqual(1);
  });

  test('killed and started again: heals by itself, nothing acknowledged to the queue is lost', async () => {
    await start();
    const cache = await open();
    await cache.updateProfile('before', { n: 1 });
    await (server as LocalStandalone).stop();
    for (let i = 0; i < 20; i++) expect(await cache.updateProfile(`w${i}`, { i })).toEqual({ l1: true, l2: 'queued' });
    for (let i = 0; i < 20; i++) await cache.updateProfile('newest', { i });
    expect((await cache.health()).l2).toMatchObject({ up: false, queuedWrites: 21 });
    await start();
    await until('the queue is empty', async () => (await cache.health()).l2?.queuedWrites === 0, 15_000);
    const other = await open();
    expect((await other.bulkPrefetch(Array.from({ length: 20 }, (_, i) => `w${i}`))).size).toBe(20);
    expect(await other.getProfile('newest')).toEqual({ i: 19 });
    // The server came back empty: its structure tables have been stored again, or nobody could read what was written.
    expect(other.getStats().corrupt).toBe(0);
  });

  test('maxQueuedWrites bounds the queue, and says so', async () => {
    await start();
    const cache = await open({ maxQueuedWrites: 5 });
    const alerts: unknown[] = [];
    cache.on('alert', (alert) => alerts.push(alert));
    await (server as LocalStandalone).stop();
    for (let i = 0; i < 8; i++) await cache.updateProfile(`w${i}`, { i });
    expect((await cache.health()).l2?.queuedWrites).toBe(5);
    expect(cache.getStats()).toMatchObject({ l2QueueDropped: 3, l2Queued: 5 });
    expect(alerts[0]).toMatchObject({ code: 'ERR_OVERLOADED', option: 'maxQueuedWrites' });
    expect(cache.getProfileSync('w7')).toEqual({ i: 7 });
  });

  test('not there at open: ERR_L2_CONNECT within connectTimeoutMs, with the command that starts one', async () => {
    const from = performance.now();
    await expect(open({ connectTimeoutMs: 700 })).rejects.toMatchObject({ code: 'ERR_L2_CONNECT', message: expect.stringContaining('profilecache cluster up') });
    expect(performance.now() - from).toBeLessThan(700 + 2 * SLACK_MS);
  });

  test('a loader still runs while L2 is away', async () => {
    await start();
    const cache = await open();
    await (server as LocalStandalone).stop();
    expect(await cache.getOrLoad('w', () => ({ n: 1 }))).toEqual({ n: 1 });
    expect(cache.getProfileSync('w')).toEqual({ n: 1 });
    expect([...(await cache.getOrLoadMany(['a', 'b'], (missing) => missing.map((wallet) => [wallet, { wallet }] as const))).keys()]).toEqual(['a', 'b']);
  });

  test('garbage in L2 is a counted miss', async () => {
    const { port } = await start();
    const cache = await open();
    const other = await open();
    await other.updateProfile('w', { n: 1 });
    const { Redis } = await import('ioredis');
    const redis = new Redis({ host: '127.0.0.1', port });
    for (const key of await redis.keys('profile:*:w')) {
      const good = await redis.getBuffer(key) as Buffer;
      good[good.length - 1] ^= 1;
      await redis.set(key, good);
    }
    expect(await cache.getProfile('w')).toBeUndefined();
    expect(cache.getStats()).toMatchObject({ corrupt: 1, misses: 1, l2Hits: 0 });
    await cache.updateProfile('w', { n: 2 });
    await until('the other follows', async () => (await other.getProfile('w'))?.n === 2);
    redis.disconnect();
  });

  test('foreign and malformed messages on the channel', async () => {
    const { port } = await start();
    // A write that a busy machine leaves unanswered would be held against messages that say no version.
    const cache = await open({ l2TimeoutMs: PATIENT_MS });
    expect(await cache.updateProfiles([['w', { n: 1 }], ['v', { n: 1 }]])).toMatchObject({ stored: 2 });
    const { Redis } = await import('ioredis');
    const redis = new Redis({ host: '127.0.0.1', port });
    const say = (message: unknown) => redis.publish('godmode:profile_updates', typeof message === 'string' ? message : JSON.stringify(message));
    for (const bad of ['', '{', '[]', 'null', '{"wallet":5}', '{"wallet":"w"}', { wallet: 'w', timestamp: 'yesterday' }, { wallet: '', timestamp: new Date() }, { wallet: 'w', timestamp: new Date(), type: 'deleted' }, { wallet: 'w', timestamp: new Date(), version: -1 }, 'x'.repeat(100_000)]) await say(bad);
    // From beyond tomorrow: forged, must raise no floor.
    await say({ wallet: 'w', timestamp: new Date(), version: Number.MAX_SAFE_INTEGER });
    await until('all were counted', () => cache.getStats().eventsMalformed === 11 && cache.getStats().eventsReceived === 1).catch(() => expect(cache.getStats()).toMatchObject({ eventsMalformed: 11, eventsReceived: 1 }));
    // `until`: a thread that stood still for a second hides its L1 until L2 has confirmed it. What has been dropped does not come back by itself.
    await until('it is still in L1', () => cache.getProfileSync('w') !== undefined);
    expect(cache.getProfileSync('w')).toEqual({ n: 1 });
    await say({ wallet: 'w', timestamp: new Date().toISOString() });
    await until('the foreign publisher is understood', () => cache.getEntry('w') === undefined);
    await until('the other is still in L1', () => cache.getEntry('v') !== undefined);
    expect(await cache.getProfile('w')).toEqual({ n: 1 });
    redis.disconnect();
  });
});
