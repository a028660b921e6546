/** A record's header: every field at its bounds, and none that runs into its neighbour. */
import { beforeEach, describe, expect, test } from 'vitest';
import { FIRST_TABLE_NUMBER, MAX_KEY_BYTES, MAX_SLOTS, SCHEMA_IDS } from '../../src/l1/layout.ts';
import {
  recordCreatedAtMs, recordExpiresAtMs, recordHasKey, recordKeyBytes, recordPayloadBytes, recordSchemaId, recordSize, recordSlot, recordVersion, recordWallet, writeRecord,
  type RecordMeta,
} from '../../src/l1/record.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { SchemaNumbers } from '../../src/l1/schema-ids.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { TestL1 } from '../support/l1.ts';

const DAY_MS = 86_400_000;
let region: Region;
let numbers: SchemaNumbers;
let key: WalletKey;
let at: number;
beforeEach(() => {
  region = createRegion(4, 256 * 1024);
  numbers = new SchemaNumbers(region);
  key = new WalletKey(region.hashKey0, region.hashKey1);
  at = region.arenaStart + 4;
});

const meta: RecordMeta = { schemaId: 0, version: 0, expiresAtMs: 0, createdAtMs: 0 };
function roundTrip(slot: number, wallet: string, payload: Uint8Array, changed: Partial<RecordMeta>) {
  const whole = { ...meta, ...changed };
  writeRecord(region, at, slot, key.set(wallet), payload, whole, numbers.of(whole.schemaId));
  return {
    slot: recordSlot(region, at), wallet: recordWallet(region, at), payloadBytes: recordPayloadBytes(region, at), schemaId: recordSchemaId(region, at),
    version: recordVersion(region, at), expiresAtMs: recordExpiresAtMs(region, at), createdAtMs: recordCreatedAtMs(region, at),
  };
}

test('golden bytes of layout version 2', () => {
  roundTrip(0x010203, 'abcde', Uint8Array.of(0xff), { schemaId: 7, version: 0x1_0000_0002, expiresAtMs: 0x3_0000_0004, createdAtMs: 0x5_0000_0006 });
  expect(Buffer.from(region.u8.slice(at, at + recordSize(region, at))).toString('hex')).toBe(
    ['03020107', '01000000', '02000000', '0100a000', '04000000', '06000000', '03000500', '6162636465', 'ff', '0000'].join(''),
  );
});

test('every field at its least and at its most, together and alone', () => {
  const least = { slot: 0, wallet: 'w', payloadBytes: 0, schemaId: 0, version: 0, expiresAtMs: 0, createdAtMs: 0 };
  const most = {
    slot: MAX_SLOTS - 1, wallet: 'w'.repeat(MAX_KEY_BYTES), payloadBytes: 9, schemaId: 0xffff_ffff, version: Number.MAX_SAFE_INTEGER, expiresAtMs: 2 ** 48 - 1, createdAtMs: 2 ** 48 - 1,
  };
  const put = (all: typeof least) => roundTrip(all.slot, all.wallet, new Uint8Array(all.payloadBytes), all);
  expect(put(least)).toEqual(least);
  expect(put(most)).toEqual(most);
  for (const field of Object.keys(least) as (keyof typeof least)[]) {
    const oneMost = { ...least, [field]: most[field] };
    const oneLeast = { ...most, [field]: least[field] };
    expect(put(oneMost)).toEqual(oneMost);
    expect(put(oneLeast)).toEqual(oneLeast);
  }
});

test('the key is found at every length, and no other', () => {
  for (let bytes = 1; bytes <= MAX_KEY_BYTES; bytes += bytes < 20 ? 1 : 97) {
    const wallet = 'k'.repeat(bytes);
    roundTrip(1, wallet, new Uint8Array(3).fill(0x6b), {});
    expect(recordKeyBytes(region, at)).toBe(bytes);
    expect(recordHasKey(region, at, key.set(wallet))).toBe(true);
    expect(recordHasKey(region, at, key.set(`${wallet.slice(1)}x`))).toBe(false);
    expect(recordHasKey(region, at, key.set(`${wallet.slice(0, MAX_KEY_BYTES - 1)}k`.slice(0, bytes - 1) || 'x'))).toBe(false);
  }
});

describe('times', () => {
  test('never late: rounded down to the millisecond', () => {
    for (const ms of [0.999, 1, 1_000.5, 2 ** 32 - 0.25, 2 ** 32 + 0.75, 49.8 * DAY_MS + 0.1, 2 ** 47 + 0.5]) {
      const { expiresAtMs } = roundTrip(1, 'w', new Uint8Array(0), { expiresAtMs: ms });
      expect(expiresAtMs).toBe(Math.floor(ms));
    }
  });
  test('what does not fit expires early, not late; what is no time has expired', () => {
    const expiryOf = (expiresAtMs: number) => roundTrip(1, 'w', new Uint8Array(0), { expiresAtMs }).expiresAtMs;
    expect([Infinity, 1e300, -1, -Infinity, Number.NaN].map(expiryOf)).toEqual([2 ** 48 - 1, 2 ** 48 - 1, 0, 0, 0]);
  });
  test('a machine that has been up for 10 years, and lives of a second to a year: a hit until then, never after', () => {
    const l1 = new TestL1(8, 64 * 1024);
    for (const upDays of [0, 49.6, 49.7102, 50, 99.42, 3_650]) {
      for (const ttlMs of [1_000, DAY_MS, 49 * DAY_MS, 366 * DAY_MS]) {
        l1.nowMs = upDays * DAY_MS;
        const wallet = `w${ttlMs}`;
        l1.remove(wallet);
        expect(l1.put(wallet, Buffer.from('x'), 1, ttlMs)).toBe('stored');
        expect(l1.read(wallet)).toBe('hit');
        l1.nowMs += ttlMs - 1;
        expect(l1.read(wallet)).toBe('hit');
        l1.nowMs += 1;
        expect(l1.read(wallet)).toBe('expired');
      }
    }
    l1.verify();
  });
});

describe('schema ids', () => {
  test('formats are their own number, tables are numbered as they come', () => {
    expect([0, 1, FIRST_TABLE_NUMBER - 1, 0xdead_beef, 77, 0xdead_beef].map((id) => numbers.of(id))).toEqual([0, 1, 15, 16, 17, 16]);
  });
  test('when the numbers are used up, a further table is not stored, and says so; the known ones are', () => {
    const l1 = new TestL1(1_000, 256 * 1024);
    const put = (wallet: string, schemaId: number) =>
      l1.writer.put(new WalletKey(l1.region.hashKey0, l1.region.hashKey1).set(wallet), Buffer.from('x'), { schemaId, version: 1, expiresAtMs: 1e9, createdAtMs: 0 });
    for (let i = 0; i < SCHEMA_IDS; i++) expect(put(`w${i}`, 1_000_000 + i)).toBe('stored');
    expect(put('one too many', 5)).toBe('stored');
    expect(put('one too many', 5_000_000)).toBe('older');
    expect(put('another', 5_000_000)).toBe('too-large');
    for (let i = 0; i < SCHEMA_IDS; i++) {
      expect(l1.read(`w${i}`)).toBe('hit');
      expect(l1.reader.schemaId).toBe(1_000_000 + i);
    }
    l1.writer.clear();
    expect(put('known', 1_000_007)).toBe('stored');
    l1.verify();
  });
});
