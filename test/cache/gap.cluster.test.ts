/** Lost messages, deaf subscriptions and dead publishers on a real cluster: what L1 serves is checked, and by when. */
import type { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { UpdateChannel, type Voice } from '../../src/channel/update-channel.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';
import { bare, freshPrefix } from '../support/redis.ts';
import { redisCluster } from '../support/redis-servers.ts';
import { OwnTime } from '../support/own-time.ts';

/** From the fault on; the promise is native-notes/coherence.md's. The measurement's own granularity is 5 ms. */
const STALE_MS = 1_500;

/** Private to TypeScript alone. */
interface Insides {
  source: { node: string | undefined; renew(reason: string): void };
  onMessage(text: string): void;
  voice: Voice;
}
/** The channels of the caches, in the order they were opened. */
const channels: Insides[] = [];
const { start } = UpdateChannel.prototype;
UpdateChannel.prototype.start = function record(...args) {
  channels.push(this as unknown as Insides);
  return start.apply(this, args);
};

closeCachesAfterEach();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  channels.length = 0;
});

const nodes = () => redisCluster.nodes;
const settings = (more: object = {}) => ({ l2: { kind: 'redis' as const, nodes: nodes().map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix(), ...more }, workers: 1 });

async function connections(): Promise<Redis[]> {
  const all = await Promise.all(nodes().map((node) => bare(node)));
  closers.push(() => all.forEach((redis) => redis.disconnect()));
  return all;
}

describe('a reader and a writer', () => {
  async function pair() {
    const channel = { name: freshPrefix() };
    const options = { ...settings(), channel };
    const [reader, writer] = [await openCache(options), await openCache(options)];
    const gaps: string[] = [];
    reader.on('channelGap', (reason) => gaps.push(reason));
    // Both have met each other.
    await sleep(1_000);
    gaps.length = 0;
    return { reader, writer, gaps, channel: channel.name };
  }

  test('a killed subscription, every 2 s under load: nothing stale 1.5 s after each kill, and what has not changed stays in L1', async () => {
    const { reader, writer, gaps } = await pair();
    const all = await connections();
    const wallets = Array.from({ length: 200 }, (_, i) => `w${i}`);
    await writer.updateProfiles(wallets.map((wallet) => [wallet, { i: 0 }]));
    await reader.warm(wallets);
    let value = 0;
    for (let round = 0; round < 3; round++) {
      const killing = Promise.all(all.map((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')));
      const newest = new Map<string, number>();
      for (let i = 0; i < 20; i++) {
        const wallet = wallets[(round * 20 + i) % 100];
        newest.set(wallet, ++value);
        await writer.updateProfile(wallet, { i: value });
      }
      await killing;
      await sleep(STALE_MS);
      for (const [wallet, i] of newest) {
        const seen = reader.getProfileSync(wallet);
        if (seen !== undefined) expect(seen.i, wallet).toBe(i);
      }
    }
    expect(gaps.length).toBeGreaterThanOrEqual(3);
    expect(reader.getStats().revalidated).toBeGreaterThan(100);
    // Never written again, and still there.
    for (const wallet of wallets.slice(100)) expect(reader.getProfileSync(wallet), wallet).toEqual({ i: 0 });
  });

  test('a single lost message is noticed, and L1 says so', async () => {
    const { reader, writer, gaps } = await pair();
    await writer.updateProfile('w', { i: 1 });
    await reader.getProfile('w');
    // Its message gets lost: it is not sent, and counted as sent.
    const { outgoing } = channels[1].voice;
    const event = outgoing.event.bind(outgoing);
    outgoing.event = (...args) => ({ seq: event(...args).seq, text: '' });
    await writer.updateProfile('w', { i: 2 });
    const own = new OwnTime();
    outgoing.event = event;
    expect(reader.getProfileSync('w')).toEqual({ i: 1 });
    await until('the new profile', async () => (await reader.getProfile('w'))?.i === 2);
    expect(own.stop()).toBeLessThan(STALE_MS);
    expect(gaps).toEqual([expect.stringMatching(/^1 events of publisher .* did not come$/)]);
  });

  test('a node that hangs while it is listened to: nothing stale after 1.5 s', async () => {
    const { reader, writer, gaps } = await pair();
    const all = await connections();
    const roles = await Promise.all(all.map((redis) => redis.info('replication')));
    await writer.updateProfile('w', { i: 1 });
    await reader.getProfile('w');
    const replicas = nodes().filter((_node, i) => roles[i].includes('role:slave'));
    const [{ source }] = channels;
    // Until it listens at a replica: stopping one moves no slots under the other files.
    await until('a replica is listened to', async () => {
      if (replicas.some(({ host, port }) => source.node === `${host}:${port}`)) return true;
      source.renew('the test wants another node');
      await sleep(50);
      return false;
    }, 20_000);
    await until('L1 is checked', () => reader.getProfileSync('w') !== undefined);
    gaps.length = 0;
    const hung = replicas.find(({ host, port }) => source.node === `${host}:${port}`)!;
    process.kill(hung.pid, 'SIGSTOP');
    try {
      const own = new OwnTime();
      await writer.updateProfile('w', { i: 2 });
      await until('the new profile', async () => (await reader.getProfile('w'))?.i === 2);
      expect(own.stop()).toBeLessThan(STALE_MS);
    } finally {
      process.kill(hung.pid, 'SIGCONT');
    }
    await until('the gap', () => gaps.length > 0);
  });

  test('a subscription that is up and hears nothing is found by our own heartbeats', async () => {
    const { reader, writer, gaps } = await pair();
    await writer.updateProfile('w', { i: 1 });
    await reader.getProfile('w');
    const [channel] = channels;
    const { node } = channel.source;
    const { onMessage } = channel;
    channel.onMessage = function hear(text) {
      // Only what comes through another node is heard; the connection stands, and its PINGs are answered.
      if (channel.source.node !== node) onMessage.call(channel, text);
    };
    const own = new OwnTime();
    await writer.updateProfile('w', { i: 2 });
    await until('the new profile', async () => (await reader.getProfile('w'))?.i === 2);
    expect(own.stop()).toBeLessThan(STALE_MS + 500);
    expect(gaps[0]).toMatch(/own heartbeats|fell silent/);
    await until('another node is listened to', () => channel.source.node !== undefined && channel.source.node !== node);
  });

  test('a publisher that closes is not missed, one that dies is', async () => {
    const { writer, gaps, channel } = await pair();
    await writer.close();
    await sleep(1_800);
    expect(gaps).toEqual([]);
    await openCache({ ...settings(), channel: { name: channel } });
    await sleep(600);
    channels[2].voice.publish = () => Promise.reject(new Error('dead'));
    await until('the silence is noticed', () => gaps.some((reason) => reason.includes('fell silent')));
  });
});
