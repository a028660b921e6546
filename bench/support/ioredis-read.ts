/** The peer of a bulk read: auto-pipelined GETs of JSON, all of one tick. */
import type { Cluster } from 'ioredis';
import type { BenchProfile } from './profiles.ts';

export async function getAllJson(cluster: Cluster, wallets: readonly string[], keyPrefix: string): Promise<Map<string, BenchProfile>> {
  const found = new Map<string, BenchProfile>();
  await Promise.all(wallets.map(async (wallet) => {
    const json = await cluster.get(keyPrefix + wallet);
    if (json !== null) found.set(wallet, JSON.parse(json) as BenchProfile);
  }));
  return found;
}
