/** A node that holds writes back: one that hands its slots over does, and one that is told CLIENT PAUSE WRITE. */
import { afterEach, expect, it } from 'vitest';
import type { Redis } from 'ioredis';
import { bare, openStore, redisOptions, set, until } from '../support/redis.ts';
import { redisStandalone } from '../support/redis-servers.ts';

const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const connections = async (redis: Redis): Promise<number> => String(await redis.call('CLIENT', 'LIST')).trim().split('\n').length;

it('reads do not wait behind writes that the node holds back, and those are stored when it goes on', async () => {
  const redis = await bare(redisStandalone);
  closers.push(() => redis.disconnect());
  const before = await connections(redis);
  const store = await openStore(redisOptions([redisStandalone]));
  closers.push(() => store.close());
  await store.setMany([set('held', 1)]);
  await until('writes to have a connection of their own', async () => (await connections(redis)) === before + 2);
  // A write goes there only after it has told us that it is up.
  await until('the node to have answered on it', async () => String(await redis.call('CLIENT', 'LIST')).includes('cmd=time'));
  await store.setMany([set('held', 2)]);

  await redis.call('CLIENT', 'PAUSE', 10_000, 'WRITE');
  let written = false;
  const write = store.setMany([set('held', 3)]).then((outcomes) => ((written = true), outcomes));
  const lease = store.acquireLease('held', 'token', 1_000);
  for (let i = 0; i < 20; i++) expect((await store.getMany(['held']))[0].status).toBe('hit');
  expect(written).toBe(false);
  await redis.call('CLIENT', 'UNPAUSE');
  expect(await write).toEqual([{ status: 'stored' }]);
  expect(await lease).toBe(true);
});

it('who may have no second connection writes over the one that reads', async () => {
  const redis = await bare(redisStandalone);
  closers.push(() => redis.disconnect());
  const [, limit] = (await redis.config('GET', 'maxclients')) as string[];
  closers.push(() => redis.config('SET', 'maxclients', limit));
  await redis.config('SET', 'maxclients', (await connections(redis)) + 1);
  const store = await openStore(redisOptions([redisStandalone]));
  closers.push(() => store.close());
  const refused = async () => Number(/rejected_connections:(\d+)/.exec(await redis.info('stats'))?.[1]);
  const before = await refused();
  for (let version = 1; version <= 20 || (await refused()) === before; version++) {
    expect(await store.setMany([set('one', version)])).toEqual([{ status: 'stored' }]);
  }
  expect((await store.getMany(['one']))[0].status).toBe('hit');
});
