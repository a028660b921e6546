/**
 * Writes: L1 first, so that every thread of the process sees it at once, then L2.
 *
 * How an update runs
 *   1. encoded once, on the thread that called
 *   2. a version stamp; L1 takes the record; floor and fence keep older loads out from here on
 *   3. writes of one tick travel to L2 together: compare-and-set on the version, the event goes out with it
 *   4. L2 holds a newer version (a clock that runs ahead of ours) or another write with the same stamp: the stamp is renewed past it
 *      and L1 and L2 are written again, unless a later call of this process has overtaken this one. What loads write is never
 *      renewed: there, newer means better.
 *      The same where L2 has been cleared and this process had not heard of it (`heardOfClear`).
 *   5. no answer within l2TimeoutMs: the write goes into the queue and is replayed when L2 is back. Then the stamps decide: what is
 *      newer has come meanwhile. An invalidation is renewed even so; at worst that costs a miss. A write that has taken the place of
 *      an invalidation without an answer becomes that one when it is given up. An update that had not heard of a clear, or has waited for so
 *      long that L2 may have forgotten what was deleted meanwhile, becomes an invalidation.
 *   From 2 until L2 has answered, in the queue too, the wallet is held: what L2 has of it is not promoted.
 */
import type { Clock } from '../clock.ts';
import type { Outgoing } from '../channel/outgoing.ts';
import { ProfileCacheError } from '../errors.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { WriteOutcome } from '../workers-pool/l2-client.ts';
import type { Breaker } from './breaker.ts';
import { within } from './deferred.ts';
import type { L1Owner } from './l1-owner.ts';
import type { StructureSync } from './structure-sync.ts';
import type { VersionClock } from './version.ts';
import { owesInvalidation, standIn, WriteQueue, yieldTo, type PendingWrite } from './write-queue.ts';
import { WriteSender, type RecordSink } from './write-sender.ts';

export interface EncodedUpdate {
  wallet: string;
  /** Private to the write path from now on. */
  raw: Uint8Array;
  schemaId: number;
  ttlMs: number;
  /** Of a loaded profile: stamped when the load began, never renewed. */
  version?: number;
}

export type L2Result = 'stored' | 'queued' | 'skipped';
export interface UpdateResult {
  /** L1 holds it. */
  l1: boolean;
  /** `queued`: it, or a later one of the wallet by this process, waits for L2. `skipped`: there is no L2, or a newer write has overtaken this one. */
  l2: L2Result;
  /** Of what a loader brought: something newer was known when it was there. */
  overtaken?: boolean;
}

type Decided = 'stored' | 'skipped';

/** Profiles that are written back at a time; what is past it is found again by the next read. */
const MAX_REPAIRS = 1_000;
/** Times a write is stamped anew because L2 held a newer version. */
const MAX_RENEWALS = 3;
const REPLAY_BATCH = 500;

export class WritePath {
  readonly queue: WriteQueue;
  private readonly sink: RecordSink | undefined;
  private readonly sender: WriteSender | undefined;
  private readonly l1: L1Owner;
  private readonly structures: StructureSync | undefined;
  private readonly versions: VersionClock;
  private readonly breaker: Breaker | undefined;
  private readonly clock: Clock;
  private readonly row: ThreadRow;
  private readonly timeoutMs: number;
  /** Undefined: this process tells nobody. */
  private readonly outgoing: Outgoing | undefined;
  private readonly graceMs: number;
  private readonly longestWaitMs: number;
  private readonly onError: (error: ProfileCacheError) => void;
  private readonly repairing = new Set<string>();
  private readonly underWay = new Set<Promise<unknown>>();
  private replaying = false;
  /** Stamp of the newest `clear` of this process that has begun, and of the newest that L2 has carried out. */
  private clearsAt = 0;
  private clearedAt = 0;

  constructor(parts: {
    sink: RecordSink | undefined; l1: L1Owner; structures: StructureSync | undefined; versions: VersionClock; breaker: Breaker | undefined; clock: Clock; row: ThreadRow;
    timeoutMs: number; graceMs: number; rememberedMs: number; outgoing: Outgoing | undefined; maxQueuedWrites: number; onError: (error: ProfileCacheError) => void;
  }) {
    this.sink = parts.sink;
    this.l1 = parts.l1;
    this.structures = parts.structures;
    this.versions = parts.versions;
    this.breaker = parts.breaker;
    this.clock = parts.clock;
    this.row = parts.row;
    this.timeoutMs = parts.timeoutMs;
    this.outgoing = parts.outgoing;
    this.graceMs = parts.graceMs;
    // It may have been under way before, and is again afterwards.
    this.longestWaitMs = parts.rememberedMs - 2 * parts.timeoutMs;
    this.onError = parts.onError;
    this.queue = new WriteQueue(parts.maxQueuedWrites);
    const { sink, structures, breaker, outgoing, clock, row, graceMs } = parts;
    this.sender = sink && new WriteSender({ sink, structures, breaker, outgoing, clock, row, graceMs });
  }

  /** L1 holds the updates when this returns; the promise is about L2. One promise and one timer for all: a bulk update has thousands. */
  async update(updates: readonly EncodedUpdate[]): Promise<UpdateResult[]> {
    const nowMs = this.clock.monotonicMs();
    const createdAtMs = this.clock.wallMs();
    const { floors } = this.l1;
    const knows = floors.knownClear;
    const writes: PendingWrite[] = [];
    const resultOf: UpdateResult[] = [];
    const results = updates.map((update): UpdateResult => {
      const version = update.version ?? this.versions.next();
      // A load that was overtaken while it ran: what is known now is newer.
      const loaded = update.version !== undefined;
      if (loaded && floors.overtake(update.wallet, version)) return { l1: false, l2: 'skipped', overtaken: true };
      const { wallet, raw, schemaId, ttlMs } = update;
      const result: UpdateResult = { l1: this.l1.store({ wallet, raw, schemaId, version, createdAtMs, ttlMs }), l2: 'skipped' };
      this.row.count(COUNTER.writes);
      if (this.sink === undefined) return result;
      writes.push({ wallet, record: { raw, schemaId }, version, expiresAtMs: nowMs + ttlMs, knows, loaded });
      resultOf.push(result);
      return result;
    });
    if (writes.length === 0) return results;
    const l2 = await this.track(this.carryOut(writes));
    writes.forEach((write, i) => {
      resultOf[i].l2 = l2[i];
      // Its stamp is never renewed.
      if (write.loaded === true) resultOf[i].overtaken = floors.overtake(write.wallet, write.version);
    });
    return results;
  }

  /** As `update`. */
  async invalidate(wallets: readonly string[]): Promise<L2Result[]> {
    const knows = this.l1.floors.knownClear;
    const writes = wallets.map((wallet): PendingWrite => {
      const version = this.versions.next();
      this.l1.drop(wallet, version);
      this.row.count(COUNTER.invalidations);
      return { wallet, version, expiresAtMs: Infinity, knows };
    });
    if (this.sink === undefined || writes.length === 0) return writes.map(() => 'skipped');
    return this.track(this.carryOut(writes));
  }

  /** A load begun with this version found that there is no profile: what is older goes, in both tiers, unless something newer is known. */
  removeLoaded(wallet: string, version: number): void {
    const { memory, floors } = this.l1;
    if (floors.overtake(wallet, version)) return;
    const stands = memory.stands(wallet, version);
    this.l1.drop(wallet, version);
    // The load's own word contradicts nothing that it says.
    if (stands) memory.begin(wallet, version);
    if (this.sink !== undefined) void this.track(this.carryOut([{ wallet, version, expiresAtMs: Infinity, knows: floors.knownClear, loaded: true }]));
  }

  /**
   * What has been stored before goes, whatever calendar has stamped it. What L2 is left with, or another clear that it remembers, is newer than
   * this clear, or has a stamp from a calendar ahead of ours and was there before: nobody can tell, so L2 is cleared once more, with a stamp
   * past all of that. What it is left with then has been written since the clear began.
   */
  async clear(): Promise<void> {
    const version = this.beginClear();
    if (this.sink === undefined) return;
    // What is on its way would arrive in an L2 that has been emptied.
    await Promise.allSettled(this.underWay);
    const left = await this.clearL2(this.sink, version);
    if (left === 0 || !this.versions.observe(left)) return this.cleared(version);
    const again = this.beginClear();
    await this.clearL2(this.sink, again);
    this.cleared(again);
  }

  /** Everything in L2 up to this version has been cleared, or is about to be. */
  heardOfClear(version: number): void {
    const { floors } = this.l1;
    // What came in since then is not meant, nor what is on its way.
    if (version <= floors.knownClear) return;
    floors.knownClear = version;
    this.l1.clear(version, this.versions.next());
  }

  /** What L2 remembers of clears before this process came. */
  async learnClears(): Promise<void> {
    const version = await this.sink?.clearFloor();
    if (version !== undefined && this.versions.observe(version)) this.heardOfClear(version);
  }

  private beginClear(): number {
    const version = this.versions.next();
    this.l1.clear(version, version);
    this.clearsAt = version;
    return version;
  }

  private async clearL2(sink: RecordSink, version: number): Promise<number> {
    const event = this.outgoing?.event('cleared', '', version);
    const left = await sink.clear(version, event?.text).catch((error: unknown) => {
      if (event !== undefined) this.outgoing?.inDoubt(event.seq, 'cleared', '');
      throw error;
    });
    if (event === undefined) return left;
    this.outgoing?.decided(event.seq, true);
    this.row.count(COUNTER.eventsPublished);
    return left;
  }

  /** Not before L2 has been emptied of all that was there: until then the invalidations that wait are needed. */
  private cleared(version: number): void {
    this.clearedAt = version;
    this.l1.floors.knownClear = Math.max(this.l1.floors.knownClear, version);
    for (const write of this.queue.dropUpTo(version)) this.leave(write, undefined);
    this.structures?.forgetStored();
  }

  /** L2 has gone back behind what L1 holds: it gets that again, with its own stamp. */
  repair(wallet: string): void {
    if (this.sink === undefined || this.breaker?.open === true || this.repairing.has(wallet) || this.repairing.size >= MAX_REPAIRS) return;
    const copy = this.l1.copyOf(wallet);
    if (copy === undefined || copy.expiresAtMs <= this.clock.monotonicMs()) return;
    const { payload: raw, schemaId, version, expiresAtMs } = copy;
    this.repairing.add(wallet);
    void this.track((this.sender as WriteSender).send([{ wallet, record: { raw, schemaId }, version, expiresAtMs, knows: this.l1.floors.knownClear, loaded: true }]).then(([outcome]) => {
      this.repairing.delete(wallet);
      if (outcome.status === 'stored') this.row.count(COUNTER.repaired);
      // A late answer of L2, or a replica that lags: it has this one, or a newer.
      else if (outcome.status === 'older' && outcome.storedVersion > version && this.versions.observe(outcome.storedVersion)) this.l1.drop(wallet, outcome.storedVersion);
    }));
  }

  /** L2 answers again: brings it what it missed, oldest first. */
  async replay(): Promise<void> {
    if (this.replaying || this.sink === undefined) return;
    this.replaying = true;
    try {
      while (this.queue.size > 0 && this.breaker?.open !== true) {
        const due = this.queue.oldest(REPLAY_BATCH);
        const outcomes = await Promise.all(due.map((write) => this.replayOne(write)));
        if (outcomes.every((settled) => !settled)) break;
      }
    } finally {
      this.replaying = false;
    }
  }

  /** Resolves when no write is on its way any more, replays included; the queue may still hold what L2 refuses to take. */
  async drain(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay);
    if (this.queue.size > 0) await this.replay();
  }

  private async replayOne(write: PendingWrite): Promise<boolean> {
    if (write.sending === true) return false;
    // In its grace it is still better than what L2 may have in its grace.
    const nowMs = this.clock.monotonicMs();
    const hasExpired = write.expiresAtMs + this.graceMs <= nowMs;
    const isOutdated = write.record !== undefined && (write.knows < this.l1.floors.knownClear || nowMs - (write.queuedAtMs ?? nowMs) >= this.longestWaitMs);
    if (hasExpired || isOutdated) {
      if (!this.becomesInvalidation(write, isOutdated && write.loaded !== true)) {
        if (isOutdated && this.l1.versionOf(write.wallet) === write.version) this.l1.drop(write.wallet, this.l1.floors.knownClear);
        this.settle(write);
        return true;
      }
      this.renew(write);
    } else if ((write.beyond ?? 0) >= write.version && this.l1.floors.isHeldBy(write.wallet, write)) {
      this.renew(write);
    }
    const results: (Decided | undefined)[] = [];
    await this.attempt([write], true, results);
    const [result] = results;
    if (result === undefined) return false;
    this.settle(write);
    if (result === 'stored') this.row.count(COUNTER.l2Replayed);
    return true;
  }

  private async carryOut(writes: readonly PendingWrite[]): Promise<L2Result[]> {
    for (const write of writes) if (write.loaded !== true) this.hold(write);
    if (this.breaker?.open === true) return writes.map((write) => this.enqueue(write));
    const results = new Array<Decided | undefined>(writes.length);
    await within(this.attempt(writes, false, results), this.timeoutMs, () => undefined);
    return writes.map((write, i) => results[i] ?? this.enqueue(write));
  }

  private hold(write: PendingWrite): void {
    const { floors } = this.l1;
    const before = floors.heldBy(write.wallet);
    if (before !== undefined) standIn(write, before);
    floors.hold(write.wallet, write);
  }

  /** `results[i]` stays undefined when L2 failed. A write gets its last version. */
  private async attempt(writes: readonly PendingWrite[], replayed: boolean, results: (Decided | undefined)[]): Promise<void> {
    for (const write of writes) write.sending = true;
    const outcomes = await (this.sender as WriteSender).send(writes);
    const undecided: Promise<void>[] = [];
    writes.forEach((write, i) => {
      const outcome = outcomes[i];
      if (outcome.status !== 'older') results[i] = this.conclude(write, this.taken(outcome));
      else undecided.push(this.decide(write, outcome, replayed).then((decided) => void (results[i] = this.conclude(write, decided))));
    });
    if (undecided.length > 0) await Promise.all(undecided);
  }

  private conclude(write: PendingWrite, result: Decided | undefined): Decided | undefined {
    if (result === 'stored') {
      write.stored = true;
      if (write.after !== undefined) write.after.stored = true;
      this.settle(write);
    }
    if (result !== undefined) {
      this.l1.floors.release(write.wallet, write);
      this.l1.answered(write.wallet);
    }
    write.sending = false;
    return result;
  }

  private taken(outcome: Exclude<WriteOutcome, { status: 'older' }>): 'stored' | undefined {
    if (outcome.status === 'stored') {
      this.row.count(COUNTER.l2Stored);
      return 'stored';
    }
    this.row.count(COUNTER.l2Failures);
    this.onError(outcome.error);
    return undefined;
  }

  /** What becomes of a write that L2 has refused. */
  private async decide(write: PendingWrite, first: Extract<WriteOutcome, { status: 'older' }>, replayed: boolean): Promise<Decided | undefined> {
    let outcome: WriteOutcome = first;
    const wasUpdate = write.record !== undefined;
    for (let renewal = 0; outcome.status === 'older'; renewal++) {
      this.row.count(COUNTER.l2Refused);
      this.versions.observe(outcome.storedVersion);
      if (outcome.cleared === true) this.heardOfClear(outcome.storedVersion);
      // The same stamp: this write itself, whose first answer got lost, or another process's. Nobody can tell, so it is written once more.
      const tied = outcome.storedVersion === write.version;
      // Its caller was told that it waits: the clear may have come after that.
      const isCleared = outcome.cleared === true && (replayed || write.queuedAtMs !== undefined);
      if (renewal === MAX_RENEWALS || !(this.mayRenew(write, isCleared || (replayed && !tied)) || this.becomesInvalidation(write, isCleared && write.loaded !== true))) {
        const later = this.l1.floors.heldBy(write.wallet);
        if (later !== undefined && later !== write) yieldTo(later, outcome.storedVersion);
        // L2 is right: what L1 holds is outdated unless it is newer still. (A stamp says nothing beside a clear that was not known of.)
        const held = this.l1.versionOf(write.wallet);
        if (held <= outcome.storedVersion || held === write.version) this.l1.drop(write.wallet, outcome.storedVersion);
        return 'skipped';
      }
      this.renew(write);
      [outcome] = await (this.sender as WriteSender).send([write]);
    }
    const taken = this.taken(outcome);
    return taken === 'stored' && wasUpdate && write.record === undefined ? 'skipped' : taken;
  }

  private mayRenew(write: PendingWrite, stampsDecide: boolean): boolean {
    if (write.loaded === true) return false;
    // What a clear of this process has emptied stays empty; an invalidation says nothing else, and that clear may fail.
    if (write.record !== undefined && (stampsDecide || write.version < this.clearsAt)) return false;
    return this.l1.floors.isHeldBy(write.wallet, write);
  }

  /**
   * Of a write that would be given up: it is the invalidation from now on that it came after, if L2 has not taken that one. `inAnyCase`: nobody
   * can tell whether what L2 has is older.
   */
  private becomesInvalidation(write: PendingWrite, inAnyCase = false): boolean {
    if (!(inAnyCase || owesInvalidation(write)) || !this.l1.floors.isHeldBy(write.wallet, write)) return false;
    write.record = undefined;
    write.loaded = false;
    write.after = undefined;
    write.expiresAtMs = Infinity;
    return true;
  }

  private renew(write: PendingWrite): void {
    write.version = this.versions.next();
    write.knows = this.l1.floors.knownClear;
    if (write.record === undefined) {
      this.l1.drop(write.wallet, write.version);
      return;
    }
    this.l1.store({ wallet: write.wallet, ...write.record, version: write.version, createdAtMs: this.clock.wallMs(), ttlMs: write.expiresAtMs - this.clock.monotonicMs() });
  }

  /** Nothing of this wallet up to this write's version waits any more. */
  private settle(write: PendingWrite): void {
    const settled = this.queue.settle(write.wallet, write.version);
    if (settled === undefined) return;
    this.l1.floors.release(write.wallet, settled);
    this.l1.answered(write.wallet);
  }

  private enqueue(write: PendingWrite): L2Result {
    if (write.version <= this.clearedAt) {
      this.leave(write, undefined);
      return 'skipped';
    }
    write.queuedAtMs = this.clock.monotonicMs();
    const before = this.queue.waiting(write.wallet);
    const result = this.queue.add(write);
    const stays = this.queue.waiting(write.wallet);
    const gone = result === 'queued' ? before : write;
    if (gone !== undefined && gone !== stays) this.leave(gone, stays);
    if (result === 'full') {
      this.row.count(COUNTER.l2QueueDropped);
      this.onError(new ProfileCacheError('ERR_OVERLOADED', `L2 is away and ${this.queue.size} writes wait for it: this one is in L1 alone; raise maxQueuedWrites`, { option: 'maxQueuedWrites', wallet: write.wallet }));
    }
    if (result === 'queued') this.row.count(COUNTER.l2Queued);
    return result === 'full' ? 'skipped' : 'queued';
  }

  /** `gone` is not in the queue any more, or did not get there. */
  private leave(gone: PendingWrite, stays: PendingWrite | undefined): void {
    const { floors } = this.l1;
    if (stays !== undefined) {
      standIn(stays, gone);
      // What a loader brought holds nothing by itself.
      if (owesInvalidation(stays) && floors.isHeldBy(gone.wallet, gone)) return floors.hold(stays.wallet, stays);
    }
    floors.release(gone.wallet, gone);
    this.l1.answered(gone.wallet);
  }

  private track<T>(work: Promise<T>): Promise<T> {
    this.underWay.add(work);
    const forget = () => this.underWay.delete(work);
    work.then(forget, forget);
    return work;
  }
}
