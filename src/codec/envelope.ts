/**
 * The envelope: one record as it lies in L2 and travels between threads. Little endian.
 *
 *    0        4    5    6       8          12         16         20       24        32          40          48      48+keyBytes
 *    +--------+----+----+-------+----------+----------+----------+--------+---------+-----------+-----------+-------+---------+
 *    | "PCEV" | 01 | fl | keyB. | schemaId | rawBytes | storedB. | crc32  | version | createdMs | expiresMs | key   | stored  |
 *    | 4 B    | u8 | u8 | u16   | u32      | u32      | u32      | u32    | f64     | f64       | f64       | UTF-8 | payload |
 *    +--------+----+----+-------+----------+----------+----------+--------+---------+-----------+-----------+-------+---------+
 *
 * - `version` is a safe integer > 0, kept as a double: Redis Lua reads it with `struct.unpack('<d', redis.call('GETRANGE', key, 24, 31))`.
 * - `crc32` (zlib, polynomial 0xEDB88320) covers the whole envelope with the four bytes of `crc32` itself taken as zero.
 * - payload: `rawBytes` of msgpack as they are, or (FLAG_LZ4) an LZ4 block behind its 4-byte size, as python's
 *   `lz4.block.compress(store_size=True)` writes it. A tombstone has no payload, and schemaId, rawBytes and storedBytes 0.
 * - `expiresAtMs` 0 means never.
 */
import { crc32 } from 'node:zlib';
import { ProfileCacheError } from '../errors.ts';
import { corrupt } from './corrupt.ts';

export const ENVELOPE = {
  magicOffset: 0,
  formatOffset: 4,
  flagsOffset: 5,
  keyBytesOffset: 6,
  schemaIdOffset: 8,
  rawBytesOffset: 12,
  storedBytesOffset: 16,
  crcOffset: 20,
  versionOffset: 24,
  createdAtOffset: 32,
  expiresAtOffset: 40,
  headerBytes: 48,
  /** "PCEV" read as a little-endian u32. */
  magic: 0x56454350,
  formatVersion: 1,
  maxKeyBytes: 1_024,
} as const;

if (ENVELOPE.headerBytes !== ENVELOPE.expiresAtOffset + 8 || ENVELOPE.headerBytes % 8 !== 0) {
  throw new Error('envelope: the header does not add up');
}

export const FLAG_LZ4 = 1;
/** Reserved: LZ4 with a dictionary. Refused for now. */
export const FLAG_DICTIONARY = 2;
export const FLAG_TOMBSTONE = 4;

/** An LZ4 block expands at most so: 255 bytes for each stored byte (RELIABILITY: a 6-byte lie asks for 4 GiB). */
export const LZ4_PREFIX_BYTES = 4;
export const lz4MaxRawBytes = (storedBytes: number): number => 255 * (storedBytes - LZ4_PREFIX_BYTES) + 16;

const MAX_TIME_MS = 8.64e15;
const CRC_AS_ZERO = new Uint8Array(4);

export interface EnvelopeFields {
  /** FLAG_… bits. */
  flags: number;
  schemaId: number;
  /** Bytes of the payload before compression. */
  rawBytes: number;
  version: number;
  createdAtMs: number;
  /** Epoch milliseconds; 0 = never. */
  expiresAtMs: number;
  wallet: string;
}

/**
 * Room for the envelopes of one batch, in one allocation: memory of its own for each is a microsecond of allocating and collecting. Who
 * keeps one of them keeps them all.
 */
export class EnvelopeRoom {
  readonly bytes: Buffer;
  readonly view: DataView;
  at = 0;

  constructor(bytes: number) {
    // Not zeroed: every byte of an envelope is written.
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.view = new DataView(this.bytes.buffer);
  }
}

/**
 * Writes one envelope, into memory of its own that may be transferred, or into `room`, where it fits there. Throws ERR_WALLET for a key
 * over the cap.
 */
export function sealEnvelope(fields: EnvelopeFields, stored: Uint8Array, room?: EnvelopeRoom): Uint8Array {
  const keyBytes = Buffer.byteLength(fields.wallet);
  if (keyBytes === 0 || keyBytes > ENVELOPE.maxKeyBytes) {
    throw new ProfileCacheError('ERR_WALLET', `a wallet takes 1 to ${ENVELOPE.maxKeyBytes} bytes in UTF-8, not ${keyBytes}`, {
      wallet: fields.wallet,
    });
  }
  const envelopeBytes = ENVELOPE.headerBytes + keyBytes + stored.length;
  const into = room !== undefined && room.at + envelopeBytes <= room.bytes.length ? room : new EnvelopeRoom(envelopeBytes);
  const { bytes, view, at } = into;
  into.at += envelopeBytes;
  view.setUint32(at + ENVELOPE.magicOffset, ENVELOPE.magic, true);
  bytes[at + ENVELOPE.formatOffset] = ENVELOPE.formatVersion;
  bytes[at + ENVELOPE.flagsOffset] = fields.flags;
  view.setUint16(at + ENVELOPE.keyBytesOffset, keyBytes, true);
  view.setUint32(at + ENVELOPE.schemaIdOffset, fields.schemaId, true);
  view.setUint32(at + ENVELOPE.rawBytesOffset, fields.rawBytes, true);
  view.setUint32(at + ENVELOPE.storedBytesOffset, stored.length, true);
  // One pass over everything takes it as zero.
  view.setUint32(at + ENVELOPE.crcOffset, 0, true);
  view.setFloat64(at + ENVELOPE.versionOffset, fields.version, true);
  view.setFloat64(at + ENVELOPE.createdAtOffset, fields.createdAtMs, true);
  view.setFloat64(at + ENVELOPE.expiresAtOffset, fields.expiresAtMs, true);
  bytes.write(fields.wallet, at + ENVELOPE.headerBytes);
  bytes.set(stored, at + ENVELOPE.headerBytes + keyBytes);
  const envelope = new Uint8Array(bytes.buffer, at, envelopeBytes);
  view.setUint32(at + ENVELOPE.crcOffset, crc32(envelope), true);
  const problem = headerProblem(view, at, envelopeBytes, fields.rawBytes);
  if (problem !== undefined) throw new TypeError(`sealEnvelope was given fields that no reader would accept: ${problem[1]}`);
  return envelope;
}

/**
 * Checks every field and the CRC before anything is allocated, then returns the fields and a view of the payload.
 * `bytes` is private memory, never shared. Throws ERR_L2_CORRUPT whose `path` is the field that is wrong.
 */
export function openEnvelope(
  bytes: Uint8Array,
  expect: { wallet?: string; maxRawBytes: number },
): EnvelopeFields & { stored: Uint8Array } {
  if (bytes.length < ENVELOPE.headerBytes) throw corrupt(`${bytes.length} bytes are less than a header`, 'length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const problem = headerProblem(view, 0, bytes.length, expect.maxRawBytes);
  if (problem !== undefined) throw corrupt(problem[1], problem[0]);
  if (checksum(bytes) !== view.getUint32(ENVELOPE.crcOffset, true)) throw corrupt('the CRC-32 does not match', 'crc');
  const keyEnd = ENVELOPE.headerBytes + view.getUint16(ENVELOPE.keyBytesOffset, true);
  const wallet = readKey(bytes, keyEnd);
  if (wallet === undefined) throw corrupt('the wallet is not UTF-8', 'wallet');
  if (expect.wallet !== undefined && wallet !== expect.wallet) throw corrupt('it belongs to another wallet', 'wallet');
  return {
    flags: bytes[ENVELOPE.flagsOffset],
    schemaId: view.getUint32(ENVELOPE.schemaIdOffset, true),
    rawBytes: view.getUint32(ENVELOPE.rawBytesOffset, true),
    version: view.getFloat64(ENVELOPE.versionOffset, true),
    createdAtMs: view.getFloat64(ENVELOPE.createdAtOffset, true),
    expiresAtMs: view.getFloat64(ENVELOPE.expiresAtOffset, true),
    wallet,
    stored: bytes.subarray(keyEnd),
  };
}

/** Version stamp, unchecked but for the magic: for stores, which compare versions and read nothing else. */
export function readVersion(bytes: Uint8Array): number | undefined {
  if (!hasMagic(bytes)) return undefined;
  const version = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(ENVELOPE.versionOffset, true);
  return Number.isSafeInteger(version) && version > 0 ? version : undefined;
}

/** Unchecked but for the magic, as `readVersion`. */
export function isTombstone(bytes: Uint8Array): boolean {
  return hasMagic(bytes) && (bytes[ENVELOPE.flagsOffset] & FLAG_TOMBSTONE) !== 0;
}

function hasMagic(bytes: Uint8Array): boolean {
  return bytes.length >= ENVELOPE.headerBytes && bytes[0] === 0x50 && bytes[1] === 0x43 && bytes[2] === 0x45 && bytes[3] === 0x56;
}

/** The first thing wrong with the header of the envelope at `at`, as [field, text]. */
export function headerProblem(view: DataView, at: number, envelopeBytes: number, maxRawBytes: number): [field: string, text: string] | undefined {
  if (view.getUint32(at + ENVELOPE.magicOffset, true) !== ENVELOPE.magic) return ['magic', 'it does not begin with PCEV'];
  const format = view.getUint8(at + ENVELOPE.formatOffset);
  if (format !== ENVELOPE.formatVersion) return ['format', `format version ${format} is not known`];
  const flags = view.getUint8(at + ENVELOPE.flagsOffset);
  if (flags !== 0 && flags !== FLAG_LZ4 && flags !== FLAG_TOMBSTONE) return ['flags', `flags ${flags} are not known`];
  const keyBytes = view.getUint16(at + ENVELOPE.keyBytesOffset, true);
  if (keyBytes === 0 || keyBytes > ENVELOPE.maxKeyBytes) return ['keyBytes', `a key of ${keyBytes} bytes`];
  const rawBytes = view.getUint32(at + ENVELOPE.rawBytesOffset, true);
  const storedBytes = view.getUint32(at + ENVELOPE.storedBytesOffset, true);
  if (rawBytes > maxRawBytes) return ['rawBytes', `${rawBytes} raw bytes are over the cap of ${maxRawBytes}`];
  if (ENVELOPE.headerBytes + keyBytes + storedBytes !== envelopeBytes) return ['storedBytes', 'its lengths do not add up'];
  if (flags === FLAG_TOMBSTONE) {
    if (rawBytes !== 0 || storedBytes !== 0) return ['rawBytes', 'a tombstone with a payload'];
    if (view.getUint32(at + ENVELOPE.schemaIdOffset, true) !== 0) return ['schemaId', 'a tombstone with a schema'];
  } else if (rawBytes === 0) {
    return ['rawBytes', 'no payload'];
  } else if (flags === FLAG_LZ4) {
    if (storedBytes <= LZ4_PREFIX_BYTES || rawBytes > lz4MaxRawBytes(storedBytes)) return ['rawBytes', 'more than LZ4 can expand to'];
  } else if (storedBytes !== rawBytes) {
    return ['storedBytes', 'stored and raw bytes differ without compression'];
  }
  const version = view.getFloat64(at + ENVELOPE.versionOffset, true);
  if (!Number.isSafeInteger(version) || version <= 0) return ['version', `version ${version}`];
  if (!isTime(view.getFloat64(at + ENVELOPE.createdAtOffset, true))) return ['createdAtMs', 'no time'];
  if (!isTime(view.getFloat64(at + ENVELOPE.expiresAtOffset, true))) return ['expiresAtMs', 'no time'];
  return undefined;
}

const isTime = (ms: number): boolean => ms >= 0 && ms <= MAX_TIME_MS;

/** CRC-32 of the envelope with its CRC field taken as zero, without a copy. */
function checksum(bytes: Uint8Array): number {
  const head = crc32(bytes.subarray(0, ENVELOPE.crcOffset));
  return crc32(bytes.subarray(ENVELOPE.versionOffset), crc32(CRC_AS_ZERO, head));
}

function readKey(bytes: Uint8Array, keyEnd: number): string | undefined {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset + ENVELOPE.headerBytes, keyEnd - ENVELOPE.headerBytes);
  const wallet = key.toString('utf8');
  // Damaged UTF-8 decodes to U+FFFD: only then is it worth encoding again to see whether that character was really there.
  return wallet.includes('\uFFFD') && !Buffer.from(wallet, 'utf8').equals(key) ? undefined : wallet;
}
