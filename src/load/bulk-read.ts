/** Reads of many wallets: what L1 has at once, the rest from L2, in slices with turns of the event loop between. */
import { ProfileCacheError } from '../errors.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Backend } from './backend.ts';
import { Pacer } from './deferred.ts';
import type { ThreadCache } from './thread-cache.ts';

export interface BulkParts {
  thread: ThreadCache;
  backend: Backend;
  hasL2: boolean;
}

/** What either tier has of `asked`, in that order; `asked` holds each wallet once. */
export async function readMany({ thread, backend, hasL2 }: BulkParts, asked: readonly string[]): Promise<Map<string, object>> {
  // Every wallet has its place from the start: that keeps the order, whenever its profile comes.
  const found = new Map<string, object | undefined>();
  const missing: string[] = [];
  const pacer = new Pacer();
  for (const wallet of asked) {
    const profile = thread.get(wallet);
    found.set(wallet, profile);
    if (profile === undefined) missing.push(wallet);
    if (pacer.due) await pacer.pause();
  }
  if (missing.length === 0) return found as Map<string, object>;
  let brought = 0;
  const deliver = (wallet: string, profile: object | undefined) => {
    if (profile === undefined) return;
    if (found.get(wallet) === undefined) brought++;
    found.set(wallet, profile);
  };
  if (hasL2) await backend.fetch(missing, deliver).catch(ownerGoneIsAMiss);
  thread.row.count(COUNTER.l2Hits, brought);
  thread.row.count(COUNTER.misses, missing.length - brought);
  if (brought < missing.length) for (const wallet of missing) if (found.get(wallet) === undefined) found.delete(wallet);
  return found as Map<string, object>;
}

export interface WarmWatch {
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** From L2 to L1, nothing is decoded. What L1 holds already is in neither number. */
export async function warmMany({ thread, backend, hasL2 }: BulkParts, asked: readonly string[], watch: WarmWatch | undefined): Promise<{ promoted: number; missing: number }> {
  const pacer = new Pacer();
  const absent: string[] = [];
  for (const wallet of asked) {
    if (!thread.holds(wallet)) absent.push(wallet);
    if (pacer.due) await pacer.pause();
  }
  if (!hasL2) return { promoted: 0, missing: absent.length };
  let done = asked.length - absent.length;
  const { found } = await backend.fetch(absent, undefined, {
    onPart: (wallets) => watch?.onProgress?.((done += wallets), asked.length),
    stopped: () => watch?.signal?.aborted === true,
  });
  return { promoted: found, missing: absent.length - found };
}

export function inOrder(asked: readonly string[], profileOf: (wallet: string) => object | undefined): Map<string, object> {
  const ordered = new Map<string, object>();
  for (const wallet of asked) {
    const profile = profileOf(wallet);
    if (profile !== undefined) ordered.set(wallet, profile);
  }
  return ordered;
}

/** A read of an attached thread whose owner is gone is a miss, as with any L2 failure. */
export function ownerGoneIsAMiss(error: unknown): undefined {
  if (error instanceof ProfileCacheError && error.code === 'ERR_OWNER_GONE') return undefined;
  throw error;
}
