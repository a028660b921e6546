import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Redis } from 'ioredis';
import { RedisSource } from '../../src/channel/redis-source.ts';
import { MAX_MESSAGE_BYTES } from '../../src/channel/subscription.ts';
import type { RedisL2Options } from '../../src/options.ts';
import { bare, redisOptions, testContext, until } from '../support/redis.ts';
import type { Address } from '../support/redis.ts';
import { OwnTime } from '../support/own-time.ts';
import { redisCluster, redisStandalone } from '../support/redis-servers.ts';

const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Ear {
  source: RedisSource;
  channel: string;
  messages: string[];
  gaps: string[];
}

async function listen(options: RedisL2Options): Promise<Ear> {
  const channel = options.keyPrefix;
  const source = new RedisSource(options, { ...testContext, channelName: channel });
  const ear: Ear = { source, channel, messages: [], gaps: [] };
  await source.start({ onMessage: (text) => ear.messages.push(text), onGap: (reason) => ear.gaps.push(reason) });
  closers.push(() => source.close());
  return ear;
}

async function connected(address: Address): Promise<Redis> {
  const redis = await bare(address);
  closers.push(() => redis.disconnect());
  return redis;
}

describe('Redis channel source', () => {
  it('hears what any node of the cluster publishes, in order from each of them, as text', async () => {
    const { nodes } = redisCluster;
    const ear = await listen(redisOptions([nodes[0]]));
    for (const node of nodes) {
      const redis = await connected(node);
      for (let i = 0; i < 20; i++) await redis.publish(ear.channel, `${node.port} ${i} é🦊`);
    }
    await until('all messages', () => ear.messages.length === 20 * nodes.length);
    for (const node of nodes) expect(ear.messages.filter((text) => text.startsWith(String(node.port)))).toEqual(Array.from({ length: 20 }, (_, i) => `${node.port} ${i} é🦊`));
    expect(ear.gaps).toEqual([]);
  });

  it('works on a standalone Redis', async () => {
    const ear = await listen(redisOptions([redisStandalone]));
    await (await connected(redisStandalone)).publish(ear.channel, 'hello');
    await until('the message', () => ear.messages.includes('hello'));
  });

  it('a killed subscription is a gap, and is made anew', async () => {
    const ear = await listen(redisOptions(redisCluster.nodes));
    const all = await Promise.all(redisCluster.nodes.map(connected));
    for (let round = 1; round <= 3; round++) {
      await Promise.all(all.map((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')));
      await until('the gap', () => ear.gaps.length === round, 5_000);
      await all[0].publish(ear.channel, `after ${round}`);
      await until('the next message', () => ear.messages.includes(`after ${round}`), 5_000);
    }
  });

  it('leaves a node that hangs for another within 1.5 s, and reports the gap', async () => {
    const { nodes } = redisCluster;
    const all = await Promise.all(nodes.map(connected));
    const roles = await Promise.all(all.map((redis) => redis.info('replication')));
    // A replica: stopping it moves no slots under the other files.
    const replica = nodes[roles.findIndex((info) => info.includes('role:slave'))];
    const ear = await listen(redisOptions([replica]));
    expect(ear.source.node).toBe(`${replica.host}:${replica.port}`);
    const own = new OwnTime();
    process.kill(replica.pid, 'SIGSTOP');
    try {
      await until('the gap', () => ear.gaps.length === 1, 5_000);
      expect(own.stop()).toBeLessThan(1_500);
    } finally {
      process.kill(replica.pid, 'SIGCONT');
    }
    expect(ear.gaps[0]).toMatch(/did not answer/);
    expect(ear.source.node).not.toBe(`${replica.host}:${replica.port}`);
    await all[roles.findIndex((info) => info.includes('role:master'))].publish(ear.channel, 'after');
    await until('the next message', () => ear.messages.includes('after'));
  });

  it('our own thread standing still is not taken for a dead node', async () => {
    const ear = await listen(redisOptions(redisCluster.nodes));
    const redis = await connected(redisCluster.nodes[0]);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    await redis.publish(ear.channel, 'still here');
    await until('the message', () => ear.messages.includes('still here'));
    await sleep(600);
    expect(ear.gaps).toEqual([]);
  });

  it('makes no more than a bounded text of a message, however long, for the reader to refuse', async () => {
    const ear = await listen(redisOptions(redisCluster.nodes));
    const redis = await connected(redisCluster.nodes[0]);
    await redis.publish(ear.channel, 'x'.repeat(5 * MAX_MESSAGE_BYTES));
    await redis.publish(ear.channel, 'after');
    await until('both messages', () => ear.messages.length === 2);
    expect(ear.messages[0]).toHaveLength(MAX_MESSAGE_BYTES);
    expect(ear.messages[1]).toBe('after');
  });

  it('is silent after close, which may be called twice', async () => {
    const ear = await listen(redisOptions(redisCluster.nodes));
    const redis = await connected(redisCluster.nodes[0]);
    await ear.source.close();
    await ear.source.close();
    expect(await redis.publish(ear.channel, 'too late')).toBe(0);
    await sleep(300);
    expect(ear.messages).toEqual([]);
    expect(ear.gaps).toEqual([]);
    await expect(ear.source.start({ onMessage: () => undefined, onGap: () => undefined })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});
