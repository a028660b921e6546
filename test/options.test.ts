/** Every option: what is refused, and that it is not ignored. Options of the stores themselves are tested with the stores. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeL2, parseL2Url, parseOptions, type ProfileCacheOptions } from '../src/options.ts';
import { ProfileCache } from '../src/profile-cache.ts';
import { closeCachesAfterEach, openCache, until } from './support/caches.ts';

const home = mkdtempSync(join(tmpdir(), 'profilecache-options-'));
let folders = 0;
afterAll(() => rmSync(home, { recursive: true, force: true }));
const embedded = () => ({ kind: 'embedded' as const, path: join(home, String(++folders)) });

describe('what is refused', () => {
  const redis = (more: object) => ({ l2: { kind: 'redis', nodes: [{ host: 'h', port: 1 }], ...more } });
  const bad: [option: string, options: unknown][] = [
    ['options', 5],
    ['options', null],
    ['options', []],
    ['l1', { l1: [] }],
    ['load', { load: [] }],
    ['codec', { codec: [] }],
    ['channel', { channel: [] }],
    ['unknown', { unknown: 1 }],
    ['l1.unknown', { l1: { unknown: 1 } }],
    ...[Number.NaN, -1, 0, 1.5, Infinity, '5', null, 2 ** 40].map((value): [string, unknown] => ['l1.maxProfiles', { l1: { maxProfiles: value } }]),
    ...[Number.NaN, -1, 0, 100, Infinity, '64mb'].map((value): [string, unknown] => ['l1.maxBytes', { l1: { maxBytes: value } }]),
    ['l1.eviction', { l1: { eviction: 'fifo' } }],
    ...[Number.NaN, -1, 0.5].map((value): [string, unknown] => ['l1.nearProfiles', { l1: { nearProfiles: value } }]),
    ...[Number.NaN, -1, 0, Infinity, '300'].map((value): [string, unknown] => ['l2TtlSeconds', { l2TtlSeconds: value }]),
    ...[Number.NaN, -0.1, 1, 2].map((value): [string, unknown] => ['l2TtlJitter', { l2TtlJitter: value }]),
    ...[Number.NaN, -1, 0, 1.5, Infinity].map((value): [string, unknown] => ['l2TimeoutMs', { l2TimeoutMs: value }]),
    ...[Number.NaN, -1, 0].map((value): [string, unknown] => ['connectTimeoutMs', { connectTimeoutMs: value }]),
    ...[Number.NaN, -1, 0, 65, 1.5].map((value): [string, unknown] => ['workers', { workers: value }]),
    ...[Number.NaN, -1, 0, 2 ** 30].map((value): [string, unknown] => ['maxProfileBytes', { maxProfileBytes: value }]),
    ...[Number.NaN, -1, 0.5].map((value): [string, unknown] => ['maxQueuedWrites', { maxQueuedWrites: value }]),
    ...[Number.NaN, 0].map((value): [string, unknown] => ['loadLeaseMs', { loadLeaseMs: value }]),
    ...[Number.NaN, -1, Infinity, '5'].flatMap((value): [string, unknown][] => [['load.graceSeconds', { load: { graceSeconds: value } }], ['load.negativeTtlSeconds', { load: { negativeTtlSeconds: value } }]]),
    ...[Number.NaN, -1, 0, 1.5].flatMap((value): [string, unknown][] => [['load.softTimeoutMs', { load: { softTimeoutMs: value } }], ['load.hardTimeoutMs', { load: { hardTimeoutMs: value } }], ['load.maxNegatives', { load: { maxNegatives: value } }]]),
    ...[Number.NaN, 0, 1, -0.5].map((value): [string, unknown] => ['load.eagerRefreshThreshold', { load: { eagerRefreshThreshold: value } }]),
    ['load.staleWhileRevalidateSeconds', { load: { graceSeconds: 5, staleWhileRevalidateSeconds: 6 } }],
    ['load.graceBackoffMs', { load: { graceBackoffMs: -1 } }],
    ['load.unknown', { load: { unknown: 1 } }],
    ['walletPattern', { walletPattern: 'base64' }],
    ['codec.format', { codec: { format: 'json' } }],
    ['codec.compression', { codec: { compression: 'zstd' } }],
    ['channel.name', { channel: { name: '' } }],
    ['channel.enabled', { channel: { enabled: 'yes' } }],
    ['l2.kind', { l2: { kind: 'memcached' } }],
    ['l2', { l2: {} }],
    ['l2', { l2: 'http://host' }],
    ['l2', { l2: 'redis:' }],
    ['l2', { l2: 'redis://host:port' }],
    ['l2', { l2: 'file:' }],
    ['l2', { l2: 'redis://%zz@h' }],
    ['l2.nodes', { l2: { kind: 'redis', nodes: [] } }],
    ['l2.nodes', { l2: { kind: 'redis' } }],
    ['l2.nodes.0.port', { l2: { kind: 'redis', nodes: [{ host: 'h', port: 70_000 }] } }],
    ['l2.nodes.0.host', { l2: { kind: 'redis', nodes: [{ host: '' }] } }],
    ['l2.buckets', redis({ buckets: -1 })],
    ['l2.keyPrefix', redis({ keyPrefix: 'a{b}' })],
    ['l2.readMode', redis({ readMode: 'any' })],
    ['l2.mode', redis({ mode: 'sentinel' })],
    ['l2.tls', redis({ tls: 'yes' })],
    ['l2.tls', redis({ tls: [] })],
    ['l2.tls.bogus', redis({ tls: { bogus: 1 } })],
    ['l2.colour', redis({ colour: 'red' })],
    ['l2.path', { l2: { kind: 'embedded', path: '' } }],
    ['l2.maxBytes', { l2: { kind: 'embedded', maxBytes: 10 } }],
    ['l2.nodes', { l2: { kind: 'none', nodes: [] } }],
  ];
  for (const [option, options] of bad) {
    test(`${option} in ${JSON.stringify(options, (_, value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value))}`, async () => {
      await expect(ProfileCache.open(options as ProfileCacheOptions)).rejects.toMatchObject({ name: 'ProfileCacheError', code: 'ERR_OPTION', option, message: expect.stringContaining(option) });
    });
  }

  test('a password is in no message', () => {
    expect(() => parseOptions({ l2: 'redis://user:hunter2@h:99999' })).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
    expect(() => parseOptions({ l2: 'redis://h?password=4711' })).toThrow(expect.objectContaining({ option: 'l2.password', message: expect.not.stringContaining('4711') }));
    expect(describeL2(parseOptions({ l2: 'rediss://user:hunter2@h1:1,h2:2' }).l2)).toBe('rediss://h1:1,h2:2');
  });
});

describe('URLs of an L2', () => {
  test.each([
    ['none:', { kind: 'none' }],
    ['file:./dir', { kind: 'embedded', path: './dir' }],
    ['file:///var/lib/x%20y', { kind: 'embedded', path: '/var/lib/x y' }],
    ['file:d?maxBytes=2000000', { kind: 'embedded', path: 'd', maxBytes: 2_000_000 }],
    ['redis://h', { kind: 'redis', nodes: [{ host: 'h', port: 6379 }] }],
    ['redis://u:p%40s@h1:1,h2:2?buckets=0&readMode=replica', { kind: 'redis', username: 'u', password: 'p@s', nodes: [{ host: 'h1', port: 1 }, { host: 'h2', port: 2 }], buckets: 0, readMode: 'replica' }],
    ['redis://:only@[::1]:7', { kind: 'redis', password: 'only', nodes: [{ host: '::1', port: 7 }] }],
    ['rediss://h:1', { kind: 'redis', tls: true, nodes: [{ host: 'h', port: 1 }] }],
  ])('%s', (url, meaning) => {
    expect(parseL2Url(url)).toEqual(meaning);
  });
});

describe('no option is ignored', () => {
  closeCachesAfterEach();

  test('l1.maxBytes bounds L1 whatever is written', async () => {
    const cache = await openCache({ l2: 'none:', l1: { maxBytes: 256 * 1024 } });
    for (let i = 0; i < 2_000; i++) await cache.updateProfile(`w${i % 700}`, { text: 'x'.repeat(10 + ((i * 37) % 3_000)) });
    const { l1Bytes, l1MaxBytes, l1Size } = cache.getStats();
    expect(l1MaxBytes).toBe(256 * 1024);
    expect(l1Bytes).toBeLessThanOrEqual(256 * 1024);
    expect(l1Bytes).toBeGreaterThan(128 * 1024);
    expect(l1Size).toBeGreaterThan(30);
  });

  test('l1.eviction: a scan empties lru of its hot entries, and spares those of s3-fifo', async () => {
    const survivors: Record<string, number> = {};
    for (const eviction of ['lru', 's3-fifo'] as const) {
      const cache = await openCache({ l2: 'none:', l1: { maxProfiles: 100, eviction } });
      const hot = Array.from({ length: 20 }, (_, i) => `hot-${i}`);
      for (const wallet of hot) await cache.updateProfile(wallet, { n: 1 });
      for (let round = 0; round < 3; round++) for (const wallet of hot) cache.getProfileSync(wallet);
      for (let i = 0; i < 300; i++) await cache.updateProfile(`scan-${i}`, { n: i });
      survivors[eviction] = hot.filter((wallet) => cache.getEntry(wallet) !== undefined).length;
    }
    expect(survivors).toEqual({ lru: 0, 's3-fifo': 20 });
    expect(parseOptions({}).l1.eviction).toBe('adaptive');
  });

  test('l1.nearProfiles: 0 decodes at every hit, 1 keeps one', async () => {
    for (const [nearProfiles, decodes] of [[0, 6], [1, 4], [2, 2]]) {
      const cache = await openCache({ l2: 'none:', l1: { nearProfiles } });
      await cache.updateProfile('a', { n: 1 });
      await cache.updateProfile('b', { n: 2 });
      for (const wallet of ['a', 'a', 'b', 'b', 'a', 'b']) cache.getProfileSync(wallet);
      expect(cache.getStats().decodes).toBe(decodes);
    }
  });

  test('l2TtlSeconds and ttlSeconds', async () => {
    const cache = await openCache({ l2: 'none:', l2TtlSeconds: 60 });
    await cache.updateProfile('a', { n: 1 });
    await cache.updateProfile('b', { n: 1 }, { ttlSeconds: 5 });
    expect(cache.getEntry('a')?.ttlMs).toBeGreaterThan(59_000);
    expect(cache.getEntry('a')?.ttlMs).toBeLessThanOrEqual(60_000);
    expect(cache.getEntry('b')?.ttlMs).toBeLessThanOrEqual(5_000);
    for (const ttlSeconds of [0, -1, Number.NaN, Infinity, '5' as never]) {
      await expect(cache.updateProfile('c', { n: 1 }, { ttlSeconds })).rejects.toMatchObject({ code: 'ERR_OPTION', option: 'ttlSeconds' });
      await expect(cache.updateProfiles([['c', { n: 1 }]], { ttlSeconds })).rejects.toMatchObject({ code: 'ERR_OPTION' });
      await expect(cache.getOrLoad('c', () => ({ n: 1 }), { ttlSeconds })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    }
    expect(cache.getEntry('c')).toBeUndefined();
  });

  test('l2TtlJitter shortens lives at random, and only those nobody asked for', async () => {
    const cache = await openCache({ l2: 'none:', l2TtlSeconds: 100, l2TtlJitter: 0.5 });
    const wallets = Array.from({ length: 200 }, (_, i) => `w${i}`);
    await cache.updateProfiles(wallets.map((wallet) => [wallet, { n: 1 }] as const));
    const lives = wallets.map((wallet) => cache.getEntry(wallet)?.ttlMs ?? 0);
    expect(Math.max(...lives)).toBeLessThanOrEqual(100_000);
    expect(Math.min(...lives)).toBeGreaterThan(45_000);
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(30_000);
    await cache.updateProfile('asked', { n: 1 }, { ttlSeconds: 100 });
    expect(cache.getEntry('asked')?.ttlMs).toBeGreaterThan(95_000);
  });

  test('a call of getOrLoad is checked as the options are, and keeps nothing longer than the cache', async () => {
    const cache = await openCache({ l2: 'none:', load: { graceSeconds: 5 } });
    const load = (options: object) => cache.getOrLoad('w', () => ({ n: 1 }), options);
    for (const [option, value] of [['graceSeconds', 6], ['graceSeconds', -1], ['staleWhileRevalidateSeconds', 6], ['softTimeoutMs', 0], ['hardTimeoutMs', Number.NaN], ['negativeTtlSeconds', '1'], ['eagerRefreshThreshold', 1], ['graceBackoffMs', 0.5]] as const) {
      await expect(load({ [option]: value }), option).rejects.toMatchObject({ code: 'ERR_OPTION', message: expect.stringContaining(option) });
    }
    expect(cache.getStats().loads).toBe(0);
    expect(await load({ graceSeconds: 5, staleWhileRevalidateSeconds: 5, signal: undefined })).toEqual({ n: 1 });
  });

  test('load.maxNegatives bounds what is remembered: the oldest is loaded again', async () => {
    const cache = await openCache({ l2: 'none:', load: { negativeTtlSeconds: 60, maxNegatives: 3 } });
    const asked: string[] = [];
    const ask = (wallet: string) => cache.getOrLoad(wallet, (missing) => void asked.push(missing)).catch(() => {});
    for (const wallet of ['a', 'b', 'c', 'd', 'd', 'c', 'b', 'a']) await ask(wallet);
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'a']);
  });

  test('maxProfileBytes', async () => {
    const cache = await openCache({ l2: 'none:', maxProfileBytes: 1_000 });
    await expect(cache.updateProfile('w', { text: 'x'.repeat(1_100) })).rejects.toMatchObject({ code: 'ERR_PROFILE_TOO_LARGE', message: expect.stringContaining('maxProfileBytes') });
    expect((await cache.updateProfile('w', { text: 'x'.repeat(900) })).l1).toBe(true);
  });

  test('walletPattern', async () => {
    const cache = await openCache({ l2: 'none:', walletPattern: 'base58' });
    const address = '7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU';
    await cache.updateProfile(address, { n: 1 });
    expect(cache.getProfileSync(address)).toEqual({ n: 1 });
    for (const wallet of ['short', address.replace('7', '0'), `${address}${address}`]) {
      await expect(cache.updateProfile(wallet, { n: 1 })).rejects.toMatchObject({ code: 'ERR_WALLET', option: 'walletPattern' });
      expect(() => cache.getProfileSync(wallet)).toThrow(expect.objectContaining({ code: 'ERR_WALLET' }));
    }
  });

  test('codec.format and codec.compression: what one writes the other reads, and sizes differ', async () => {
    const bytes: Record<string, number> = {};
    for (const format of ['structured', 'portable'] as const) {
      for (const compression of ['lz4', 'none'] as const) {
        const l2 = embedded();
        const writer = await openCache({ l2, codec: { format, compression } });
        const profile = { wallet_address: 'w', risk_score: 0.5, indicators: Array(40).fill('EARLY_BUYER'), explanation: 'the same again and again '.repeat(30) };
        await writer.updateProfiles(Array.from({ length: 200 }, (_, i) => [`w${i}`, { ...profile, i }] as const));
        bytes[`${format} ${compression}`] = (await writer.health()).l2?.bytes ?? 0;
        const reader = await openCache({ l2, codec: { format: format === 'portable' ? 'structured' : 'portable' } });
        expect(await reader.getProfile('w7')).toEqual({ ...profile, i: 7 });
      }
    }
    expect(bytes['structured lz4']).toBeLessThan(bytes['structured none'] / 2);
    expect(bytes['portable lz4']).toBeLessThan(bytes['portable none'] / 2);
    expect(bytes['structured none']).toBeLessThan(bytes['portable none']);
  });

  test('portable refuses what plain msgpack maps cannot carry', async () => {
    const cache = await openCache({ l2: 'none:', codec: { format: 'portable' } });
    await expect(cache.updateProfile('w', { map: new Map() })).rejects.toMatchObject({ code: 'ERR_PROFILE', path: 'map' });
  });

  test('channel.enabled and channel.name', async () => {
    const l2 = embedded();
    const talker = await openCache({ l2, channel: { name: 'one' } });
    const listener = await openCache({ l2, channel: { name: 'one' } });
    const elsewhere = await openCache({ l2, channel: { name: 'two' } });
    const deaf = await openCache({ l2, channel: { enabled: false } });
    const mute = await openCache({ l2, channel: { name: 'one', enabled: false } });
    expect((await deaf.health()).channel).toEqual({ enabled: false, listening: false });
    await mute.updateProfile('m', { n: 1 });
    await talker.updateProfile('w', { n: 1 });
    await until('the listener hears', () => listener.getStats().eventsReceived > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(listener.getStats().eventsReceived).toBe(1);
    expect(elsewhere.getStats().eventsReceived).toBe(0);
    expect(deaf.getStats().eventsReceived).toBe(0);
    expect(mute.getStats().eventsPublished).toBe(0);
  });

  test('workers', async () => {
    for (const workers of [1, 3]) {
      const cache = await openCache({ l2: embedded(), workers });
      expect((await cache.health()).workers).toMatchObject({ threads: workers, replacedWorkers: 0 });
    }
  });
});
