/**
 * Bytes written by every released format version, in test/golden. They are read for ever; what is written now must be byte for
 * byte the same. A change here is a new format version with a new file, never an edit of an old one.
 * A new file is written by `GOLDEN_WRITE=1 npx vitest run test/codec/golden.test.ts` where none exists.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openEnvelope } from '../../src/codec/envelope.ts';
import { ProfileCodec } from '../../src/codec/profile-codec.ts';
import { StructureTables } from '../../src/codec/structure-tables.ts';
import { packRecord, packTombstone, unpackRecord, type RawRecord } from '../../src/codec/transcode.ts';
import { CAP_BYTES, expectSame } from './support.ts';

const FILE = new URL('../golden/codec-v1.json', import.meta.url);
const WALLET = 'So11111111111111111111111111111111111111112';
const PROFILE = {
  wallet_address: WALLET,
  risk_score: 0.625,
  severity: 'HIGH',
  confidence_interval: [0.25, 0.75],
  risk_factors: { behavior: { value: 0.5, weight: 0.35 }, timing: { value: 1, weight: 0.25 } },
  indicators: ['EARLY_BUYER', 'sniper_bot_suspected', 'sniper_bot_suspected', 'sniper_bot_suspected'],
  total_trades: 1_234,
  note: 'naïve',
  first_seen: new Date(1_700_000_000_123),
  last_active: new Date(1_700_000_000_000),
  lamports: 12_345_678_901_234_567_890n,
  missing: null,
};
const RICH = { ...PROFILE, tags: new Set(['a', 'b']), by_day: new Map([['2024-01-01', { trades: 1 }]]), huge: -(2n ** 100n), raw: new Uint8Array([1, 2, 3]), unset: undefined };

interface Golden {
  formatVersion: number;
  table: { id: number; structures: string[][]; hex: string };
  records: Record<string, { flags: number; schemaId: number; rawBytes: number; hex: string }>;
}

function write(): Golden {
  const tables = new StructureTables({ learn: true });
  const options = { maxProfileBytes: CAP_BYTES, tables };
  const structured = new ProfileCodec({ format: 'structured', ...options });
  const portable = new ProfileCodec({ format: 'portable', ...options });
  const record = (codec: ProfileCodec, profile: object, compression: 'lz4' | 'none') => {
    const { bytes, schemaId } = codec.encode(profile);
    return packRecord({ wallet: WALLET, raw: bytes, schemaId, version: 1_700_000_000_123, createdAtMs: 1_700_000_000_000, expiresAtMs: 1_700_000_300_000 }, compression);
  };
  const envelopes = {
    plain: record(structured, PROFILE, 'none'),
    lz4: record(structured, PROFILE, 'lz4'),
    portable: record(portable, PROFILE, 'lz4'),
    rich: record(structured, RICH, 'none'),
    tombstone: packTombstone(WALLET, 1_700_000_000_124, 1_700_000_000_000, 1_700_000_060_000),
  };
  const { id, structures, bytes } = tables.current!;
  const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');
  return {
    formatVersion: 1,
    table: { id, structures: structures.map((keys) => [...keys]), hex: hex(bytes) },
    records: Object.fromEntries(
      Object.entries(envelopes).map(([name, envelope]) => {
        const { flags, schemaId, rawBytes } = openEnvelope(envelope, { wallet: WALLET, maxRawBytes: CAP_BYTES });
        return [name, { flags, schemaId, rawBytes, hex: hex(envelope) }];
      }),
    ),
  };
}

if (process.env.GOLDEN_WRITE === '1' && !existsSync(FILE)) writeFileSync(FILE, `${JSON.stringify(write(), null, 2)}\n`);
const golden = JSON.parse(readFileSync(FILE, 'utf8')) as Golden;

describe('format version 1', () => {
  it('is still written byte for byte', () => {
    expect(write()).toEqual(golden);
  });

  it('is still read: the table', () => {
    const table = new StructureTables().add(Buffer.from(golden.table.hex, 'hex'));
    expect(table.id).toBe(golden.table.id);
    expect(table.structures).toEqual(golden.table.structures);
  });

  it.each(['plain', 'lz4', 'portable', 'rich'])('is still read: %s', (name) => {
    const tables = new StructureTables();
    tables.add(Buffer.from(golden.table.hex, 'hex'));
    const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: CAP_BYTES, tables });
    const record = unpackRecord(Buffer.from(golden.records[name].hex, 'hex'), WALLET, CAP_BYTES) as RawRecord;
    expect(record).toMatchObject({ schemaId: golden.records[name].schemaId, version: 1_700_000_000_123, createdAtMs: 1_700_000_000_000, expiresAtMs: 1_700_000_300_000 });
    expectSame(codec.decode(record.raw, 0, record.raw.length, record.schemaId), name === 'rich' ? RICH : PROFILE);
  });

  it('is still read: the tombstone', () => {
    expect(unpackRecord(Buffer.from(golden.records.tombstone.hex, 'hex'), WALLET, CAP_BYTES)).toEqual({ tombstone: true, version: 1_700_000_000_124 });
  });
});
