/**
 * Structure tables in the region, so that any attached thread can decode: an append-only log of (u32 length, bytes, pad to 4).
 * The owner appends and then publishes the new end; a reader that meets an unknown schema id reads on from where it stopped.
 */
import { HEADER, SCHEMA_LOG_BYTES } from './layout.ts';
import type { Region } from './region.ts';

/** Owner only. False when the log is full. */
export function appendSchema(region: Region, bytes: Uint8Array): boolean {
  const end = region.u32[HEADER.schemaBytes];
  const next = end + 4 + Math.ceil(bytes.length / 4) * 4;
  if (next > SCHEMA_LOG_BYTES) return false;
  region.u32[(region.schemaStart + end) / 4] = bytes.length;
  region.u8.set(bytes, region.schemaStart + end + 4);
  Atomics.store(region.u32, HEADER.schemaBytes, next);
  return true;
}

/** Copies of the tables from byte `from` of the log; `end` is where to go on next time. */
export function readSchemas(region: Region, from: number): { tables: Uint8Array[]; end: number } {
  const end = Atomics.load(region.u32, HEADER.schemaBytes);
  const tables: Uint8Array[] = [];
  for (let at = from; at < end; ) {
    const length = region.u32[(region.schemaStart + at) / 4];
    const start = region.schemaStart + at + 4;
    tables.push(region.u8.slice(start, start + length));
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return { tables, end };
}
