import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { EnvelopeReader } from '../../src/codec/envelope-reader.ts';
import { CompressionGauge, packRecord, packTombstone, unpackRecord } from '../../src/codec/transcode.ts';

const CAP_BYTES = 4_096;
const text = Buffer.alloc(600, 'the same words again and again; ');
const record = (wallet: string, raw: Uint8Array) => ({ wallet, raw, schemaId: 77, version: 9, createdAtMs: 5, expiresAtMs: 6 });

/** What `unpackRecord` says of the same bytes; undefined where it throws. */
function reference(bytes: Uint8Array, wallet: string) {
  try {
    return unpackRecord(bytes, wallet, CAP_BYTES);
  } catch {
    return undefined;
  }
}

test('says of any damaged envelope what unpackRecord says, and leaves the bytes as they were', () => {
  const reader = new EnvelopeReader(CAP_BYTES);
  const wallets = ['w', 'wället', 'x\uFFFDy', 'a'.repeat(44)];
  const envelopes = wallets.flatMap((wallet) => [packRecord(record(wallet, text), 'lz4'), packRecord(record(wallet, text), 'none'), packTombstone(wallet, 3, 1, 2)].map((bytes) => ({ wallet, bytes })));
  let good = 0;
  fc.assert(fc.property(fc.constantFrom(...envelopes), fc.constantFrom(...wallets), fc.array(fc.record({ at: fc.nat(700), to: fc.nat(255) }), { maxLength: 2 }), fc.nat(3), ({ bytes, wallet }, other, changes, cut) => {
    const asked = changes.length > 0 ? wallet : other;
    const damaged = bytes.slice(0, bytes.length - (changes.length > 1 ? cut : 0));
    for (const { at, to } of changes) damaged[at % damaged.length] = to;
    const around = new Uint8Array(damaged.length + 9).fill(0xaa);
    around.set(damaged, 5);
    const before = around.slice();
    const is = reader.open(around, 5, 5 + damaged.length, asked);
    expect(Buffer.compare(around, before)).toBe(0);
    const wanted = reference(damaged, asked);
    expect(is).toBe(wanted !== undefined);
    if (wanted === undefined) return;
    good++;
    expect(reader.tombstone).toBe('tombstone' in wanted);
    expect(reader.version).toBe(wanted.version);
    if ('tombstone' in wanted) return;
    const { schemaId, createdAtMs, expiresAtMs } = reader;
    expect({ wallet: asked, raw: 0, schemaId, version: reader.version, createdAtMs, expiresAtMs }).toEqual({ ...wanted, raw: 0 });
    expect(Buffer.compare(reader.raw.subarray(reader.rawStart, reader.rawStart + reader.rawBytes), wanted.raw)).toBe(0);
  }), { numRuns: 3_000 });
  expect(good).toBeGreaterThan(100);
});

test('LZ4 is given up for sizes where it does not pay, tried again now and then, and taken up when it pays', () => {
  let tried = 0;
  class CountingGauge extends CompressionGauge {
    override tried(rawBytes: number, packedBytes: number): void {
      tried++;
      super.tried(rawBytes, packedBytes);
    }
  }
  const gauge = new CountingGauge();
  const noise = randomBytes(600);
  const tries = (records: number, raw: Uint8Array) => {
    tried = 0;
    for (let i = 0; i < records; i++) packRecord(record('w', raw), 'lz4', gauge);
    return tried;
  };
  tries(100, noise);
  expect(tries(640, noise)).toBeLessThan(20);
  // Another size is another matter.
  expect(tries(10, text.subarray(0, 300))).toBe(10);
  // The same size, words instead of noise: found out within a few tries.
  tries(64 * 20, text);
  expect(tries(100, text)).toBe(100);
  expect(packRecord(record('w', text), 'lz4', gauge).length).toBeLessThan(300);
});
