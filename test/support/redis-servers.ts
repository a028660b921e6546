/**
 * The Redis servers of a test file: a six-node cluster and one standalone, those of its slot in vitest's pool. A slot runs one file at a
 * time, so a file may move slots, kill connections or change users, and no other sees it. A file that kills nodes starts its own.
 * Importing this waits until they are up: the first file of a slot starts its cluster, which takes seconds; cluster-setup.ts stops it.
 */
import { inject } from 'vitest';
import { findLocalCluster, startLocalCluster, type LocalNode } from '../../src/l2/local-cluster.ts';

/** Vitest counts from 1. */
const slot = Number(process.env.VITEST_POOL_ID) - 1;
const { clusterBasePort, standalone } = inject('redisSlots')[slot];
const cluster = findLocalCluster(clusterBasePort) ?? (await startLocalCluster({ basePort: clusterBasePort }));

export const redisCluster: { basePort: number; nodes: readonly LocalNode[] } = { basePort: clusterBasePort, nodes: cluster.nodes };
export const redisStandalone: LocalNode = standalone;
