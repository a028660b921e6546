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
