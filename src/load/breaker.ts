/**
 * Circuit breaker of L2 (M. Nygard, "Release It!"). Closed: operations run. Open after `FAILURES_TO_OPEN` operations in a row that
 * failed as a whole: nobody waits for L2, a probe goes out every `PROBE_INTERVAL_MS`, and the first that succeeds closes it.
 * One dead node of a cluster fails only its own wallets and does not open it.
 */
const FAILURES_TO_OPEN = 3;
const PROBE_INTERVAL_MS = 250;
/** A batch this large touches every node: when all of it fails, one failure is enough. */
const DECISIVE_BATCH = 64;

export class Breaker {
  private failuresInARow = 0;
  private timer: NodeJS.Timeout | undefined;
  private probing = false;
  private readonly probe: () => Promise<boolean>;
  private readonly onChange: (up: boolean, cause?: unknown) => void;

  constructor(probe: () => Promise<boolean>, onChange: (up: boolean, cause?: unknown) => void) {
    this.probe = probe;
    this.onChange = onChange;
  }

  get open(): boolean {
    return this.timer !== undefined;
  }

  succeeded(): void {
    this.failuresInARow = 0;
    // A late success of an operation begun earlier says nothing about now: only a probe closes the breaker.
  }

  /** An operation on `wallets` wallets failed for all of them. */
  failed(cause: unknown, wallets: number): void {
    this.failuresInARow += wallets >= DECISIVE_BATCH ? FAILURES_TO_OPEN : 1;
    if (this.open || this.failuresInARow < FAILURES_TO_OPEN) return;
    this.timer = setInterval(() => void this.tryProbe(), PROBE_INTERVAL_MS);
    this.timer.unref();
    this.onChange(false, cause);
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async tryProbe(): Promise<void> {
    if (this.probing) return;
    this.probing = true;
    const reachable = await this.probe().catch(() => false);
    this.probing = false;
    if (!reachable || !this.open) return;
    this.close();
    this.failuresInARow = 0;
    this.onChange(true);
  }
}
