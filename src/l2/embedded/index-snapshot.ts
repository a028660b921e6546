/**
 * The key index as one file: what an opening thread reads in the place of the whole log. It says how far into each segment it goes, and
 * nothing in it is trusted further than that: a record is still read with its own checksums and its whole key, and what the log has behind it is
 * replayed. Typed arrays as they are in memory: on a machine of the other byte order the magic does not fit, and the log is read.
 *
 *   header    0      4     8          12       16        20      24      28
 *             +------+-----+----------+--------+---------+-------+-------+------+----------+--------+---------+
 *             | PCI1 | crc | segments | clears | entries | seedA | seedB | zero | segments | clears | columns |
 *             +------+-----+----------+--------+---------+-------+-------+------+----------+--------+---------+
 *   segment   0             8                16      20          24                64
 *             +-------------+----------------+-------+-----------+-----------------+
 *             | covered f64 | lastWritten f64| flags | base bytes| base, padded    |
 *             +-------------+----------------+-------+-----------+-----------------+
 *   clear     version f64, writtenMs f64
 *   columns   f64: version, expiresMs, writtenMs; u32: hashA, hashB, segment (its place in the table), offset, bytes; u8: kind
 *
 * The crc covers bytes 8 to the end.
 */
import { crc32 } from 'node:zlib';
import type { Clear } from './log-state.ts';

const MAGIC = 0x31494350;
const HEADER_BYTES = 32;
const SEGMENT_BYTES = 64;
const MAX_BASE_BYTES = 40;
const CLEAR_BYTES = 16;
const ENTRY_BYTES = 45;
const FLAG_SEALED = 1;
const FLAG_HAS_CLEAR = 2;
/** From here on the crc counts. */
export const CRC_FROM = 8;

if (SEGMENT_BYTES !== 24 + MAX_BASE_BYTES || ENTRY_BYTES !== 3 * 8 + 5 * 4 + 1 || HEADER_BYTES % 8 !== 0) throw new Error('index snapshot layout: the fields do not add up');

export interface CoveredSegment {
  base: string;
  /** Bytes of the file, from its start, whose records are in the snapshot. */
  coveredBytes: number;
  lastWrittenMs: number;
  sealed: boolean;
  hasClear: boolean;
}

export interface EntryColumns {
  version: Float64Array;
  expiresMs: Float64Array;
  writtenMs: Float64Array;
  hashA: Uint32Array;
  hashB: Uint32Array;
  /** Place in `segments`. */
  segment: Uint32Array;
  offset: Uint32Array;
  bytes: Uint32Array;
  kind: Uint8Array;
}

export interface IndexSnapshot {
  /** Of the hashes. */
  seedA: number;
  seedB: number;
  segments: readonly CoveredSegment[];
  clears: readonly Clear[];
  entries: number;
  columns: EntryColumns;
}

export const snapshotBytes = (segments: number, clears: number, entries: number): number => HEADER_BYTES + segments * SEGMENT_BYTES + clears * CLEAR_BYTES + entries * ENTRY_BYTES;

/** A file with everything but its columns, which the caller fills in, and its crc, which `sealSnapshot` sets. */
export function layOutSnapshot(of: Omit<IndexSnapshot, 'columns'>): { file: Uint8Array; columns: EntryColumns } {
  const { segments, clears, entries } = of;
  const all = new ArrayBuffer(snapshotBytes(segments.length, clears.length, entries));
  const file = Buffer.from(all);
  new Uint32Array(all, 0, HEADER_BYTES / 4).set([MAGIC, 0, segments.length, clears.length, entries, of.seedA, of.seedB, 0]);
  const view = new DataView(all);
  for (const [i, segment] of segments.entries()) {
    const at = HEADER_BYTES + i * SEGMENT_BYTES;
    view.setFloat64(at, segment.coveredBytes, true);
    view.setFloat64(at + 8, segment.lastWrittenMs, true);
    view.setUint32(at + 16, (segment.sealed ? FLAG_SEALED : 0) | (segment.hasClear ? FLAG_HAS_CLEAR : 0), true);
    view.setUint32(at + 20, file.write(segment.base, at + 24, MAX_BASE_BYTES, 'latin1'), true);
  }
  for (const [i, clear] of clears.entries()) {
    const at = HEADER_BYTES + segments.length * SEGMENT_BYTES + i * CLEAR_BYTES;
    view.setFloat64(at, clear.version, true);
    view.setFloat64(at + 8, clear.writtenMs, true);
  }
  return { file, columns: columnsOf(all, segments.length, clears.length, entries) };
}

export function sealSnapshot(file: Uint8Array, crc: number): void {
  new DataView(file.buffer, file.byteOffset).setUint32(4, crc, true);
}

/** Undefined for anything but a whole snapshot. */
export function readSnapshot(all: ArrayBuffer): IndexSnapshot | undefined {
  if (all.byteLength < HEADER_BYTES) return undefined;
  const [magic, crc, segmentCount, clearCount, entries, seedA, seedB] = new Uint32Array(all, 0, HEADER_BYTES / 4);
  if (magic !== MAGIC || snapshotBytes(segmentCount, clearCount, entries) !== all.byteLength) return undefined;
  if (crc32(new Uint8Array(all, CRC_FROM)) >>> 0 !== crc) return undefined;
  const view = new DataView(all);
  const segments = Array.from({ length: segmentCount }, (_, i): CoveredSegment => {
    const at = HEADER_BYTES + i * SEGMENT_BYTES;
    const flags = view.getUint32(at + 16, true);
    const base = Buffer.from(all, at + 24, Math.min(MAX_BASE_BYTES, view.getUint32(at + 20, true))).toString('latin1');
    return { base, coveredBytes: view.getFloat64(at, true), lastWrittenMs: view.getFloat64(at + 8, true), sealed: (flags & FLAG_SEALED) !== 0, hasClear: (flags & FLAG_HAS_CLEAR) !== 0 };
  });
  const clears = Array.from({ length: clearCount }, (_, i): Clear => {
    const at = HEADER_BYTES + segmentCount * SEGMENT_BYTES + i * CLEAR_BYTES;
    return { version: view.getFloat64(at, true), writtenMs: view.getFloat64(at + 8, true) };
  });
  return { seedA: seedA | 0, seedB: seedB | 0, segments, clears, entries, columns: columnsOf(all, segmentCount, clearCount, entries) };
}

/** The wide columns first, so that each starts at a multiple of its width. */
function columnsOf(all: ArrayBuffer, segments: number, clears: number, entries: number): EntryColumns {
  let at = snapshotBytes(segments, clears, 0);
  const take = <T>(Column: { new (buffer: ArrayBuffer, at: number, length: number): T; BYTES_PER_ELEMENT: number }): T => {
    const column = new Column(all, at, entries);
    at += entries * Column.BYTES_PER_ELEMENT;
    return column;
  };
  return {
    version: take(Float64Array), expiresMs: take(Float64Array), writtenMs: take(Float64Array),
    hashA: take(Uint32Array), hashB: take(Uint32Array), segment: take(Uint32Array), offset: take(Uint32Array), bytes: take(Uint32Array),
    kind: take(Uint8Array),
  };
}
