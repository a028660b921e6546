/**
 * How many messages are read: a token bucket. Reading one (parsing, raising a floor, dropping the entry, telling every thread) costs the owner's
 * thread some 4 us, so whoever may publish could otherwise keep it from everything else. What is not read is not lost: L1 is checked
 * against L2 instead, at most every FLOOD_GAP_MS. Messages that take longer to read count more.
 */
export const EVENTS_PER_SECOND = 50_000;
export const BURST_EVENTS = 50_000;
export const FLOOD_GAP_MS = 500;
/** An event has some 200. */
const CHARACTERS_A_TOKEN = 512;
/** Brackets in brackets keep JSON.parse busy for a tenth of a microsecond each. What an event has of them is bearable. */
const JSON_CHARACTERS_A_TOKEN = 48;
const BEARABLE_JSON_CHARACTERS = 256;
/** What JSON.parse throws takes 10 us to make. */
const BAD_JSON_TOKENS = 3;

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

  /** What was read has cost more than a message as peers write it: JSON.parse has seen it. */
  chargeJson(characters: number, isBad: boolean): void {
    this.tokens -= Math.floor(Math.max(0, characters - BEARABLE_JSON_CHARACTERS) / JSON_CHARACTERS_A_TOKEN) + (isBad ? BAD_JSON_TOKENS : 0);
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
