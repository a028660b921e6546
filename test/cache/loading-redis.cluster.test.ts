import { inject } from 'vitest';
import { loadingBehaviours } from './loading-behaviours.ts';

let prefixes = 0;
loadingBehaviours('Redis Cluster', () => ({
  kind: 'redis',
  nodes: inject('redisCluster').nodes.map(({ host, port }) => ({ host, port })),
  keyPrefix: `loading-${process.pid}-${++prefixes}:`,
}));
