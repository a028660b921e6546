/**
 * The one home of every offset in the shared region. Little-endian, as every machine that runs Node is.
 *
 *   region  ┌──────────────────────────────────────────────────────────────┐ 0
 *           │ header            128 bytes of words                         │
 *           ├──────────────────────────────────────────────────────────────┤ HEADER_BYTES
 *           │ thread rows       THREAD_ROWS × (counters + access ring)     │ one row a thread, written by that thread alone
 *           ├──────────────────────────────────────────────────────────────┤
 *           │ schema log        structure tables, append-only              │ written by the owner
 *           ├──────────────────────────────────────────────────────────────┤
 *           │ index             indexCells × u32   (tag 8 bits | slot + 1) │ 0 = empty; linear probing
 *           ├──────────────────────────────────────────────────────────────┤
 *           │ slots             slotCount × 16 bytes                       │ seq | version | offset | hash
 *           ├──────────────────────────────────────────────────────────────┤ arenaStart (4,096-aligned)
 *           │ arena             segmentCount × segmentBytes                │ records, appended, never changed in place
 *           └──────────────────────────────────────────────────────────────┘ regionBytes
 *
 *   slot    │ seq u32 │ version u32 │ offset u32 │ hash u32 │
 *             seq      odd while the owner changes the slot; +2 at every change, moves of the record included
 *             version  +1 when the content changes or goes; what near caches compare. A move leaves it alone.
 *             offset   of the record in the arena, in units of 8 bytes, plus one; 0 = the slot is empty
 *
 *   record  │ slot u32 │ payloadBytes u32 │ keyBytes u16 │ 0 u16 │ schemaId u32 │
 *           │ version f64 │ expiresAtMs f64 (monotonic) │ createdAtMs f64 (calendar) │ key … │ payload … │ pad to 8
 *
 *   row     │ counters  METRIC_SLOTS × f64 │ claimed u32 │ ring position u32 │ ring  RING_ENTRIES × u32 │
 */

export const LAYOUT_MAGIC = 0x31_4c_43_50; // "PCL1"
export const LAYOUT_VERSION = 1;

/** Words (u32) of the header. */
export const HEADER = {
  magic: 0,
  layoutVersion: 1,
  /** 0 while the owner serves, 1 once it has closed. */
  closed: 2,
  slotCount: 3,
  indexCells: 4,
  segmentCount: 5,
  segmentBytes: 6,
  /** The two halves of the hash key, random for each region. */
  hashKey0: 7,
  hashKey1: 8,
  /** Odd while the owner shifts index cells; changes whenever a reader may have missed an entry that moved. */
  indexShift: 9,
  /** Bytes of the schema log that are complete. */
  schemaBytes: 10,
  /** Rows ever claimed: readers of all counters look no further. */
  rowsUsed: 11,
  /** Changed by the owner between freeing a segment and writing into it again. */
  reuseFence: 12,
  /** Entries resident, and their record bytes; for any thread's statistics. */
  residentProfiles: 13,
  /** u32 halves of resident record bytes. */
  residentBytesLow: 14,
  residentBytesHigh: 15,
} as const;

export const HEADER_BYTES = 128;

export const METRIC_SLOTS = 64;
export const RING_ENTRIES = 256;
export const ROW = {
  counters: 0,
  claimed: METRIC_SLOTS * 8,
  ringPosition: METRIC_SLOTS * 8 + 4,
  ring: METRIC_SLOTS * 8 + 8,
  bytes: METRIC_SLOTS * 8 + 8 + RING_ENTRIES * 4,
} as const;
export const THREAD_ROWS = 256;

export const SCHEMA_LOG_BYTES = 512 * 1024;

/** Words of a slot. */
export const SLOT = { seq: 0, version: 1, offset: 2, hash: 3, words: 4, bytes: 16 } as const;

/** Bytes of a record header. */
export const RECORD = {
  slot: 0,
  payloadBytes: 4,
  keyBytes: 8,
  schemaId: 12,
  version: 16,
  expiresAtMs: 24,
  createdAtMs: 32,
  headerBytes: 40,
} as const;

export const MAX_KEY_BYTES = 1024;
/** The index holds slot + 1 in 24 bits. */
export const MAX_SLOTS = 16_000_000;

export interface Layout {
  slotCount: number;
  indexCells: number;
  segmentCount: number;
  segmentBytes: number;
  rowsStart: number;
  schemaStart: number;
  indexStart: number;
  slotsStart: number;
  arenaStart: number;
  arenaBytes: number;
  regionBytes: number;
}

const alignUp = (value: number, to: number) => Math.ceil(value / to) * to;
export const recordBytes = (keyBytes: number, payloadBytes: number) => alignUp(RECORD.headerBytes + keyBytes + payloadBytes, 8);

/** Large arenas get many segments (less reserve), small ones fewer (a record must fit into one). */
const MANY_SEGMENTS = 128;
const FEW_SEGMENTS = 16;
const COMFORTABLE_SEGMENT_BYTES = 256 * 1024;

export function planLayout(maxProfiles: number, maxBytes: number): Layout {
  const few = Math.floor(maxBytes / FEW_SEGMENTS);
  const segmentGoal = Math.min(few, Math.max(Math.floor(maxBytes / MANY_SEGMENTS), COMFORTABLE_SEGMENT_BYTES));
  const segmentBytes = Math.floor(segmentGoal / 8) * 8;
  return placeParts(maxProfiles, segmentBytes, Math.floor(maxBytes / segmentBytes));
}

export function placeParts(slotCount: number, segmentBytes: number, segmentCount: number): Layout {
  const indexCells = 2 ** Math.ceil(Math.log2(Math.max(16, slotCount * 2)));
  const rowsStart = HEADER_BYTES;
  const schemaStart = alignUp(rowsStart + THREAD_ROWS * ROW.bytes, 64);
  const indexStart = alignUp(schemaStart + SCHEMA_LOG_BYTES, 64);
  const slotsStart = alignUp(indexStart + indexCells * 4, 64);
  const arenaStart = alignUp(slotsStart + slotCount * SLOT.bytes, 4096);
  const arenaBytes = segmentBytes * segmentCount;
  return {
    slotCount, indexCells, segmentCount, segmentBytes, rowsStart, schemaStart, indexStart, slotsStart, arenaStart, arenaBytes,
    regionBytes: arenaStart + arenaBytes,
  };
}

// Size checks: a picture that lies is worse than none.
const check = (holds: boolean, what: string) => {
  if (!holds) throw new Error(`L1 layout is inconsistent: ${what}`);
};
check(Math.max(...Object.values(HEADER)) * 4 < HEADER_BYTES, 'header words overlap the thread rows');
check(SLOT.words * 4 === SLOT.bytes, 'slot words and bytes differ');
check(RECORD.createdAtMs + 8 === RECORD.headerBytes, 'the record header has a hole at its end');
check(ROW.bytes % 8 === 0 && HEADER_BYTES % 8 === 0, 'counters are not aligned to 8');
check(RECORD.version % 8 === 0 && RECORD.headerBytes % 8 === 0, 'record numbers are not aligned to 8');
