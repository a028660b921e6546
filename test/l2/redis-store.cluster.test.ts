import { afterEach, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { keyLayout, keySlot } from '../../src/l2/slots.ts';
import { STAMPS } from '../../src/clock.ts';
import { ENVELOPE } from '../../src/codec/envelope.ts';
import type { RedisStore } from '../../src/l2/redis-store.ts';
import { bare, del, envelope, openStore, redisOptions, set } from '../support/redis.ts';
import type { Address } from '../support/redis.ts';
import { redisCluster } from '../support/redis-servers.ts';

const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function opened(...given: Parameters<typeof openStore>): Promise<RedisStore> {
  const store = await openStore(...given);
  closers.push(() => store.close());
  return store;
}

async function connected(address: Address): Promise<Redis> {
  const redis = await bare(address);
  closers.push(() => redis.disconnect());
  return redis;
}

/** Bare connections to all masters, by the number of the slot they serve. */
async function masters(): Promise<{ all: Redis[]; of: (slot: number) => Redis }> {
  const { nodes } = redisCluster;
  const first = await connected(nodes[0]);
  const ranges = (await first.cluster('SLOTS')) as unknown as Array<[number, number, [string, number]]>;
  const found = await Promise.all(ranges.map(async ([from, to, [host, port]]) => ({ from, to, redis: await connected({ host, port }) })));
  return { all: found.map(({ redis }) => redis), of: (slot) => found.find(({ from, to }) => slot >= from && slot <= to)!.redis };
}

describe('Redis store on a six-node cluster', () => {
  for (const buckets of [256, 0]) {
    it(`10,000 wallets in one batch, ${buckets} buckets: each its own value, byte for byte`, async () => {
      const store = await opened(redisOptions(redisCluster.nodes, { buckets }), { commandTimeoutMs: 15_000 });
      const wallets = Array.from({ length: 10_000 }, (_, i) => `wallet ${i}`);
      const written = await store.setMany(wallets.map((wallet, i) => set(wallet, i + 1, `${wallet} ${'x'.repeat(i % 2_000)}`)));
      expect(written.filter(({ status }) => status !== 'stored')).toEqual([]);
      const found = await store.getMany([...wallets, 'nobody']);
      wallets.forEach((wallet, i) => {
        const outcome = found[i];
        if (outcome.status !== 'hit' || Buffer.compare(outcome.envelope, envelope(wallet, i + 1, `${wallet} ${'x'.repeat(i % 2_000)}`)) !== 0) expect.fail(`${wallet}: ${outcome.status}`);
      });
      expect(found.at(-1)).toEqual({ status: 'miss' });
    });
  }

  it('a blob is read from any of its copies; who writes it again gives the lost ones what the others say', async () => {
    const options = redisOptions(redisCluster.nodes);
    const store = await opened(options);
    const { of } = await masters();
    const keys = keyLayout(options.keyPrefix, options.buckets).blobKeysOf('b');
    const text = async () => Buffer.from((await store.getBlob('b')) ?? []).toString();
    expect(await store.getBlob('b')).toBeUndefined();
    await store.putBlobIfAbsent('b', Buffer.from('one'));
    for (const key of keys) expect(await of(keySlot(key)).get(key)).toBe('one');
    for (const kept of keys) {
      for (const key of keys) if (key !== kept) await of(keySlot(key)).del(key);
      expect(await text()).toBe('one');
      await store.putBlobIfAbsent('b', Buffer.from('one'));
    }
    await of(keySlot(keys[1])).del(keys[1]);
    expect(Buffer.from(await store.putBlobIfAbsent('b', Buffer.from('two'))).toString()).toBe('one');
    expect(await of(keySlot(keys[1])).get(keys[1])).toBe('one');
  });

  it('a value that is handed out owns its memory', async () => {
    const store = await opened(redisOptions(redisCluster.nodes));
    await store.setMany([set('a', 1), set('b', 1)]);
    for (const outcome of await store.getMany(['a', 'b'])) {
      if (outcome.status !== 'hit') return expect.fail(outcome.status);
      expect(outcome.envelope.buffer.byteLength).toBe(outcome.envelope.length);
    }
  });

  it('bytes at our key that are no envelope of ours count as absent and are overwritten', async () => {
    const options = redisOptions(redisCluster.nodes);
    const layout = keyLayout(options.keyPrefix, options.buckets);
    const { of } = await masters();
    const store = await opened(options);
    const withVersion = (version: number) => {
      const bytes = Buffer.from(envelope('w', 1));
      bytes.writeDoubleLE(version, ENVELOPE.versionOffset);
      return bytes;
    };
    // Each of the hostile versions would block the key for ever if it were believed.
    const foreign = [Buffer.from(''), Buffer.from('{"json":true}'), Buffer.alloc(200, 0xff), Buffer.from(envelope('w', 9)).subarray(0, 40), ...[Infinity, Number.NaN, -1, 2.5, 2 ** 53, 1e300].map(withVersion)];
    for (const bytes of foreign) {
      await of(layout.slotOf('w')).set(layout.keyOf('w'), bytes);
      expect(await store.setMany([set('w', 2)])).toEqual([{ status: 'stored' }]);
    }
    // A version from beyond tomorrow is damage, by our calendar and by that of the node; one of today is another process's.
    const stampOf = (wallMs: number) => Math.floor((wallMs - STAMPS.epochMs) * STAMPS.perMs);
    const now = stampOf(Date.now());
    for (const [stored, own, outcome] of [
      [2 ** 53 - 1, now, 'stored'],
      [stampOf(Date.now() + STAMPS.maxSkewMs + 60_000), now, 'stored'],
      [stampOf(Date.now() + STAMPS.maxSkewMs - 60_000), now, 'older'],
      // The calendar of the node may be the wrong one: then the writer's own stamp speaks for what is there.
      [2 ** 53 - 1, 2 ** 53 - 2, 'older'],
    ] as const) {
      await of(layout.slotOf('w')).set(layout.keyOf('w'), withVersion(stored));
      const [found] = await store.setMany([set('w', own)]);
      expect(found.status, String(stored)).toBe(outcome);
    }
  });

  it('a value of another type is a miss, is replaced by the next write, and is counted', async () => {
    const options = redisOptions(redisCluster.nodes);
    const layout = keyLayout(options.keyPrefix, options.buckets);
    const { of } = await masters();
    const store = await opened(options);
    await of(layout.slotOf('w')).rpush(layout.keyOf('w'), 'a', 'list');
    expect(await store.getMany(['w'])).toEqual([{ status: 'miss' }]);
    expect(await store.setMany([set('w', 3)])).toEqual([{ status: 'stored' }]);
    expect(store.counters.repaired).toBe(1);
    expect((await store.getMany(['w']))[0].status).toBe('hit');
  });

  it('scripts that a node has forgotten are sent again', async () => {
    const store = await opened(redisOptions(redisCluster.nodes));
    const { all } = await masters();
    const wallets = Array.from({ length: 300 }, (_, i) => `w${i}`);
    for (let round = 1; round <= 3; round++) {
      await Promise.all(all.map((redis) => redis.script('FLUSH')));
      expect((await store.setMany(wallets.map((wallet) => set(wallet, round)))).filter(({ status }) => status !== 'stored')).toEqual([]);
    }
    await Promise.all(all.map((redis) => redis.script('FLUSH')));
    expect(await store.acquireLease('w', 'token', 60_000)).toBe(true);
    await store.releaseLease('w', 'token');
    expect(await store.acquireLease('w', 'other', 60_000)).toBe(true);
    await store.clear(99);
    expect((await store.getMany(wallets)).filter(({ status }) => status !== 'miss')).toEqual([]);
  });

  it('who has waited for a lease takes it when it was given back, and not when it was lost', async () => {
    const options = redisOptions(redisCluster.nodes);
    const store = await opened(options);
    const waits = (token: string) => store.acquireLease('w', token, 60_000, undefined, true);
    expect(await store.acquireLease('w', 'one', 60_000)).toBe(true);
    expect(await waits('two')).toBe(false);
    await store.releaseLease('w', 'one');
    expect(await waits('two')).toBe(true);
    expect(await waits('two')).toBe(true);
    const key = keyLayout(options.keyPrefix, options.buckets).leaseKeyOf('w');
    expect(await (await masters()).of(keySlot(key)).del(key)).toBe(1);
    expect(await waits('three')).toBe('lost');
    // Its holder renews it: nobody else has it then.
    expect(await store.acquireLease('w', 'two', 60_000)).toBe(true);
    expect(await waits('three')).toBe(false);
    expect(await store.acquireLease('w', 'three', 60_000)).toBe(false);
  });

  it.each(['replica', 'replica-preferred'] as const)('readMode %s: reads are answered by replicas, writes go to masters', async (readMode) => {
    const { nodes } = redisCluster;
    const store = await opened(redisOptions(nodes, { readMode }));
    const all = await Promise.all(nodes.map(connected));
    const wallets = Array.from({ length: 600 }, (_, i) => `w${i}`);
    await store.setMany(wallets.map((wallet) => set(wallet, 1)));
    await sleep(100);
    const roles = await Promise.all(all.map(async (redis) => (await redis.info('replication')).includes('role:master')));
    const mgets = async () => Promise.all(all.map(async (redis) => Number(/cmdstat_mget:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)));
    const before = await mgets();
    expect((await store.getMany(wallets)).filter(({ status }) => status !== 'hit')).toEqual([]);
    const after = await mgets();
    roles.forEach((isMaster, i) => {
      if (isMaster) expect(after[i]).toBe(before[i]);
      else expect(after[i]).toBeGreaterThan(before[i]);
    });
  });

  for (const buckets of [256, 0]) {
    it(`clear touches no key outside its prefix, ${buckets} buckets, even when the prefix holds wildcards`, async () => {
      const prefix = `p*[a]?${Date.now()}:`;
      const store = await opened(redisOptions(redisCluster.nodes, { keyPrefix: prefix, buckets }));
      // What the same text would match as a pattern.
      const neighbour = await opened(redisOptions(redisCluster.nodes, { keyPrefix: prefix.replace('*[a]?', 'xxax'), buckets }));
      const wallets = Array.from({ length: 1_500 }, (_, i) => `{w}${i}`);
      await Promise.all([store, neighbour].map((each) => each.setMany(wallets.map((wallet) => set(wallet, 5)))));
      await store.deleteMany([del('{w}0', 6)]);
      await store.clear(10);
      const left = await store.getMany(wallets);
      expect(left[0]).toEqual({ status: 'miss', floor: 6 });
      expect(left.slice(1).filter(({ status }) => status !== 'miss')).toEqual([]);
      expect((await neighbour.getMany(wallets)).filter(({ status }) => status !== 'hit')).toEqual([]);
      await neighbour.clear(10);
    });
  }

  it('nowMs is the time of the servers', async () => {
    const store = await opened(redisOptions(redisCluster.nodes));
    const redis = await connected(redisCluster.nodes[0]);
    const [seconds, micros] = await redis.time();
    expect(Math.abs(store.nowMs() - (Number(seconds) * 1e3 + Number(micros) / 1e3))).toBeLessThan(100);
  });

  it('a clear of a cache that holds nothing, and events without an update, are fine', async () => {
    const store = await opened(redisOptions(redisCluster.nodes));
    await store.clear(1, 'cleared');
    await store.publish('hello');
  });
});
