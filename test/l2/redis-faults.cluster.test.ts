/** Nodes that die or hang. Everything here has servers of its own: the shared cluster stays whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { RedisSource } from '../../src/channel/redis-source.ts';
import { startLocalCluster, startStandalone } from '../../src/l2/local-cluster.ts';
import type { LocalCluster, LocalStandalone } from '../../src/l2/local-cluster.ts';
import type { RedisStore } from '../../src/l2/redis-store.ts';
import { bare, del, envelope, openStore, redisOptions, set, testContext, until } from '../support/redis.ts';

const CLUSTER_PORT = 17_400;
const STANDALONE_PORT = 17_395;
const TIMEOUT_MS = 300;
/** The test's machine may be busy; what must not happen is waiting for the node. */
const SLACK_MS = 1_500;

const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const wallets = Array.from({ length: 300 }, (_, i) => `w${i}`);

describe('a Redis that hangs', () => {
  let server: LocalStandalone;
  beforeAll(async () => {
    server = await startStandalone({ port: STANDALONE_PORT });
  });
  afterAll(() => server.stop());

  it('every call fails within its time, and a write that was reported as failed never takes effect', async () => {
    const options = redisOptions([server]);
    const context = { ...testContext, commandTimeoutMs: TIMEOUT_MS, channelName: options.keyPrefix };
    const heard: string[] = [];
    const source = new RedisSource(options, context);
    closers.push(() => source.close());
    await source.start({ onMessage: (text) => heard.push(text), onGap: () => undefined });
    const store = await openStore(options, context);
    closers.push(() => store.close());
    expect((await store.setMany(wallets.map((wallet) => set(wallet, 1)))).filter(({ status }) => status !== 'stored')).toEqual([]);

    process.kill(server.pid, 'SIGSTOP');
    try {
      const startMs = performance.now();
      // The first batch reaches the socket of the stopped process, where it waits to be carried out.
      const outcomes = await store.setMany(wallets.map((wallet) => ({ ...set(wallet, 2), event: `event of ${wallet}` })));
      expect(outcomes.filter(({ status }) => status !== 'failed')).toEqual([]);
      expect(performance.now() - startMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
      for (let i = 0; i < 4; i++) {
        const againMs = performance.now();
        const [read] = await store.getMany(['w0']);
        const [write] = await store.setMany([set('w1', 3)]);
        expect(read.status === 'failed' && write.status === 'failed' && [read.error.code, write.error.code]).toEqual(expect.arrayContaining([expect.stringMatching(/ERR_L2_(TIMEOUT|UNAVAILABLE)/)]));
        expect(performance.now() - againMs).toBeLessThan(2 * TIMEOUT_MS + SLACK_MS);
      }
      expect((await store.health()).reachable).toBe(false);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }

    await until('the store to be back', async () => (await store.getMany(['w0']))[0].status === 'hit');
    await sleep(300);
    const found = await store.getMany(wallets);
    found.forEach((outcome, i) => {
      if (outcome.status !== 'hit' || Buffer.compare(outcome.envelope, envelope(wallets[i], 1)) !== 0) expect.fail(`${wallets[i]}: a write came back from the dead`);
    });
    expect(heard).toEqual([]);
    expect((await store.setMany([set('w0', 2)]))[0]).toEqual({ status: 'stored' });
  });
});

describe('a Redis that hangs, a store that would be patient, and a caller who is not', () => {
  it('every verb ends at the deadline it was given, and no write takes effect after it', async () => {
    const server = await startStandalone({ port: STANDALONE_PORT });
    closers.push(() => server.stop());
    const store = await openStore(redisOptions([server]), { commandTimeoutMs: 30_000 });
    closers.push(() => store.close());
    await store.setMany(wallets.map((wallet) => set(wallet, 1)));
    const calls: [string, (deadlineMs: number) => Promise<unknown>][] = [
      ['getMany', (at) => store.getMany(['w0'], at).then(([outcome]) => outcome.status)],
      ['setMany', (at) => store.setMany([set('w1', 2)], at).then(([outcome]) => outcome.status)],
      ['deleteMany', (at) => store.deleteMany([del('w2', 2)], at).then(([outcome]) => outcome.status)],
      ['clear', (at) => store.clear(1, undefined, at)],
      ['publish', (at) => store.publish('x', at)],
      ['getBlob', (at) => store.getBlob('b', at)],
      ['putBlobIfAbsent', (at) => store.putBlobIfAbsent('b', Uint8Array.of(1), at)],
      ['acquireLease', (at) => store.acquireLease('w', 't', 60_000, at)],
      ['releaseLease', (at) => store.releaseLease('w', 't', at)],
      ['health', async (at) => ((await store.health(at)).reachable ? 'reachable' : 'failed')],
    ];
    process.kill(server.pid, 'SIGSTOP');
    try {
      const startMs = performance.now();
      const outcomes = await Promise.all(calls.map(async ([name, call]) => [name, await call(systemClock.monotonicMs() + TIMEOUT_MS).catch((error: { code: string }) => error.code)]));
      expect(performance.now() - startMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
      for (const [name, outcome] of outcomes) expect([name, outcome]).toEqual([name, expect.stringMatching(/^(failed|ERR_L2_(TIMEOUT|UNAVAILABLE))$/)]);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await until('the store to be back', async () => (await store.getMany(['w0']))[0].status === 'hit');
    await sleep(300);
    for (const outcome of await store.getMany(wallets)) expect(outcome).toMatchObject({ status: 'hit' });
    const [found] = await store.getMany(['w1']);
    expect(found.status === 'hit' && Buffer.compare(found.envelope, envelope('w1', 1))).toBe(0);
  });
});

describe('an answer that comes too late', () => {
  it('changes nothing in the outcomes that were given', async () => {
    const server = await startStandalone({ port: STANDALONE_PORT });
    closers.push(() => server.stop());
    const store = await openStore(redisOptions([server]), { commandTimeoutMs: TIMEOUT_MS });
    closers.push(() => store.close());
    await store.setMany([set('w', 1)]);
    process.kill(server.pid, 'SIGSTOP');
    const [reads, writes] = await Promise.all([store.getMany(['w', 'x']), store.setMany([set('w', 2)])]).finally(() => process.kill(server.pid, 'SIGCONT'));
    expect([...reads, ...writes].map(({ status }) => status)).toEqual(['failed', 'failed', 'failed']);
    // The connection still stands, and the answers are on their way.
    await until('the store to be back', async () => (await store.getMany(['w']))[0].status === 'hit');
    await sleep(100);
    expect([...reads, ...writes].map(({ status }) => status)).toEqual(['failed', 'failed', 'failed']);
    expect(Buffer.compare((await store.getMany(['w'])).map((outcome) => (outcome.status === 'hit' ? outcome.envelope : new Uint8Array(0)))[0], envelope('w', 1))).toBe(0);
  });
});

describe('a cluster that loses nodes', () => {
  let cluster: LocalCluster;
  let store: RedisStore;
  beforeAll(async () => {
    cluster = await startLocalCluster({ basePort: CLUSTER_PORT, nodeTimeoutMs: 1_000 });
  });
  afterAll(() => cluster.stop());
  afterEach(async () => {
    for (const { pid } of cluster.nodes) {
      try {
        process.kill(pid, 'SIGCONT');
      } catch {
        // A killed node has no process to wake.
      }
    }
    for (const node of await cluster.status()) if (!node.alive) await cluster.restartNode(node.port);
    await cluster.waitUntilHealthy();
  });

  const master = async () => (await cluster.status()).find(({ role, slotsCovered }) => role === 'master' && slotsCovered > 0)!;
  /** Whether each replica is where its master is: what it has not got is lost when the master dies, by design of Redis. */
  const replicated = async (): Promise<boolean> => {
    const infos = await Promise.all(cluster.nodes.map(async (node) => {
      const redis = await bare(node);
      const info = await redis.info('replication').finally(() => redis.disconnect());
      const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
      return { port: String(node.port), isMaster: field('role') === 'master', of: field('master_port'), at: field('master_repl_offset') };
    }));
    return infos.every((info) => info.isMaster || infos.some((master) => master.port === info.of && master.at === info.at));
  };
  const begin = async (): Promise<void> => {
    store = await openStore(redisOptions(cluster.nodes), { commandTimeoutMs: TIMEOUT_MS });
    closers.push(() => store.close());
    await until('the first write', async () => (await store.setMany(wallets.map((wallet) => set(wallet, 10)))).every(({ status }) => status !== 'failed'));
    await until('the replicas to have it too', replicated);
  };

  it.each(['SIGKILL', 'SIGSTOP'] as const)('a master gets %s: the other keys stay, its own fail in time and come back, versions hold', async (signal) => {
    await begin();
    const victim = await master();
    process.kill(victim.pid, signal);
    const startMs = performance.now();
    const first = await store.getMany(wallets);
    expect(performance.now() - startMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    const hits = first.filter(({ status }) => status === 'hit').length;
    const failed = first.filter(({ status }) => status === 'failed').length;
    expect(hits + failed).toBe(wallets.length);
    // It served a third of the slots.
    expect(failed).toBeGreaterThan(wallets.length / 5);
    expect(failed).toBeLessThan(wallets.length / 2);

    // Events need no particular node.
    await store.publish('while it is away');

    await until('its slots to be served again', async () => (await store.getMany(wallets)).every(({ status }) => status === 'hit'), 15_000);
    expect((await store.setMany(wallets.map((wallet) => set(wallet, 9)))).filter(({ status }) => status !== 'older')).toEqual([]);
    expect((await store.setMany(wallets.map((wallet) => set(wallet, 11)))).filter(({ status }) => status !== 'stored')).toEqual([]);
    const health = await store.health();
    expect(health.slotsCovered).toBe(16_384);
    expect(health.nodes.find(({ node }) => node.endsWith(`:${victim.port}`))).toMatchObject({ reachable: false });

    if (signal === 'SIGSTOP') process.kill(victim.pid, 'SIGCONT');
    else await cluster.restartNode(victim.port);
    await until('all six to be reachable', async () => (await store.health()).nodes.filter(({ reachable }) => reachable).length === 6, 15_000);
    for (const outcome of await store.getMany(wallets)) {
      if (outcome.status !== 'hit' || Buffer.from(outcome.envelope).readDoubleLE(24) !== 11) expect.fail('the newest version is gone');
    }
  });

  it('a failover on command is not noticed: no call fails, no version goes back', async () => {
    await begin();
    const newest = new Map<string, number>();
    const problems: string[] = [];
    let stop = false;
    const load = (async () => {
      for (let version = 20; !stop; version++) {
        const written = await store.setMany(wallets.slice(0, 60).map((wallet) => set(wallet, version)));
        written.forEach((outcome, i) => {
          if (outcome.status === 'stored') newest.set(wallets[i], version);
          else problems.push(`write ${outcome.status === 'failed' ? outcome.error.message : outcome.status}`);
        });
        const read = await store.getMany(wallets.slice(0, 60));
        read.forEach((outcome, i) => {
          if (outcome.status === 'failed') problems.push(`read ${outcome.error.message}`);
          else if (outcome.status !== 'hit' || Buffer.from(outcome.envelope).readDoubleLE(24) < newest.get(wallets[i])!) problems.push(`${wallets[i]} went back`);
        });
        await sleep(5);
      }
    })();
    for (let i = 0; i < 3; i++) {
      const replica = (await cluster.status()).find(({ role }) => role === 'replica')!;
      const redis = await bare(replica);
      await redis.cluster('FAILOVER');
      await until('the replica to take over', async () => (await redis.info('replication')).includes('role:master'));
      redis.disconnect();
      await sleep(500);
    }
    stop = true;
    await load;
    expect(problems).toEqual([]);
  });

  it('all of it away and back: calls fail fast, and it heals by itself', async () => {
    await begin();
    const ports = cluster.nodes.map(({ port }) => port);
    for (const { pid } of cluster.nodes) process.kill(pid, 'SIGKILL');
    await until('failures', async () => (await store.getMany(['w0']))[0].status === 'failed');
    const startMs = performance.now();
    for (let i = 0; i < 20; i++) expect((await store.setMany([set('w0', 50)]))[0].status).toBe('failed');
    expect(performance.now() - startMs).toBeLessThan(20 * TIMEOUT_MS);
    expect(await store.health()).toMatchObject({ reachable: false, slotsCovered: 0 });
    for (const port of ports) await cluster.restartNode(port);
    await until('the store to be back', async () => (await store.setMany(wallets.map((wallet) => set(wallet, 60)))).every(({ status }) => status !== 'failed'), 30_000);
    expect((await store.getMany(wallets)).filter(({ status }) => status !== 'hit')).toEqual([]);
  }, 60_000);
});
