/**
 * The load of many wallets with one call of the loader.
 *
 * Order that matters
 *  1. A turn is asked for each wallet; loads of this thread that are under way are joined. One refusal gives back the turns that were granted.
 *  2. The loader is called for those whose turns are ours, in the caller's order. Who asks for one of them alone joins.
 *  3. Only then are the turns of others waited for: two callers who each hold what the other waits for cannot stand still.
 */
import { COUNTER } from '../stats/metrics.ts';
import type { Backend, LoadTurn } from './backend.ts';
import { absentIsNothing, gaveUp, MAX_TURNS, notFound } from './load-errors.ts';
import type { LoadOne } from './load-one.ts';
import type { LoadOutcome } from './load-outcome.ts';
import type { LoadPolicy } from './load-policy.ts';
import type { Settle, SharedLoads } from './load-shared.ts';
import type { StaleAnswers } from './load-stale.ts';
import type { ThreadCache } from './thread-cache.ts';

/** Given the missing wallets, returns their profiles; a wallet it leaves out has none. */
export type BulkLoader = (wallets: string[]) => BulkLoaded | Promise<BulkLoaded>;
export type BulkLoaded = ReadonlyMap<string, unknown> | Iterable<readonly [string, unknown]>;

/** A wallet whose turn is ours. */
export interface Mine {
  wallet: string;
  version: number;
  settle: Settle;
}

export interface ManyParts {
  backend: Backend;
  thread: ThreadCache;
  shared: SharedLoads;
  outcome: LoadOutcome;
  stale: StaleAnswers;
  one: LoadOne;
}

export class LoadMany {
  private readonly parts: ManyParts;

  constructor(parts: ManyParts) {
    this.parts = parts;
  }

  /** Fills `found`, which it resolves with; `begunAll` is called once it is known what has to be loaded. */
  async load(missing: readonly string[], loader: BulkLoader, policy: LoadPolicy, found: Map<string, object>, begunAll: () => void, turns = 0): Promise<Map<string, object>> {
    const { backend, thread, shared, stale, one } = this.parts;
    const joined: Promise<void>[] = [];
    const mine: Mine[] = [];
    /** Were there when a turn was asked for. */
    const gone: string[] = [];
    const others: { wallet: string; turn: Extract<LoadTurn, { kind: 'busy' }> }[] = [];
    const keep = (wallet: string, profile: object | undefined) => void (profile !== undefined && found.set(wallet, profile));
    const again = (wallet: string) => {
      if (turns === MAX_TURNS) throw gaveUp(wallet);
      return this.load([wallet], loader, policy, found, () => {}, turns + 1);
    };
    const begun = await Promise.allSettled(missing.map(async (wallet) => {
      const running = shared.of(wallet);
      if (running !== undefined) {
        thread.row.count(COUNTER.loadsShared);
        const joining = running.done.then(async ({ profile, overtaken }) => (overtaken || profile === undefined ? void (await again(wallet)) : keep(wallet, profile)));
        // It may fail long before this load comes to wait for it.
        joining.catch(() => {});
        joined.push(joining);
        return;
      }
      const turn = await backend.beginLoad(wallet, { beyond: 0, graceMs: policy.graceMs, background: false });
      if (turn.kind === 'found') await one.found(wallet).then((profile) => (profile === undefined ? void gone.push(wallet) : keep(wallet, profile)));
      else if (turn.kind === 'busy') others.push({ wallet, turn });
      else if (turn.kind === 'absent') thread.row.count(COUNTER.negativeHits);
      else if (turn.kind === 'resting') keep(wallet, stale.serveResting(wallet, turn.error, policy));
      else mine.push({ wallet, version: turn.version, settle: shared.announce(wallet) });
    }));
    this.mustAllHaveBegun(begun, mine, policy);
    begunAll();
    // Turns were granted in any order.
    const place = new Map(missing.map((wallet, i) => [wallet, i]));
    mine.sort((a, b) => (place.get(a.wallet) as number) - (place.get(b.wallet) as number));
    if (mine.length > 0) await this.lead(mine, loader, policy, found);
    for (const { wallet, turn } of others) {
      const profile = await one.afterTurn(wallet, turn).catch(absentIsNothing);
      if (profile === 'absent') continue;
      if (profile !== undefined) keep(wallet, profile);
      else await again(wallet);
    }
    for (const wallet of gone) await again(wallet);
    await Promise.all(joined.map((joining) => joining.catch(absentIsNothing)));
    return found;
  }

  /** If a turn could not be asked for, those that were granted are given back. */
  mustAllHaveBegun(begun: PromiseSettledResult<void>[], mine: Mine[], policy: LoadPolicy): void {
    const refused = begun.find((outcome) => outcome.status === 'rejected');
    if (refused === undefined) return;
    for (const one of mine) this.fail(one, refused.reason, policy, false);
    throw refused.reason;
  }

  /** Runs the loader for all of them, keeps what it brings, ends their turns. Rejects with the first failure, when all are ended. */
  async lead(mine: Mine[], loader: BulkLoader, policy: LoadPolicy, found: Map<string, object>, background = false): Promise<void> {
    const { backend, thread, outcome } = this.parts;
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
        const profile = value === undefined ? undefined : await outcome.keep(wallet, value, version, policy);
        if (profile?.profile !== undefined) found.set(wallet, profile.profile);
        backend.endLoad(wallet, version, {});
        settle(profile);
      } catch (error) {
        thread.row.count(COUNTER.loadFailures);
        this.fail(one, error, policy, background);
        throw error;
      }
    }));
    const failure = kept.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  private fail({ wallet, version, settle }: Mine, error: unknown, policy: LoadPolicy, background: boolean): void {
    this.parts.outcome.failed(wallet, version, error, policy, background);
    settle(undefined, error);
  }
}
