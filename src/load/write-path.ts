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
import type { Outgoing } from '../channel/outgoing.ts';
import type { Clock } from '../clock.ts';
import type { ProfileCacheError } from '../errors.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Breaker } from './breaker.ts';
import { Clears } from './clears.ts';
import { within } from './deferred.ts';
import type { L1Owner } from './l1-owner.ts';
import { Repair } from './repair.ts';
import type { StructureSync } from './structure-sync.ts';
import { Unanswered } from './unanswered.ts';
import type { VersionClock } from './version.ts';
import { WriteFate, type Decided } from './write-fate.ts';
import type { PendingWrite, WriteQueue } from './write-queue.ts';
import { WriteReplay } from './write-replay.ts';
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

export interface WritePathParts {
  sink: RecordSink | undefined;
  l1: L1Owner;
  structures: StructureSync | undefined;
  versions: VersionClock;
  breaker: Breaker | undefined;
  clock: Clock;
  row: ThreadRow;
  timeoutMs: number;
  graceMs: number;
  /** How long L2 remembers what was deleted and cleared. */
  rememberedMs: number;
  /** Undefined: this process tells nobody. */
  outgoing: Outgoing | undefined;
  maxQueuedWrites: number;
  onError: (error: ProfileCacheError) => void;
}

/** Where there is an L2. */
interface L2Side {
  sender: WriteSender;
  fate: WriteFate;
  replays: WriteReplay;
  repairs: Repair;
}

export class WritePath {
  private readonly l1: L1Owner;
  private readonly versions: VersionClock;
  private readonly breaker: Breaker | undefined;
  private readonly clock: Clock;
  private readonly row: ThreadRow;
  private readonly timeoutMs: number;
  private readonly unanswered: Unanswered;
  private readonly clears: Clears;
  private readonly l2: L2Side | undefined;
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(parts: WritePathParts) {
    const { sink, l1, structures, versions, breaker, clock, row, timeoutMs, graceMs, rememberedMs, outgoing, onError } = parts;
    this.l1 = l1;
    this.versions = versions;
    this.breaker = breaker;
    this.clock = clock;
    this.row = row;
    this.timeoutMs = timeoutMs;
    const unanswered = (this.unanswered = new Unanswered(parts));
    const clears = (this.clears = new Clears({ sink, l1, versions, unanswered, structures, outgoing, row }));
    if (sink === undefined) return;
    const sender = new WriteSender({ sink, structures, breaker, outgoing, clock, row, graceMs });
    const fate = new WriteFate({ sender, unanswered, clears, l1, versions, clock, row, onError });
    this.l2 = {
      sender, fate,
      replays: new WriteReplay({ fate, unanswered, l1, breaker, clock, row, graceMs, rememberedMs, timeoutMs }),
      repairs: new Repair({ sender, l1, versions, breaker, clock, row }),
    };
  }

  get queue(): WriteQueue {
    return this.unanswered.queue;
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
      if (this.l2 === undefined) return result;
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
    if (this.l2 === undefined || writes.length === 0) return writes.map(() => 'skipped');
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
    if (this.l2 !== undefined) void this.track(this.carryOut([{ wallet, version, expiresAtMs: Infinity, knows: floors.knownClear, loaded: true }]));
  }

  clear(): Promise<void> {
    return this.clears.clear(this.underWay);
  }

  /** Another process has cleared everything up to this version. */
  heardOfClear(version: number): void {
    this.clears.heardOf(version);
  }

  learnClears(): Promise<void> {
    return this.clears.learn();
  }

  repair(wallet: string): void {
    const repaired = this.l2?.repairs.begin(wallet);
    if (repaired !== undefined) void this.track(repaired);
  }

  /** L2 answers again. */
  async replay(): Promise<void> {
    await this.l2?.replays.run();
  }

  /** Resolves when no write is on its way any more, replays included; the queue may still hold what L2 refuses to take. */
  async drain(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay);
    if (this.queue.size > 0) await this.replay();
  }

  /** One result for each write, after `timeoutMs` at the latest. */
  private async carryOut(writes: readonly PendingWrite[]): Promise<L2Result[]> {
    const { unanswered } = this;
    for (const write of writes) if (write.loaded !== true) unanswered.hold(write);
    if (this.breaker?.open === true) return writes.map((write) => unanswered.enqueue(write));
    const results = new Array<Decided>(writes.length);
    await within((this.l2 as L2Side).fate.attempt(writes, false, results), this.timeoutMs, () => undefined);
    return writes.map((write, i) => results[i] ?? unanswered.enqueue(write));
  }

  private track<T>(work: Promise<T>): Promise<T> {
    this.underWay.add(work);
    const forget = () => this.underWay.delete(work);
    work.then(forget, forget);
    return work;
  }
}
