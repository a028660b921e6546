/**
 * What this process has heard of each publisher, and what it must have missed.
 *
 * Events come with numbers, in any order (in a cluster every write goes through the master of its slot). A heartbeat says how many
 * of the numbers up to some point went out (heartbeat.ts). The rule:
 *   1. events heard up to that point are counted; none missing: all is well
 *   2. some missing: they may still be on their way, so GRACE_MS are given
 *   3. still missing: they are lost. That is told once, and counting goes on from there
 * A publisher that is silent for SILENT_MS without a goodbye may have died with its last words lost: told once too. One that is met for
 * the first time is counted from its beginning, so whatever it said before we listened is missing: that is told as `met`.
 */
const GRACE_MS = 300;
const SILENT_MS = 1_000;
/** Of a publisher that is silent nothing is remembered after this; should it speak again, it is met for the first time. */
const FORGET_MS = 60_000;
export const MAX_PUBLISHERS = 1_024;
/** Numbers heard since the last heartbeat that were counted, of one publisher. */
export const MAX_HEARD = 65_536;

interface Publisher {
  /** All numbers up to this one are accounted for, and so many of them went out. */
  settled: number;
  sent: number;
  /** Heard above `settled`. */
  readonly heard: Set<number>;
  /** What the heartbeat in hand claims; `missing` of it have not come, and are waited for until `dueMs`. */
  claim: Claim | undefined;
  missing: number;
  dueMs: number;
  /** The newest heartbeat that came while another was in hand. */
  next: Claim | undefined;
  /** Undefined until its first heartbeat. */
  beatMs: number | undefined;
  bornMs: number;
  /** Nothing has been accounted for yet. */
  isNew: boolean;
  silent: boolean;
  gone: boolean;
}

interface Claim {
  settled: number;
  sent: number;
}

export interface Loss {
  publisher: string;
  kind: 'lost' | 'silent' | 'met';
  /** Events that went out and did not come; unknown for `silent`. */
  events?: number;
}

export class Publishers {
  private readonly publishers = new Map<string, Publisher>();
  /** Told by the next `check`. */
  private overflowed: Loss[] = [];

  get size(): number {
    return this.publishers.size;
  }

  event(id: string, seq: number, nowMs: number): void {
    const publisher = this.get(id, nowMs);
    if (seq <= publisher.settled || publisher.heard.has(seq)) return;
    if (publisher.heard.size >= MAX_HEARD) {
      publisher.heard.clear();
      // Who sends no heartbeats cannot be checked at all.
      if (publisher.beatMs !== undefined) this.overflowed.push({ publisher: id, kind: 'lost' });
    }
    publisher.heard.add(seq);
    if (publisher.claim !== undefined && seq <= publisher.claim.settled && --publisher.missing === 0) this.accept(publisher, nowMs);
  }

  heartbeat(id: string, claim: Claim & { last?: boolean }, nowMs: number): void {
    const publisher = this.get(id, nowMs);
    // Late, overtaken by a newer one. If it goes on so, the publisher counts as silent, is forgotten, and is met anew.
    if (claim.settled < publisher.settled || claim.sent < publisher.sent) return;
    publisher.beatMs = nowMs;
    publisher.silent = false;
    if (claim.last === true) publisher.gone = true;
    if (publisher.claim === undefined) this.examine(publisher, claim, nowMs);
    else if (claim.settled > (publisher.next ?? publisher.claim).settled) publisher.next = { settled: claim.settled, sent: claim.sent };
  }

  /** What has turned out to be lost since the last call. */
  check(nowMs: number): Loss[] {
    const losses = this.overflowed;
    this.overflowed = [];
    for (const [id, publisher] of this.publishers) {
      while (publisher.claim !== undefined && publisher.dueMs <= nowMs) {
        losses.push({ publisher: id, kind: publisher.isNew ? 'met' : 'lost', events: publisher.missing });
        this.accept(publisher, nowMs);
      }
      const quietMs = nowMs - (publisher.beatMs ?? publisher.bornMs);
      if (quietMs <= SILENT_MS) continue;
      if (publisher.beatMs !== undefined && !publisher.silent && !publisher.gone) {
        publisher.silent = true;
        losses.push({ publisher: id, kind: 'silent' });
      }
      if (quietMs > FORGET_MS) this.publishers.delete(id);
    }
    return losses;
  }

  /** This thread stood still: what was said meanwhile lies unread in its socket, and gets time to come in. */
  excuse(nowMs: number): void {
    for (const publisher of this.publishers.values()) {
      if (publisher.beatMs !== undefined && !publisher.silent) publisher.beatMs = nowMs;
      publisher.dueMs = Math.max(publisher.dueMs, nowMs + GRACE_MS);
    }
  }

  private examine(publisher: Publisher, claim: Claim, nowMs: number): void {
    let heard = 0;
    for (const seq of publisher.heard) if (seq <= claim.settled) heard++;
    publisher.claim = { settled: claim.settled, sent: claim.sent };
    publisher.missing = claim.sent - publisher.sent - heard;
    publisher.dueMs = nowMs + GRACE_MS;
    if (publisher.missing <= 0) this.accept(publisher, nowMs);
  }

  /** The claim in hand is done with; counting goes on from there. */
  private accept(publisher: Publisher, nowMs: number): void {
    const { claim, next } = publisher;
    if (claim === undefined) return;
    publisher.settled = claim.settled;
    publisher.sent = claim.sent;
    publisher.isNew = false;
    for (const seq of publisher.heard) if (seq <= claim.settled) publisher.heard.delete(seq);
    publisher.claim = undefined;
    publisher.next = undefined;
    if (next !== undefined) this.examine(publisher, next, nowMs);
  }

  private get(id: string, nowMs: number): Publisher {
    let publisher = this.publishers.get(id);
    if (publisher !== undefined) return publisher;
    if (this.publishers.size >= MAX_PUBLISHERS) this.forgetOne();
    publisher = { settled: 0, sent: 0, heard: new Set(), claim: undefined, missing: 0, dueMs: 0, next: undefined, beatMs: undefined, bornMs: nowMs, isNew: true, silent: false, gone: false };
    this.publishers.set(id, publisher);
    return publisher;
  }

  /** Rather one that was never heard to beat (anybody can make up names), or that is gone, than one that is alive. */
  private forgetOne(): void {
    let victim: string | undefined;
    for (const [id, { beatMs, silent, gone }] of this.publishers) {
      victim ??= id;
      if (beatMs !== undefined && !silent && !gone) continue;
      victim = id;
      break;
    }
    if (victim !== undefined) this.publishers.delete(victim);
  }
}
