/**
 * getOrLoad for one thread: callers of one wallet share one load; the backend sees to it that threads and processes do too.
 * What a loader brings is written with the version its load began with: anything newer wins over it.
 */
import { ProfileCacheError } from '../errors.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Backend, LoadTurn } from './backend.ts';
import type { ThreadCache } from './thread-cache.ts';

export type Loader = (wallet: string) => unknown | Promise<unknown>;
/** Given the missing wallets, returns their profiles; a wallet it leaves out has none. */
export type BulkLoader = (wallets: string[]) => BulkLoaded | Promise<BulkLoaded>;
export type BulkLoaded = ReadonlyMap<string, unknown> | Iterable<readonly [string, unknown]>;

export interface LoadParts {
  backend: Backend;
  thread: ThreadCache;
  /** L1, then L2; counted. */
  read(wallet: string): Promise<object | undefined>;
  ttlMs(ttlSeconds: number | undefined): number;
}

/** Turns that may end without a profile (their loader failed elsewhere, or was overtaken) before this gives up. */
const MAX_TURNS = 50;

export class Loading {
  private readonly parts: LoadParts;
  private readonly underWay = new Map<string, Promise<object>>();

  constructor(parts: LoadParts) {
    this.parts = parts;
  }

  one(wallet: string, loader: Loader, ttlSeconds: number | undefined): Promise<object> {
    const shared = this.underWay.get(wallet);
    if (shared !== undefined) {
      this.parts.thread.row.count(COUNTER.loadsShared);
      return shared;
    }
    return this.share(wallet, this.loadOne(wallet, loader, ttlSeconds));
  }

  /** `missing` are wallets that a read has just not found. The result lacks those the loader has nothing for. */
  async many(missing: readonly string[], loader: BulkLoader, ttlSeconds: number | undefined): Promise<Map<string, object>> {
    const { backend } = this.parts;
    const found = new Map<string, object>();
    const joined: Promise<void>[] = [];
    const mine: { wallet: string; version: number; settle(profile: object | undefined, error?: unknown): void }[] = [];
    const others: { wallet: string; turn: Extract<LoadTurn, { kind: 'busy' }> }[] = [];
    const keep = (wallet: string, profile: object | undefined) => void (profile !== undefined && found.set(wallet, profile));
    await Promise.all(missing.map(async (wallet) => {
      const shared = this.underWay.get(wallet);
      if (shared !== undefined) {
        this.parts.thread.row.count(COUNTER.loadsShared);
        joined.push(shared.then((profile) => keep(wallet, profile)));
        return;
      }
      const turn = await backend.beginLoad(wallet);
      if (turn.kind === 'found') keep(wallet, this.parts.thread.take(wallet));
      else if (turn.kind === 'busy') others.push({ wallet, turn });
      else mine.push({ wallet, version: turn.version, settle: this.announce(wallet) });
    }));
    // Turns were granted in any order: the loader is asked in the caller's.
    const place = new Map(missing.map((wallet, i) => [wallet, i]));
    mine.sort((a, b) => (place.get(a.wallet) as number) - (place.get(b.wallet) as number));
    if (mine.length > 0) await this.loadMine(mine, loader, ttlSeconds, found);
    // Only now, so that two callers who each hold what the other waits for cannot stand still.
    for (const { wallet, turn } of others) {
      const profile = await this.afterTurn(wallet, turn);
      if (profile !== undefined) keep(wallet, profile);
      else for (const [name, loaded] of await this.many([wallet], loader, ttlSeconds)) found.set(name, loaded);
    }
    await Promise.all(joined);
    return found;
  }

  private async loadMine(
    mine: { wallet: string; version: number; settle(profile: object | undefined, error?: unknown): void }[],
    loader: BulkLoader, ttlSeconds: number | undefined, found: Map<string, object>,
  ): Promise<void> {
    const { backend, thread } = this.parts;
    try {
      thread.row.count(COUNTER.loads);
      const loaded = new Map(await loader(mine.map(({ wallet }) => wallet)));
      await Promise.all(mine.map(async ({ wallet, version, settle }) => {
        const value = loaded.get(wallet);
        const profile = value === undefined ? undefined : await this.keepLoaded(wallet, value, version, ttlSeconds);
        if (profile !== undefined) found.set(wallet, profile);
        backend.endLoad(wallet, {});
        settle(profile);
      }));
    } catch (error) {
      thread.row.count(COUNTER.loadFailures);
      for (const { wallet, settle } of mine) {
        backend.endLoad(wallet, { error: ProfileCacheError.from(error, 'ERR_LOADER', { wallet }) });
        settle(undefined, error);
      }
      throw error;
    }
  }

  /** Callers of `one` for this wallet join a bulk load. */
  private announce(wallet: string): (profile: object | undefined, error?: unknown) => void {
    let settle!: (profile: object | undefined, error?: unknown) => void;
    const promise = new Promise<object>((resolve, reject) => {
      settle = (profile, error) => (profile === undefined ? reject(error ?? notLoaded(wallet)) : resolve(profile));
    });
    this.share(wallet, promise).catch(() => {});
    return settle;
  }

  private share(wallet: string, load: Promise<object>): Promise<object> {
    this.underWay.set(wallet, load);
    const forget = () => void (this.underWay.get(wallet) === load && this.underWay.delete(wallet));
    load.then(forget, forget);
    return load;
  }

  private async loadOne(wallet: string, loader: Loader, ttlSeconds: number | undefined): Promise<object> {
    const { backend, thread } = this.parts;
    const cached = await this.parts.read(wallet);
    if (cached !== undefined) return cached;
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const turn = await backend.beginLoad(wallet);
      if (turn.kind === 'lead') return this.lead(wallet, turn.version, loader, ttlSeconds);
      const profile = turn.kind === 'found' ? thread.take(wallet) : await this.afterTurn(wallet, turn);
      if (profile !== undefined) return profile;
    }
    throw new ProfileCacheError('ERR_LOAD_TIMEOUT', `wallet ${JSON.stringify(wallet)}: ${MAX_TURNS} loads of it by others ended without a profile`, { wallet });
  }

  private async lead(wallet: string, version: number, loader: Loader, ttlSeconds: number | undefined): Promise<object> {
    const { backend, thread } = this.parts;
    try {
      thread.row.count(COUNTER.loads);
      const profile = await this.keepLoaded(wallet, await loader(wallet), version, ttlSeconds);
      backend.endLoad(wallet, {});
      return profile;
    } catch (error) {
      thread.row.count(COUNTER.loadFailures);
      backend.endLoad(wallet, { error: ProfileCacheError.from(error, 'ERR_LOADER', { wallet }) });
      throw error;
    }
  }

  private async keepLoaded(wallet: string, value: unknown, version: number, ttlSeconds: number | undefined): Promise<object> {
    const { backend, thread } = this.parts;
    if (value === undefined || value === null) throw notLoaded(wallet);
    const { bytes, schemaId } = thread.codec.encode(value);
    const raw = new Uint8Array(bytes);
    await backend.update([{ wallet, raw, schemaId, ttlMs: this.parts.ttlMs(ttlSeconds), version }]);
    // Overtaken by an update or an invalidation: the caller still gets what was loaded for it.
    return (thread.versionOf(wallet) === version ? thread.take(wallet) : undefined) ?? (thread.decodePrivate(raw, schemaId) as object);
  }

  private async afterTurn(wallet: string, turn: Extract<LoadTurn, { kind: 'busy' }>): Promise<object | undefined> {
    this.parts.thread.row.count(COUNTER.loadsShared);
    const { error } = await turn.ended;
    if (error !== undefined) throw error;
    return this.parts.thread.take(wallet);
  }
}

function notLoaded(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOADER', `the loader gave no profile for wallet ${JSON.stringify(wallet)}; throw, or return an object`, { wallet });
}
