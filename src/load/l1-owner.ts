/**
 * The owner's hand on L1: what may enter (the floors decide) and what must go. Everything that writes L1 passes here.
 */
import type { Clock } from '../clock.ts';
import type { L1Writer } from '../l1/writer.ts';
import type { WalletKey } from '../l1/wallet-key.ts';
import { appendSchema } from '../l1/schema-log.ts';
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
  raw: Uint8Array;
  schemaId: number;
  version: number;
  createdAtMs: number;
  ttlMs: number;
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
    if (record.version < floors.of(record.wallet) || floors.isHeld(record.wallet) || floors.voided(record.wallet, token)) {
      this.row.count(COUNTER.promotionsRefused);
      return 'refused';
    }
    const result = this.put(record);
    if (result === 'stored' && record.ttlMs > 0) this.row.count(COUNTER.promotions);
    // L1 has it as new or newer already: reading L1 is the answer.
    return result === 'older' ? 'refused' : result;
  }

  /** An update by this process. Raises the floor and voids loads under way. */
  store(record: Incoming): boolean {
    this.floors.raise(record.wallet, record.version);
    this.floors.fence(record.wallet);
    this.memory.forget(record.wallet);
    return this.put(record) === 'stored';
  }

  /** Removes what is older than `version`, and lets nothing older in again. */
  drop(wallet: string, version: number): void {
    this.floors.raise(wallet, version);
    this.dropUnversioned(wallet);
  }

  /** Removes the entry whatever its version is: the wallet has changed somewhere, nobody says to what. */
  dropUnversioned(wallet: string): void {
    this.floors.fence(wallet);
    this.memory.forget(wallet);
    this.writer.remove(this.key.set(wallet));
  }

  /** The version L1 holds, 0 when it holds none. */
  versionOf(wallet: string): number {
    const slot = this.writer.find(this.key.set(wallet));
    return slot < 0 ? 0 : this.writer.versionOf(slot);
  }

  clear(version: number): void {
    this.floors.raiseAll(version);
    this.memory.clear();
    this.writer.clear();
  }

  /** Drops every entry but no floor: what L1 holds can no longer be trusted, nor what loads under way have read. */
  distrustAll(): void {
    this.floors.fenceAll();
    this.memory.clear();
    this.writer.clear();
  }

  private put(record: Incoming): 'stored' | 'older' | 'too-large' {
    if (!this.shareTable(record.schemaId)) return 'too-large';
    const before = this.writer.evictions;
    const nowMs = this.clock.monotonicMs();
    const meta = { schemaId: record.schemaId, version: record.version, expiresAtMs: nowMs + record.ttlMs, createdAtMs: record.createdAtMs };
    let result = this.writer.put(this.key.set(record.wallet), record.raw, meta);
    // What has expired is newer than nothing, unless this has expired too.
    if (result === 'older' && record.ttlMs > 0 && this.writer.removeExpired(this.writer.find(this.key), nowMs)) result = this.writer.put(this.key, record.raw, meta);
    if (this.writer.evictions !== before) this.row.count(COUNTER.evictions, this.writer.evictions - before);
    if (result === 'too-large') this.row.count(COUNTER.tooLargeForL1);
    return result;
  }

  /** Attached threads decode by the table in the region: it is there before the first record that needs it. */
  private shareTable(schemaId: number): boolean {
    if (schemaId < FIRST_TABLE_ID || this.sharedTables.has(schemaId)) return true;
    const table = this.tables.get(schemaId);
    if (table === undefined || !appendSchema(this.region, table.bytes)) return false;
    this.sharedTables.add(schemaId);
    return true;
  }
}
