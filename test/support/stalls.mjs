// How long reads take beside deaths, and how much of that this thread was ready to run and had no core: others had it. Plain JavaScript: worker threads run it as it is.
import { readFileSync } from 'node:fs';
import { createHistogram } from 'node:perf_hooks';

/** Shorter than this is a read's own doing, whatever the system did. */
const SLOW_MS = 0.5;
/** A wait for a core may be ascribed to a read that came up to so long after it. */
const LOOK_EVERY_MS = 0.5;

/** Milliseconds since this thread began; `undefined` where the system does not tell. (bench/support/core-wait.ts has the fields.) */
function coreWaitMs() {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / 1e6;
  } catch {
    return undefined;
  }
}

const nanoseconds = (ms) => Math.max(1, Math.round(ms * 1e6));

/** Times of one kind: reads, or as many pieces of work of the same length that touch no cache. */
class Times {
  all = createHistogram();
  slowestMs = 0;
  /** Of the slowest, on no core although ready to run. */
  slowestWaitedMs = 0;
  /** The longest when each is taken without its wait for a core. */
  longestOwnMs = 0;

  add(tookMs, waitedMs) {
    this.all.record(nanoseconds(tookMs));
    const awayMs = Math.min(waitedMs, tookMs);
    if (tookMs > this.slowestMs) [this.slowestMs, this.slowestWaitedMs] = [tookMs, awayMs];
    this.longestOwnMs = Math.max(this.longestOwnMs, tookMs - awayMs);
  }

  report() {
    const { all, slowestMs, slowestWaitedMs, longestOwnMs } = this;
    return { count: all.count, p999Ms: all.count === 0 ? 0 : all.percentile(99.9) / 1e6, slowestMs, slowestWaitedMs, longestOwnMs };
  }
}

export class Stalls {
  reads = new Times();
  idle = new Times();
  lookedAtMs = performance.now();
  waitedMs = coreWaitMs();

  /** A read that took from `startMs` to `readMs`, and then work without a cache up to `idleMs`. */
  note(startMs, readMs, idleMs) {
    const isSlow = readMs - startMs > SLOW_MS || idleMs - readMs > SLOW_MS;
    const waitedMs = isSlow || idleMs - this.lookedAtMs > LOOK_EVERY_MS ? this.look(idleMs) : 0;
    // What was waited for falls into the longer of the two, or both are short.
    const inRead = readMs - startMs > idleMs - readMs;
    this.reads.add(readMs - startMs, inRead ? waitedMs : 0);
    this.idle.add(idleMs - readMs, inRead ? 0 : waitedMs);
  }

  /** The loop was left and is entered again: what happened meanwhile is no read's. */
  restart() {
    this.look(performance.now());
  }

  report() {
    return { reads: this.reads.report(), idle: this.idle.report() };
  }

  look(nowMs) {
    const beforeMs = this.waitedMs;
    this.waitedMs = coreWaitMs();
    this.lookedAtMs = nowMs;
    return beforeMs === undefined ? 0 : this.waitedMs - beforeMs;
  }
}
