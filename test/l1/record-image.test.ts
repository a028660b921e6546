/** A record that a worker has laid out enters L1 as one that the owner has written. */
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { RECORD, recordBytes } from '../../src/l1/layout.ts';
import { ImageWriter, imageHash, imagePayloadBytes, imageVersion } from '../../src/l1/record-image.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { TestL1, payloadFor } from '../support/l1.ts';

const l1 = new TestL1(8, 1024 * 1024);
const shared = new SharedArrayBuffer(64 * 1024);
const words = new Uint32Array(shared);
const images = new ImageWriter(l1.region.hashKey0, l1.region.hashKey1);
const schemaId = 4_000_000_000;

afterEach(() => {
  l1.verify();
  l1.writer.clear();
});

function layOut(wallet: string, payload: Uint8Array, version: number, { isApart = false, at = 64 } = {}) {
  const key = Buffer.from(wallet);
  // In an envelope the key stands before the payload, behind bytes of its own.
  const together = Buffer.concat([Buffer.alloc(5, 0xaa), key, payload]);
  const from = isApart ? { key, keyStart: 0, raw: payload, rawStart: 0 } : { key: together, keyStart: 5, raw: together, rawStart: 5 + key.length };
  images.write(new Uint8Array(shared), at, { ...from, keyBytes: key.length, rawBytes: payload.length, version, createdAtMs: 1_700_000_000_123, deadlineMs: 5_000.7 });
  return { words, at: at / 4 };
}

test('whatever the wallet, the size and the place: the same entry, byte for byte', () => {
  const wallet = fc.oneof(fc.string({ minLength: 1, maxLength: 60 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })).filter((text) => text.isWellFormed());
  // Around what the writer lays out in one go, too.
  const sizes = fc.oneof(fc.nat(700), fc.integer({ min: 8_100, max: 8_200 }), fc.constant(15_000));
  fc.assert(
    fc.property(wallet, sizes, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.boolean(), fc.nat(100), (name, payloadBytes, version, isApart, place) => {
      const bytes = payloadFor(name, version, payloadBytes);
      l1.writer.clear();
      const image = layOut(name, bytes, version, { isApart, at: place * 8 });
      const key = new WalletKey(l1.region.hashKey0, l1.region.hashKey1);
      expect(imageHash(image)).toBe(key.set(name).hash);
      expect([imagePayloadBytes(image), imageVersion(image)]).toEqual([bytes.length, version]);
      expect(l1.writer.putImage(new WalletKey(0, 0).take(image), image, schemaId)).toBe('stored');
      const slot = l1.writer.find(key);
      const { payload: copied, ...rest } = l1.writer.copyOf(slot);
      expect(bytes.equals(copied)).toBe(true);
      expect(rest).toEqual({ schemaId, version, expiresAtMs: 5_000, createdAtMs: 1_700_000_000_123 });
      expect(l1.writer.walletOf(slot)).toBe(name);
      // As large as the owner's own.
      expect(l1.writer.arena.liveBytes).toBe(recordBytes(key.length, bytes.length));
    }),
    { numRuns: 200 },
  );
});

test('takes the place of an older version, and not of a newer one', () => {
  const key = new WalletKey(l1.region.hashKey0, l1.region.hashKey1).set('w');
  l1.writer.put(key, Uint8Array.of(1), { schemaId, version: 5, expiresAtMs: 9, createdAtMs: 9 });
  const enter = (version: number) => {
    const image = layOut('w', Uint8Array.of(2, 3), version);
    return l1.writer.putImage(key.take(image), image, schemaId);
  };
  expect(enter(4)).toBe('older');
  expect(enter(5)).toBe('older');
  expect(enter(6)).toBe('stored');
  expect(l1.writer.size).toBe(1);
  expect(l1.writer.copyOf(l1.writer.find(key)).payload).toEqual(Uint8Array.of(2, 3));
});

test('evicts to make room, and never more than it takes', () => {
  for (let i = 0; i < 20; i++) {
    const image = layOut(`wallet-${i}`, new Uint8Array(100).fill(i), 1 + i);
    expect(l1.writer.putImage(new WalletKey(0, 0).take(image), image, schemaId)).toBe('stored');
    expect(l1.writer.size).toBe(Math.min(i + 1, 8));
  }
  expect(l1.writer.evictions).toBe(12);
});

test('one too large for L1 does not enter, and takes an older one away', () => {
  const small = new TestL1(8, 16 * 1024);
  const key = new WalletKey(small.region.hashKey0, small.region.hashKey1).set('w');
  small.writer.put(key, Uint8Array.of(1), { schemaId, version: 5, expiresAtMs: 9, createdAtMs: 9 });
  const image = layOut('w', new Uint8Array(10_000), 6);
  words[image.at + RECORD.slotAndSchema] = key.hash;
  expect(small.writer.putImage(key.take(image), image, schemaId)).toBe('too-large');
  expect(small.writer.size).toBe(0);
});
