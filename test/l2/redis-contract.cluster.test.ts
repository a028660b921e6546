import { RedisSource } from '../../src/channel/redis-source.ts';
import type { L2Store } from '../../src/l2/store.ts';
import type { RedisL2Options } from '../../src/options.ts';
import { l2StoreContract } from '../contract/l2-store.contract.ts';
import { openStore, redisOptions, testContext } from '../support/redis.ts';
import { redisCluster, redisStandalone } from '../support/redis-servers.ts';

const made = new WeakMap<L2Store, RedisL2Options>();

async function make(options: RedisL2Options): Promise<L2Store> {
  const store = await openStore(options, { channelName: options.keyPrefix });
  made.set(store, options);
  return store;
}

const wiring = {
  makeTwin: (store: L2Store) => make(made.get(store)!),
  // The prefix is the test's own, so it serves as the name of the test's own channel.
  makeSource: (store: L2Store) => new RedisSource(made.get(store)!, { ...testContext, channelName: made.get(store)!.keyPrefix }),
};

l2StoreContract('Redis Cluster, 256 buckets', () => make(redisOptions([redisCluster.nodes[0]])), wiring);
l2StoreContract('Redis Cluster, plain keys', () => make(redisOptions([redisCluster.nodes[5]], { buckets: 0 })), wiring);
l2StoreContract('standalone Redis, 256 buckets', () => make(redisOptions([redisStandalone])), wiring);
l2StoreContract('standalone Redis, plain keys', () => make(redisOptions([redisStandalone], { buckets: 0, mode: 'standalone' })), wiring);
