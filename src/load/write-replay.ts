/** Brings L2 the queued writes when it answers again. Where L2 holds something newer by then, the stamps decide. */
import type { Clock } from '../clock.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Breaker } from './breaker.ts';
import type { L1Owner } from './l1-owner.ts';
import type { Unanswered } from './unanswered.ts';
import type { Decided, WriteFate } from './write-fate.ts';
import type { PendingWrite } from './write-queue.ts';

const REPLAY_BATCH = 500;

export interface WriteReplayParts {
  fate: WriteFate;
  unanswered: Unanswered;
  l1: L1Owner;
  breaker: Breaker | undefined;
  clock: Clock;
  row: ThreadRow;
  graceMs: number;
  /** How long L2 remembers what was deleted and cleared. */
  rememberedMs: number;
  timeoutMs: number;
}

export class WriteReplay {
  private readonly parts: WriteReplayParts;
  private readonly longestWaitMs: number;
  private running = false;

  constructor(parts: WriteReplayParts) {
    this.parts = parts;
    // It may have been under way for one deadline before, and is for another afterwards.
    this.longestWaitMs = Math.max(parts.rememberedMs - 2 * parts.timeoutMs, parts.rememberedMs / 2);
  }

  /** Oldest first. */
  async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    const { queue } = this.parts.unanswered;
    try {
      while (queue.size > 0 && this.parts.breaker?.open !== true) {
        const due = queue.oldest(REPLAY_BATCH);
        const outcomes = await Promise.all(due.map((write) => this.one(write)));
        if (outcomes.every((settled) => !settled)) break;
      }
    } finally {
      this.running = false;
    }
  }

  private async one(write: PendingWrite): Promise<boolean> {
    if (write.sending === true) return false;
    const { fate, unanswered, row } = this.parts;
    if (!this.stillMeant(write)) {
      unanswered.settle(write);
      return true;
    }
    const results: Decided[] = [];
    await fate.attempt([write], true, results);
    const [result] = results;
    if (result === undefined) return false;
    unanswered.settle(write);
    if (result === 'stored') row.count(COUNTER.l2Replayed);
    return true;
  }

  /** False for a write that is to be given up. One that is outdated may go on as an invalidation, with a stamp of now. */
  private stillMeant(write: PendingWrite): boolean {
    const { fate, l1, clock, graceMs } = this.parts;
    const { floors } = l1;
    const nowMs = clock.monotonicMs();
    const isOutdated = this.isOutdated(write, nowMs);
    // In its grace it is still better than what L2 may have in its grace.
    const hasExpired = write.expiresAtMs + graceMs <= nowMs;
    if (!isOutdated && !hasExpired) {
      // An earlier update yielded to this one, and was refused for something that this one must not lose to.
      if ((write.beyond ?? 0) >= write.version && floors.isHeldBy(write.wallet, write)) fate.renew(write);
      return true;
    }
    if (fate.becomesInvalidation(write, isOutdated && write.loaded !== true)) {
      fate.renew(write);
      return true;
    }
    if (isOutdated) l1.retract(write.wallet, write.version);
    return false;
  }

  /** L2 has been cleared since, or may have forgotten what was deleted since. An invalidation never is. */
  private isOutdated({ record, knows, queuedAtMs = Infinity }: PendingWrite, nowMs: number): boolean {
    return record !== undefined && (knows < this.parts.l1.floors.knownClear || nowMs - queuedAtMs >= this.longestWaitMs);
  }
}
