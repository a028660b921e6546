/**
 * Structure tables in L2: every table is there before the first record that needs it, and a table that a record names is fetched
 * from there. The first table ever stored is where every process starts, so that most agree from the beginning.
 */
import type { StructureTables } from '../codec/structure-tables.ts';
import { ProfileCacheError } from '../errors.ts';

const FIRST_TABLE = 'structures:first';
const tableName = (id: number) => `structures:${id}`;
const FIRST_TABLE_ID = 16;

export interface BlobStore {
  getBlob(name: string): Promise<Uint8Array | undefined>;
  putBlobIfAbsent(name: string, bytes: Uint8Array): Promise<Uint8Array>;
}

export class StructureSync {
  private readonly blobs: BlobStore;
  private readonly tables: StructureTables;
  private readonly stored = new Map<number, Promise<void>>();

  constructor(blobs: BlobStore, tables: StructureTables) {
    this.blobs = blobs;
    this.tables = tables;
  }

  /** Takes over the table that other processes started from. */
  async adoptFirst(): Promise<void> {
    const bytes = await this.blobs.getBlob(FIRST_TABLE);
    if (bytes !== undefined) this.tables.add(bytes);
  }

  /** Resolves when L2 holds the table; rejects when it cannot be reached, and the next call tries again. */
  ensureStored(schemaId: number): Promise<void> | undefined {
    if (schemaId < FIRST_TABLE_ID) return undefined;
    let storing = this.stored.get(schemaId);
    if (storing === undefined) {
      storing = this.store(schemaId);
      this.stored.set(schemaId, storing);
      storing.catch(() => this.stored.delete(schemaId));
    }
    return storing;
  }

  /** Fetches a table this process has not met. False when L2 does not have it, or has something else under its name. */
  async learn(schemaId: number): Promise<boolean> {
    if (schemaId < FIRST_TABLE_ID || this.tables.get(schemaId) !== undefined) return true;
    const bytes = await this.blobs.getBlob(tableName(schemaId));
    if (bytes === undefined) return false;
    try {
      return this.tables.add(bytes).id === schemaId;
    } catch (error) {
      if (error instanceof ProfileCacheError && error.code === 'ERR_L2_CORRUPT') return false;
      throw error;
    }
  }

  /** L2 may have been emptied: what is needed again is stored again. */
  forgetStored(): void {
    this.stored.clear();
  }

  private async store(schemaId: number): Promise<void> {
    const table = this.tables.get(schemaId);
    if (table === undefined) return;
    await this.blobs.putBlobIfAbsent(tableName(schemaId), table.bytes);
    await this.blobs.putBlobIfAbsent(FIRST_TABLE, table.bytes);
  }
}
