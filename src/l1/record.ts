/** Reading and writing one record of the arena. `at` is its byte offset in the region. */
import { tailMask } from './hash.ts';
import { RECORD, RECORD_ALIGN_BYTES, SLOT, SLOT_BITS, VERSION_HIGH_BITS, recordBytes } from './layout.ts';
import type { Region } from './region.ts';
import { schemaIdOf } from './schema-ids.ts';
import type { WalletKey } from './wallet-key.ts';

export interface RecordMeta {
  schemaId: number;
  /** Version stamp of the profile (src/load/version.ts): a safe integer, 0 or above. */
  version: number;
  /** On the monotonic clock. Kept in whole milliseconds, rounded down: early by less than one, never late. */
  expiresAtMs: number;
  /** On the calendar, kept in whole milliseconds. */
  createdAtMs: number;
}

const WORD = 2 ** 32;
// A power in an expression is worked out at every use.
export const SCHEMA_UNIT = 2 ** SLOT_BITS;
const KEY_BYTES_UNIT = 2 ** VERSION_HIGH_BITS;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
export const VERSION_HIGH_MASK = 2 ** VERSION_HIGH_BITS - 1;
const MAX_TIME_MS = 2 ** 48 - 1;

/** Whole milliseconds that fit; what is no number counts as 0, so it has expired. */
const wholeMs = (ms: number) => (ms > 0 ? Math.floor(Math.min(ms, MAX_TIME_MS)) : 0);

/** All of a header but its first word. */
export function writeHead(u32: Uint32Array, word: number, keyBytes: number, payloadBytes: number, version: number, expiresMs: number, createdMs: number): void {
  const expiresAtMs = wholeMs(expiresMs);
  const createdAtMs = wholeMs(createdMs);
  // A typed array keeps the low 32 bits of what it is given.
  u32[word + RECORD.payloadBytes] = payloadBytes;
  u32[word + RECORD.versionLow] = version;
  u32[word + RECORD.versionHighAndKeyBytes] = Math.floor(version / WORD) + keyBytes * KEY_BYTES_UNIT;
  u32[word + RECORD.expiresLow] = expiresAtMs;
  u32[word + RECORD.createdLow] = createdAtMs;
  u32[word + RECORD.timesHigh] = Math.floor(expiresAtMs / WORD) + Math.floor(createdAtMs / WORD) * 65_536;
}

/** @param schemaNumber of `meta.schemaId` in this region (schema-ids.ts). */
export function writeRecord(region: Region, at: number, slot: number, key: WalletKey, payload: Uint8Array, meta: RecordMeta, schemaNumber: number): void {
  const { u32 } = region;
  u32[at / 4 + RECORD.slotAndSchema] = slot + schemaNumber * SCHEMA_UNIT;
  writeHead(u32, at / 4, key.length, payload.length, meta.version, meta.expiresAtMs, meta.createdAtMs);
  const keyAt = at + RECORD.headerBytes;
  // By words, the last one perhaps too long: the payload comes over it, and a record is whole words.
  for (let i = 0, keyWords = (key.length + 3) >>> 2; i < keyWords; i++) u32[keyAt / 4 + i] = key.words[i];
  region.u8.set(payload, keyAt + key.length);
}

/** Where a slot's record is, by the offset that stands in the slot and is not 0. */
export const recordAtOffset = (region: Region, offset: number) => region.arenaStart + (offset - 1) * RECORD_ALIGN_BYTES;
export const offsetOfRecord = (region: Region, at: number) => (at - region.arenaStart) / RECORD_ALIGN_BYTES + 1;
/** Owner only, or while the owner rests: a slot in use. */
export const recordOfSlot = (region: Region, slot: number) => recordAtOffset(region, region.u32[region.slotsStart / 4 + slot * SLOT.words + SLOT.offset]);

export const recordSlot = (region: Region, at: number) => region.u32[at / 4 + RECORD.slotAndSchema] & SLOT_MASK;
export const recordPayloadBytes = (region: Region, at: number) => region.u32[at / 4 + RECORD.payloadBytes];
export const recordKeyBytes = (region: Region, at: number) => region.u32[at / 4 + RECORD.versionHighAndKeyBytes] >>> VERSION_HIGH_BITS;
export const recordSchemaId = (region: Region, at: number) => schemaIdOf(region, region.u32[at / 4 + RECORD.slotAndSchema] >>> SLOT_BITS);
export const recordVersion = (region: Region, at: number) =>
  (region.u32[at / 4 + RECORD.versionHighAndKeyBytes] & VERSION_HIGH_MASK) * WORD + region.u32[at / 4 + RECORD.versionLow];
export const recordExpiresAtMs = (region: Region, at: number) => (region.u32[at / 4 + RECORD.timesHigh] & 0xffff) * WORD + region.u32[at / 4 + RECORD.expiresLow];
export const recordCreatedAtMs = (region: Region, at: number) => (region.u32[at / 4 + RECORD.timesHigh] >>> 16) * WORD + region.u32[at / 4 + RECORD.createdLow];
export const recordSize = (region: Region, at: number) => recordBytes(recordKeyBytes(region, at), recordPayloadBytes(region, at));

/** Word by word on shared memory: harmless when the owner writes there meanwhile, because the caller re-checks the slot. */
export function recordHasKey(region: Region, at: number, key: WalletKey): boolean {
  const { length, words } = key;
  if (recordKeyBytes(region, at) !== length) return false;
  const { i32 } = region;
  // Records are aligned to words, and so are their keys.
  const keyAt = (at + RECORD.headerBytes) / 4;
  const whole = length >>> 2;
  for (let i = 0; i < whole; i++) if (i32[keyAt + i] !== words[i]) return false;
  return (length & 3) === 0 || ((i32[keyAt + whole] ^ words[whole]) & tailMask(length)) === 0;
}

/** For messages and verification, never on a read path: copies the key out of shared memory first. */
export function recordWallet(region: Region, at: number): string {
  const keyAt = at + RECORD.headerBytes;
  return Buffer.from(region.u8.slice(keyAt, keyAt + recordKeyBytes(region, at))).toString('utf8');
}

export interface RecordCopy extends RecordMeta {
  payload: Uint8Array;
}

/** Owner only: nobody changes it meanwhile. */
export function copyRecord(region: Region, at: number): RecordCopy {
  const payloadAt = at + RECORD.headerBytes + recordKeyBytes(region, at);
  return {
    payload: new Uint8Array(region.u8.subarray(payloadAt, payloadAt + recordPayloadBytes(region, at))),
    schemaId: recordSchemaId(region, at), version: recordVersion(region, at), expiresAtMs: recordExpiresAtMs(region, at), createdAtMs: recordCreatedAtMs(region, at),
  };
}
