/** Raw record <-> envelope. Runs in worker threads: LZ4 and the CRC are done here, never on the thread that owns profiles. */
import { compressSync, uncompressSync } from 'lz4-napi';
import { corrupt } from './corrupt.ts';
import { ENVELOPE, FLAG_LZ4, FLAG_TOMBSTONE, lz4MaxRawBytes, openEnvelope, sealEnvelope, type EnvelopeRoom } from './envelope.ts';

/** Below this LZ4 has nothing to find and costs a native call. */
const MIN_COMPRESS_BYTES = 64;
/** Part of the record that LZ4 must save: less is not worth a native call at each read. */
const MIN_SAVING = 1 / 16;
/** Records that the mean follows, and one record in so many is tried where LZ4 did not pay. */
const GAUGE_MEMORY = 8;
const RETRY_EVERY = 64;
const NOTHING = new Uint8Array(0);

export interface RawRecord {
  wallet: string;
  /** msgpack as ProfileCodec wrote it. */
  raw: Uint8Array;
  schemaId: number;
  version: number;
  createdAtMs: number;
  /** 0 = never. */
  expiresAtMs: number;
}

/** LZ4 is used only where it pays. The result is memory of its own, or lies in `room`. */
export function packRecord(record: RawRecord, compression: 'lz4' | 'none', gauge?: CompressionGauge, room?: EnvelopeRoom): Uint8Array {
  const { raw, schemaId, version, createdAtMs, expiresAtMs, wallet } = record;
  const fields = { flags: 0, schemaId, rawBytes: raw.length, version, createdAtMs, expiresAtMs, wallet };
  if (compression === 'lz4' && raw.length >= MIN_COMPRESS_BYTES && (gauge?.worthTrying(raw.length) ?? true)) {
    const packed = compressSync(asBuffer(raw));
    gauge?.tried(raw.length, packed.length);
    if (packed.length <= raw.length * (1 - MIN_SAVING)) return sealEnvelope({ ...fields, flags: FLAG_LZ4 }, packed, room);
  }
  return sealEnvelope(fields, raw, room);
}

/**
 * Whether LZ4 pays, by measure. A profile written with a structure table is random bytes and short words: LZ4 takes 0.4 % off it, for
 * 12 us at the writer and 3 us at every reader. What it saves is remembered for each power of two of sizes; where that is too
 * little, only one record in `RETRY_EVERY` is tried.
 */
export class CompressionGauge {
  readonly #saved = new Float64Array(32).fill(1);
  readonly #skipped = new Uint32Array(32);

  worthTrying(rawBytes: number): boolean {
    const size = sizeClass(rawBytes);
    if (this.#saved[size] >= MIN_SAVING) return true;
    if (++this.#skipped[size] < RETRY_EVERY) return false;
    this.#skipped[size] = 0;
    return true;
  }

  tried(rawBytes: number, packedBytes: number): void {
    const size = sizeClass(rawBytes);
    this.#saved[size] += (1 - packedBytes / rawBytes - this.#saved[size]) / GAUGE_MEMORY;
  }
}

const sizeClass = (rawBytes: number): number => 31 - Math.clz32(rawBytes);

export function packTombstone(wallet: string, version: number, createdAtMs: number, expiresAtMs: number, room?: EnvelopeRoom): Uint8Array {
  return sealEnvelope({ flags: FLAG_TOMBSTONE, schemaId: 0, rawBytes: 0, version, createdAtMs, expiresAtMs, wallet }, NOTHING, room);
}

/** `raw` is private memory, no view of `envelope`. Throws ERR_L2_CORRUPT for whatever is not a whole record of this wallet. */
export function unpackRecord(envelope: Uint8Array, wallet: string, maxRawBytes: number): RawRecord | { tombstone: true; version: number } {
  const opened = openEnvelope(envelope, { wallet, maxRawBytes });
  if (opened.flags === FLAG_TOMBSTONE) return { tombstone: true, version: opened.version };
  const raw = opened.flags === FLAG_LZ4 ? inflate(opened.stored, opened.rawBytes) : new Uint8Array(opened.stored);
  const { schemaId, version, createdAtMs, expiresAtMs } = opened;
  return { wallet, raw, schemaId, version, createdAtMs, expiresAtMs };
}

/** Private memory of its own. Throws ERR_L2_CORRUPT. */
export function inflate(stored: Uint8Array, rawBytes: number): Uint8Array {
  // lz4-napi allocates what this prefix says and fills it with zeroes, seconds long for 4 GiB: check before the call.
  const prefix = new DataView(stored.buffer, stored.byteOffset).getUint32(0, true);
  if (prefix !== rawBytes || rawBytes > lz4MaxRawBytes(stored.length)) throw corrupt('the LZ4 size is not the raw size', 'lz4');
  let raw: Uint8Array;
  try {
    raw = uncompressSync(stored);
  } catch (error) {
    throw corrupt('the LZ4 block is damaged', 'lz4', error);
  }
  // A block that ends early comes back short and without an error.
  if (raw.length !== rawBytes) throw corrupt(`LZ4 gave ${raw.length} bytes for ${rawBytes}`, 'lz4');
  return raw;
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Bytes that an envelope adds to its payload. */
export const envelopeOverheadBytes = (wallet: string): number => ENVELOPE.headerBytes + Buffer.byteLength(wallet);
