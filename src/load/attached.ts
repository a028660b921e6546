/**
 * The backend of an attached thread: asks the owner. Profiles never travel as objects: the owner puts them into L1, where this
 * thread reads them; only what L1 cannot hold comes as bytes.
 */
import { ProfileCacheError, type WireError } from '../errors.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Backend, CacheHealth, Deliver, FetchReport, FetchWatch, LoadAsk, LoadEnd, LoadTurn } from './backend.ts';
import type { Owner } from './owner.ts';
import type { Serve, ThreadLink } from './thread-link.ts';
import type { ThreadCache } from './thread-cache.ts';
import type { EncodedUpdate, UpdateResult } from './write-path.ts';

interface FetchAnswer {
  /** In L1 when the answer was sent. */
  inL1: string[];
  /** What L1 cannot hold. */
  loose: { wallet: string; raw: Uint8Array; schemaId: number }[];
  failed: [string, WireError][];
}

/** How much longer than the owner's own deadline an answer is waited for: its event loop may be busy. */
const GRACE_MS = 1_000;
/** Wallets of one request: the owner answers it within its deadline for one part. */
const PART_WALLETS = 1_000;
const SLOW_VERB_MS = 600_000;

export class Attached implements Backend {
  private readonly link: ThreadLink;
  private readonly thread: ThreadCache;
  private readonly timeoutMs: number;

  constructor(link: ThreadLink, thread: ThreadCache, l2TimeoutMs: number) {
    this.link = link;
    this.thread = thread;
    this.timeoutMs = l2TimeoutMs;
  }

  async fetch(wallets: readonly string[], deliver: Deliver | undefined, watch?: FetchWatch): Promise<FetchReport> {
    const report: FetchReport = { found: 0, failed: new Map() };
    for (let from = 0; from < wallets.length && watch?.stopped?.() !== true; from += PART_WALLETS) {
      const part = wallets.slice(from, from + PART_WALLETS);
      try {
        await this.fetchPart(part, deliver, report);
      } catch (error) {
        this.thread.row.count(COUNTER.l2Failures, wallets.length - from);
        throw error;
      }
      watch?.onPart?.(part.length);
    }
    return report;
  }

  private async fetchPart(wallets: readonly string[], deliver: Deliver | undefined, report: FetchReport): Promise<void> {
    const answer = (await this.link.call('fetch', { wallets, loose: deliver !== undefined }, this.timeoutMs + GRACE_MS)) as FetchAnswer;
    report.found += answer.inL1.length + answer.loose.length;
    for (const [wallet, error] of answer.failed) report.failed.set(wallet, ProfileCacheError.fromWire(error));
    if (deliver === undefined) return;
    this.thread.readSchemaLog();
    for (const { wallet, raw, schemaId } of answer.loose) deliver(wallet, this.thread.decodePrivate(raw, schemaId));
    const evicted: string[] = [];
    for (const wallet of answer.inL1) {
      const profile = this.thread.take(wallet);
      if (profile === undefined) evicted.push(wallet);
      else deliver(wallet, profile);
    }
    // L1 is smaller than the batch, or much was written meanwhile: these come as bytes.
    if (evicted.length > 0) {
      const rest = (await this.link.call('fetch', { wallets: evicted, loose: true, all: true }, this.timeoutMs + GRACE_MS)) as FetchAnswer;
      for (const { wallet, raw, schemaId } of rest.loose) deliver(wallet, this.thread.decodePrivate(raw, schemaId));
    }
  }

  update(updates: readonly EncodedUpdate[]): Promise<UpdateResult[]> {
    return this.link.call('update', updates, this.timeoutMs + GRACE_MS) as Promise<UpdateResult[]>;
  }

  async invalidate(wallets: readonly string[]): Promise<void> {
    await this.link.call('invalidate', wallets, this.timeoutMs + GRACE_MS);
  }

  async clear(): Promise<void> {
    await this.link.call('clear', undefined, SLOW_VERB_MS);
  }

  async beginLoad(wallet: string, ask: LoadAsk): Promise<LoadTurn> {
    const turn = (await this.link.call('beginLoad', { wallet, ask }, this.timeoutMs * 2 + GRACE_MS)) as WireTurn;
    if (turn.kind === 'absent' || turn.kind === 'resting') return { ...turn, error: ProfileCacheError.fromWire(turn.error) };
    if (turn.kind !== 'busy') return turn;
    return { kind: 'busy', ended: this.link.call('awaitLoad', wallet, SLOW_VERB_MS).then((end) => wireToEnd(end as WireEnd)) };
  }

  endLoad(wallet: string, version: number, end: LoadEnd): void {
    // Nobody here waits for it; an owner that is gone has no waiters either.
    this.link.call('endLoad', { wallet, version, end: endToWire(end) }, this.timeoutMs + GRACE_MS).catch(() => {});
  }

  async health(): Promise<CacheHealth> {
    return (await this.link.call('health', undefined, this.timeoutMs + GRACE_MS)) as CacheHealth;
  }

  close(): Promise<void> {
    this.link.close();
    return Promise.resolve();
  }
}

type Wired<T> = T extends { error: ProfileCacheError } ? Omit<T, 'error'> & { error: WireError } : T;
type WireTurn = Wired<Exclude<LoadTurn, { kind: 'busy' }>> | { kind: 'busy' };
type WireEnd = Omit<LoadEnd, 'error'> & { error?: WireError };

const endToWire = (end: LoadEnd): WireEnd => ({ ...end, error: end.error?.toWire() });
const wireToEnd = (end: WireEnd): LoadEnd => ({ ...end, error: end.error && ProfileCacheError.fromWire(end.error) });

/** The owner's side of every verb above; `onGone` gives up what a thread that has closed or died was loading. */
export function serveAttached(owner: Owner, thread: ThreadCache): { serve: Serve; onGone(asker: number): void } {
  const running = new Map<string, Promise<LoadEnd>>();
  /** Loads that each thread leads: wallet and version. */
  const leads = new Map<number, Map<string, number>>();
  const onGone = (asker: number) => {
    for (const [wallet, version] of leads.get(asker) ?? []) owner.endLoad(wallet, version, {});
    leads.delete(asker);
  };
  const serve: Serve = async (verb, args, asker) => {
    switch (verb) {
      case 'fetch':
        return serveFetch(owner, thread, args as { wallets: string[]; loose: boolean; all?: boolean });
      case 'update':
        return owner.update(args as EncodedUpdate[]);
      case 'invalidate':
        return owner.invalidate(args as string[]);
      case 'clear':
        return owner.clear();
      case 'beginLoad': {
        const { wallet, ask } = args as { wallet: string; ask: LoadAsk };
        const turn = await owner.beginLoad(wallet, ask);
        if (turn.kind === 'lead') leads.set(asker, (leads.get(asker) ?? new Map<string, number>()).set(wallet, turn.version));
        if (turn.kind === 'absent' || turn.kind === 'resting') return { ...turn, error: turn.error.toWire() };
        if (turn.kind !== 'busy') return turn;
        // A promise does not travel: the thread asks for its end.
        running.set(wallet, turn.ended);
        const forget = () => void (running.get(wallet) === turn.ended && running.delete(wallet));
        turn.ended.then(() => setTimeout(forget, GRACE_MS).unref());
        return { kind: 'busy' };
      }
      case 'awaitLoad': {
        return endToWire((await running.get(args as string)) ?? {});
      }
      case 'endLoad': {
        const { wallet, version, end } = args as { wallet: string; version: number; end: WireEnd };
        if (leads.get(asker)?.get(wallet) === version) leads.get(asker)?.delete(wallet);
        return owner.endLoad(wallet, version, wireToEnd(end));
      }
      case 'health':
        return owner.health();
      default:
        throw new ProfileCacheError('ERR_HANDLE', `an attached thread asked for "${verb}": two versions of the package are in one process`);
    }
  };
  return { serve, onGone };
}

async function serveFetch(owner: Owner, thread: ThreadCache, { wallets, loose, all }: { wallets: string[]; loose: boolean; all?: boolean }): Promise<FetchAnswer> {
  const answer: FetchAnswer = { inL1: [], loose: [], failed: [] };
  const report = await owner.fetchRaw(
    wallets,
    (record, result) => {
      if (result === 'stored' && all !== true) answer.inL1.push(record.wallet);
      else if (loose) answer.loose.push({ wallet: record.wallet, raw: new Uint8Array(record.raw), schemaId: record.schemaId });
      else answer.inL1.push(record.wallet);
    },
    (wallet) => {
      const holds = thread.holds(wallet);
      if (holds) answer.inL1.push(wallet);
      return holds;
    },
  );
  for (const [wallet, error] of report.failed) answer.failed.push([wallet, error.toWire()]);
  return answer;
}
