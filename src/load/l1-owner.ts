/**
 * The owner's hand on L1: what may enter (the floors decide) and what must go. Everything that writes L1 passes here.
 */
import type { Clock } from '../clock.ts';
import type { L1Writer, PutResult } from '../l1/writer.ts';
import type { WalletKey } from '../l1/wallet-key.ts';
import type { RecordCopy } from '../l1/record.ts';
import { appendSchema } from '../l1/schema-log.ts';
import type { RecordImage } from '../l1/record-image.ts';
import type { Region } from '../l1/region.ts';
import type { StructureTables } from '../codec/structure-tables.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Floors } from './floors.ts';
import type { LoadMemory } from './load-memory.ts';

/** First number that is a table's id and not a format. */
const FIRST_TABLE_ID = 16;

export interface Incoming {
  wallet: string;
  /** Any memory, shared too: it is copied, never decoded, here. */
  readonly raw: Uint8Array;
  schemaId: number;
  version: number;
  createdAtMs: number;
  ttlMs: number;
  /** Of an I/O worker, for this region: says the same, laid out and hashed. */
  image?: RecordImage;
}

/** `refused`: older than what this process knows, or voided by an update or an invalidation that came meanwhile or is on its way to L2. */
export type PromoteResult = 'stored' | 'refused' | 'too-large';

export class L1Owner {
  readonly writer: L1Writer;
  readonly floors: Floors;
  /** Whatever changes a wallet here erases what loads of it left. */
  readonly memory: LoadMemory;
  private readonly region: Region;
  private readonly key: WalletKey;
  private readonly row: ThreadRow;
  private readonly clock: Clock;
  private readonly tables: StructureTables;
  private readonly sharedTables = new Set<number>();
  private lastShared = -1;
  /** Served on for now: L2 could not be asked, or has not answered an own write. To be checked when it does (revalidation.ts). */
  readonly unchecked = new Set<string>();
  /** Some entries may be suspect. */
  private doubting = false;
  /** L2 gave less than what L1 holds and L2 had acknowledged. */
  onBehind: (wallet: string) => void = () => {};

  constructor(parts: { writer: L1Writer; floors: Floors; memory: LoadMemory; region: Region; key: WalletKey; row: ThreadRow; clock: Clock; tables: StructureTables }) {
    this.writer = parts.writer;
    this.floors = parts.floors;
    this.memory = parts.memory;
    this.region = parts.region;
    this.key = parts.key;
    this.row = parts.row;
    this.clock = parts.clock;
    this.tables = parts.tables;
  }

  /** A record that L2 gave for a load begun with `token`; one that has expired (`ttlMs` of 0 or less) enters as such. */
  promote(record: Incoming, token: number): PromoteResult {
    const { floors } = this;
    const { wallet, version } = record;
    const undecided = floors.isHeld(wallet) || floors.voided(wallet, token);
    if (undecided || version < floors.of(wallet)) {
      if (!undecided) this.compare(wallet, version);
      this.row.count(COUNTER.promotionsRefused);
      return 'refused';
    }
    const result = this.put(record);
    if (result === 'stored' && record.ttlMs > 0) this.row.count(COUNTER.promotions);
    if (result !== 'older') {
      if (this.unchecked.size > 0) this.unchecked.delete(wallet);
      return result;
    }
    this.compare(wallet, version);
    // L1 has it as new or newer already: reading L1 is the answer.
    return 'refused';
  }

  /** L2 holds nothing of the wallet, by a read begun with `token`; `floor` is the version of its tombstone, or of a record that has expired; 0 without one. */
  absent(wallet: string, token: number, floor: number): void {
    if (floor === 0 && !this.doubting && !this.unchecked.has(wallet)) return;
    if (this.floors.isHeld(wallet) || this.floors.voided(wallet, token)) return;
    const slot = this.writer.find(this.key.set(wallet));
    if (slot < 0) return;
    // The same record, expired in L2: here it is in its grace, or about to be. (A tombstone that ties with a record is stamped anew.)
    if (this.writer.versionOf(slot) === floor && !this.writer.suspects.has(slot)) return;
    if (floor > 0 && this.writer.versionOf(slot) > floor) this.compare(wallet, floor);
    else if (floor > 0 || this.writer.suspects.has(slot) || this.unchecked.delete(wallet)) this.writer.remove(this.key);
  }

  /** An update by this process. Raises the floor and voids loads under way. */
  store(record: Incoming): boolean {
    if (this.unchecked.size > 0) this.unchecked.delete(record.wallet);
    this.floors.raise(record.wallet, record.version);
    this.floors.fence(record.wallet);
    this.memory.forget(record.wallet);
    return this.put(record) === 'stored';
  }

  /** Removes what is older than `version`, and lets nothing older in again. */
  drop(wallet: string, version: number): void {
    this.unchecked.delete(wallet);
    this.floors.raise(wallet, version);
    this.floors.fence(wallet);
    this.memory.forget(wallet);
    this.writer.remove(this.key.set(wallet));
  }

  /** A write by this process that L2 never took is given up for a clear. Its stamp may be greater than those of writes that L2 takes after it. */
  retract(wallet: string, version: number): void {
    this.floors.retract(wallet, version);
    if (this.versionOf(wallet) === version) this.drop(wallet, this.floors.knownClear);
  }

  /**
   * Removes the entry whatever its version is: the wallet has changed somewhere, nobody says to what. But what this process wrote and
   * L2 has not answered stays until it has: it may be the newer of the two. Nothing older than what was seen here comes in again: an L2 that
   * has lost it in a failover must not take this process back.
   */
  dropUnversioned(wallet: string): void {
    this.floors.fence(wallet);
    this.memory.forget(wallet);
    const slot = this.writer.find(this.key.set(wallet));
    if (slot < 0) return;
    if (this.floors.isHeld(wallet)) {
      this.unchecked.add(wallet);
      return;
    }
    this.floors.raise(wallet, this.writer.versionOf(slot));
    this.writer.remove(this.key);
  }

  /** L2 has answered an own write: from now on it can be asked whether that is still the newest. */
  answered(wallet: string): void {
    if (!this.unchecked.has(wallet) || this.floors.isHeld(wallet)) return;
    const slot = this.writer.find(this.key.set(wallet));
    if (slot >= 0) this.writer.suspects.add(slot);
  }

  /** The version L1 holds, 0 when it holds none. */
  versionOf(wallet: string): number {
    const slot = this.writer.find(this.key.set(wallet));
    return slot < 0 ? 0 : this.writer.versionOf(slot);
  }

  /** Everything goes that was stored before the clear of this version. @param now a stamp of this process */
  clear(version: number, now: number): void {
    this.floors.raiseAll(version, now);
    this.memory.clear();
    this.unchecked.clear();
    this.writer.clear();
  }

  /** What L1 holds can no longer be trusted, nor what loads under way have read: nobody sees it until L2 has confirmed it. */
  distrustAll(): void {
    this.floors.fenceAll();
    this.memory.clear();
    this.writer.suspects.addAll();
    this.doubting = true;
    // What this process wrote is hidden from nobody in it; when L2 has answered, that is checked too: others may have come after it.
    for (const wallet of this.floors.heldWallets()) this.release(wallet);
  }

  /** Every entry that was suspect has been confirmed, replaced, removed or released. */
  settled(): void {
    this.doubting = false;
  }

  /** A suspect entry is served on unchecked; false when there is none. */
  release(wallet: string): boolean {
    if (!this.confirm(wallet)) return false;
    this.unchecked.add(wallet);
    return true;
  }

  /** The entry that L1 holds, in private memory. */
  copyOf(wallet: string): RecordCopy | undefined {
    const slot = this.writer.find(this.key.set(wallet));
    return slot < 0 ? undefined : this.writer.copyOf(slot);
  }

  private confirm(wallet: string): boolean {
    const slot = this.writer.find(this.key.set(wallet));
    if (slot < 0 || !this.writer.suspects.has(slot)) return false;
    this.writer.suspects.confirm(slot);
    return true;
  }

  /** L2 has been read and has `version`, which is no newer than what L1 may hold. */
  private compare(wallet: string, version: number): void {
    const held = this.versionOf(wallet);
    if (held === 0 || held < version) return;
    this.unchecked.delete(wallet);
    if (this.confirm(wallet)) this.row.count(COUNTER.revalidated);
    if (held > version) this.onBehind(wallet);
  }

  private put(record: Incoming): 'stored' | 'older' | 'too-large' {
    if (!this.shareTable(record.schemaId)) return 'too-large';
    const before = this.writer.evictions;
    if (record.image === undefined) this.key.set(record.wallet);
    else this.key.take(record.image);
    let result = this.enter(record);
    // What has expired is newer than nothing, unless this has expired too.
    if (result === 'older' && record.ttlMs > 0 && this.writer.removeExpired(this.writer.find(this.key), this.clock.monotonicMs())) result = this.enter(record);
    if (this.writer.evictions !== before) this.row.count(COUNTER.evictions, this.writer.evictions - before);
    if (result === 'too-large') this.row.count(COUNTER.tooLargeForL1);
    return result;
  }

  private enter(record: Incoming): PutResult {
    const { image, schemaId } = record;
    if (image !== undefined) return this.writer.putImage(this.key, image, schemaId);
    const { version, createdAtMs, ttlMs } = record;
    return this.writer.put(this.key, record.raw, { schemaId, version, expiresAtMs: this.clock.monotonicMs() + ttlMs, createdAtMs });
  }

  /** Attached threads decode by the table in the region: it is there before the first record that needs it. */
  private shareTable(schemaId: number): boolean {
    if (schemaId < FIRST_TABLE_ID || schemaId === this.lastShared || this.sharedTables.has(schemaId)) return true;
    const table = this.tables.get(schemaId);
    if (table === undefined || !appendSchema(this.region, table.bytes)) return false;
    this.sharedTables.add(schemaId);
    this.lastShared = schemaId;
    return true;
  }
}
