/** Loads that nobody waits for: of profiles that expired and were served all the same, and of those whose life is nearly over. Bounded. */
import { COUNTER } from '../stats/metrics.ts';
import type { Backend } from './backend.ts';
import type { Unheard } from './load-errors.ts';
import type { BulkLoader, LoadMany, Mine } from './load-many.ts';
import type { Loader, LoadOne } from './load-one.ts';
import type { LoadPolicy } from './load-policy.ts';
import type { Loaded, SharedLoads } from './load-shared.ts';
import type { ThreadCache } from './thread-cache.ts';

/** A profile to be refreshed, and the version to be replaced. */
export interface Due {
  wallet: string;
  beyond: number;
}

export interface RefreshParts {
  backend: Backend;
  thread: ThreadCache;
  shared: SharedLoads;
  unheard: Unheard;
  one: LoadOne;
  many: LoadMany;
  ttlMs(ttlSeconds: number | undefined): number;
}

/** Background loads of a thread at a time; past it what is due waits for its next reader. */
const MAX_REFRESHES = 1_000;
const NOTHING_CAME: Loaded = { profile: undefined, overtaken: true };

export class LoadRefresh {
  private readonly parts: RefreshParts;
  private running = 0;

  constructor(parts: RefreshParts) {
    this.parts = parts;
  }

  one(due: Due, loader: Loader, policy: LoadPolicy): void {
    this.inBackground([due], (idle) => this.refresh(idle[0], loader, policy));
  }

  many(due: Due[], loader: BulkLoader, policy: LoadPolicy): void {
    this.inBackground(due, (idle) => this.refreshMany(idle, loader, policy));
  }

  /** Of `wallets` those that are in L1 with less than the policy's share of their life left. */
  dueAhead(wallets: Iterable<string>, policy: LoadPolicy): Due[] {
    const { thread, ttlMs } = this.parts;
    const due: Due[] = [];
    for (const wallet of wallets) {
      if (thread.leftMs(wallet) >= ttlMs(policy.ttlSeconds) * policy.eagerShareLeft) continue;
      const beyond = thread.versionOf(wallet);
      if (beyond > 0) due.push({ wallet, beyond });
    }
    return due;
  }

  private inBackground(due: Due[], refresh: (idle: Due[]) => Promise<unknown>): void {
    const idle = due.filter(({ wallet }) => this.parts.shared.of(wallet) === undefined);
    if (idle.length === 0 || this.running >= MAX_REFRESHES) return;
    this.running++;
    void refresh(idle).catch((error: unknown) => this.parts.unheard.report(error)).finally(() => this.running--);
  }

  private refresh({ wallet, beyond }: Due, loader: Loader, policy: LoadPolicy): Promise<Loaded> {
    const { backend, thread, shared, one } = this.parts;
    return shared.share(wallet, async (begun) => {
      const turn = await backend.beginLoad(wallet, { beyond, graceMs: policy.graceMs, background: true });
      if (turn.kind === 'resting') thread.row.count(COUNTER.loadsSpared);
      if (turn.kind === 'lead') {
        begun();
        thread.row.count(COUNTER.refreshes);
        return one.lead(wallet, turn.version, loader, policy, true);
      }
      if (turn.kind === 'busy') await turn.ended;
      return NOTHING_CAME;
    }).done;
  }

  private async refreshMany(due: Due[], loader: BulkLoader, policy: LoadPolicy): Promise<void> {
    const { backend, thread, shared, many } = this.parts;
    const mine: Mine[] = [];
    const begun = await Promise.allSettled(due.map(async ({ wallet, beyond }) => {
      const turn = await backend.beginLoad(wallet, { beyond, graceMs: policy.graceMs, background: true });
      if (turn.kind === 'resting') thread.row.count(COUNTER.loadsSpared);
      if (turn.kind === 'lead') mine.push({ wallet, version: turn.version, settle: shared.announce(wallet) });
    }));
    many.mustAllHaveBegun(begun, mine, policy);
    if (mine.length === 0) return;
    thread.row.count(COUNTER.refreshes);
    await many.lead(mine, loader, policy, new Map(), true);
  }
}
