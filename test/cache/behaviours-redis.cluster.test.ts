import { behaviours } from './behaviours.ts';
import { redisCluster, redisStandalone } from '../support/redis-servers.ts';

let prefixes = 0;
const freshPrefix = () => `behave-${process.pid}-${++prefixes}:`;

behaviours('Redis Cluster', () => ({ kind: 'redis', nodes: redisCluster.nodes.map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix() }));
behaviours('Redis Cluster, plain keys', () => ({ kind: 'redis', nodes: [redisCluster.nodes[3]].map(({ host, port }) => ({ host, port })), keyPrefix: freshPrefix(), buckets: 0 }), 1);
behaviours('standalone Redis', () => ({ kind: 'redis', nodes: [{ host: redisStandalone.host, port: redisStandalone.port }], keyPrefix: freshPrefix() }), 1);
