/**
 * The load of one wallet: joined if this thread has one under way; else L1 and L2 are read once more, then a turn is asked for, and the loader
 * runs if the turn says that we lead. Any other answer of the turn is an outcome of somebody else's load.
 */
import { COUNTER } from '../stats/metrics.ts';
import type { Backend, LoadTurn } from './backend.ts';
import { gaveUp, isAbsence, MAX_TURNS, type Unheard } from './load-errors.ts';
import type { LoadOutcome } from './load-outcome.ts';
import type { LoadPolicy } from './load-policy.ts';
import type { Loaded, SharedLoads } from './load-shared.ts';
import type { ThreadCache } from './thread-cache.ts';

export type Loader = (wallet: string) => unknown | Promise<unknown>;

export interface OneParts {
  backend: Backend;
  thread: ThreadCache;
  shared: SharedLoads;
  outcome: LoadOutcome;
  unheard: Unheard;
  /** L1, then L2; counted. */
  read(wallet: string): Promise<object | undefined>;
}

export class LoadOne {
  private readonly parts: OneParts;

  constructor(parts: OneParts) {
    this.parts = parts;
  }

  /** `begun` is called once it is known that the profile has to be loaded. */
  async load(wallet: string, loader: Loader, policy: LoadPolicy, begun: () => void): Promise<object> {
    const { shared, thread } = this.parts;
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const running = shared.of(wallet);
      if (running === undefined) {
        const own = shared.share(wallet, (announce) => this.readOrLoad(wallet, loader, policy, announce));
        void own.begun.then(begun);
        return (await own.done).profile as object;
      }
      thread.row.count(COUNTER.loadsShared);
      void running.begun.then(begun);
      const { profile, overtaken } = await running.done;
      if (!overtaken && profile !== undefined) return profile;
    }
    throw gaveUp(wallet);
  }

  /** The turn is ours: runs the loader, keeps what it brings, ends the turn. */
  async lead(wallet: string, version: number, loader: Loader, policy: LoadPolicy, background = false): Promise<Loaded> {
    const { backend, thread, outcome } = this.parts;
    try {
      thread.row.count(COUNTER.loads);
      const loaded = await outcome.keep(wallet, await loader(wallet), version, policy);
      backend.endLoad(wallet, version, {});
      return loaded;
    } catch (error) {
      if (!isAbsence(error, policy)) thread.row.count(COUNTER.loadFailures);
      outcome.failed(wallet, version, error, policy, background);
      throw error;
    }
  }

  /** Another thread or process has the turn: its error, or what L1 holds when it has ended. */
  async afterTurn(wallet: string, turn: Extract<LoadTurn, { kind: 'busy' }>): Promise<object | undefined> {
    const { thread } = this.parts;
    thread.row.count(COUNTER.loadsShared);
    const { error } = await turn.ended;
    if (error !== undefined) throw error;
    return thread.take(wallet);
  }

  /** A turn said that it is there. L1 may have let it go since, or never have had room for it: L2 has it then. */
  async found(wallet: string): Promise<object | undefined> {
    return this.parts.thread.take(wallet) ?? this.parts.read(wallet);
  }

  private async readOrLoad(wallet: string, loader: Loader, policy: LoadPolicy, begun: () => void): Promise<Loaded> {
    const { backend, thread, unheard } = this.parts;
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
        unheard.isTold(turn.error);
        throw turn.error;
      }
      if (turn.kind !== 'found') begun();
      if (turn.kind === 'lead') return this.lead(wallet, turn.version, loader, policy);
      const profile = turn.kind === 'found' ? await this.found(wallet) : await this.afterTurn(wallet, turn);
      if (profile !== undefined) return { profile, overtaken: false };
    }
    throw gaveUp(wallet);
  }
}
