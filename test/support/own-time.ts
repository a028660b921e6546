/**
 * Elapsed time less what this thread was kept from running. A promise such as "within 1.5 s" is about the code; where files of tests share two
 * cores, a thread may stand still for some hundred milliseconds of that. A timer that rings every TICK_MS tells: what it is late was not ours.
 */
const TICK_MS = 10;

export class OwnTime {
  private readonly timer: NodeJS.Timeout;
  private readonly startMs = performance.now();
  private lastMs = this.startMs;
  private lateMs = 0;

  constructor() {
    this.timer = setInterval(() => {
      const nowMs = performance.now();
      this.lateMs += Math.max(0, nowMs - this.lastMs - TICK_MS);
      this.lastMs = nowMs;
    }, TICK_MS);
    this.timer.unref();
  }

  /** Milliseconds since it was made; ends the measurement. */
  stop(): number {
    clearInterval(this.timer);
    return performance.now() - this.startMs - this.lateMs;
  }
}
