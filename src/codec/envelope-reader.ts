/**
 * `openEnvelope` without an object, a view and a string for each record: one instance a thread, its fields filled anew by every
 * `open`. The same checks in the same order; only the payload stays where it is.
 */
import { crc32 } from 'node:zlib';
import { ENVELOPE, FLAG_LZ4, FLAG_TOMBSTONE, headerProblem } from './envelope.ts';
import { inflate } from './transcode.ts';

export class EnvelopeReader {
  tombstone = false;
  schemaId = 0;
  version = 0;
  createdAtMs = 0;
  /** 0 = never. */
  expiresAtMs = 0;
  /** The payload, uncompressed, is `raw[rawStart..rawStart + rawBytes)`; valid until the next `open`. */
  raw: Uint8Array = new Uint8Array(0);
  rawStart = 0;
  rawBytes = 0;
  /** The wallet's bytes are `bytes[keyStart..keyStart + keyBytes)` of what was opened. */
  keyStart = 0;
  keyBytes = 0;
  readonly #maxRawBytes: number;
  #view = new DataView(this.raw.buffer);

  constructor(maxRawBytes: number) {
    this.#maxRawBytes = maxRawBytes;
  }

  /**
   * False for whatever is not a whole record of this wallet; the fields mean nothing then.
   * `bytes[start..end)` is private memory of this thread: its CRC field is zero for a moment.
   */
  open(bytes: Uint8Array, start: number, end: number, wallet: string): boolean {
    if (end - start < ENVELOPE.headerBytes) return false;
    // Records come by the dozen in one chunk of a socket.
    if (this.#view.buffer !== bytes.buffer) this.#view = new DataView(bytes.buffer);
    const view = this.#view;
    const at = bytes.byteOffset + start;
    if (headerProblem(view, at, end - start, this.#maxRawBytes) !== undefined) return false;
    const crc = view.getUint32(at + ENVELOPE.crcOffset, true);
    // The CRC covers the envelope with its own field as zero.
    view.setUint32(at + ENVELOPE.crcOffset, 0, true);
    const intact = crc32(bytes.subarray(start, end)) === crc;
    view.setUint32(at + ENVELOPE.crcOffset, crc, true);
    if (!intact) return false;
    const keyStart = start + ENVELOPE.headerBytes;
    this.keyStart = keyStart;
    this.keyBytes = view.getUint16(at + ENVELOPE.keyBytesOffset, true);
    const keyEnd = keyStart + this.keyBytes;
    if (!isWallet(bytes, keyStart, keyEnd, wallet)) return false;
    const flags = bytes[start + ENVELOPE.flagsOffset];
    this.tombstone = flags === FLAG_TOMBSTONE;
    this.schemaId = view.getUint32(at + ENVELOPE.schemaIdOffset, true);
    this.rawBytes = view.getUint32(at + ENVELOPE.rawBytesOffset, true);
    this.version = view.getFloat64(at + ENVELOPE.versionOffset, true);
    this.createdAtMs = view.getFloat64(at + ENVELOPE.createdAtOffset, true);
    this.expiresAtMs = view.getFloat64(at + ENVELOPE.expiresAtOffset, true);
    this.raw = bytes;
    this.rawStart = keyEnd;
    return flags !== FLAG_LZ4 || this.#inflate(bytes.subarray(keyEnd, end));
  }

  #inflate(stored: Uint8Array): boolean {
    try {
      this.raw = inflate(stored, this.rawBytes);
    } catch {
      return false;
    }
    this.rawStart = 0;
    return true;
  }
}

/** Looked up once, not for each character: strings come in more shapes than an inline cache holds. */
const { charCodeAt } = String.prototype;

function isWallet(bytes: Uint8Array, start: number, end: number, wallet: string): boolean {
  const { length } = wallet;
  if (end - start === length) {
    let i = 0;
    while (i < length && bytes[start + i] === charCodeAt.call(wallet, i) && bytes[start + i] < 0x80) i++;
    if (i === length) return true;
  }
  return Buffer.from(wallet, 'utf8').equals(bytes.subarray(start, end));
}
