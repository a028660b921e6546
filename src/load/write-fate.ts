/**
 * What becomes of a write once L2 has answered: stored, failed, or refused because L2 holds something newer, a write with the same stamp, or
 * the memory of a clear that the writer had not heard of. A write that is refused is stamped anew, past what refused it, or becomes an
 * invalidation, or is given up.
 */
import type { Clock } from '../clock.ts';
import type { ProfileCacheError } from '../errors.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { WriteOutcome } from '../workers-pool/l2-client.ts';
import type { Clears } from './clears.ts';
import type { L1Owner } from './l1-owner.ts';
import type { Unanswered } from './unanswered.ts';
import type { VersionClock } from './version.ts';
import { owesInvalidation, yieldTo, type PendingWrite } from './write-queue.ts';
import type { WriteSender } from './write-sender.ts';

/** Undefined: L2 failed. */
export type Decided = 'stored' | 'skipped' | undefined;

/** Times a write is stamped anew because L2 held a newer version. */
const MAX_RENEWALS = 3;

export interface WriteFateParts {
  sender: WriteSender;
  unanswered: Unanswered;
  clears: Clears;
  l1: L1Owner;
  versions: VersionClock;
  clock: Clock;
  row: ThreadRow;
  onError: (error: ProfileCacheError) => void;
}

export class WriteFate {
  private readonly sender: WriteSender;
  private readonly unanswered: Unanswered;
  private readonly clears: Clears;
  private readonly l1: L1Owner;
  private readonly versions: VersionClock;
  private readonly clock: Clock;
  private readonly row: ThreadRow;
  private readonly onError: (error: ProfileCacheError) => void;

  constructor(parts: WriteFateParts) {
    this.sender = parts.sender;
    this.unanswered = parts.unanswered;
    this.clears = parts.clears;
    this.l1 = parts.l1;
    this.versions = parts.versions;
    this.clock = parts.clock;
    this.row = parts.row;
    this.onError = parts.onError;
  }

  /** `results[i]` stays undefined when L2 failed. A write gets its last version. All are updates, or all are invalidations. */
  async attempt(writes: readonly PendingWrite[], replayed: boolean, results: Decided[]): Promise<void> {
    for (const write of writes) write.sending = true;
    const outcomes = await this.sender.send(writes);
    const undecided: Promise<void>[] = [];
    writes.forEach((write, i) => {
      const outcome = outcomes[i];
      if (outcome.status !== 'older') results[i] = this.conclude(write, this.taken(outcome));
      else undecided.push(this.decide(write, outcome, replayed).then((decided) => void (results[i] = this.conclude(write, decided))));
    });
    if (undecided.length > 0) await Promise.all(undecided);
  }

  renew(write: PendingWrite): void {
    write.version = this.versions.next();
    write.knows = this.l1.floors.knownClear;
    if (write.record === undefined) {
      this.l1.drop(write.wallet, write.version);
      return;
    }
    this.l1.store({ wallet: write.wallet, ...write.record, version: write.version, createdAtMs: this.clock.wallMs(), ttlMs: write.expiresAtMs - this.clock.monotonicMs() });
  }

  /**
   * Of a write that would be given up: it is the invalidation from now on that it came after, if L2 has not taken that one. `inAnyCase`: nobody
   * can tell whether what L2 has is older.
   */
  becomesInvalidation(write: PendingWrite, inAnyCase = false): boolean {
    if (!(inAnyCase || owesInvalidation(write)) || !this.l1.floors.isHeldBy(write.wallet, write)) return false;
    write.record = undefined;
    write.loaded = false;
    write.after = undefined;
    write.expiresAtMs = Infinity;
    return true;
  }

  private conclude(write: PendingWrite, result: Decided): Decided {
    if (result === 'stored') {
      write.stored = true;
      if (write.after !== undefined) write.after.stored = true;
      this.unanswered.settle(write);
    }
    if (result !== undefined) this.unanswered.release(write);
    write.sending = false;
    return result;
  }

  private taken(outcome: Exclude<WriteOutcome, { status: 'older' }>): 'stored' | undefined {
    if (outcome.status === 'stored') {
      this.row.count(COUNTER.l2Stored);
      return 'stored';
    }
    this.row.count(COUNTER.l2Failures);
    this.onError(outcome.error);
    return undefined;
  }

  private async decide(write: PendingWrite, first: Extract<WriteOutcome, { status: 'older' }>, replayed: boolean): Promise<Decided> {
    let outcome: WriteOutcome = first;
    const wasUpdate = write.record !== undefined;
    for (let renewal = 0; outcome.status === 'older'; renewal++) {
      this.row.count(COUNTER.l2Refused);
      this.versions.observe(outcome.storedVersion);
      if (outcome.cleared === true) this.clears.heardOf(outcome.storedVersion);
      // The same stamp: this write itself, whose first answer got lost, or another process's. Nobody can tell, so it is written once more.
      const tied = outcome.storedVersion === write.version;
      // Its caller was told that it waits: the clear may have come after that.
      const isCleared = outcome.cleared === true && (replayed || write.queuedAtMs !== undefined);
      if (renewal === MAX_RENEWALS || !(this.mayRenew(write, isCleared || (replayed && !tied)) || this.becomesInvalidation(write, isCleared && write.loaded !== true))) {
        this.giveUp(write, outcome.storedVersion);
        return 'skipped';
      }
      this.renew(write);
      [outcome] = await this.sender.send([write]);
    }
    const taken = this.taken(outcome);
    return taken === 'stored' && wasUpdate && write.record === undefined ? 'skipped' : taken;
  }

  private mayRenew(write: PendingWrite, stampsDecide: boolean): boolean {
    if (write.loaded === true) return false;
    // What a clear of this process has emptied stays empty; an invalidation says nothing else, and that clear may fail.
    if (write.record !== undefined && (stampsDecide || write.version < this.clears.begunAt)) return false;
    return this.l1.floors.isHeldBy(write.wallet, write);
  }

  private giveUp(write: PendingWrite, storedVersion: number): void {
    const { wallet, version } = write;
    const later = this.l1.floors.heldBy(wallet);
    if (later !== undefined && later !== write) yieldTo(later, storedVersion);
    // A clear that was not known of.
    if (version > storedVersion) this.l1.retract(wallet, version);
    // L2 is right: what L1 holds is outdated unless it is newer still.
    if (this.l1.versionOf(wallet) <= storedVersion) this.l1.drop(wallet, storedVersion);
  }
}
