/** The store for the options. Imported on demand, so that a thread loads the client of its own kind only. */
import type { EmbeddedL2Options, RedisL2Options } from '../options.ts';
import type { L2Store } from './store.ts';

export interface StoreTimes {
  connectTimeoutMs: number;
  commandTimeoutMs: number;
  channelName: string;
  maxProfileBytes?: number;
  rememberedMs?: number;
}

export async function makeStore(l2: RedisL2Options | EmbeddedL2Options, times: StoreTimes): Promise<L2Store> {
  if (l2.kind === 'redis') {
    const { RedisStore } = await import('./redis-store.ts');
    return new RedisStore(l2, times);
  }
  const { EmbeddedStore } = await import('./embedded-store.ts');
  return new EmbeddedStore(l2, { channelName: times.channelName, rememberedMs: times.rememberedMs });
}
