/** An L2 that has lost an acknowledged write, as a forced failover may, and a message that says that the wallet has changed, not to what. */
import { expect, test } from 'vitest';
import { closeCachesAfterEach, openCache, until } from '../support/caches.ts';
import { redisStandalone } from '../support/redis-servers.ts';
import { bare, freshPrefix } from '../support/redis.ts';

closeCachesAfterEach();

test('what a process has seen is the oldest that it will show, also after it was told to forget it', async () => {
  const keyPrefix = freshPrefix();
  const name = freshPrefix();
  const { host, port } = redisStandalone;
  const options = { l2: { kind: 'redis' as const, nodes: [{ host, port }], keyPrefix, buckets: 0 }, workers: 1, channel: { name } };
  const writer = await openCache(options);
  const redis = await bare(redisStandalone);
  await writer.updateProfile('w', { n: 1 });
  const before = (await redis.getBuffer(`${keyPrefix}w`)) as Buffer;
  await writer.updateProfile('w', { n: 2 });
  // It hears of no update, and knows by what it has read alone.
  const reader = await openCache(options);
  expect(await reader.getProfile('w')).toEqual({ n: 2 });

  await redis.set(`${keyPrefix}w`, before, 'PX', 60_000);
  await redis.publish(name, JSON.stringify({ wallet: 'w', timestamp: new Date().toISOString() }));
  await until('the reader has heard', () => reader.getProfileSync('w') === undefined);
  expect(await reader.getProfile('w')).toBeUndefined();

  await writer.updateProfile('w', { n: 3 });
  expect(await reader.getProfile('w')).toEqual({ n: 3 });
  redis.disconnect();
});
