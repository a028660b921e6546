/**
 * Schema ids are 32-bit hashes, a record has a byte for them: the owner numbers them as they come. A number's id is written once, before
 * the first record that has the number is published, so whoever sees the record sees the id.
 */
import { FIRST_TABLE_NUMBER, SCHEMA_IDS } from './layout.ts';
import type { Region } from './region.ts';

/** Any thread. Of a number that no record has, any number: the caller re-checks the slot. */
export const schemaIdOf = (region: Region, number: number): number =>
  number < FIRST_TABLE_NUMBER ? number : region.u32[region.schemaIdsStart / 4 + number - FIRST_TABLE_NUMBER];

/** Owner only. */
export class SchemaNumbers {
  private readonly region: Region;
  private readonly numbers = new Map<number, number>();

  constructor(region: Region) {
    this.region = region;
  }

  /** -1 when all numbers are taken (a thread knows far fewer tables: `StructureTables`). */
  of(schemaId: number): number {
    if (schemaId < FIRST_TABLE_NUMBER) return schemaId;
    const known = this.numbers.get(schemaId);
    if (known !== undefined) return known;
    const taken = this.numbers.size;
    if (taken === SCHEMA_IDS) return -1;
    this.region.u32[this.region.schemaIdsStart / 4 + taken] = schemaId;
    this.numbers.set(schemaId, FIRST_TABLE_NUMBER + taken);
    return FIRST_TABLE_NUMBER + taken;
  }
}
