/**
 * What nobody may read anywhere: the password of L2 and what profiles hold. Searched for in what the command prints, in errors and events of a cache that
 * is refused, cut off and mended again (message, stack, cause, JSON, inspect with everything hidden shown), in the log of Redis, and in what `ps` shows.
 */
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProfileCache } from '../../src/index.ts';
import { startStandalone, type LocalStandalone } from '../../src/l2/local-cluster.ts';
import { run } from '../cli/command.ts';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';
import { bare } from '../support/redis.ts';

const PORT = 17_393;
/** As it is, and as a URL has to spell it. */
const PASSWORD = 'pass/w0rd@of:the L2';
const ENCODED = encodeURIComponent(PASSWORD);
const WRONG = 'wr0ng-but-secret-too';
const PROFILE_MARK = 'balance-of-nobodys-business';
const SECRETS = [PASSWORD, ENCODED, WRONG, PROFILE_MARK];
const url = (password: string) => `redis://:${encodeURIComponent(password)}@127.0.0.1:${PORT}`;

/** Every way in which a program may print it. */
function allOf(value: unknown): string {
  const parts = [String(value), inspect(value, { depth: Infinity, showHidden: true, getters: true }), JSON.stringify(value) ?? ''];
  if (value instanceof Error) parts.push(value.stack ?? '', allOf(value.cause));
  if (value instanceof Object && 'toWire' in value) parts.push(JSON.stringify((value.toWire as () => object)()));
  return parts.join('\n');
}

function expectNoSecretIn(text: string, where: string): void {
  for (const secret of SECRETS) expect(text.includes(secret), `${where} holds ${secret}:\n${text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret) + 100)}`).toBe(false);
}

describe('secrets', () => {
  let server: LocalStandalone;
  const folder = mkdtempSync(join(tmpdir(), 'profilecache-secrets-'));
  closeCachesAfterEach();
  beforeAll(async () => {
    server = await startStandalone({ port: PORT, password: PASSWORD });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the search finds what is there', () => {
    expect(() => expectNoSecretIn(allOf(new Error('outside', { cause: Object.defineProperty({}, 'hidden', { value: [{ deep: WRONG }] }) })), 'it')).toThrow(WRONG);
  });

  test('what the command prints, however it was given the address', async () => {
    const commands = [['stats'], ['stats', '--json'], ['get', 'nobody'], ['invalidate', 'w', '--json'], ['demo', '--wallets', 'x']];
    const addresses = [url(PASSWORD), url(WRONG), `redis://:${ENCODED}@127.0.0.1:1`, `redis://user:${WRONG}@h:p`, `redis://h:1?password=${WRONG}&bogus=1`];
    // Two of them by the environment.
    const ran = await Promise.all(addresses.map((address, i) => (i % 2 === 0 ? run([...commands[i], '--l2', address], folder) : run(commands[i], folder, { env: { PROFILECACHE_L2: address } }))));
    for (const { stdout, stderr } of ran) expectNoSecretIn(stdout + stderr, 'the output');
    // The one with the right password was let in.
    expect(ran.map(({ code }) => code === 0)).toEqual([true, false, false, false, false]);
  });

  test('errors of options and of open', async () => {
    const wrong: unknown[] = [
      { l2: url(WRONG) }, { l2: `redis://user:${WRONG}@127.0.0.1:${PORT}` }, { l2: `redis://:${WRONG}@127.0.0.1:1`, connectTimeoutMs: 300 }, { l2: `redis://:${WRONG}@h:p` }, { l2: `rediss://:${ENCODED}@127.0.0.1:${PORT}`, connectTimeoutMs: 300 },
      { l2: `redis//:${WRONG}@h` }, { l2: { kind: 'redis', nodes: [], password: WRONG } }, { l2: { kind: 'redis', nodes: [{ host: 'h' }], password: [WRONG] } }, { l2: { kind: 'redis', nodes: [{ host: 'h' }], passwort: WRONG } },
    ];
    const errors = await Promise.all(wrong.map((options) => ProfileCache.open(options as object).then(() => expect.fail('opened'), (error: unknown) => error)));
    for (const [i, error] of errors.entries()) expectNoSecretIn(allOf(error), `error ${i}`);
  });

  test('a cache that is cut off, refused and let in again; the log of Redis; what ps shows', async () => {
    const cache = await openCache({ l2: url(PASSWORD), l2TimeoutMs: 300 });
    const said: string[] = [];
    for (const event of ['error', 'alert', 'l2Down', 'l2Up', 'channelGap', 'profileUpdated', 'profileInvalidated'] as const) cache.on(event, (detail?: unknown) => said.push(`${event} ${allOf(detail)}`));
    const profile = { mark: PROFILE_MARK };
    await cache.updateProfile('w', profile);
    const admin = await bare(server, { password: PASSWORD });
    // Whoever connects anew is refused, with an error that ioredis hangs the arguments of AUTH on.
    await admin.config('SET', 'requirepass', `${PASSWORD} changed`);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    const outcomes = await Promise.allSettled([cache.updateProfile('v', profile), cache.getProfile('x'), cache.clear(), cache.health(), cache.updateProfile('u', { bad: () => PROFILE_MARK })]);
    await until('l2Down', async () => {
      await cache.getProfile(`x${said.length}`);
      return said.some((text) => text.startsWith('l2Down'));
    }, 15_000);
    said.push(allOf(outcomes), allOf(await cache.health().catch((error: unknown) => error)), allOf(cache.getStats()), allOf(cache));
    await admin.config('SET', 'requirepass', PASSWORD);
    await until('l2Up', () => said.some((text) => text.startsWith('l2Up')), 15_000);
    admin.disconnect();
    // The profile itself is handed to who asks for it.
    await cache.updateProfile('w', profile);
    expect(allOf(await cache.getProfile('w'))).toContain(PROFILE_MARK);
    expect(said.length).toBeGreaterThan(6);
    expectNoSecretIn(said.join('\n'), 'what the cache said');
    expectNoSecretIn(readFileSync(join(server.folder, String(PORT), 'redis.log'), 'utf8'), 'the log of Redis');
    expectNoSecretIn(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8'), 'the command line of the server');
  });
});
