import { loadingBehaviours } from './loading-behaviours.ts';
import { redisCluster } from '../support/redis-servers.ts';

let prefixes = 0;
loadingBehaviours('Redis Cluster', () => ({
  kind: 'redis',
  nodes: redisCluster.nodes.map(({ host, port }) => ({ host, port })),
  keyPrefix: `loading-${process.pid}-${++prefixes}:`,
}));
