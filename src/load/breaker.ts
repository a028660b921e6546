/**
 * Circuit breaker of L2 (M. Nygard, "Release It!"). Closed: operations run. Open: nobody waits for L2, a probe goes out every
 * `PROBE_INTERVAL_MS`, and the first that succeeds closes it.
 *
 * What opens it is that most of L2 does not answer. A dead shard fails its own wallets and must not take the living ones away, and lone
 * reads of it may well fail three times in a row: so failures in a row only raise the doubt, and the probe, which asks all over L2
 * (`L2Client.isReachable`), decides. A batch that failed whole and was spread over all of L2 is such a probe already; not so the queued writes of a
 * dead shard, all of which are its own, however many there are.
 */
import { walletHash } from '../l2/slots.ts';

const FAILURES_TO_DOUBT = 3;
const PROBE_INTERVAL_MS = 250;
/** As many wallets that fail together raise the doubt at once. */
const DOUBTFUL_WALLETS = 64;
/** Buckets lie over the slots in their order. A shard has a range of slots, or a few: who meets each of so many equal parts has met them all. */
const PARTS = 8;
const ALL_PARTS = 2 ** PARTS - 1;

export interface BreakerParts {
  /** Whether most of L2 answers. */
  probe(): Promise<boolean>;
  onChange(up: boolean, cause?: unknown): void;
  /** Of the key layout; 0 for none. */
  buckets: number;
  nowMs(): number;
}

export class Breaker {
  private readonly parts: BreakerParts;
  private failuresInARow = 0;
  private timer: NodeJS.Timeout | undefined;
  private probing = false;
  private doubtedMs = -Infinity;
  private closed = false;

  constructor(parts: BreakerParts) {
    this.parts = parts;
  }

  get open(): boolean {
    return this.timer !== undefined;
  }

  succeeded(): void {
    this.failuresInARow = 0;
    // A late success of an operation begun earlier says nothing about now: only a probe closes the breaker.
  }

  /** An operation on `wallets` failed for all of them. */
  failed(cause: unknown, wallets: readonly string[]): void {
    this.failuresInARow++;
    if (this.open) return;
    if (this.isSpread(wallets)) this.trip(cause);
    else if (this.failuresInARow >= FAILURES_TO_DOUBT || wallets.length >= DOUBTFUL_WALLETS) void this.doubt(cause);
  }

  close(): void {
    this.closed = true;
    this.rest();
  }

  private isSpread(wallets: readonly string[]): boolean {
    const { buckets } = this.parts;
    if (wallets.length < DOUBTFUL_WALLETS || buckets < PARTS) return false;
    let met = 0;
    for (const wallet of wallets) {
      met |= 1 << Math.floor(((walletHash(wallet) % buckets) * PARTS) / buckets);
      if (met === ALL_PARTS) return true;
    }
    return false;
  }

  private async doubt(cause: unknown): Promise<void> {
    const nowMs = this.parts.nowMs();
    // While a part of L2 is away, failures never end: the rest is not asked at each of them.
    if (this.probing || nowMs - this.doubtedMs < PROBE_INTERVAL_MS) return;
    this.doubtedMs = nowMs;
    if (await this.ask()) this.failuresInARow = 0;
    else this.trip(cause);
  }

  private trip(cause: unknown): void {
    if (this.open || this.closed) return;
    this.timer = setInterval(() => void this.tryProbe(), PROBE_INTERVAL_MS);
    this.timer.unref();
    this.parts.onChange(false, cause);
  }

  private async tryProbe(): Promise<void> {
    if (this.probing || !(await this.ask()) || !this.open) return;
    this.rest();
    this.failuresInARow = 0;
    this.parts.onChange(true);
  }

  private async ask(): Promise<boolean> {
    this.probing = true;
    const reachable = await this.parts.probe().catch(() => false);
    this.probing = false;
    return reachable;
  }

  private rest(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
