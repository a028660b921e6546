/**
 * The bytes of a segment: a file of batches, each appended whole by the one thread that made the file. Little endian.
 *
 *   segment   +---------------------------+---------+---------+-----
 *             | "profilecache/1" 00 00 16 | batch 1 | batch 2 | ...
 *             +---------------------------+---------+---------+-----
 *   batch     0      4     8       12      16       20       24    32         40        44      48              56
 *             +------+-----+-------+-------+--------+--------+-----+----------+---------+-------+---------------+--------+--------+
 *             | PCB1 | crc | event | frame | frames | events | seq | written  | channel | flags | dropped       | events | frames |
 *             |      |     | bytes | bytes |        |        |     | Ms f64   | hash    |       | ThroughMs f64 |        |        |
 *             +------+-----+-------+-------+--------+--------+-----+----------+---------+-------+---------------+--------+--------+
 *   event     u32 length, UTF-8
 *   frame     0      4      5  8        12        16      20    22    23  24        32          40          48
 *             +------+-------+--+--------+---------+-------+-----+------+--+---------+-----------+-----------+-----+----------+
 *             | PCF1 | state |  | crc of | crc of  | body  | key | kind |  | version | expiresMs | writtenMs | key | envelope |
 *             |      | u8    |  | header | body    | bytes | B.  | u8   |  | f64     | f64       | f64       |     |          |
 *             +------+-------+--+--------+---------+-------+-----+------+--+---------+-----------+-----------+-----+----------+
 *
 * - A batch counts only when the file holds all of it: what a killed writer or a full disk left behind never takes effect.
 * - The crc of a batch covers bytes 8 to the end of its events; the crc of a frame header covers bytes 12 to the end of its key.
 *   Both start from the segment's salt, so that bytes inside a profile cannot pass for a header when a damaged file is searched.
 * - `state` is outside of every crc: one byte, set in place when a newer record of the key was appended elsewhere. More than
 *   half of its bits decide, so one flipped bit does not.
 * - `seq` counts the batches of one writer, over all of its segments. `droppedThroughMs` tells listeners that its writer removed a
 *   segment written as late as that.
 */
import { crc32 } from 'node:zlib';

export const SEGMENT_HEADER = Buffer.from('profilecache/1\0\0', 'latin1');
export const SEGMENT_HEADER_BYTES = 16;

export const BATCH = {
  /** "PCB1" */
  magic: 0x31424350,
  crc: 4,
  eventBytes: 8,
  frameBytes: 12,
  frames: 16,
  events: 20,
  seq: 24,
  writtenMs: 32,
  channelHash: 40,
  flags: 44,
  droppedThroughMs: 48,
  headerBytes: 56,
} as const;

/** No batch follows in this segment. */
export const FLAG_SEALED = 1;

export const FRAME = {
  /** "PCF1" */
  magic: 0x31464350,
  state: 4,
  headerCrc: 8,
  bodyCrc: 12,
  bodyBytes: 16,
  keyBytes: 20,
  kind: 22,
  version: 24,
  expiresMs: 32,
  writtenMs: 40,
  headerBytes: 48,
} as const;

if (SEGMENT_HEADER.length !== SEGMENT_HEADER_BYTES || BATCH.headerBytes !== BATCH.droppedThroughMs + 8 || FRAME.headerBytes !== FRAME.writtenMs + 8) {
  throw new Error('segment layout: the headers do not add up');
}

export const KIND_RECORD = 1;
export const KIND_TOMBSTONE = 2;
/** A clear(): no key, its version is the bound. */
export const KIND_CLEAR = 3;
/** Only in an index: the record is gone (damaged), its version still refuses older ones. */
export const KIND_FLOOR = 4;

export const MAX_KEY_BYTES = 1_024;
/** Far above maxProfileBytes: what claims more is damage. */
export const MAX_BODY_BYTES = 80 * 1024 * 1024;
export const MAX_BATCH_BYTES = 128 * 1024 * 1024;
export const STATE_DEAD = 0xff;

export const isDead = (state: number): boolean => {
  let bits = 0;
  for (let rest = state; rest !== 0; rest &= rest - 1) bits++;
  return bits > 4;
};

export interface BatchHeader {
  eventBytes: number;
  frameBytes: number;
  events: number;
  seq: number;
  writtenMs: number;
  channelHash: number;
  flags: number;
  droppedThroughMs: number;
}

/** Reads the lengths of a batch header at `at`; undefined when they cannot be. The crc is checked by `batchIsWhole`. */
export function readBatchHeader(from: Buffer, at: number): BatchHeader | undefined {
  if (from.readUInt32LE(at) !== BATCH.magic) return undefined;
  const eventBytes = from.readUInt32LE(at + BATCH.eventBytes);
  const frameBytes = from.readUInt32LE(at + BATCH.frameBytes);
  if (eventBytes + frameBytes > MAX_BATCH_BYTES) return undefined;
  return {
    eventBytes,
    frameBytes,
    events: from.readUInt32LE(at + BATCH.events),
    seq: from.readDoubleLE(at + BATCH.seq),
    writtenMs: from.readDoubleLE(at + BATCH.writtenMs),
    channelHash: from.readUInt32LE(at + BATCH.channelHash),
    flags: from.readUInt32LE(at + BATCH.flags),
    droppedThroughMs: from.readDoubleLE(at + BATCH.droppedThroughMs),
  };
}

/** `from` holds the header at `at` and all of its events. */
export function batchHeaderIsWhole(from: Buffer, at: number, eventBytes: number, salt: number): boolean {
  const covered = from.subarray(at + BATCH.eventBytes, at + BATCH.headerBytes + eventBytes);
  return crc32(covered, salt) >>> 0 === from.readUInt32LE(at + BATCH.crc);
}

/** Bytes of key and body that a frame header at `at` claims; undefined when they cannot be. */
export function readFrameLengths(from: Buffer, at: number): { keyBytes: number; bodyBytes: number } | undefined {
  if (from.readUInt32LE(at) !== FRAME.magic) return undefined;
  const keyBytes = from.readUInt16LE(at + FRAME.keyBytes);
  const bodyBytes = from.readUInt32LE(at + FRAME.bodyBytes);
  return keyBytes > MAX_KEY_BYTES || bodyBytes > MAX_BODY_BYTES ? undefined : { keyBytes, bodyBytes };
}

/** `from` holds the header at `at` and all of its key. */
export function frameHeaderIsWhole(from: Buffer, at: number, keyBytes: number, salt: number): boolean {
  const covered = from.subarray(at + FRAME.bodyCrc, at + FRAME.headerBytes + keyBytes);
  return crc32(covered, salt) >>> 0 === from.readUInt32LE(at + FRAME.headerCrc);
}

export function frameBodyIsWhole(from: Buffer, at: number, keyBytes: number, bodyBytes: number): boolean {
  const start = at + FRAME.headerBytes + keyBytes;
  return crc32(from.subarray(start, start + bodyBytes)) >>> 0 === from.readUInt32LE(at + FRAME.bodyCrc);
}

export const hashText = (text: string): number => crc32(Buffer.from(text)) >>> 0;
