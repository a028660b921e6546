/** Reading and writing one record of the arena. `at` is its byte offset in the region. */
import { tailMask } from './hash.ts';
import { RECORD, recordBytes } from './layout.ts';
import type { Region } from './region.ts';
import type { WalletKey } from './wallet-key.ts';

export interface RecordMeta {
  schemaId: number;
  /** Version stamp of the profile (src/load/version.ts). */
  version: number;
  /** On the monotonic clock. */
  expiresAtMs: number;
  /** On the calendar. */
  createdAtMs: number;
}

export function writeRecord(region: Region, at: number, slot: number, key: WalletKey, payload: Uint8Array, meta: RecordMeta): void {
  const { u8, u16, u32, f64 } = region;
  u32[(at + RECORD.slot) / 4] = slot;
  u32[(at + RECORD.payloadBytes) / 4] = payload.length;
  u16[(at + RECORD.keyBytes) / 2] = key.length;
  u32[(at + RECORD.schemaId) / 4] = meta.schemaId;
  f64[(at + RECORD.version) / 8] = meta.version;
  f64[(at + RECORD.expiresAtMs) / 8] = meta.expiresAtMs;
  f64[(at + RECORD.createdAtMs) / 8] = meta.createdAtMs;
  const keyAt = at + RECORD.headerBytes;
  for (let i = 0; i < key.length; i++) u8[keyAt + i] = key.bytes[i];
  u8.set(payload, keyAt + key.length);
}

export const recordSlot = (region: Region, at: number) => region.u32[(at + RECORD.slot) / 4];
export const recordPayloadBytes = (region: Region, at: number) => region.u32[(at + RECORD.payloadBytes) / 4];
export const recordKeyBytes = (region: Region, at: number) => region.u16[(at + RECORD.keyBytes) / 2];
export const recordSchemaId = (region: Region, at: number) => region.u32[(at + RECORD.schemaId) / 4];
export const recordVersion = (region: Region, at: number) => region.f64[(at + RECORD.version) / 8];
export const recordExpiresAtMs = (region: Region, at: number) => region.f64[(at + RECORD.expiresAtMs) / 8];
export const recordCreatedAtMs = (region: Region, at: number) => region.f64[(at + RECORD.createdAtMs) / 8];
export const recordSize = (region: Region, at: number) => recordBytes(recordKeyBytes(region, at), recordPayloadBytes(region, at));

/** Word by word on shared memory: harmless when the owner writes there meanwhile, because the caller re-checks the slot. */
export function recordHasKey(region: Region, at: number, key: WalletKey): boolean {
  const { length, words } = key;
  if (recordKeyBytes(region, at) !== length) return false;
  const { i32 } = region;
  // Records start at multiples of 8 and so do their keys.
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
