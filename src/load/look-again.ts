/**
 * Who is about to load a wallet looks once more whether somebody else has brought it meanwhile: in L1, then in L2. Those who look in one tick go to L2
 * together.
 */
import type { FetchedRecord } from '../workers-pool/l2-client.ts';
import type { FetchWatch, LoadAsk } from './backend.ts';
import type { ThreadCache } from './thread-cache.ts';

/** `found` is called with what L2 had, while its bytes are valid; `inL1` says whether L1 knows better than a record that was refused. */
export type FetchRaw = (wallets: readonly string[], found: (record: FetchedRecord) => void, inL1: (wallet: string) => boolean, watch: FetchWatch) => Promise<unknown>;

export class LookAgain {
  private readonly thread: ThreadCache;
  private readonly fetchRaw: FetchRaw | undefined;
  /** For the next tick. */
  private readonly wallets = new Set<string>();
  private graceMs = 0;
  /** Versions of what L2 had. */
  private looking: Promise<ReadonlyMap<string, number>> | undefined;

  /** @param fetchRaw undefined without an L2. */
  constructor(thread: ThreadCache, fetchRaw: FetchRaw | undefined) {
    this.thread = thread;
    this.fetchRaw = fetchRaw;
  }

  /** Whether there is something newer than what the asker knows. Rejects when L2 cannot be asked at all. */
  async look(wallet: string, { beyond, graceMs }: LoadAsk): Promise<boolean> {
    const { thread, fetchRaw } = this;
    if (thread.versionOf(wallet) > beyond) return true;
    if (fetchRaw === undefined) return false;
    this.looking ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.lookForAll(fetchRaw));
    this.wallets.add(wallet);
    this.graceMs = Math.max(this.graceMs, graceMs);
    const inL2 = (await this.looking).get(wallet) ?? 0;
    // L1 may have had no room for it, or have let it go again since.
    return Math.max(inL2, thread.versionOf(wallet)) > beyond;
  }

  private async lookForAll(fetchRaw: FetchRaw): Promise<ReadonlyMap<string, number>> {
    const wallets = [...this.wallets];
    const { graceMs } = this;
    this.wallets.clear();
    this.graceMs = 0;
    this.looking = undefined;
    const versions = new Map<string, number>();
    await fetchRaw(wallets, ({ wallet, version }) => void versions.set(wallet, version), (found) => this.thread.holds(found), { graceMs });
    return versions;
  }
}
