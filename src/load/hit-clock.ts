import { tickOf } from '../l1/near-cache.ts';

/**
 * The clock that hits are checked against. Reading the real one can cost more than all the rest of a hit, so a run of hits in
 * quick succession shares a reading: at most MAX_SHARED of them, never past the current turn of the event loop, and only while the
 * last such run took less than QUICK_RUN_MS. So a deadline is noticed late by one quick run at the most, unless the caller himself
 * blocks his thread between two hits of one run.
 *
 * It also notices that its thread stood still: stopped, suspended with its machine, or kept busy by its caller. Between two readings, the
 * owner's timer included, there is then a hole of more than STANDSTILL_MS, and what other processes said meanwhile lies unread in the sockets.
 * So the hole is told of before the first hit after it is answered. A loop that goes on hitting leaves no hole and is not interrupted; what
 * it misses is its own doing, for as long as it keeps the thread.
 */
const MAX_SHARED = 64;
/** With the turn of the event loop in which the sockets are read, within the 1.5 s that an update may take to be seen anywhere. */
export const STANDSTILL_MS = 1_000;
const QUICK_RUN_MS = 0.5;

export class HitClock {
  /** NaN before the first reading: nothing lies before it. */
  private cachedMs = Number.NaN;
  private cachedTick = 0;
  private left = 0;
  private shared = 0;
  private armed = false;
  private readonly readMs: () => number;
  private readonly onHole: (holeMs: number) => void;

  constructor(readMs: () => number, onHole: (holeMs: number) => void = () => {}) {
    this.readMs = readMs;
    this.onHole = onHole;
  }

  /** What the last call was answered from. */
  get lastMs(): number {
    return this.cachedMs;
  }

  /** Not shared. */
  freshMs(): number {
    this.refresh();
    return this.cachedMs;
  }

  /** As a tick of the near cache; `lastMs` is the same in milliseconds. */
  nowTick(): number {
    if (this.left > 0) this.left--;
    else this.refresh();
    return this.cachedTick;
  }

  private refresh(): void {
    const nowMs = this.readMs();
    const sinceMs = nowMs - this.cachedMs;
    if (sinceMs > STANDSTILL_MS) this.onHole(sinceMs);
    this.shared = sinceMs < QUICK_RUN_MS ? Math.min(MAX_SHARED, this.shared * 2 + 1) : 0;
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
