/**
 * What one process says on the channel: its events get numbers, and its heartbeats tell how many of them went out, so that whoever
 * hears them can tell that one is missing (publishers.ts).
 *
 * A number is given before L2 decides. Stored: the event is out. Refused: it never will be, and is not counted. No answer: nobody
 * knows; then a notice with the same number, which asks the others to look for themselves, is sent until one is acknowledged. So
 * the numbers need no order and have no holes that mean anything: up to `settled`, `sent` of them are out, and that is exact.
 */
import { formatHeartbeat } from './heartbeat.ts';
import { formatEvent, type UpdateType } from './update-event.ts';

/** Past this bound a doubtful event is counted as sent: who did not hear it finds one missing, and asks L2 about all it holds. */
const MAX_DOUBTS = 1_000;

export interface Doubt {
  seq: number;
  /** The notice: no version, so that it raises no floor for a write that may never have taken effect. */
  text: string;
}

export class Outgoing {
  readonly publisher: string;
  private readonly wallMs: () => number;
  private readonly isLossy: boolean;
  private lastSeq = 0;
  private lastBeat = 0;
  private settled = 0;
  private sent = 0;
  /** Decided above `settled`: whether the event is out. */
  private readonly decidedAbove = new Map<number, boolean>();
  private doubts: Doubt[] = [];
  private doubtsAway = 0;
  private stampedMs = -1;
  private stamp = '';

  /** @param isLossy of the channel: where nothing gets lost unseen, nobody sends notices or heartbeats. */
  constructor(publisher: string, wallMs: () => number, isLossy: boolean) {
    this.publisher = publisher;
    this.wallMs = wallMs;
    this.isLossy = isLossy;
  }

  /** A number, and the text that carries it. Each number must be decided later, one way or another. */
  event(type: UpdateType, wallet: string, version: number): { seq: number; text: string } {
    const seq = ++this.lastSeq;
    return { seq, text: formatEvent({ type, wallet, timestamp: this.timestamp(), publisher: this.publisher, seq, version }) };
  }

  decided(seq: number, isOut: boolean): void {
    if (seq <= this.settled) return;
    if (seq === this.settled + 1 && this.decidedAbove.size === 0) {
      // In order, as those of a batch are.
      this.settled = seq;
      if (isOut) this.sent++;
      return;
    }
    this.decidedAbove.set(seq, isOut);
    for (let next = this.settled + 1; ; next++) {
      const out = this.decidedAbove.get(next);
      if (out === undefined) return;
      this.decidedAbove.delete(next);
      this.settled = next;
      if (out) this.sent++;
    }
  }

  /** The event may be out or not. */
  inDoubt(seq: number, type: UpdateType, wallet: string): void {
    // Of `clear` there is no notice: it is counted, and missed by those who did not hear it.
    if (!this.isLossy || type === 'cleared' || this.doubts.length + this.doubtsAway >= MAX_DOUBTS) return this.decided(seq, true);
    this.doubts.push({ seq, text: formatEvent({ type, wallet, timestamp: this.timestamp(), publisher: this.publisher, seq }) });
  }

  /** Up to `count` notices to send; each must be settled by `told`. */
  takeDoubts(count: number): Doubt[] {
    const taken = this.doubts.splice(0, count);
    this.doubtsAway += taken.length;
    return taken;
  }

  told(doubt: Doubt, acknowledged: boolean): void {
    this.doubtsAway--;
    if (acknowledged) this.decided(doubt.seq, true);
    else this.doubts.push(doubt);
  }

  heartbeat(last = false): { beat: number; text: string } {
    const beat = ++this.lastBeat;
    const { publisher, settled, sent } = this;
    return { beat, text: formatHeartbeat({ publisher, settled, sent, beat, ...(last && { last }) }, this.timestamp()) };
  }

  /** Many events are of one millisecond, and making the text takes longer than all the rest of an event. */
  private timestamp(): string {
    const wholeMs = Math.floor(this.wallMs());
    if (wholeMs !== this.stampedMs) {
      this.stampedMs = wholeMs;
      this.stamp = new Date(wholeMs).toISOString();
    }
    return this.stamp;
  }
}
