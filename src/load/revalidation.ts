/**
 * Checks what L1 holds against L2.
 *
 * After a gap (`suspect`): every entry is hidden at once, one bit a slot, so that nothing that may be stale is served. What a reader
 * asks for goes to L2 as any miss does; all the rest is asked in the background, in batches. The same version: the entry, and the near
 * copies of it, are as good as before. A newer one takes its place; none: it goes; an older one: L2 has gone back in time, and gets
 * ours (`WritePath.repair`).
 * When L2 cannot answer for an entry, L1's word is better than none: it is served on, counted (`servedUnchecked`), and checked as
 * soon as L2 answers. An L2 that is away takes no writes either, so little can have changed there.
 *
 * After trouble with L2 (`recheck`): the same without hiding anything, because a failover may have lost what had been acknowledged.
 */
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { L1Owner } from './l1-owner.ts';
import type { ReadPath } from './read-path.ts';

/** Wallets that are collected and asked for at once; the read path cuts them into parts and sends some side by side. */
const BATCH_WALLETS = 3_000;
const RETRY_MS = 250;
/** So long after the last failure L2 is taken to have settled: more than a failover takes. */
const SETTLED_MS = 3_000;

export interface RevalidationParts {
  reads: Pick<ReadPath, 'fetch'>;
  l1: L1Owner;
  row: ThreadRow;
  nowMs: () => number;
  /** L2 is known to be down: asking it would only count failures. */
  isDown: () => boolean;
}

export class Revalidation {
  private readonly parts: RevalidationParts;
  private running: Promise<void> | undefined;
  private restart = false;
  private everything = false;
  private retrying: Promise<void> | undefined;
  private retriedMs = -Infinity;
  private troubleMs: number | undefined;
  private closed = false;

  constructor(parts: RevalidationParts) {
    this.parts = parts;
  }

  /** Nothing in L1 is served before L2 has been asked. */
  suspect(): void {
    this.parts.l1.distrustAll();
    this.begin();
  }

  /** All of L1 is compared with L2; it is served meanwhile. */
  recheck(): void {
    this.everything = true;
    this.begin();
  }

  /** L2 failed somebody. */
  trouble(): void {
    this.troubleMs = this.parts.nowMs();
  }

  /** Called now and then. */
  tick(): void {
    this.retry();
    if (this.troubleMs === undefined || this.parts.isDown() || this.parts.nowMs() - this.troubleMs < SETTLED_MS) return;
    this.troubleMs = undefined;
    this.recheck();
  }

  /** L2 could not say: L1's word stands until it can. False when L1 has none. */
  release(wallet: string): boolean {
    if (!this.parts.l1.release(wallet)) return false;
    this.parts.row.count(COUNTER.servedUnchecked);
    return true;
  }

  get underWay(): boolean {
    return this.running !== undefined || this.parts.l1.unchecked.size > 0;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([this.running, this.retrying]);
  }

  private begin(): void {
    if (this.closed) return;
    this.restart = true;
    this.running ??= this.run().finally(() => (this.running = undefined));
  }

  private async run(): Promise<void> {
    while (this.restart && !this.closed) {
      this.restart = false;
      const { everything } = this;
      this.everything = false;
      const { complete, failed } = await this.pass(everything);
      if (complete) this.parts.l1.settled();
      // Begun anew before it was through: what it was to look at besides the suspects is still to be looked at.
      else if (everything) this.everything = true;
      if (failed && everything) this.trouble();
    }
  }

  private async pass(everything: boolean): Promise<{ complete: boolean; failed: boolean }> {
    const { l1, reads } = this.parts;
    const { writer } = l1;
    let anyFailed = false;
    for (let slot = 0; slot < writer.slotCount; ) {
      const batch: string[] = [];
      for (; slot < writer.slotCount && batch.length < BATCH_WALLETS; slot++) {
        const wallet = everything || writer.suspects.has(slot) ? writer.walletOf(slot) : undefined;
        if (wallet !== undefined) batch.push(wallet);
      }
      if (batch.length === 0) break;
      const { failed } = await reads.fetch(batch, () => {});
      if (this.restart || this.closed) return { complete: false, failed: anyFailed };
      for (const wallet of failed.keys()) this.release(wallet);
      anyFailed ||= failed.size > 0;
    }
    return { complete: true, failed: anyFailed };
  }

  /** Asks again for what could not be asked. */
  private retry(): void {
    const { l1, reads, isDown, nowMs } = this.parts;
    if (l1.unchecked.size === 0 || this.retrying !== undefined || this.closed || isDown() || nowMs() - this.retriedMs < RETRY_MS) return;
    this.retriedMs = nowMs();
    const wallets: string[] = [];
    for (const wallet of l1.unchecked) {
      if (l1.versionOf(wallet) === 0) l1.unchecked.delete(wallet);
      else if (!l1.floors.isHeld(wallet) && wallets.push(wallet) === BATCH_WALLETS) break;
    }
    if (wallets.length === 0) return;
    this.retrying = reads.fetch(wallets, () => {}).then(({ failed }) => {
      this.retrying = undefined;
      // It may be one that was hidden meanwhile.
      for (const wallet of failed.keys()) this.release(wallet);
    });
  }
}
