/**
 * A record as it will lie in the arena, elsewhere: an I/O worker lays it out in the inbox, the owner copies it in one go.
 *
 *   image   │ hash of the key u32 │ the rest as in the arena (layout.ts): header, key, payload │      at a multiple of 8
 */
import { hashWords } from './hash.ts';
import { RECORD, VERSION_HIGH_BITS, recordBytes } from './layout.ts';
import { SCHEMA_UNIT, VERSION_HIGH_MASK, writeHead } from './record.ts';
import type { Region } from './region.ts';

const WORD = 2 ** 32;

/** In shared memory; where the arena has slot and schema number, which the owner gives, stands the hash of the key. */
export interface RecordImage {
  words: Uint32Array;
  /** Of its first word. */
  at: number;
}

export const imageHash = ({ words, at }: RecordImage) => words[at + RECORD.slotAndSchema] | 0;
export const imageKeyBytes = ({ words, at }: RecordImage) => words[at + RECORD.versionHighAndKeyBytes] >>> VERSION_HIGH_BITS;
export const imagePayloadBytes = ({ words, at }: RecordImage) => words[at + RECORD.payloadBytes];
export const imageVersion = ({ words, at }: RecordImage) => (words[at + RECORD.versionHighAndKeyBytes] & VERSION_HIGH_MASK) * WORD + words[at + RECORD.versionLow];

/** The owner's copy of `image` into the arena. */
export function writeImage(region: Region, at: number, slot: number, image: RecordImage, schemaNumber: number): void {
  const { u32 } = region;
  const { words, at: from } = image;
  const to = at / 4;
  const count = recordBytes(imageKeyBytes(image), imagePayloadBytes(image)) >>> 2;
  u32[to] = slot + schemaNumber * SCHEMA_UNIT;
  // By words: V8's own copy between shared buffers goes byte by byte where the two do not agree modulo 8.
  for (let i = 1; i < count; i++) u32[to + i] = words[from + i];
}

/** Copies `image` to the start of `into`, private memory. @returns where its payload ends; -1 where it does not fit. */
export function copyImage(image: RecordImage, into: Uint8Array): number {
  const from = image.at * 4;
  const end = RECORD.headerBytes + imageKeyBytes(image) + imagePayloadBytes(image);
  if (end > into.length) return -1;
  // From a multiple of 8 to a multiple of 8.
  into.set(new Uint8Array(image.words.buffer, from, end));
  return end;
}

export interface ImageParts {
  /** The key is `key[keyStart..keyStart + keyBytes)`, the payload likewise; private memory. */
  key: Uint8Array;
  keyStart: number;
  keyBytes: number;
  raw: Uint8Array;
  rawStart: number;
  rawBytes: number;
  version: number;
  createdAtMs: number;
  deadlineMs: number;
}

const IMAGE_BYTES = 8 * 1024;

/** Lays records out in private memory, where copies are fast whatever the alignment, and takes them to shared memory by words. One a thread. */
export class ImageWriter {
  private readonly bytes = new Uint8Array(new ArrayBuffer(IMAGE_BYTES));
  private readonly words = new Uint32Array(this.bytes.buffer);
  private readonly keyWords = new Int32Array(this.bytes.buffer, RECORD.headerBytes);
  private readonly key0: number;
  private readonly key1: number;

  /** @param key0, key1 the hash key of the region that the records are for. */
  constructor(key0: number, key1: number) {
    this.key0 = key0;
    this.key1 = key1;
  }

  /** To `u8[at..]`, where there is room; `at` is a multiple of 8, or V8 copies byte by byte. */
  write(u8: Uint8Array, at: number, parts: ImageParts): void {
    const { key, keyStart, keyBytes, raw, rawStart, rawBytes, version, createdAtMs, deadlineMs } = parts;
    const { bytes, words } = this;
    const keyAt = RECORD.headerBytes;
    const bytesUsed = keyAt + keyBytes + rawBytes;
    const isSmall = bytesUsed <= IMAGE_BYTES;
    // The key is at most 1 KiB.
    const inOne = isSmall && key === raw && keyStart + keyBytes === rawStart;
    bytes.set(key.subarray(keyStart, inOne ? rawStart + rawBytes : keyStart + keyBytes), keyAt);
    if (isSmall && !inOne) bytes.set(raw.subarray(rawStart, rawStart + rawBytes), keyAt + keyBytes);
    words[RECORD.slotAndSchema] = hashWords(this.keyWords, keyBytes, this.key0, this.key1);
    writeHead(words, 0, keyBytes, rawBytes, version, deadlineMs, createdAtMs);
    u8.set(bytes.subarray(0, isSmall ? bytesUsed : keyAt + keyBytes), at);
    if (!isSmall) u8.set(raw.subarray(rawStart, rawStart + rawBytes), at + keyAt + keyBytes);
  }
}
