import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENVELOPE, EnvelopeRoom, FLAG_DICTIONARY, FLAG_LZ4, FLAG_TOMBSTONE, isTombstone, openEnvelope, readVersion, sealEnvelope, type EnvelopeFields } from '../../src/codec/envelope.ts';
import { packRecord, packTombstone, unpackRecord, type RawRecord } from '../../src/codec/transcode.ts';
import { CAP_BYTES, errorOf, expectError, reseal } from './support.ts';

const record = (over: Partial<RawRecord> = {}): RawRecord => ({
  wallet: 'So11111111111111111111111111111111111111112',
  raw: new Uint8Array(500).fill(7),
  schemaId: 77,
  version: 123_456_789_012,
  createdAtMs: 1_700_000_000_000,
  expiresAtMs: 1_700_000_300_000,
  ...over,
});

describe('layout', () => {
  it('every field lies where the picture says', () => {
    const bytes = sealEnvelope({ flags: 0, schemaId: 0x01020304, rawBytes: 3, version: 5, createdAtMs: 6, expiresAtMs: 7, wallet: 'wé' }, new Uint8Array([9, 8, 7]));
    const view = new DataView(bytes.buffer);
    expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe('PCEV');
    expect([bytes[4], bytes[5], view.getUint16(6, true)]).toEqual([1, 0, 3]);
    expect([view.getUint32(8, true), view.getUint32(12, true), view.getUint32(16, true)]).toEqual([0x01020304, 3, 3]);
    expect([view.getFloat64(24, true), view.getFloat64(32, true), view.getFloat64(40, true)]).toEqual([5, 6, 7]);
    expect(Buffer.from(bytes.subarray(48, 51)).toString()).toBe('wé');
    expect([...bytes.subarray(51)]).toEqual([9, 8, 7]);
    const zeroed = Uint8Array.from(bytes).fill(0, 20, 24);
    expect(view.getUint32(20, true)).toBe(crc32(zeroed));
    expect(ENVELOPE).toMatchObject({ headerBytes: 48, versionOffset: 24, flagsOffset: 5, crcOffset: 20 });
  });

  it('in a room that held other bytes before: the same, side by side, and in memory of its own where the room is full', () => {
    const wallets = ['w', 'wé', 'x'.repeat(40)];
    const alone = wallets.map((wallet) => packRecord(record({ wallet }), 'none'));
    const room = new EnvelopeRoom(alone[0].length + alone[1].length + 10);
    room.bytes.fill(0xff);
    const together = wallets.map((wallet) => packRecord(record({ wallet }), 'none', undefined, room));
    expect(together).toEqual(alone);
    expect(together.map(({ buffer, byteOffset }) => (buffer === room.bytes.buffer ? byteOffset : -1))).toEqual([0, alone[0].length, -1]);
  });

  it('is memory of its own, so that it can be transferred', () => {
    const bytes = packRecord(record(), 'lz4');
    expect(bytes.byteOffset).toBe(0);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
  });
});

describe('round trip', () => {
  const wallet = fc.string({ unit: 'binary', minLength: 1, maxLength: 100 });
  const time = fc.integer({ min: 0, max: 8.64e15 });
  it('of any record, with and without LZ4, from any offset', () => {
    fc.assert(
      fc.property(
        fc.record({ wallet, raw: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 2_000, size: 'max' }), fc.integer({ min: 1, max: 9_000 }).map((n) => new Uint8Array(n).fill(n))), schemaId: fc.integer({ min: 0, max: 0xffffffff }), version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), createdAtMs: time, expiresAtMs: time }),
        fc.constantFrom('lz4' as const, 'none' as const),
        (given, compression) => {
          const envelope = packRecord(given, compression);
          expect(readVersion(envelope)).toBe(given.version);
          expect(isTombstone(envelope)).toBe(false);
          const shifted = new Uint8Array(envelope.length + 10);
          shifted.set(envelope, 5);
          const back = unpackRecord(shifted.subarray(5, 5 + envelope.length), given.wallet, CAP_BYTES) as RawRecord;
          const { raw, ...rest } = back;
          expect(rest).toEqual({ ...given, raw: undefined, ...rest });
          expect(Buffer.from(raw).equals(given.raw)).toBe(true);
          shifted.fill(0);
          expect(Buffer.from(raw).equals(given.raw)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('LZ4 only where it makes the record smaller', () => {
    const noise = Uint8Array.from({ length: 500 }, (_, i) => Math.imul(i + 1, 2_654_435_761) >>> 24);
    expect(packRecord(record({ raw: noise }), 'lz4')[ENVELOPE.flagsOffset]).toBe(0);
    expect(packRecord(record(), 'lz4')[ENVELOPE.flagsOffset]).toBe(FLAG_LZ4);
    expect(packRecord(record(), 'none')[ENVELOPE.flagsOffset]).toBe(0);
    expect(packRecord(record(), 'lz4').length).toBeLessThan(packRecord(record(), 'none').length / 2);
  });

  it('of a tombstone', () => {
    const bytes = packTombstone('w', 9, 1, 2);
    expect(bytes[ENVELOPE.flagsOffset]).toBe(FLAG_TOMBSTONE);
    expect(isTombstone(bytes)).toBe(true);
    expect(readVersion(bytes)).toBe(9);
    expect(unpackRecord(bytes, 'w', CAP_BYTES)).toEqual({ tombstone: true, version: 9 });
    expectError(() => unpackRecord(bytes, 'v', CAP_BYTES), 'ERR_L2_CORRUPT', 'wallet');
  });

  it('of the longest wallet, and no longer', () => {
    expect((unpackRecord(packRecord(record({ wallet: 'é'.repeat(512) }), 'none'), 'é'.repeat(512), CAP_BYTES) as RawRecord).wallet.length).toBe(512);
    expectError(() => packRecord(record({ wallet: 'é'.repeat(513) }), 'none'), 'ERR_WALLET');
    expectError(() => packRecord(record({ wallet: '' }), 'none'), 'ERR_WALLET');
  });

  it('fields that no reader would accept are not written', () => {
    const fields: EnvelopeFields = { flags: 0, schemaId: 1, rawBytes: 1, version: 1, createdAtMs: 1, expiresAtMs: 0, wallet: 'w' };
    for (const bad of [{ version: 0 }, { version: 1.5 }, { version: NaN }, { createdAtMs: -1 }, { expiresAtMs: Infinity }, { flags: 9 }, { rawBytes: 2 }]) {
      expect(() => sealEnvelope({ ...fields, ...bad }, new Uint8Array(1))).toThrow(TypeError);
    }
  });
});

describe('damaged, foreign and hostile envelopes', () => {
  const good = () => packRecord(record(), 'lz4');
  const open = (bytes: Uint8Array) => openEnvelope(bytes, { wallet: record().wallet, maxRawBytes: CAP_BYTES });

  it('every single bit matters', () => {
    const small = packRecord(record({ raw: new Uint8Array(70) }), 'lz4');
    for (let bit = 0; bit < small.length * 8; bit++) {
      const bytes = Uint8Array.from(small);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      expectError(() => open(bytes), 'ERR_L2_CORRUPT');
    }
  });

  it('every truncation, and bytes after the end', () => {
    const bytes = good();
    for (let length = 0; length < bytes.length; length++) expectError(() => open(bytes.subarray(0, length)), 'ERR_L2_CORRUPT');
    expectError(() => open(Uint8Array.from([...bytes, 0])), 'ERR_L2_CORRUPT', 'storedBytes');
  });

  // As an attacker would: the CRC fits.
  const lies: Array<[name: string, path: string, tamper: (view: DataView, bytes: Uint8Array) => void]> = [
    ['magic', 'magic', (view) => view.setUint32(0, 0, true)],
    ['a format of the future', 'format', (view) => view.setUint8(4, 2)],
    ['the dictionary flag', 'flags', (view) => view.setUint8(5, FLAG_LZ4 | FLAG_DICTIONARY)],
    ['an unknown flag', 'flags', (view) => view.setUint8(5, 8)],
    ['no key', 'keyBytes', (view) => view.setUint16(6, 0, true)],
    ['a key over the cap', 'keyBytes', (view) => view.setUint16(6, 1_025, true)],
    ['a longer key', 'storedBytes', (view) => view.setUint16(6, 45, true)],
    ['raw bytes over the cap', 'rawBytes', (view) => view.setUint32(12, CAP_BYTES + 1, true)],
    ['4 GiB of raw bytes', 'rawBytes', (view) => view.setUint32(12, 0xffffffff, true)],
    ['more than LZ4 expands to', 'rawBytes', (view) => view.setUint32(12, 500_000, true)],
    ['no raw bytes', 'rawBytes', (view) => view.setUint32(12, 0, true)],
    ['4 GiB of stored bytes', 'storedBytes', (view) => view.setUint32(16, 0xffffffff, true)],
    ['uncompressed and yet shorter', 'storedBytes', (view) => view.setUint8(5, 0)],
    ['a tombstone with a payload', 'rawBytes', (view) => view.setUint8(5, FLAG_TOMBSTONE)],
    ['version 0', 'version', (view) => view.setFloat64(24, 0, true)],
    ['version NaN', 'version', (view) => view.setFloat64(24, NaN, true)],
    ['version 1.5', 'version', (view) => view.setFloat64(24, 1.5, true)],
    ['an unsafe version', 'version', (view) => view.setFloat64(24, 2 ** 53, true)],
    ['created at no time', 'createdAtMs', (view) => view.setFloat64(32, NaN, true)],
    ['expires before time began', 'expiresAtMs', (view) => view.setFloat64(40, -1, true)],
    ['the wallet of another', 'wallet', (_view, bytes) => (bytes[50] ^= 1)],
    ['a wallet that is not UTF-8', 'wallet', (_view, bytes) => (bytes[50] = 0xff)],
  ];
  it.each(lies)('a lie about %s is found, with the right CRC', (_name, path, tamper) => {
    const bytes = good();
    tamper(new DataView(bytes.buffer), bytes);
    expectError(() => open(reseal(bytes)), 'ERR_L2_CORRUPT', path);
  });

  it('bytes that only decode to the wallet asked for are not it', () => {
    const bytes = packRecord(record({ wallet: 'a\uFFFDb' }), 'none');
    expect((unpackRecord(bytes, 'a\uFFFDb', CAP_BYTES) as RawRecord).wallet).toBe('a\uFFFDb');
    // F0 90 80 is the beginning of a character: three bytes that decode to the same U+FFFD.
    bytes.set([0xf0, 0x90, 0x80], ENVELOPE.headerBytes + 1);
    expectError(() => unpackRecord(reseal(bytes), 'a\uFFFDb', CAP_BYTES), 'ERR_L2_CORRUPT', 'wallet');
  });

  it('the size in front of the LZ4 block: 4 GiB are not allocated, nor is one byte less or more', () => {
    for (const size of [0xffffffff, 0x80000000, 499, 501, 0]) {
      const bytes = good();
      new DataView(bytes.buffer).setUint32(ENVELOPE.headerBytes + 43, size, true);
      const started = process.hrtime.bigint();
      expectError(() => unpackRecord(reseal(bytes), record().wallet, CAP_BYTES), 'ERR_L2_CORRUPT', 'lz4');
      // Not a speed test: the call that is guarded against takes seconds.
      expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(1_500);
    }
  });

  it('a block that is shorter or longer than it says', () => {
    for (const rawBytes of [400, 600]) {
      const bytes = good();
      const view = new DataView(bytes.buffer);
      view.setUint32(ENVELOPE.rawBytesOffset, rawBytes, true);
      view.setUint32(ENVELOPE.headerBytes + 43, rawBytes, true);
      expectError(() => unpackRecord(reseal(bytes), record().wallet, CAP_BYTES), 'ERR_L2_CORRUPT', 'lz4');
    }
  });

  it('peeks say nothing about what is no envelope', () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(48), Buffer.from('PCEV')]) {
      expect(readVersion(bytes)).toBeUndefined();
      expect(isTombstone(bytes)).toBe(false);
    }
  });

  it('the error says why, and what becomes of the record', () => {
    expect(errorOf(() => open(new Uint8Array(3))).message).toBe('the record is corrupt: 3 bytes are less than a header; it counts as a miss and the next update replaces it');
  });
});
