/**
 * The one home of every offset in the shared region. Little-endian, as every machine that runs Node is.
 *
 *   region  ┌──────────────────────────────────────────────────────────────┐ 0
 *           │ header            128 bytes of words                         │
 *           ├──────────────────────────────────────────────────────────────┤ HEADER_BYTES
 *           │ thread rows       THREAD_ROWS × (counters + access ring)     │ one row a thread, written by that thread alone
 *           ├──────────────────────────────────────────────────────────────┤
 *           │ schema ids        SCHEMA_IDS × u32                           │ by schema number; written by the owner, once each
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
 *                      Its top bit: the entry is suspect, nobody reads it until the owner has taken the bit away again.
 *             offset   of the record in the arena, in units of 4 bytes, plus one; 0 = the slot is empty
 *             hash     of the wallet. While the slot is empty: the next empty slot plus one, 0 = the last (owner only)
 *
 *   record  │ slot 24 bits, schema number 8 bits │ payloadBytes u32 │ version low u32 │ version high 21 bits, keyBytes 11 bits │
 *           │ expiresAtMs low u32 │ createdAtMs low u32 │ expiresAtMs high u16 │ createdAtMs high u16 │ key … │ payload … │ pad to 4
 *             version        a safe integer: 53 bits
 *             expiresAtMs    whole milliseconds since the boot of the machine, rounded down: 48 bits, 8,900 years, so nothing wraps
 *             createdAtMs    whole milliseconds of the calendar: 48 bits
 *             schema number  below 16 the schema id itself (a format), else the place of the id in the schema ids, plus 16
 *
 *   row     │ counters  METRIC_SLOTS × f64 │ claim i32 │ signs i32 │ probedAtMs u32 │ ring position u32 │ ring  RING_ENTRIES × u32 │ gap │
 *             claim, signs, probedAtMs: whose row it is, and whether that thread lives; row-claim.ts
 *             gap: two threads' rows share no cache line, wherever the region begins
 */

export const LAYOUT_MAGIC = 0x31_4c_43_50; // "PCL1"
export const LAYOUT_VERSION = 2;

/** Words (u32) of the header. */
export const HEADER = {
  magic: 0,
  layoutVersion: 1,
  /** 0 while the owner serves, 1 once it has closed or was found dead. */
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
  /** Epochs of row claims given out so far. */
  rowEpochs: 16,
  /** When the owner's event loop last turned: monotonic milliseconds modulo 2^32 (owner-beat.ts). */
  ownerBeatMs: 17,
} as const;

export const HEADER_BYTES = 128;

export const METRIC_SLOTS = 64;
export const RING_ENTRIES = 256;
export const ROW = {
  counters: 0,
  claim: METRIC_SLOTS * 8,
  signs: METRIC_SLOTS * 8 + 4,
  probedAtMs: METRIC_SLOTS * 8 + 8,
  ringPosition: METRIC_SLOTS * 8 + 12,
  ring: METRIC_SLOTS * 8 + 16,
  bytes: METRIC_SLOTS * 8 + 16 + RING_ENTRIES * 4 + 112,
} as const;
export const THREAD_ROWS = 256;

/** Schema ids below this name formats and are their own number; the others are hashes, and get numbers as they come. */
export const FIRST_TABLE_NUMBER = 16;
/** As many as a byte has numbers left. */
export const SCHEMA_IDS = 240;
export const SCHEMA_LOG_BYTES = 512 * 1024;

/** Words of a slot. */
export const SLOT = { seq: 0, version: 1, offset: 2, hash: 3, words: 4, bytes: 16 } as const;

/** Of a slot's version. Set and taken away without a change of content: near copies of it fall away, and stand again. */
export const SUSPECT = 0x8000_0000;

/** Unit of a slot's offset, and what records are aligned to. */
export const RECORD_ALIGN_BYTES = 4;

/** Words (u32) of a record header. */
export const RECORD = {
  slotAndSchema: 0,
  payloadBytes: 1,
  versionLow: 2,
  versionHighAndKeyBytes: 3,
  expiresLow: 4,
  createdLow: 5,
  /** expiresAtMs in the lower half, createdAtMs in the upper one. */
  timesHigh: 6,
  words: 7,
  headerBytes: 28,
} as const;
/** The bits that share a word with something else. */
export const SLOT_BITS = 24;
export const VERSION_HIGH_BITS = 21;

export const MAX_KEY_BYTES = 1024;
/** Index cells hold slot + 1 in 24 bits, records the slot. */
export const MAX_SLOTS = 16_000_000;

export interface Layout {
  slotCount: number;
  indexCells: number;
  segmentCount: number;
  segmentBytes: number;
  rowsStart: number;
  schemaIdsStart: number;
  schemaStart: number;
  indexStart: number;
  slotsStart: number;
  arenaStart: number;
  arenaBytes: number;
  regionBytes: number;
}

const alignUp = (value: number, to: number) => Math.ceil(value / to) * to;
export const recordBytes = (keyBytes: number, payloadBytes: number) => alignUp(RECORD.headerBytes + keyBytes + payloadBytes, RECORD_ALIGN_BYTES);

/**
 * A record must fit into a segment; three segments are reserve (arena.ts). So few segments take large records and waste a lot, many waste
 * little: 64 from 1 MiB to 16 MiB of arena, so that 91 % can be filled; 256 KiB each, or more, above; 128 from 32 MiB on. Below 1 MiB a
 * segment stays at 16 KiB, which a profile of usual size fits into, down to 16 segments.
 */
const FEWEST_SEGMENTS = 16;
const FEW_SEGMENTS = 64;
const MANY_SEGMENTS = 128;
const SMALL_SEGMENT_BYTES = 16 * 1024;
const COMFORTABLE_SEGMENT_BYTES = 256 * 1024;

export function planLayout(maxProfiles: number, maxBytes: number): Layout {
  const comfortable = Math.min(maxBytes / FEW_SEGMENTS, Math.max(maxBytes / MANY_SEGMENTS, COMFORTABLE_SEGMENT_BYTES));
  const goal = Math.min(maxBytes / FEWEST_SEGMENTS, Math.max(comfortable, SMALL_SEGMENT_BYTES));
  const segmentBytes = Math.floor(goal / RECORD_ALIGN_BYTES) * RECORD_ALIGN_BYTES;
  return placeParts(maxProfiles, segmentBytes, Math.floor(maxBytes / segmentBytes));
}

export function placeParts(slotCount: number, segmentBytes: number, segmentCount: number): Layout {
  const indexCells = 2 ** Math.ceil(Math.log2(Math.max(16, slotCount * 2)));
  const rowsStart = HEADER_BYTES;
  const schemaIdsStart = alignUp(rowsStart + THREAD_ROWS * ROW.bytes, 64);
  const schemaStart = alignUp(schemaIdsStart + SCHEMA_IDS * 4, 64);
  const indexStart = alignUp(schemaStart + SCHEMA_LOG_BYTES, 64);
  const slotsStart = alignUp(indexStart + indexCells * 4, 64);
  const arenaStart = alignUp(slotsStart + slotCount * SLOT.bytes, 4096);
  const arenaBytes = segmentBytes * segmentCount;
  return {
    slotCount, indexCells, segmentCount, segmentBytes, rowsStart, schemaIdsStart, schemaStart, indexStart, slotsStart, arenaStart, arenaBytes,
    regionBytes: arenaStart + arenaBytes,
  };
}

// Size checks: a picture that lies is worse than none.
const check = (holds: boolean, what: string) => {
  if (!holds) throw new Error(`L1 layout is inconsistent: ${what}`);
};
check(Math.max(...Object.values(HEADER)) * 4 < HEADER_BYTES, 'header words overlap the thread rows');
check(SLOT.words * 4 === SLOT.bytes, 'slot words and bytes differ');
check(RECORD.words * 4 === RECORD.headerBytes && RECORD.timesHigh + 1 === RECORD.words, 'record words and bytes differ');
check(ROW.bytes % 8 === 0 && HEADER_BYTES % 8 === 0, 'counters are not aligned to 8');
check(RECORD.headerBytes % RECORD_ALIGN_BYTES === 0, 'keys are not aligned to words');
check(MAX_SLOTS < 2 ** SLOT_BITS && MAX_KEY_BYTES < 2 ** (32 - VERSION_HIGH_BITS), 'slots or key lengths have more bits than they are given');
check(FIRST_TABLE_NUMBER + SCHEMA_IDS === 2 ** (32 - SLOT_BITS), 'schema numbers have more bits than they are given');
