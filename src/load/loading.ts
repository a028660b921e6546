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

interface Loaded {
  profile: object;
  /** Something newer came while it was loaded: who asked later than that must not have it. */
  overtaken: boolean;
}

interface Mine {
  wallet: string;
  version: number;
  settle(loaded: Loaded | undefined, error?: unknown): void;
}

/** Turns that may end without a profile (their loader failed elsewhere, or was overtaken) before this gives up. */
const MAX_TURNS = 50;

export class Loading {
  private readonly parts: LoadParts;
  private readonly underWay = new Map<string, Promise<Loaded>>();

  constructor(parts: LoadParts) {
    this.parts = parts;
  }

  async one(wallet: string, loader: Loader, ttlSeconds: number | undefined): Promise<object> {
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const shared = this.underWay.get(wallet);
      if (shared === undefined) return (await this.share(wallet, this.loadOne(wallet, loader, ttlSeconds))).profile;
      this.parts.thread.row.count(COUNTER.loadsShared);
      const { profile, overtaken } = await shared;
      if (!overtaken) return profile;
    }
    throw gaveUp(wallet);
  }

  /** `missing` are wallets that a read has just not found. The result lacks those the loader has nothing for. */
  async many(missing: readonly string[], loader: BulkLoader, ttlSeconds: number | undefined): Promise<Map<string, object>> {
    const { backend } = this.parts;
    const found = new Map<string, object>();
    const joined: Promise<void>[] = [];
    const mine: Mine[] = [];
    const others: { wallet: string; turn: Extract<LoadTurn, { kind: 'busy' }> }[] = [];
    const keep = (wallet: string, profile: object | undefined) => void (profile !== undefined && found.set(wallet, profile));
    const begun = await Promise.allSettled(missing.map(async (wallet) => {
      const shared = this.underWay.get(wallet);
      if (shared !== undefined) {
        this.parts.thread.row.count(COUNTER.loadsShared);
        const joining = shared.then(async ({ profile, overtaken }) => keep(wallet, overtaken ? (await this.many([wallet], loader, ttlSeconds)).get(wallet) : profile));
        // It may fail long before this load comes to wait for it.
        joining.catch(() => {});
        joined.push(joining);
        return;
      }
      const turn = await backend.beginLoad(wallet);
      if (turn.kind === 'found') keep(wallet, this.parts.thread.take(wallet));
      else if (turn.kind === 'busy') others.push({ wallet, turn });
      else mine.push({ wallet, version: turn.version, settle: this.announce(wallet) });
    }));
    const refused = begun.find((outcome) => outcome.status === 'rejected');
    if (refused !== undefined) {
      this.giveUp(mine, refused.reason);
      throw refused.reason;
    }
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

  private async loadMine(mine: Mine[], loader: BulkLoader, ttlSeconds: number | undefined, found: Map<string, object>): Promise<void> {
    const { backend, thread } = this.parts;
    let loaded: Map<string, unknown>;
    try {
      thread.row.count(COUNTER.loads);
      loaded = new Map(await loader(mine.map(({ wallet }) => wallet)));
    } catch (error) {
      thread.row.count(COUNTER.loadFailures);
      this.giveUp(mine, error);
      throw error;
    }
    const kept = await Promise.allSettled(mine.map(async (one) => {
      const { wallet, version, settle } = one;
      const value = loaded.get(wallet);
      try {
        const profile = value === undefined ? undefined : await this.keepLoaded(wallet, value, version, ttlSeconds);
        if (profile !== undefined) found.set(wallet, profile.profile);
        backend.endLoad(wallet, version, {});
        settle(profile);
      } catch (error) {
        thread.row.count(COUNTER.loadFailures);
        this.giveUp([one], error);
        throw error;
      }
    }));
    const failure = kept.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  private giveUp(mine: Mine[], error: unknown): void {
    for (const { wallet, version, settle } of mine) {
      this.parts.backend.endLoad(wallet, version, { error: ProfileCacheError.from(error, 'ERR_LOADER', { wallet }) });
      settle(undefined, error);
    }
  }

  /** Callers of `one` for this wallet join a bulk load. */
  private announce(wallet: string): Mine['settle'] {
    let settle!: Mine['settle'];
    const promise = new Promise<Loaded>((resolve, reject) => {
      settle = (loaded, error) => (loaded === undefined ? reject(error ?? notLoaded(wallet)) : resolve(loaded));
    });
    this.share(wallet, promise).catch(() => {});
    return settle;
  }

  private share(wallet: string, load: Promise<Loaded>): Promise<Loaded> {
    this.underWay.set(wallet, load);
    const forget = () => void (this.underWay.get(wallet) === load && this.underWay.delete(wallet));
    load.then(forget, forget);
    return load;
  }

  private async loadOne(wallet: string, loader: Loader, ttlSeconds: number | undefined): Promise<Loaded> {
    const { backend, thread } = this.parts;
    const cached = await this.parts.read(wallet);
    if (cached !== undefined) return { profile: cached, overtaken: false };
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const turn = await backend.beginLoad(wallet);
      if (turn.kind === 'lead') return this.lead(wallet, turn.version, loader, ttlSeconds);
      const profile = turn.kind === 'found' ? thread.take(wallet) : await this.afterTurn(wallet, turn);
      if (profile !== undefined) return { profile, overtaken: false };
    }
    throw gaveUp(wallet);
  }

  private async lead(wallet: string, version: number, loader: Loader, ttlSeconds: number | undefined): Promise<Loaded> {
    const { backend, thread } = this.parts;
    try {
      thread.row.count(COUNTER.loads);
      const loaded = await this.keepLoaded(wallet, await loader(wallet), version, ttlSeconds);
      backend.endLoad(wallet, version, {});
      return loaded;
    } catch (error) {
      thread.row.count(COUNTER.loadFailures);
      backend.endLoad(wallet, version, { error: ProfileCacheError.from(error, 'ERR_LOADER', { wallet }) });
      throw error;
    }
  }

  private async keepLoaded(wallet: string, value: unknown, version: number, ttlSeconds: number | undefined): Promise<Loaded> {
    const { backend, thread } = this.parts;
    if (value === undefined || value === null) throw notLoaded(wallet);
    const { bytes, schemaId } = thread.codec.encode(value);
    const raw = new Uint8Array(bytes);
    const [{ overtaken = false }] = await backend.update([{ wallet, raw, schemaId, ttlMs: this.parts.ttlMs(ttlSeconds), version }]);
    // Overtaken by an update or an invalidation: the caller still gets what was loaded for it.
    const profile = (thread.versionOf(wallet) === version ? thread.take(wallet) : undefined) ?? (thread.decodePrivate(raw, schemaId) as object);
    return { profile, overtaken };
  }

  private async afterTurn(wallet: string, turn: Extract<LoadTurn, { kind: 'busy' }>): Promise<object | undefined> {
    this.parts.thread.row.count(COUNTER.loadsShared);
    const { error } = await turn.ended;
    if (error !== undefined) throw error;
    return this.parts.thread.take(wallet);
  }
}

function gaveUp(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOAD_TIMEOUT', `wallet ${JSON.stringify(wallet)}: ${MAX_TURNS} loads of it by others ended without a profile`, { wallet });
}

function notLoaded(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOADER', `the loader gave no profile for wallet ${JSON.stringify(wallet)}; throw, or return an object`, { wallet });
}
