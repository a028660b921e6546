/**
 * Two clocks, never mixed.
 * `monotonicMs` counts from the boot of the machine (CLOCK_MONOTONIC), the same in every thread of a process, never set back:
 * L1 deadlines and every waiting time use it. `wallMs` is the calendar (Unix epoch): events, versions and reports use it.
 */
export interface Clock {
  monotonicMs(): number;
  wallMs(): number;
}

/** `performance.now()` starts at zero in each thread; this constant of the thread takes it to CLOCK_MONOTONIC. */
const threadOffsetMs = measureThreadOffsetMs();

function measureThreadOffsetMs(): number {
  // The two clocks are read one after the other: keep the pair with the shortest gap.
  let best = Infinity;
  let offsetMs = 0;
  for (let i = 0; i < 16; i++) {
    const before = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const gap = performance.now() - before;
    if (gap < best) {
      best = gap;
      offsetMs = seconds * 1e3 + nanoseconds / 1e6 - before - gap / 2;
    }
  }
  return offsetMs;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now() + threadOffsetMs,
  wallMs: () => Date.now(),
};

/** The calendar with a fraction: orders what two processes of one machine do within a millisecond. */
export function preciseWallMs(): number {
  // `timeOrigin` was read once, the calendar is being adjusted ever since: the fraction counts only within its millisecond.
  const wallMs = Date.now();
  return Math.min(Math.max(performance.timeOrigin + performance.now(), wallMs), wallMs + 0.999);
}

/** Version stamps (load/version.ts) are milliseconds of the calendar since `epochMs`, times `perMs`. */
export const STAMPS = {
  epochMs: Date.UTC(2020, 0, 1),
  perMs: 4096,
  /** A stamp further in the future than this is no clock skew but damage or forgery. Nobody believes it, and any write replaces it. */
  maxSkewMs: 24 * 3_600_000,
} as const;
