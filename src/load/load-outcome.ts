/**
 * What becomes of a load: its profile is kept with the version that the load began with, so that anything newer wins over it; its failure, or
 * the absence of a profile, is left with its turn for those who wait and those who come next.
 */
import { ProfileCacheError } from '../errors.ts';
import type { Backend } from './backend.ts';
import { isAbsence, notFound, notLoaded } from './load-errors.ts';
import type { LoadPolicy } from './load-policy.ts';
import type { Loaded } from './load-shared.ts';
import type { ThreadCache } from './thread-cache.ts';

export interface OutcomeParts {
  backend: Backend;
  thread: ThreadCache;
  ttlMs(ttlSeconds: number | undefined): number;
}

export class LoadOutcome {
  private readonly parts: OutcomeParts;

  constructor(parts: OutcomeParts) {
    this.parts = parts;
  }

  /** Rejects when `value` is no profile; the turn goes on, and is ended by whoever leads it. */
  async keep(wallet: string, value: unknown, version: number, policy: LoadPolicy): Promise<Loaded> {
    const { backend, thread } = this.parts;
    if (value === undefined || value === null) throw policy.negativeMs > 0 ? notFound(wallet) : notLoaded(wallet);
    const { bytes, schemaId } = thread.codec.encode(value);
    const raw = new Uint8Array(bytes);
    const [{ overtaken = false }] = await backend.update([{ wallet, raw, schemaId, ttlMs: this.parts.ttlMs(policy.ttlSeconds), version }]);
    // Overtaken by an update or an invalidation: the caller still gets what was loaded for it.
    const profile = (thread.versionOf(wallet) === version ? thread.take(wallet) : undefined) ?? (thread.decodePrivate(raw, schemaId) as object);
    return { profile, overtaken };
  }

  /** Ends the turn. */
  failed(wallet: string, version: number, error: unknown, policy: LoadPolicy, background: boolean): void {
    const typed = ProfileCacheError.from(error, 'ERR_LOADER', { wallet });
    if (isAbsence(error, policy)) this.parts.backend.endLoad(wallet, version, { error: typed, absentMs: policy.negativeMs });
    else this.parts.backend.endLoad(wallet, version, { error: typed, restMs: policy.graceMs > 0 || background ? policy.backoffMs : undefined });
  }
}
