import { tickOf } from '../l1/near-cache.ts';

/**
 * The clock that hits are checked against. Reading the real one can cost more than all the rest of a hit, so a run of hits in
 * quick succession shares a reading: at most MAX_SHARED of them, never past the current turn of the event loop, and only while the
 * last such run took less than QUICK_RUN_MS. So a deadline is noticed late by one quick run at the most, unless the caller himself
 * blocks his thread between two hits of one run.
 */
const MAX_SHARED = 64;
const QUICK_RUN_MS = 0.5;

export class HitClock {
  private cachedMs = 0;
  private cachedTick = 0;
  private left = 0;
  private shared = 0;
  private armed = false;
  private readonly readMs: () => number;

  constructor(readMs: () => number) {
    this.readMs = readMs;
  }

  nowMs(): number {
    if (this.left > 0) this.left--;
    else this.refresh();
    return this.cachedMs;
  }

  /** As a tick of the near cache. */
  nowTick(): number {
    if (this.left > 0) this.left--;
    else this.refresh();
    return this.cachedTick;
  }

  private refresh(): void {
    const nowMs = this.readMs();
    this.shared = nowMs - this.cachedMs < QUICK_RUN_MS ? Math.min(MAX_SHARED, this.shared * 2 + 1) : 0;
    this.left = this.shared;
    this.cachedMs = nowMs;
    this.cachedTick = tickOf(nowMs);
    if (this.left > 0 && !this.armed) {
      this.armed = true;
      // Not unref'd: an unref'd one would let the loop sleep first and run I/O callbacks with the old reading.
      setImmediate(this.endTurn);
    }
  }

  private readonly endTurn = (): void => {
    this.armed = false;
    this.left = 0;
    this.shared = 0;
  };
}
