/**
 * The owner of a cache: the one thread that writes L1, talks to L2 and listens to the update channel. It puts the paths together;
 * each path is a file of its own.
 */
import { Outgoing } from '../channel/outgoing.ts';
import type { UpdateChannel } from '../channel/update-channel.ts';
import type { UpdateEvent } from '../channel/update-event.ts';
import type { Clock } from '../clock.ts';
import type { ProfileCacheError } from '../errors.ts';
import type { Region } from '../l1/region.ts';
import { claimedRows } from '../l1/row-claim.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { FetchedRecord, L2Client } from '../workers-pool/l2-client.ts';
import type { Backend, CacheHealth, Deliver, FetchReport, FetchWatch, LoadAsk, LoadEnd, LoadTurn } from './backend.ts';
import { Breaker } from './breaker.ts';
import type { L1Owner, PromoteResult } from './l1-owner.ts';
import { LoadTurns } from './load-turns.ts';
import { LookAgain } from './look-again.ts';
import { ReadPath } from './read-path.ts';
import { Revalidation } from './revalidation.ts';
import { StructureSync } from './structure-sync.ts';
import type { ThreadCache } from './thread-cache.ts';
import type { VersionClock } from './version.ts';
import { WritePath, type EncodedUpdate, type UpdateResult } from './write-path.ts';

/** What happened, for the events of the public class in every thread. */
export interface OwnerEvents {
  updated(change: Change): void;
  invalidated(change: Change): void;
  l2Up(): void;
  l2Down(cause: unknown): void;
  channelGap(reason: string): void;
  alert(error: ProfileCacheError): void;
  error(error: ProfileCacheError): void;
}

export interface Change {
  /** Empty when every wallet is meant (`clear`). */
  wallet: string;
  /** ISO 8601. */
  timestamp: string;
  origin: 'local' | 'remote';
  version?: number;
}

export interface OwnerParts {
  region: Region;
  l1: L1Owner;
  thread: ThreadCache;
  client: L2Client | undefined;
  channel: UpdateChannel | undefined;
  structures: StructureSync | undefined;
  versions: VersionClock;
  clock: Clock;
  publisher: string;
  publishes: boolean;
  timeoutMs: number;
  /** Hash-tag buckets of L2's key layout; 0 for none. */
  buckets: number;
  leaseMs: number;
  /** How long beyond its life a profile is kept. */
  graceMs: number;
  /** How long L2 remembers what was deleted and cleared. */
  rememberedMs: number;
  maxQueuedWrites: number;
  maxProfiles: number;
  maxBytes: number;
  events: OwnerEvents;
}

const SWEEP_INTERVAL_MS = 100;
/** One whole round over 5,000 slots takes half a second, over a million 100 s: the sweep is for memory, reads check by themselves. */
const SWEEP_SLOTS = 1_000;
const SWEEP_ROUNDS_PER_SECOND = 0.02;
const REPLAY_EVERY_TICKS = 5;
/** Profiles fetched at once that go into the near cache. */
const MAX_NEAR_WALLETS = 256;

export class Owner implements Backend {
  private readonly parts: OwnerParts;
  private readonly reads: ReadPath | undefined;
  private readonly writes: WritePath;
  private readonly revalidation: Revalidation | undefined;
  private readonly outgoing: Outgoing | undefined;
  private readonly breaker: Breaker | undefined;
  private readonly turns: LoadTurns;
  private readonly sweeper: NodeJS.Timeout;
  private ticksSinceReplay = 0;
  private closing: Promise<void> | undefined;
  private readonly again: LookAgain;

  constructor(parts: OwnerParts) {
    this.parts = parts;
    const { client, events, structures, l1, versions, clock, thread } = parts;
    const onError = (error: ProfileCacheError) => {
      if (error.code === 'ERR_OVERLOADED') return events.alert(error);
      this.revalidation?.trouble();
      events.error(error);
    };
    this.outgoing = parts.publishes ? new Outgoing(parts.publisher, () => clock.wallMs(), parts.channel?.isLossy === true) : undefined;
    this.breaker = client && new Breaker({
      probe: () => client.isReachable(), onChange: (up, cause) => (up ? this.l2CameBack() : events.l2Down(cause)),
      buckets: parts.buckets, nowMs: () => clock.monotonicMs(),
    });
    this.reads = client && new ReadPath({ source: client, l1, codec: thread.codec, structures: structures as StructureSync, versions, breaker: this.breaker as Breaker, row: thread.row, onError });
    this.writes = new WritePath({
      sink: client, l1, structures, versions, breaker: this.breaker, clock, row: thread.row, timeoutMs: parts.timeoutMs, graceMs: parts.graceMs, rememberedMs: parts.rememberedMs,
      outgoing: this.outgoing, maxQueuedWrites: parts.maxQueuedWrites, onError,
    });
    this.revalidation = this.reads && new Revalidation({ reads: this.reads, l1, row: thread.row, nowMs: () => clock.monotonicMs(), isDown: () => this.breaker?.open === true });
    l1.onBehind = (wallet) => this.writes.repair(wallet);
    this.again = new LookAgain(thread, this.reads && ((wallets, found, inL1, watch) => this.fetchRaw(wallets, found, inL1, watch)));
    this.turns = new LoadTurns({
      leases: client, leaseMs: parts.leaseMs, memory: l1.memory, nowMs: () => clock.monotonicMs(), nextVersion: () => versions.next(),
      lookAgain: (wallet, ask) => this.again.look(wallet, ask), hasStale: (wallet, graceMs) => thread.hasStale(wallet, graceMs),
    });
    if (parts.channel !== undefined) thread.onStandstill = (stillMs) => this.onStandstill(stillMs);
    const slots = Math.max(SWEEP_SLOTS, Math.ceil(parts.maxProfiles * SWEEP_ROUNDS_PER_SECOND * (SWEEP_INTERVAL_MS / 1000)));
    this.sweeper = setInterval(() => this.sweep(slots), SWEEP_INTERVAL_MS).unref();
  }

  /** Hears of updates by other processes from now on. */
  async listen(): Promise<void> {
    const { channel } = this.parts;
    if (channel !== undefined) await this.startChannel(channel);
    // Where L2 does not say, the first write is told.
    await this.writes.learnClears().catch(() => {});
  }

  private async startChannel(channel: UpdateChannel): Promise<void> {
    const { client } = this.parts;
    const publish = (text: string) => (this.breaker?.open === true || client === undefined ? Promise.reject(new Error('L2 is known to be down')) : client.publish(text));
    await channel.start({
      onEvent: (event) => this.onRemote(event),
      onGap: (reason) => this.onGap(reason),
      onMet: () => this.revalidation?.suspect(),
    }, this.outgoing && { outgoing: this.outgoing, publish });
  }

  async fetch(wallets: readonly string[], deliver: Deliver | undefined, watch?: FetchWatch): Promise<FetchReport> {
    const { thread, l1 } = this.parts;
    const isBulk = wallets.length > MAX_NEAR_WALLETS;
    return this.fetchRaw(wallets, (record, result) => {
      if (deliver === undefined) return;
      deliver(record.wallet, result === 'stored' ? thread.takeStored(record, l1.writer.lastPut, isBulk) : thread.decodeRecord(record));
    }, (wallet) => {
      if (deliver === undefined) return thread.holds(wallet);
      const profile = thread.take(wallet);
      if (profile !== undefined) deliver(wallet, profile);
      return profile !== undefined;
    }, watch);
  }

  /**
   * `found` is called with what L2 had, while its bytes are valid; `inL1` says whether L1 knows better than a record that was
   * refused. What was refused and is not in L1 either is fetched once more: it may have been updated meanwhile.
   */
  async fetchRaw(wallets: readonly string[], found: (record: FetchedRecord, result: PromoteResult) => void, inL1: (wallet: string) => boolean, watch?: FetchWatch): Promise<FetchReport> {
    const report: FetchReport = { found: 0, failed: new Map() };
    if (this.reads === undefined) return report;
    const again: string[] = [];
    const visit = (refused: (wallet: string) => void) => (record: FetchedRecord, result: PromoteResult) => {
      if (result !== 'refused') {
        report.found++;
        found(record, result);
      } else if (inL1(record.wallet)) {
        report.found++;
      } else {
        refused(record.wallet);
      }
    };
    report.failed = (await this.reads.fetch(wallets, visit((wallet) => again.push(wallet)), watch)).failed;
    // L2 cannot say whether what L1 holds is still good: better that than nothing.
    for (const wallet of report.failed.keys()) {
      // Maybe it has been released already, by another who asked in vain.
      this.revalidation?.release(wallet);
      if (!inL1(wallet)) continue;
      report.found++;
      report.failed.delete(wallet);
    }
    if (again.length > 0) {
      const second = await this.reads.fetch(again, visit(() => {}));
      for (const [wallet, error] of second.failed) report.failed.set(wallet, error);
    }
    return report;
  }

  async update(updates: readonly EncodedUpdate[]): Promise<UpdateResult[]> {
    const timestamp = new Date(this.parts.clock.wallMs()).toISOString();
    const results = await this.writes.update(updates);
    for (const { wallet } of updates) this.parts.events.updated({ wallet, timestamp, origin: 'local' });
    return results;
  }

  async invalidate(wallets: readonly string[]): Promise<void> {
    const timestamp = new Date(this.parts.clock.wallMs()).toISOString();
    await this.writes.invalidate(wallets);
    for (const wallet of wallets) this.parts.events.invalidated({ wallet, timestamp, origin: 'local' });
  }

  async clear(): Promise<void> {
    await this.writes.clear();
    this.parts.events.invalidated({ wallet: '', timestamp: new Date(this.parts.clock.wallMs()).toISOString(), origin: 'local' });
  }

  beginLoad(wallet: string, ask: LoadAsk): Promise<LoadTurn> {
    return this.turns.begin(wallet, ask);
  }

  endLoad(wallet: string, version: number, end: LoadEnd): void {
    // What has no profile any more must not be served from its grace.
    if (end.absentMs !== undefined && this.parts.graceMs > 0) this.writes.removeLoaded(wallet, version);
    this.turns.end(wallet, end, version);
  }

  async health(): Promise<CacheHealth> {
    const { region, client, maxProfiles, maxBytes, channel, l1: { writer } } = this.parts;
    const l1 = { profiles: writer.size, maxProfiles, bytes: writer.arena.liveBytes, maxBytes, threads: claimedRows(region) };
    const channelHealth = { enabled: channel !== undefined, listening: channel?.isListening === true };
    if (client === undefined) return { l1, channel: channelHealth };
    const store = await client.health();
    return { l1, l2: { ...store, up: this.breaker?.open !== true, queuedWrites: this.writes.queue.size }, workers: client.stats(), channel: channelHealth };
  }

  get queuedWrites(): number {
    return this.writes.queue.size;
  }

  /** Drains, then frees; idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    clearInterval(this.sweeper);
    await this.turns.drain();
    await this.writes.drain();
    // After the last event: it says how many there were.
    await this.parts.channel?.close();
    await this.revalidation?.close();
    this.breaker?.close();
    await this.parts.client?.close();
    this.parts.l1.writer.close();
  }

  private l2CameBack(): void {
    this.parts.events.l2Up();
    // An emptied or replaced L2 has no structure tables either.
    this.parts.structures?.forgetStored();
    void this.writes.replay();
    this.revalidation?.recheck();
  }

  private onRemote(event: UpdateEvent): void {
    const { l1, versions, events } = this.parts;
    const change: Change = { wallet: event.wallet, timestamp: event.timestamp, origin: 'remote', version: event.version };
    // A stamp from beyond tomorrow is forged or broken, and one from far ahead may be: it must not raise a floor or drag our clock along.
    const believed = event.version === undefined || versions.plausible(event.version);
    if (!believed) return;
    if (event.version === undefined || !versions.near(event.version)) {
      // It may have been an honest one: L2 is asked.
      if (event.type === 'cleared') this.revalidation?.suspect();
      else l1.dropUnversioned(event.wallet);
    } else {
      versions.observe(event.version);
      if (event.type === 'cleared') this.writes.heardOfClear(event.version);
      else if (l1.versionOf(event.wallet) < event.version) l1.drop(event.wallet, event.version);
    }
    this.turns.changed(event.wallet);
    if (event.type === 'updated') events.updated(change);
    else events.invalidated(change);
  }

  /** What was missed is unknown: nothing in L1 is served on before L2 has been asked again. */
  private onGap(reason: string): void {
    this.revalidation?.suspect();
    this.parts.events.channelGap(reason);
  }

  /** In the middle of a read, maybe: what listeners do is not done there. */
  private onStandstill(stillMs: number): void {
    if (this.revalidation === undefined || this.closing !== undefined) return;
    this.parts.thread.row.count(COUNTER.channelGaps);
    this.revalidation.suspect();
    setImmediate(() => this.parts.events.channelGap(`this thread stood still for ${Math.round(stillMs)} ms`));
  }

  private sweep(slots: number): void {
    this.parts.thread.beat();
    const expired = this.parts.l1.writer.sweep(slots, this.parts.clock.monotonicMs() - this.parts.graceMs);
    if (expired > 0) this.parts.thread.row.count(COUNTER.expirations, expired);
    this.revalidation?.tick();
    // A single write that timed out does not open the breaker, and must not wait for it.
    if (this.writes.queue.size > 0 && this.breaker?.open !== true && ++this.ticksSinceReplay >= REPLAY_EVERY_TICKS) {
      this.ticksSinceReplay = 0;
      void this.writes.replay();
    }
  }
}
