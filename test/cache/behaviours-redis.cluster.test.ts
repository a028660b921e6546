import { inject } from 'vitest';
import { behaviours } from './behaviours.ts';

let prefixes = 0;
const freshPrefix = () => `behave-${process.pid}-${++prefixes}:`;

behaviours('Redis Cluster', () => ({ kind: 'redis', nodes: inject('redisCluster').nodes.map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix() }));
behaviours('Redis Cluster, plain keys', () => ({ kind: 'redis', nodes: [inject('redisCluster').nodes[3]].map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix(), buckets: 0 }));
behaviours('standalone Redis', () => ({ kind: 'redis', nodes: [{ host: inject('redisStandalone').host, port: inject('redisStandalone').port }], keyPrefix: freshPrefix() }));
