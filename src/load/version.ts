/**
 * Version stamps: a hybrid logical clock (S. Kulkarni et al., "Logical physical clocks", 2014) in one safe integer.
 * stamp = milliseconds since 2020, with their fraction, × 4096: a quarter of a microsecond, so that two processes of one machine are
 * ordered as things happened, and rarely tie (a tie is settled by L2). A stamp is greater than every stamp this process has given or seen, whatever the calendars of others say.
 */
import { STAMPS } from '../clock.ts';

const { epochMs: EPOCH_MS, perMs: STAMPS_PER_MS, maxSkewMs: MAX_SKEW_MS } = STAMPS;
const NEAR_SKEW_MS = 60_000;

export class VersionClock {
  private last = 0;
  private readonly wallMs: () => number;

  /** @param wallMs milliseconds of the calendar, with a fraction. */
  constructor(wallMs: () => number) {
    this.wallMs = wallMs;
  }

  next(): number {
    this.last = Math.max(this.last + 1, Math.floor((this.wallMs() - EPOCH_MS) * STAMPS_PER_MS));
    return this.last;
  }

  /** Takes note of a stamp made elsewhere. False when it cannot be believed. */
  observe(version: number): boolean {
    // As old as one that was believed before: no need to look at the clock, for each of thousands of records.
    if (version <= this.last) return Number.isSafeInteger(version) && version > 0;
    if (!this.plausible(version)) return false;
    this.last = version;
    return true;
  }

  /** Of an event, which anybody may have made up: not further ahead than calendars of honest machines are. */
  near(version: number): boolean {
    return this.plausible(version) && version <= Math.max(this.last, (this.wallMs() - EPOCH_MS + NEAR_SKEW_MS) * STAMPS_PER_MS);
  }

  plausible(version: number): boolean {
    return Number.isSafeInteger(version) && version > 0 && version <= (this.wallMs() - EPOCH_MS + MAX_SKEW_MS) * STAMPS_PER_MS;
  }
}
