/**
 * The update channel on behalf of one process: parses, leaves out what this process published, speaks its heartbeats, and notices
 * what it did not hear.
 *
 * Ways to miss a message, and how each is noticed
 *   the subscription broke            the source says so, when the new one stands
 *   one message got lost              the publisher's next heartbeat counts one more than was heard (publishers.ts)
 *   the last one of a publisher       the same; if it died right after, its silence
 *   the subscription is deaf          our own heartbeats, acknowledged by L2, are not heard: it is made anew. L1 is checked meanwhile
 *   too many to read                  event-budget.ts
 * Each ends in `onGap`.
 */
import { systemClock, type Clock } from '../clock.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import { EventBudget } from './event-budget.ts';
import { heartbeatOf, isHeartbeat, parseHeartbeat } from './heartbeat.ts';
import type { Outgoing } from './outgoing.ts';
import { Publishers, type Loss } from './publishers.ts';
import type { ChannelSource } from './source.ts';
import { eventOf, fieldsOf, isBraced, parseUsual, type UpdateEvent } from './update-event.ts';

export interface ChannelHandler {
  onEvent(event: UpdateEvent): void;
  /** Events may have been lost. */
  onGap(reason: string): void;
  /** Publishers were met that had spoken before we listened: nothing is known to be lost, but what L1 holds is to be checked. */
  onMet(): void;
}

/** How this process speaks. */
export interface Voice {
  outgoing: Outgoing;
  /** Resolves when L2 has acknowledged; rejects at once while L2 is known to be down. */
  publish(text: string): Promise<void>;
}

export const HEARTBEAT_MS = 250;
/** An own heartbeat that was acknowledged so long ago and not heard: we are deaf. */
const DEAF_MS = 750;
/** While we cannot hear, L1 is checked against L2 this often. */
const DEAF_GAP_MS = 1_000;
/** Losses are told of at once, and those that follow together, no more often than this: whoever may publish can make up any number. */
const LOSS_GAP_MS = 500;
/** Publishers met so soon after the start had spoken before; later ones began after us, and what is missing of them is lost. */
const MEETING_MS = 2_000;
const MAX_BEATS_UNDER_WAY = 4;
const DOUBTS_PER_BEAT = 64;

export class UpdateChannel {
  readonly isLossy: boolean;
  private readonly source: ChannelSource;
  /** What only a message of our own holds: inside a JSON text these quotes cannot be part of a value. */
  private readonly ownMark: string;
  private readonly row: ThreadRow;
  private readonly clock: Clock;
  private readonly publishers = new Publishers();
  private readonly budget: EventBudget;
  private readonly nowMs = () => this.clock.monotonicMs();
  private handler!: ChannelHandler;
  private voice: Voice | undefined;
  private timer: NodeJS.Timeout | undefined;
  private startMs = 0;
  private tickMs = 0;
  private beatsUnderWay = 0;
  private heardBeat = 0;
  /** Since when an acknowledged heartbeat of ours has not been heard. */
  private unheardSinceMs: number | undefined;
  private notListeningSinceMs: number | undefined;
  private deafGapMs = -Infinity;
  private lossGapMs = -Infinity;
  /** Not told of yet: the first, and how many. */
  private firstLoss: Loss | undefined;
  private untold = 0;

  constructor(source: ChannelSource, publisher: string, row: ThreadRow, clock: Clock = systemClock) {
    this.source = source;
    this.isLossy = source.isLossy;
    this.ownMark = `"publisher":${JSON.stringify(publisher)}`;
    this.row = row;
    this.clock = clock;
    this.budget = new EventBudget(clock.monotonicMs());
  }

  get isListening(): boolean {
    return this.source.isListening && this.unheardSinceMs === undefined;
  }

  async start(handler: ChannelHandler, voice?: Voice): Promise<void> {
    this.handler = handler;
    this.startMs = this.tickMs = this.nowMs();
    await this.source.start({ onMessage: (text) => this.onMessage(text), onGap: (reason) => this.gap(reason) });
    if (!this.isLossy) return;
    this.voice = voice;
    this.timer = setInterval(() => this.tick(), HEARTBEAT_MS);
    this.timer.unref();
    // At once: whoever hears it need not wonder later what we said before.
    this.speak();
  }

  /** Says goodbye, if it can. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    const { voice } = this;
    this.voice = undefined;
    // Whoever does not hear it takes us for dead, and checks.
    await voice?.publish(voice.outgoing.heartbeat(true).text).catch(() => undefined);
    await this.source.close();
  }

  private onMessage(text: string): void {
    if (text.includes(this.ownMark)) {
      // Own events come back by the thousand after a bulk update: they are not worth parsing.
      if (!isHeartbeat(text)) return this.row.count(COUNTER.eventsIgnored);
      const own = parseHeartbeat(text);
      if (own !== undefined) this.heardOwn(own.beat);
      return;
    }
    if (!this.budget.take(text.length, this.nowMs)) {
      this.row.count(COUNTER.eventsUnread);
      // At once, and not by the timer: the timer may not get its turn.
      return this.tellFlood();
    }
    const usual = parseUsual(text);
    if (usual !== undefined) return this.heardEvent(usual);
    const fields = fieldsOf(text);
    if (isBraced(text)) this.budget.chargeJson(text.length, fields === undefined);
    const event = eventOf(fields);
    if (event !== undefined) return this.heardEvent(event);
    const heartbeat = heartbeatOf(fields);
    if (heartbeat === undefined) return this.row.count(COUNTER.eventsMalformed);
    if (this.isLossy) this.publishers.heartbeat(heartbeat.publisher, heartbeat, this.nowMs());
  }

  private heardEvent(event: UpdateEvent): void {
    this.row.count(COUNTER.eventsReceived);
    if (this.isLossy && event.publisher !== undefined && event.seq !== undefined) this.publishers.event(event.publisher, event.seq, this.nowMs());
    this.handler.onEvent(event);
  }

  private tick(): void {
    const nowMs = this.nowMs();
    const stoodStill = nowMs - this.tickMs > 2 * HEARTBEAT_MS;
    this.tickMs = nowMs;
    this.speak();
    if (stoodStill) {
      this.publishers.excuse(nowMs);
      if (this.unheardSinceMs !== undefined) this.unheardSinceMs = nowMs;
      return;
    }
    this.tellFlood();
    this.tellLosses(this.publishers.check(nowMs), nowMs);
    this.listenToOurselves(nowMs);
  }

  private speak(): void {
    const { voice } = this;
    if (voice === undefined || this.beatsUnderWay >= MAX_BEATS_UNDER_WAY) return;
    const { outgoing } = voice;
    for (const doubt of outgoing.takeDoubts(DOUBTS_PER_BEAT)) {
      voice.publish(doubt.text).then(() => outgoing.told(doubt, true), () => outgoing.told(doubt, false));
    }
    const { beat, text } = outgoing.heartbeat();
    this.beatsUnderWay++;
    voice.publish(text).then(
      () => {
        this.beatsUnderWay--;
        if (beat > this.heardBeat) this.unheardSinceMs ??= this.nowMs();
      },
      // L2 does not take it: then it says nothing about our hearing.
      () => void this.beatsUnderWay--,
    );
  }

  private heardOwn(beat: number): void {
    this.heardBeat = Math.max(this.heardBeat, beat);
    this.unheardSinceMs = undefined;
  }

  private listenToOurselves(nowMs: number): void {
    const deaf = this.unheardSinceMs !== undefined && nowMs - this.unheardSinceMs > DEAF_MS;
    if (deaf && this.source.isListening) {
      // The new subscription gets its own time to hear us.
      this.unheardSinceMs = undefined;
      this.source.renew('our own heartbeats are not heard');
    }
    if (this.source.isListening) this.notListeningSinceMs = undefined;
    else this.notListeningSinceMs ??= nowMs;
    const mute = this.notListeningSinceMs !== undefined && nowMs - this.notListeningSinceMs > DEAF_MS;
    if ((deaf || mute) && nowMs - this.deafGapMs >= DEAF_GAP_MS) {
      this.deafGapMs = nowMs;
      this.gap(deaf ? 'our own heartbeats are not heard' : 'the channel is not listening');
    }
  }

  private tellLosses(losses: Loss[], nowMs: number): void {
    let met = false;
    for (const loss of losses) {
      if (loss.kind === 'met' && nowMs - this.startMs < MEETING_MS) {
        met = true;
        continue;
      }
      this.firstLoss ??= loss;
      this.untold++;
    }
    if (met) this.handler.onMet();
    if (this.firstLoss === undefined || nowMs - this.lossGapMs < LOSS_GAP_MS) return;
    const { publisher, kind, events } = this.firstLoss;
    const others = this.untold === 1 ? '' : `, and ${this.untold - 1} more such losses`;
    this.firstLoss = undefined;
    this.untold = 0;
    this.lossGapMs = nowMs;
    this.gap((kind === 'silent' ? `publisher ${publisher} fell silent` : `${events ?? 'many'} events of publisher ${publisher} did not come`) + others);
  }

  private tellFlood(): void {
    const unread = this.budget.toTell(this.nowMs());
    if (unread > 0) this.gap(`${unread} messages went unread: too many came at once`);
  }

  private gap(reason: string): void {
    this.row.count(COUNTER.channelGaps);
    this.handler.onGap(reason);
  }
}
