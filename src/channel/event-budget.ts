/**
 * How many messages are read: a token bucket. Reading one (JSON, dropping the entry, telling every thread) costs the owner's thread
 * some 10 us, so whoever may publish could otherwise keep it from everything else. What is not read is not lost: L1 is checked
 * against L2 instead, at most every FLOOD_GAP_MS. Long ones count more: 8 KB of brackets keep JSON.parse busy for half a millisecond.
 */
const EVENTS_PER_SECOND = 20_000;
const BURST_EVENTS = 40_000;
export const FLOOD_GAP_MS = 500;
/** An event has some 200. */
const CHARACTERS_A_TOKEN = 512;

export class EventBudget {
  /** Messages not read since the last gap that was told for it. */
  unread = 0;
  private tokens = BURST_EVENTS;
  private filledMs: number;
  private gapMs = -Infinity;

  constructor(nowMs: number) {
    this.filledMs = nowMs;
  }

  /** False: too many. The clock is looked at only when the bucket is empty. */
  take(characters: number, now: () => number): boolean {
    if (this.tokens < 1) {
      const nowMs = now();
      this.tokens = Math.min(BURST_EVENTS, this.tokens + ((nowMs - this.filledMs) / 1000) * EVENTS_PER_SECOND);
      this.filledMs = nowMs;
      if (this.tokens < 1) {
        this.unread++;
        return false;
      }
    }
    this.tokens -= 1 + Math.floor(characters / CHARACTERS_A_TOKEN);
    return true;
  }

  /** How many went unread, when it is time to say so; 0 otherwise. */
  toTell(nowMs: number): number {
    if (this.unread === 0 || nowMs - this.gapMs < FLOOD_GAP_MS) return 0;
    const { unread } = this;
    this.unread = 0;
    this.gapMs = nowMs;
    return unread;
  }
}
