/** The cache of a command: opened with notes for people, closed so that nothing that was promised is lost unsaid. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCacheError } from '../errors.ts';
import type { ProfileCache } from '../index.ts';
import type { ProfileCacheOptions } from '../options.ts';
import type { Shell } from './shell.ts';

const QUEUE_POLL_MS = 50;
/** How long writes that wait for L2 are waited for at the end, in operations' deadlines. */
const QUEUE_WAIT_TIMEOUTS = 3;

export interface OpenedCache<P extends object> {
  cache: ProfileCache<P>;
  /** The L2 address without user and password. */
  l2: string;
  /** The last thing that L2 failed with. */
  lastError(): ProfileCacheError | undefined;
  /** Writes that L2 has not taken, after waiting for it a while; then closes. Idempotent. */
  close(): Promise<number>;
}

/** @throws ERR_OPTION, ERR_L2_CONNECT, ERR_L2_AUTH, ERR_L2_STORAGE */
export async function openCache<P extends object = Record<string, unknown>>(shell: Shell, options: ProfileCacheOptions & { l2: string; l2TimeoutMs: number }): Promise<OpenedCache<P>> {
  shell.redactor.addUrl(options.l2);
  // On demand: help and mistakes on the command line are answered without loading the library. Not index.ts: a profiler is not always needed.
  const [{ ProfileCache }, { describeL2, parseOptions }] = await Promise.all([import('../profile-cache.ts'), import('../options.ts')]);
  const l2 = describeL2(parseOptions(options).l2);
  const cache = await ProfileCache.open<P>(options);
  let lastError: ProfileCacheError | undefined;
  let closing: Promise<number> | undefined;
  cache.on('error', (error) => (lastError = error));
  cache.on('alert', (error) => shell.warn(`${error.message} (${error.code})`));
  cache.on('l2Down', () => shell.warn(`L2 ${l2} does not answer: going on without it; what is written now is queued`));
  cache.on('l2Up', () => shell.note(`L2 ${l2} answers again`));
  const settle = async () => {
    const deadlineMs = performance.now() + QUEUE_WAIT_TIMEOUTS * options.l2TimeoutMs;
    let unsaved = await queuedWrites(cache);
    while (unsaved > 0 && performance.now() < deadlineMs) {
      await sleep(QUEUE_POLL_MS);
      unsaved = await queuedWrites(cache);
    }
    await cache.close();
    return unsaved + cache.getStats().l2QueueDropped;
  };
  return { cache, l2, lastError: () => lastError, close: () => (closing ??= settle()) };
}

async function queuedWrites(cache: { health(): Promise<{ l2?: { queuedWrites: number } }>; getStats(): { l2Queued: number } }): Promise<number> {
  // Asking L2 for its health is a round trip: only where a write has ever been queued.
  if (cache.getStats().l2Queued === 0) return 0;
  return (await cache.health()).l2?.queuedWrites ?? 0;
}
