/**
 * The writes of this process that L2 has not answered: their wallets are held (floors.ts), and those whose caller waits no longer are in the queue.
 * Whoever takes the place of another, here or there, takes over what that one owed (`standIn`).
 */
import type { Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { L1Owner } from './l1-owner.ts';
import { owesInvalidation, standIn, WriteQueue, type PendingWrite } from './write-queue.ts';

export class Unanswered {
  readonly queue: WriteQueue;
  private readonly l1: L1Owner;
  private readonly clock: Clock;
  private readonly row: ThreadRow;
  private readonly onError: (error: ProfileCacheError) => void;
  /** Stamp of the newest clear of this process that L2 has carried out. */
  private clearedAt = 0;

  constructor(parts: { l1: L1Owner; clock: Clock; row: ThreadRow; maxQueuedWrites: number; onError: (error: ProfileCacheError) => void }) {
    this.queue = new WriteQueue(parts.maxQueuedWrites);
    this.l1 = parts.l1;
    this.clock = parts.clock;
    this.row = parts.row;
    this.onError = parts.onError;
  }

  /** Until L2 has answered. */
  hold(write: PendingWrite): void {
    const { floors } = this.l1;
    const before = floors.heldBy(write.wallet);
    if (before !== undefined) standIn(write, before);
    floors.hold(write.wallet, write);
  }

  /** L2 has answered. */
  release(write: PendingWrite): void {
    this.l1.floors.release(write.wallet, write);
    this.l1.answered(write.wallet);
  }

  /** Its caller waits no longer. */
  enqueue(write: PendingWrite): 'queued' | 'skipped' {
    if (write.version <= this.clearedAt) {
      this.release(write);
      return 'skipped';
    }
    write.queuedAtMs = this.clock.monotonicMs();
    const before = this.queue.waiting(write.wallet);
    const result = this.queue.add(write);
    const stays = this.queue.waiting(write.wallet);
    const gone = result === 'queued' ? before : write;
    if (gone !== undefined && gone !== stays) this.leave(gone, stays);
    if (result === 'queued') this.row.count(COUNTER.l2Queued);
    if (result !== 'full') return 'queued';
    this.row.count(COUNTER.l2QueueDropped);
    this.onError(new ProfileCacheError('ERR_OVERLOADED', `L2 is away and ${this.queue.size} writes wait for it: this one is in L1 alone; raise maxQueuedWrites`, { option: 'maxQueuedWrites', wallet: write.wallet }));
    return 'skipped';
  }

  /** Nothing of this wallet up to this write's version waits any more. */
  settle(write: PendingWrite): void {
    const settled = this.queue.settle(write.wallet, write.version);
    if (settled !== undefined) this.release(settled);
  }

  /** L2 has been emptied of all that was there: until then the invalidations that wait were needed. */
  cleared(version: number): void {
    this.clearedAt = version;
    for (const write of this.queue.dropUpTo(version)) this.release(write);
  }

  /** `gone` is not in the queue any more, or did not get there. */
  private leave(gone: PendingWrite, stays: PendingWrite | undefined): void {
    if (stays !== undefined) {
      standIn(stays, gone);
      // What a loader brought holds nothing by itself.
      if (owesInvalidation(stays) && this.l1.floors.isHeldBy(gone.wallet, gone)) return this.l1.floors.hold(stays.wallet, stays);
    }
    this.release(gone);
  }
}
