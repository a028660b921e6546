/**
 * What every thread has of L1: its reader, its near cache, its decoder and its row of counters. Answers reads without a promise
 * and without a message; what to do about a miss is the caller's business.
 */
import { ProfileCodec } from '../codec/profile-codec.ts';
import type { StructureTables } from '../codec/structure-tables.ts';
import type { Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import { NearCache } from '../l1/near-cache.ts';
import { L1Reader, versionWord, type ReadResult } from '../l1/reader.ts';
import { copyImage, imagePayloadBytes, type RecordImage } from '../l1/record-image.ts';
import { recordExpiresAtMs, recordOfSlot } from '../l1/record.ts';
import type { Region } from '../l1/region.ts';
import { readSchemas } from '../l1/schema-log.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { WalletKey, checkWallet, type WalletPattern } from '../l1/wallet-key.ts';
import { beat } from '../l1/owner-beat.ts';
import { HitClock } from './hit-clock.ts';
import { OwnerWait } from './owner-wait.ts';
import { COUNTER } from '../stats/metrics.ts';

const NEAR_HITS = COUNTER.nearHits;
/** Larger records are decoded from a copy of their own. */
const IMAGE_COPY_BYTES = 16 * 1024;

/** How a thread tells of what it saw: the owner acts at once, an attached thread leaves a note in its ring. */
export interface AccessSink {
  /** The owner's eviction policy itself: a hit should not have to pass through others to reach it. */
  readonly hits: { touched(slot: number): void };
  expired(slot: number, nowMs: number): void;
}

export interface EntryInfo<P> {
  profile: P;
  /** Where the answer came from: `near` is this thread's decoded copy, `l1` the shared memory. */
  tier: 'near' | 'l1';
  /** Since the profile was updated, by the calendar of the process that did. */
  ageMs: number;
  /** Until it expires. */
  ttlMs: number;
  /** Encoded, in L1. */
  bytes: number;
  /** Version stamp: greater is newer. */
  version: number;
  /** It has expired (`ttlMs` is negative) and is kept for its grace: `getOrLoad` alone may serve it. */
  stale: boolean;
}

/** A profile in its grace. */
export interface Stale {
  profile: object;
  version: number;
  /** Since it expired. */
  expiredMs: number;
}

/** An encoded profile: laid out for L1 by an I/O worker, or by itself. */
export interface RecordBytes {
  readonly raw: Uint8Array;
  readonly schemaId: number;
  readonly image?: RecordImage;
}

export class ThreadCache {
  readonly key: WalletKey;
  readonly codec: ProfileCodec;
  readonly row: ThreadRow;
  private readonly region: Region;
  private readonly reader: L1Reader;
  private readonly near: NearCache;
  private readonly hasNear: boolean;
  private readonly clock: Clock;
  private readonly sink: AccessSink;
  private readonly hits: AccessSink['hits'];
  private readonly tables: StructureTables;
  private readonly pattern: WalletPattern;
  private readonly graceMs: number;
  private readonly hitClock: HitClock;
  private readonly ownerWait: OwnerWait;
  private schemaLogRead = 0;
  /** Made when it is first needed: most attached threads fetch nothing themselves. */
  private fetched: Uint8Array | undefined;
  /** For the owner: hides what may be stale, at once. */
  onStandstill: (stillMs: number) => void = () => {};

  constructor(parts: {
    region: Region; row: ThreadRow; codec: ProfileCodec; tables: StructureTables; clock: Clock; sink: AccessSink; nearProfiles: number; pattern: WalletPattern; graceMs: number; isOwner: boolean;
  }) {
    this.region = parts.region;
    this.row = parts.row;
    this.codec = parts.codec;
    this.tables = parts.tables;
    this.clock = parts.clock;
    this.sink = parts.sink;
    this.hits = parts.sink.hits;
    this.pattern = parts.pattern;
    this.graceMs = parts.graceMs;
    this.ownerWait = new OwnerWait(parts.region, parts.clock);
    this.hitClock = new HitClock(() => parts.clock.monotonicMs(), (holeMs) => (parts.isOwner ? this.onStandstill(holeMs) : this.ownerWait.untilAwake()));
    this.hasNear = parts.nearProfiles > 0;
    this.near = new NearCache(parts.nearProfiles, parts.isOwner ? undefined : { words: parts.region.u32, at: (slot) => versionWord(parts.region, slot) });
    this.reader = new L1Reader(parts.region);
    this.key = new WalletKey(parts.region.hashKey0, parts.region.hashKey1);
  }

  /** The profile if L1 holds it, counted and touched as a hit; a miss is not counted. Throws ERR_WALLET. */
  get(wallet: string): object | undefined {
    // The clock first: it notices that this thread stood still, and then nothing is served as it is.
    const nowTick = this.hitClock.nowTick();
    const { near } = this;
    const place = this.hasNear ? near.hit(wallet) : -1;
    if (place >= 0) {
      if (near.outlasts(place, nowTick) || near.expiresAtMs(place) > this.hitClock.lastMs) {
        this.row.count(NEAR_HITS);
        this.hits.touched(near.slotAt(place));
        return near.profileAt(place);
      }
      near.delete(place);
    }
    const profile = this.readShared(wallet, this.hitClock.lastMs);
    if (profile !== undefined) this.row.count(COUNTER.sharedHits);
    return profile;
  }

  /** For the owner's thread, whose near cache does not compare versions: called at every change of a slot, before anybody can read. */
  readonly slotChanged = (slot: number): void => this.near.slotChanged(slot);

  /** As `get`, but counts nothing: for what has just been promoted on behalf of a read that is counted elsewhere. */
  take(wallet: string): object | undefined {
    return this.readShared(wallet, this.clock.monotonicMs());
  }

  /**
   * As `take`, of what the owner has just stored in `slot`: the bytes are at hand, L1 need not be searched and read.
   * @param isBulk the near cache is left as it is: what comes by the thousand would push out what is read again, then itself.
   */
  takeStored(record: RecordBytes & { wallet: string }, slot: number, isBulk: boolean): object | undefined {
    const profile = this.decodeRecord(record);
    if (profile === undefined) return undefined;
    this.hits.touched(slot);
    if (!isBulk && !this.codec.lastDecodeHadBinary && this.near.admits(slot)) {
      const { region } = this;
      this.near.set(record.wallet, profile, slot, region.u32[versionWord(region, slot)], recordExpiresAtMs(region, recordOfSlot(region, slot)));
    }
    return profile;
  }

  /** Decodes what was fetched from L2, wherever its bytes are. */
  decodeRecord(record: RecordBytes): object | undefined {
    const { image, schemaId } = record;
    if (image === undefined) {
      const { raw } = record;
      return this.decodePrivate(raw.buffer instanceof SharedArrayBuffer ? new Uint8Array(raw) : raw, schemaId);
    }
    const fetched = (this.fetched ??= new Uint8Array(IMAGE_COPY_BYTES));
    const end = copyImage(image, fetched);
    if (end < 0) return this.decodePrivate(new Uint8Array(record.raw), schemaId);
    return this.decodeWith(fetched, end - imagePayloadBytes(image), end, schemaId);
  }

  /** Looks without counting or touching. */
  entry(wallet: string): EntryInfo<object> | undefined {
    const nowMs = this.hitClock.freshMs();
    checkWallet(wallet, this.pattern);
    const { reader } = this;
    if (this.read(wallet, nowMs - this.graceMs) !== 'hit') return undefined;
    const place = this.near.find(wallet);
    const isNear = place >= 0 && this.near.slotAt(place) === reader.slot && this.near.slotVersionAt(place) === reader.slotVersion;
    const profile = isNear ? this.near.profileAt(place) : this.decode();
    if (profile === undefined) return undefined;
    return {
      profile,
      tier: isNear ? 'near' : 'l1',
      ageMs: Math.max(0, this.clock.wallMs() - reader.createdAtMs),
      ttlMs: reader.expiresAtMs - nowMs,
      bytes: reader.payloadEnd - reader.payloadStart,
      version: reader.version,
      stale: reader.expiresAtMs <= nowMs,
    };
  }

  /** Whether L1 holds the wallet now; decodes nothing, counts nothing. */
  holds(wallet: string): boolean {
    return this.read(wallet, this.clock.monotonicMs()) === 'hit';
  }

  /** Version stamp of the resident profile; 0 when L1 does not hold it. */
  versionOf(wallet: string): number {
    return this.holds(wallet) ? this.reader.version : 0;
  }

  /** The profile if it expired less than `graceMs` ago; the one way to what has expired. */
  stale(wallet: string, graceMs: number): Stale | undefined {
    const nowMs = this.clock.monotonicMs();
    if (!this.readsStale(wallet, graceMs, nowMs)) return undefined;
    const { slot, version, expiresAtMs } = this.reader;
    const profile = this.decode();
    if (profile === undefined) return undefined;
    this.hits.touched(slot);
    return { profile, version, expiredMs: nowMs - expiresAtMs };
  }

  hasStale(wallet: string, graceMs: number): boolean {
    return this.readsStale(wallet, graceMs, this.clock.monotonicMs());
  }

  /** Milliseconds until the resident profile expires; Infinity when L1 does not hold it. */
  leftMs(wallet: string): number {
    const nowMs = this.clock.monotonicMs();
    const place = this.near.find(wallet);
    if (place >= 0) return this.near.expiresAtMs(place) - nowMs;
    return this.read(wallet, nowMs) === 'hit' ? this.reader.expiresAtMs - nowMs : Infinity;
  }

  /** The owner's event loop turns; called every so often, so that a hole between two hits of an idle cache is none. */
  beat(): void {
    beat(this.region, this.hitClock.freshMs());
  }

  check(wallet: unknown): asserts wallet is string {
    checkWallet(wallet, this.pattern);
  }

  /** Decodes bytes that are not in L1. `bytes` is private memory. */
  decodePrivate(bytes: Uint8Array, schemaId: number): object | undefined {
    return this.decodeWith(bytes, 0, bytes.length, schemaId);
  }

  private read(wallet: string, nowMs: number): ReadResult {
    const key = this.key.set(wallet);
    const result = this.reader.read(key, nowMs);
    return result === 'contended' ? this.ownerWait.waitOut(this.reader, key, nowMs) : result;
  }

  private readsStale(wallet: string, graceMs: number, nowMs: number): boolean {
    return graceMs > 0 && this.read(wallet, nowMs - graceMs) === 'hit' && this.reader.expiresAtMs <= nowMs;
  }

  private readShared(wallet: string, nowMs: number): object | undefined {
    checkWallet(wallet, this.pattern);
    const { reader } = this;
    switch (this.read(wallet, nowMs)) {
      case 'hit': {
        const { slot, slotVersion, expiresAtMs } = reader;
        const profile = this.decode();
        if (profile === undefined) return undefined;
        this.hits.touched(slot);
        // Bytes cannot be frozen: such a profile is decoded anew for each caller.
        if (!this.codec.lastDecodeHadBinary && this.near.admits(slot)) this.near.set(wallet, profile, slot, slotVersion, expiresAtMs);
        return profile;
      }
      case 'expired':
        this.sink.expired(reader.slot, nowMs);
        return undefined;
      case 'contended':
        this.row.count(COUNTER.contended);
        return undefined;
      default:
        return undefined;
    }
  }

  private decode(): object | undefined {
    const { scratch, payloadStart, payloadEnd, schemaId } = this.reader;
    return this.decodeWith(scratch, payloadStart, payloadEnd, schemaId);
  }

  private decodeWith(bytes: Uint8Array, start: number, end: number, schemaId: number): object | undefined {
    if (!this.codec.canDecode(schemaId)) this.readSchemaLog();
    try {
      this.row.count(COUNTER.decodes);
      return this.codec.decode(bytes, start, end, schemaId);
    } catch (error) {
      if (!(error instanceof ProfileCacheError)) throw error;
      this.row.count(COUNTER.corrupt);
      return undefined;
    }
  }

  /** Another thread may have published structure tables since this one looked. */
  readSchemaLog(): void {
    const { tables, end } = readSchemas(this.region, this.schemaLogRead);
    this.schemaLogRead = end;
    for (const bytes of tables) this.tables.add(bytes);
  }
}
