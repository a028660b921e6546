/**
 * getOrLoad for one thread: callers of one wallet share one load; the backend sees to it that threads and processes do too.
 * What a loader brings is written with the version its load began with: anything newer wins over it, whether somebody waits for the
 * load or it runs in the background. How long a caller waits, and what he gets instead, is patience.ts.
 */
import { ProfileCacheError } from '../errors.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Backend, LoadTurn } from './backend.ts';
import { deferred } from './deferred.ts';
import type { LoadPolicy } from './load-policy.ts';
import { patiently, type StaleReason } from './patience.ts';
import type { Stale, ThreadCache } from './thread-cache.ts';

export type Loader = (wallet: string) => unknown | Promise<unknown>;
/** Given the missing wallets, returns their profiles; a wallet it leaves out has none. */
export type BulkLoader = (wallets: string[]) => BulkLoaded | Promise<BulkLoaded>;
export type BulkLoaded = ReadonlyMap<string, unknown> | Iterable<readonly [string, unknown]>;

export interface StaleServed {
  wallet: string;
  /** Since it expired. */
  expiredMs: number;
  reason: StaleReason;
}

export interface LoadParts {
  backend: Backend;
  thread: ThreadCache;
  /** L1, then L2; counted. */
  read(wallet: string): Promise<object | undefined>;
  ttlMs(ttlSeconds: number | undefined): number;
  onStale(served: StaleServed): void;
  /** A load failed that nobody waits for, or whose callers were given an expired profile. */
  onUnheard(error: unknown): void;
}

interface Loaded {
  /** Undefined only of a background load that had nothing to do: who joined it looks for himself. */
  profile: object | undefined;
  /** Something newer came while it was loaded: who asked later than that must not have it. */
  overtaken: boolean;
}

interface Shared {
  done: Promise<Loaded>;
  /** It is known that the profile has to be loaded. Never settles when it need not be. */
  begun: Promise<void>;
}

interface Mine {
  wallet: string;
  version: number;
  settle(loaded: Loaded | undefined, error?: unknown): void;
}

/** A profile to be refreshed, and the version to be replaced. */
interface Due {
  wallet: string;
  beyond: number;
}

/** Turns that may end without a profile (their loader failed elsewhere, or was overtaken) before this gives up. */
const MAX_TURNS = 50;
/** Background loads of a thread at a time; past it what is due waits for its next reader. */
const MAX_REFRESHES = 1_000;
const NOTHING_CAME: Loaded = { profile: undefined, overtaken: true };

export class Loading {
  private readonly parts: LoadParts;
  private readonly underWay = new Map<string, Shared>();
  private readonly told = new WeakSet<object>();
  private refreshes = 0;

  constructor(parts: LoadParts) {
    this.parts = parts;
  }

  /** For a wallet that L1 does not hold. */
  one(wallet: string, loader: Loader, policy: LoadPolicy): Promise<object> {
    const stale = this.serve(wallet, policy.revalidateMs, 'revalidating');
    if (stale !== undefined) {
      this.parts.thread.row.count(COUNTER.misses);
      this.inBackground([{ wallet, beyond: stale.version }], (due) => this.refresh(due[0], loader, policy));
      return Promise.resolve(stale.profile);
    }
    return patiently((begun) => this.load(wallet, loader, policy, begun), policy, {
      stale: (withinMs, reason) => this.serve(wallet, withinMs, reason)?.profile,
      timedOut: () => this.timedOut(`wallet ${JSON.stringify(wallet)}`, policy, wallet),
      unheard: (error) => this.unheard(error),
    });
  }

  /** `missing` are wallets that a read has just not found. The result lacks those the loader has nothing for. */
  many(missing: readonly string[], loader: BulkLoader, policy: LoadPolicy): Promise<Map<string, object>> {
    const found = new Map<string, object>();
    return patiently((begun) => this.loadMany(missing, loader, policy, found, begun), policy, {
      stale: (withinMs, reason) => this.serveRest(missing, found, withinMs, reason),
      timedOut: () => this.timedOut(`${missing.length} wallets`, policy),
      unheard: (error) => this.unheard(error),
    });
  }

  /** Those of `wallets` that expired less than `revalidateMs` ago; their refresh runs in the background. */
  revalidate(wallets: readonly string[], loader: BulkLoader, policy: LoadPolicy): Map<string, object> {
    const served = new Map<string, object>();
    if (policy.revalidateMs === 0) return served;
    const due: Due[] = [];
    for (const wallet of wallets) {
      const stale = this.serve(wallet, policy.revalidateMs, 'revalidating');
      if (stale === undefined) continue;
      served.set(wallet, stale.profile);
      due.push({ wallet, beyond: stale.version });
    }
    this.parts.thread.row.count(COUNTER.misses, served.size);
    this.inBackground(due, (all) => this.refreshMany(all, loader, policy));
    return served;
  }

  /** The wallet has been hit: refreshes it in the background if the share of its life that is left is small. */
  ahead(wallet: string, loader: Loader, policy: LoadPolicy): void {
    this.inBackground(this.dueAhead([wallet], policy), (due) => this.refresh(due[0], loader, policy));
  }

  aheadMany(wallets: Iterable<string>, loader: BulkLoader, policy: LoadPolicy): void {
    this.inBackground(this.dueAhead(wallets, policy), (due) => this.refreshMany(due, loader, policy));
  }

  private dueAhead(wallets: Iterable<string>, policy: LoadPolicy): Due[] {
    const { thread, ttlMs } = this.parts;
    const due: Due[] = [];
    for (const wallet of wallets) {
      if (thread.leftMs(wallet) >= ttlMs(policy.ttlSeconds) * policy.eagerShareLeft) continue;
      const beyond = thread.versionOf(wallet);
      if (beyond > 0) due.push({ wallet, beyond });
    }
    return due;
  }

  private inBackground(due: Due[], refresh: (due: Due[]) => Promise<unknown>): void {
    const idle = due.filter(({ wallet }) => !this.underWay.has(wallet));
    if (idle.length === 0 || this.refreshes >= MAX_REFRESHES) return;
    this.refreshes++;
    void refresh(idle).catch((error: unknown) => this.unheard(error)).finally(() => this.refreshes--);
  }

  private refresh({ wallet, beyond }: Due, loader: Loader, policy: LoadPolicy): Promise<Loaded> {
    return this.share(wallet, async (begun) => {
      const turn = await this.parts.backend.beginLoad(wallet, { beyond, graceMs: policy.graceMs, background: true });
      if (turn.kind === 'resting') this.parts.thread.row.count(COUNTER.loadsSpared);
      if (turn.kind === 'lead') {
        begun();
        this.parts.thread.row.count(COUNTER.refreshes);
        return this.lead(wallet, turn.version, loader, policy, true);
      }
      if (turn.kind === 'busy') await turn.ended;
      return NOTHING_CAME;
    }).done;
  }

  private async refreshMany(due: Due[], loader: BulkLoader, policy: LoadPolicy): Promise<void> {
    const mine: Mine[] = [];
    const begun = await Promise.allSettled(due.map(async ({ wallet, beyond }) => {
      const turn = await this.parts.backend.beginLoad(wallet, { beyond, graceMs: policy.graceMs, background: true });
      if (turn.kind === 'resting') this.parts.thread.row.count(COUNTER.loadsSpared);
      if (turn.kind === 'lead') mine.push({ wallet, version: turn.version, settle: this.announce(wallet) });
    }));
    this.mustAllHaveBegun(begun, mine, policy);
    if (mine.length === 0) return;
    this.parts.thread.row.count(COUNTER.refreshes);
    await this.loadMine(mine, loader, policy, new Map(), true);
  }

  private async load(wallet: string, loader: Loader, policy: LoadPolicy, begun: () => void): Promise<object> {
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const shared = this.underWay.get(wallet);
      if (shared === undefined) {
        const own = this.share(wallet, (announce) => this.loadOne(wallet, loader, policy, announce));
        void own.begun.then(begun);
        return (await own.done).profile as object;
      }
      this.parts.thread.row.count(COUNTER.loadsShared);
      void shared.begun.then(begun);
      const { profile, overtaken } = await shared.done;
      if (!overtaken && profile !== undefined) return profile;
    }
    throw gaveUp(wallet);
  }

  private async loadMany(missing: readonly string[], loader: BulkLoader, policy: LoadPolicy, found: Map<string, object>, begunAll: () => void): Promise<Map<string, object>> {
    const { backend, thread } = this.parts;
    const joined: Promise<void>[] = [];
    const mine: Mine[] = [];
    const others: { wallet: string; turn: Extract<LoadTurn, { kind: 'busy' }> }[] = [];
    const keep = (wallet: string, profile: object | undefined) => void (profile !== undefined && found.set(wallet, profile));
    const again = (wallet: string) => this.loadMany([wallet], loader, policy, found, () => {});
    const begun = await Promise.allSettled(missing.map(async (wallet) => {
      const shared = this.underWay.get(wallet);
      if (shared !== undefined) {
        thread.row.count(COUNTER.loadsShared);
        const joining = shared.done.then(async ({ profile, overtaken }) => (overtaken || profile === undefined ? void (await again(wallet)) : keep(wallet, profile)));
        // It may fail long before this load comes to wait for it.
        joining.catch(() => {});
        joined.push(joining);
        return;
      }
      const turn = await backend.beginLoad(wallet, { beyond: 0, graceMs: policy.graceMs, background: false });
      if (turn.kind === 'found') keep(wallet, thread.take(wallet));
      else if (turn.kind === 'busy') others.push({ wallet, turn });
      else if (turn.kind === 'absent') thread.row.count(COUNTER.negativeHits);
      else if (turn.kind === 'resting') keep(wallet, this.serveResting(wallet, turn.error, policy));
      else mine.push({ wallet, version: turn.version, settle: this.announce(wallet) });
    }));
    this.mustAllHaveBegun(begun, mine, policy);
    begunAll();
    // Turns were granted in any order: the loader is asked in the caller's.
    const place = new Map(missing.map((wallet, i) => [wallet, i]));
    mine.sort((a, b) => (place.get(a.wallet) as number) - (place.get(b.wallet) as number));
    if (mine.length > 0) await this.loadMine(mine, loader, policy, found);
    // Only now, so that two callers who each hold what the other waits for cannot stand still.
    for (const { wallet, turn } of others) {
      const profile = await this.afterTurn(wallet, turn).catch(absentIsNothing);
      if (profile === 'absent') continue;
      if (profile !== undefined) keep(wallet, profile);
      else await again(wallet);
    }
    await Promise.all(joined.map((joining) => joining.catch(absentIsNothing)));
    return found;
  }

  /** If a turn could not be asked for, those that were granted are given back. */
  private mustAllHaveBegun(begun: PromiseSettledResult<void>[], mine: Mine[], policy: LoadPolicy): void {
    const refused = begun.find((outcome) => outcome.status === 'rejected');
    if (refused === undefined) return;
    for (const one of mine) this.fail(one, refused.reason, policy, false);
    throw refused.reason;
  }

  private async loadMine(mine: Mine[], loader: BulkLoader, policy: LoadPolicy, found: Map<string, object>, background = false): Promise<void> {
    const { backend, thread } = this.parts;
    let loaded: Map<string, unknown>;
    try {
      thread.row.count(COUNTER.loads);
      loaded = new Map(await loader(mine.map(({ wallet }) => wallet)));
    } catch (error) {
      thread.row.count(COUNTER.loadFailures);
      for (const one of mine) this.fail(one, error, policy, background);
      throw error;
    }
    const kept = await Promise.allSettled(mine.map(async (one) => {
      const { wallet, version, settle } = one;
      const value = loaded.get(wallet) ?? undefined;
      if (value === undefined && policy.negativeMs > 0) return this.fail(one, notFound(wallet), policy, background);
      try {
        const profile = value === undefined ? undefined : await this.keepLoaded(wallet, value, version, policy);
        if (profile?.profile !== undefined) found.set(wallet, profile.profile);
        backend.endLoad(wallet, version, {});
        settle(profile);
      } catch (error) {
        thread.row.count(COUNTER.loadFailures);
        this.fail(one, error, policy, background);
        throw error;
      }
    }));
    const failure = kept.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  private fail({ wallet, version, settle }: Mine, error: unknown, policy: LoadPolicy, background: boolean): void {
    this.endFailed(wallet, version, error, policy, background);
    settle(undefined, error);
  }

  /** Callers of `one` for this wallet join a bulk load. */
  private announce(wallet: string): Mine['settle'] {
    const { promise, resolve, reject } = deferred<Loaded>();
    this.share(wallet, (begun) => (begun(), promise)).done.catch(() => {});
    return (loaded, error) => (loaded === undefined ? reject(error ?? notLoaded(wallet)) : resolve(loaded));
  }

  private share(wallet: string, run: (begun: () => void) => Promise<Loaded>): Shared {
    const begun = deferred<void>();
    const shared: Shared = { done: run(() => begun.resolve()), begun: begun.promise };
    this.underWay.set(wallet, shared);
    const forget = () => void (this.underWay.get(wallet) === shared && this.underWay.delete(wallet));
    shared.done.then(forget, forget);
    return shared;
  }

  private async loadOne(wallet: string, loader: Loader, policy: LoadPolicy, begun: () => void): Promise<Loaded> {
    const { backend, thread } = this.parts;
    const cached = await this.parts.read(wallet);
    if (cached !== undefined) return { profile: cached, overtaken: false };
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const turn = await backend.beginLoad(wallet, { beyond: 0, graceMs: policy.graceMs, background: false });
      if (turn.kind === 'absent') {
        thread.row.count(COUNTER.negativeHits);
        throw turn.error;
      }
      if (turn.kind === 'resting') {
        // Gone since the turn was asked for: then nobody rests.
        if (!thread.hasStale(wallet, policy.graceMs)) continue;
        thread.row.count(COUNTER.loadsSpared);
        // Told of when it happened.
        this.told.add(turn.error);
        throw turn.error;
      }
      if (turn.kind !== 'found') begun();
      if (turn.kind === 'lead') return this.lead(wallet, turn.version, loader, policy);
      const profile = turn.kind === 'found' ? thread.take(wallet) : await this.afterTurn(wallet, turn);
      if (profile !== undefined) return { profile, overtaken: false };
    }
    throw gaveUp(wallet);
  }

  private async lead(wallet: string, version: number, loader: Loader, policy: LoadPolicy, background = false): Promise<Loaded> {
    const { backend, thread } = this.parts;
    try {
      thread.row.count(COUNTER.loads);
      const loaded = await this.keepLoaded(wallet, await loader(wallet), version, policy);
      backend.endLoad(wallet, version, {});
      return loaded;
    } catch (error) {
      if (!isAbsence(error, policy)) thread.row.count(COUNTER.loadFailures);
      this.endFailed(wallet, version, error, policy, background);
      throw error;
    }
  }

  private endFailed(wallet: string, version: number, error: unknown, policy: LoadPolicy, background: boolean): void {
    const typed = ProfileCacheError.from(error, 'ERR_LOADER', { wallet });
    if (isAbsence(error, policy)) this.parts.backend.endLoad(wallet, version, { error: typed, absentMs: policy.negativeMs });
    else this.parts.backend.endLoad(wallet, version, { error: typed, restMs: policy.graceMs > 0 || background ? policy.backoffMs : undefined });
  }

  private async keepLoaded(wallet: string, value: unknown, version: number, policy: LoadPolicy): Promise<Loaded> {
    const { backend, thread } = this.parts;
    if (value === undefined || value === null) throw policy.negativeMs > 0 ? notFound(wallet) : notLoaded(wallet);
    const { bytes, schemaId } = thread.codec.encode(value);
    const raw = new Uint8Array(bytes);
    const [{ overtaken = false }] = await backend.update([{ wallet, raw, schemaId, ttlMs: this.parts.ttlMs(policy.ttlSeconds), version }]);
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

  private serve(wallet: string, withinMs: number, reason: StaleReason): Stale | undefined {
    if (withinMs === 0) return undefined;
    const stale = this.parts.thread.stale(wallet, withinMs);
    if (stale === undefined) return undefined;
    this.parts.thread.row.count(COUNTER.staleServed);
    this.parts.onStale({ wallet, expiredMs: stale.expiredMs, reason });
    return stale;
  }

  private serveResting(wallet: string, error: ProfileCacheError, policy: LoadPolicy): object {
    this.parts.thread.row.count(COUNTER.loadsSpared);
    const stale = this.serve(wallet, policy.graceMs, 'failed');
    if (stale === undefined) throw error;
    return stale.profile;
  }

  /** Of a bulk load either everything that is still missing can be served, or its callers wait on. */
  private serveRest(wallets: readonly string[], found: ReadonlyMap<string, object>, withinMs: number, reason: StaleReason): Map<string, object> | undefined {
    const rest = wallets.filter((wallet) => !found.has(wallet));
    if (!rest.every((wallet) => this.parts.thread.hasStale(wallet, withinMs))) return undefined;
    const served = new Map(found);
    for (const wallet of rest) {
      const stale = this.serve(wallet, withinMs, reason);
      if (stale !== undefined) served.set(wallet, stale.profile);
    }
    return served;
  }

  private timedOut(what: string, { hardTimeoutMs }: LoadPolicy, wallet?: string): ProfileCacheError {
    this.parts.thread.row.count(COUNTER.loadTimeouts);
    const wayOut = 'it goes on, and may still fill the cache; raise load.hardTimeoutMs, or keep expired profiles to fall back on (load.graceSeconds)';
    return new ProfileCacheError('ERR_LOAD_TIMEOUT', `${what}: the load took longer than ${hardTimeoutMs} ms; ${wayOut}`, { wallet, option: 'load.hardTimeoutMs' });
  }

  /** Once for each failure, however many callers it had. */
  private unheard(error: unknown): void {
    if (typeof error === 'object' && error !== null) {
      if (this.told.has(error)) return;
      this.told.add(error);
    }
    this.parts.onUnheard(error);
  }
}

const isAbsence = (error: unknown, policy: LoadPolicy): boolean => policy.negativeMs > 0 && error instanceof ProfileCacheError && error.code === 'ERR_NOT_FOUND';

function absentIsNothing(error: unknown): 'absent' {
  if (error instanceof ProfileCacheError && error.code === 'ERR_NOT_FOUND') return 'absent';
  throw error;
}

function gaveUp(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOAD_TIMEOUT', `wallet ${JSON.stringify(wallet)}: ${MAX_TURNS} loads of it by others ended without a profile`, { wallet });
}

function notLoaded(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_LOADER', `the loader gave no profile for wallet ${JSON.stringify(wallet)}; throw, return an object, or set load.negativeTtlSeconds`, { wallet });
}

function notFound(wallet: string): ProfileCacheError {
  return new ProfileCacheError('ERR_NOT_FOUND', `the loader has no profile of wallet ${JSON.stringify(wallet)}; remembered for load.negativeTtlSeconds, or until the wallet is updated or invalidated`, { wallet, option: 'load.negativeTtlSeconds' });
}
