/** Opening a store: what is refused, how it is told, and the ways in (password, ACL, TLS). */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { RedisSource } from '../../src/channel/redis-source.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import { RedisStore } from '../../src/l2/redis-store.ts';
import { startStandalone } from '../../src/l2/local-cluster.ts';
import type { RedisL2Options } from '../../src/options.ts';
import { bare, openStore, redisOptions, set, testContext, until } from '../support/redis.ts';
import { redisCluster, redisStandalone } from '../support/redis-servers.ts';

const PORT = 17_391;
const SECRET = 'hunter2-do-not-print';
const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function openError(options: RedisL2Options, connectTimeoutMs = 5_000): Promise<ProfileCacheError> {
  const store = new RedisStore(options, { ...testContext, connectTimeoutMs });
  const error = await store.open().then(() => undefined, (problem: unknown) => problem);
  await store.close();
  expect(error).toBeInstanceOf(ProfileCacheError);
  // Deep: an ioredis error carries the arguments of AUTH.
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
  return error as ProfileCacheError;
}

describe('opening a Redis store', () => {
  it('nobody there: ERR_L2_CONNECT names the nodes and the command that starts one, well before the deadline', async () => {
    const startMs = performance.now();
    const error = await openError(redisOptions([{ host: '127.0.0.1', port: 1 }], { password: SECRET }), 60_000);
    expect(error.code).toBe('ERR_L2_CONNECT');
    expect(error.message).toMatch(/127\.0\.0\.1:1\b.*ECONNREFUSED.*profilecache cluster up/);
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });

  it('somebody there who never answers: ERR_L2_CONNECT at the deadline', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await until('the server to listen', () => server.listening);
    const startMs = performance.now();
    const error = await openError(redisOptions([{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }], { password: SECRET }), 400);
    expect(error.code).toBe('ERR_L2_CONNECT');
    expect(performance.now() - startMs).toBeGreaterThan(390);
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('a server that quotes our AUTH in its error does not get the password into ours', async () => {
    const quote = `-ERR unknown command 'auth', with args beginning with: '${SECRET}' \r\n`;
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined).on('data', () => socket.write(quote));
    }).listen(0, '127.0.0.1');
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await until('the server to listen', () => server.listening);
    const options = redisOptions([{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }], { password: SECRET });
    expect((await openError(options, 400)).message).toMatch(/unknown command/);
    const source = new RedisSource(options, { ...testContext, connectTimeoutMs: 400 });
    const error = await source.start({ onMessage: () => undefined, onGap: () => undefined }).then(() => undefined, (problem: unknown) => problem);
    await source.close();
    expect(error).toBeInstanceOf(ProfileCacheError);
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
  });

  it('one node of the list away: the others serve', async () => {
    const store = await openStore(redisOptions([{ host: '127.0.0.1', port: 1 }, redisCluster.nodes[3]]));
    closers.push(() => store.close());
    expect(await store.setMany([set('w', 1)])).toEqual([{ status: 'stored' }]);
  });

  it('mode cluster on a Redis without one is refused, auto finds out', async () => {
    const error = await openError(redisOptions([redisStandalone], { mode: 'cluster' }));
    expect(error).toMatchObject({ code: 'ERR_L2_CONNECT', option: 'l2.mode' });
    const store = await openStore(redisOptions([redisStandalone], { mode: 'auto' }));
    closers.push(() => store.close());
    expect((await store.health()).nodes).toMatchObject([{ role: 'standalone', reachable: true, slotsCovered: 16_384 }]);
  });

  it('a wrong or missing password: ERR_L2_AUTH at once, for the store and for the channel, and no secret in it', async () => {
    const server = await startStandalone({ port: PORT, password: 'the right one' });
    closers.push(() => server.stop());
    for (const given of [{ password: SECRET }, { username: 'nobody', password: SECRET }, {}]) {
      const options = redisOptions([server], given);
      const startMs = performance.now();
      expect((await openError(options, 30_000)).code).toBe('ERR_L2_AUTH');
      const source = new RedisSource(options, { ...testContext, connectTimeoutMs: 30_000 });
      const error = await source.start({ onMessage: () => undefined, onGap: () => undefined }).then(() => undefined, (problem: unknown) => problem);
      await source.close();
      expect(error).toMatchObject({ code: 'ERR_L2_AUTH' });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
      expect(performance.now() - startMs).toBeLessThan(10_000);
    }
    const store = await openStore(redisOptions([server], { password: 'the right one' }));
    closers.push(() => store.close());
    expect(await store.setMany([set('w', 1)])).toEqual([{ status: 'stored' }]);
  });
});

describe('the least ACL of native-notes/redis-cluster.md', () => {
  // The note is the source: what stands there is what is tried here.
  const note = readFileSync(new URL('../../native-notes/redis-cluster.md', import.meta.url), 'utf8');
  const rules = /```acl\n([\s\S]*?)```/.exec(note)?.[1].replaceAll('\\\n', ' ').trim().split(/\s+/) ?? [];

  it.each([['redisCluster', redisCluster.nodes], ['redisStandalone', [redisStandalone]]])('is enough for everything the store and the channel do (%s), and for nothing else', async (_which, nodes) => {
    const options = redisOptions(nodes, { username: 'cache', password: SECRET, readMode: 'replica-preferred' });
    const user = rules.map((rule) => rule.replace('profile:', options.keyPrefix).replace('godmode:profile_updates', options.keyPrefix).replace('<password>', SECRET));
    expect(user.slice(0, 4)).toEqual(['ACL', 'SETUSER', 'cache', 'on']);
    for (const node of nodes) {
      const admin = await bare(node);
      closers.push(async () => {
        await admin.call('ACL', 'DELUSER', 'cache');
        admin.disconnect();
      });
      await admin.call('ACL', ...user.slice(1));
    }
    const context = { ...testContext, channelName: options.keyPrefix };
    const heard: string[] = [];
    const source = new RedisSource(options, context);
    closers.push(() => source.close());
    await source.start({ onMessage: (text) => heard.push(text), onGap: () => undefined });
    const store = await openStore(options, context);
    closers.push(() => store.close());

    expect(await store.setMany([{ ...set('w', 1), event: 'one' }])).toEqual([{ status: 'stored' }]);
    await until('the replica', async () => (await store.getMany(['w']))[0].status === 'hit');
    expect(await store.acquireLease('w', 'token', 1_000)).toBe(true);
    await store.releaseLease('w', 'token');
    await store.putBlobIfAbsent('table', Uint8Array.of(1));
    expect(await store.getBlob('table')).toEqual(Uint8Array.of(1));
    const health = await store.health();
    expect(health).toMatchObject({ reachable: true, slotsCovered: 16_384 });
    expect(health.nodes).toHaveLength(nodes.length);
    await store.clear(5, 'cleared');
    await until('both events', () => heard.includes('one') && heard.includes('cleared'));

    const cache = await bare(nodes[0], { username: 'cache', password: SECRET });
    closers.push(() => cache.disconnect());
    const forbidden: string[][] = [['GET', 'other:key'], ['SET', 'other:key', '1'], ['PUBLISH', 'other', 'x'], ['SUBSCRIBE', 'other'], ['FLUSHALL'], ['FLUSHDB'], ['KEYS', '*'], ['CONFIG', 'GET', '*'], ['ACL', 'LIST'], ['SHUTDOWN'], ['CLUSTER', 'RESET'], ['SCRIPT', 'FLUSH'], ['DEL', `${options.keyPrefix}x`]];
    for (const [command, ...args] of forbidden) await expect(cache.call(command, ...args), command).rejects.toThrow(/NOPERM/);
    await expect(cache.eval("return redis.call('GET', KEYS[1])", 1, 'other:key')).rejects.toThrow(/NOPERM|permission/i);
  });
});

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'profilecache-tls-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const canTls = (() => {
    try {
      const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
      openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
      openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'node.key', '-out', 'node.csr', '-subj', '/CN=node');
      writeFileSync(join(folder, 'ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
      openssl('x509', '-req', '-in', 'node.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'node.pem', '-days', '2', '-extfile', 'ext');
      // Built without TLS it stops at the first line, else at the second.
      return spawnSync('redis-server', ['-'], { input: 'tls-port 0\nno-such-directive yes\n', encoding: 'utf8' }).stderr.includes('no-such-directive');
    } catch {
      return false;
    }
  })();

  it.skipIf(!canTls)('verifies the certificate, and works with the right authority (skipped where openssl or a redis-server with TLS is missing)', async () => {
    const file = (name: string) => join(folder, name);
    const server = await startStandalone({ port: PORT + 1, tls: { certFile: file('node.pem'), keyFile: file('node.key'), caFile: file('ca.pem') } });
    closers.push(() => server.stop());
    const untrusted = await openError(redisOptions([server], { tls: true, password: SECRET }));
    expect(untrusted).toMatchObject({ code: 'ERR_L2_CONNECT' });
    expect(untrusted.message).toMatch(/certificate/i);
    const ca = readFileSync(file('ca.pem'), 'utf8');
    const wrongName = await openError(redisOptions([server], { tls: { ca, servername: 'elsewhere.example' } }));
    expect(wrongName).toMatchObject({ code: 'ERR_L2_CONNECT' });
    expect(wrongName.message).toMatch(/altnames|does not match/i);
    const options = redisOptions([server], { tls: { ca } });
    const context = { ...testContext, channelName: options.keyPrefix };
    const store = await openStore(options, context);
    closers.push(() => store.close());
    const heard: string[] = [];
    const source = new RedisSource(options, context);
    closers.push(() => source.close());
    await source.start({ onMessage: (text) => heard.push(text), onGap: () => undefined });
    expect(await store.setMany([{ ...set('w', 1), event: 'over TLS' }])).toEqual([{ status: 'stored' }]);
    expect((await store.getMany(['w']))[0].status).toBe('hit');
    await until('the event', () => heard.includes('over TLS'));
  });
});
