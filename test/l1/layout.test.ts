/** The layout as numbers. When one of these changes, LAYOUT_VERSION and the picture in layout.ts change with it. */
import { describe, expect, test } from 'vitest';
import { POLICIES } from '../../src/eviction/index.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import { HEADER, HEADER_BYTES, LAYOUT_MAGIC, LAYOUT_VERSION, MAX_SLOTS, RECORD, RECORD_ALIGN_BYTES, RING_ENTRIES, ROW, SCHEMA_IDS, SCHEMA_LOG_BYTES, SLOT, THREAD_ROWS, planLayout, recordBytes } from '../../src/l1/layout.ts';
import { createRegion, openRegion } from '../../src/l1/region.ts';

const MIB = 1024 * 1024;

test('golden numbers of layout version 2', () => {
  expect(LAYOUT_VERSION).toBe(2);
  expect(LAYOUT_MAGIC).toBe(Buffer.from('PCL1').readUInt32LE());
  expect(HEADER).toEqual({
    magic: 0, layoutVersion: 1, closed: 2, slotCount: 3, indexCells: 4, segmentCount: 5, segmentBytes: 6, hashKey0: 7, hashKey1: 8,
    indexShift: 9, schemaBytes: 10, rowsUsed: 11, reuseFence: 12, residentProfiles: 13, residentBytesLow: 14, residentBytesHigh: 15,
    rowEpochs: 16, ownerBeatMs: 17,
  });
  expect(SLOT).toEqual({ seq: 0, version: 1, offset: 2, hash: 3, words: 4, bytes: 16 });
  expect(RECORD).toEqual({ slotAndSchema: 0, payloadBytes: 1, versionLow: 2, versionHighAndKeyBytes: 3, expiresLow: 4, createdLow: 5, timesHigh: 6, words: 7, headerBytes: 28 });
  expect(ROW).toEqual({ counters: 0, claim: 512, signs: 516, probedAtMs: 520, ringPosition: 524, ring: 528, bytes: 1664 });
  expect({ HEADER_BYTES, RECORD_ALIGN_BYTES, RING_ENTRIES, THREAD_ROWS, SCHEMA_IDS, SCHEMA_LOG_BYTES, MAX_SLOTS }).toEqual({
    HEADER_BYTES: 128, RECORD_ALIGN_BYTES: 4, RING_ENTRIES: 256, THREAD_ROWS: 256, SCHEMA_IDS: 240, SCHEMA_LOG_BYTES: 524_288, MAX_SLOTS: 16_000_000,
  });
});

test('golden plans: the default, a million profiles, the smallest', () => {
  expect(planLayout(5_000, 64 * MIB)).toEqual({
    slotCount: 5_000, indexCells: 16_384, segmentCount: 128, segmentBytes: 512 * 1024, rowsStart: 128, schemaIdsStart: 426_112, schemaStart: 427_072,
    indexStart: 951_360, slotsStart: 1_016_896, arenaStart: 1_097_728, arenaBytes: 64 * MIB, regionBytes: 1_097_728 + 64 * MIB,
  });
  expect(planLayout(1_000_000, 2048 * MIB)).toMatchObject({ indexCells: 2_097_152, segmentCount: 128, segmentBytes: 16 * MIB, arenaStart: 25_341_952 });
  expect(planLayout(1, 16 * 1024)).toMatchObject({ indexCells: 16, segmentCount: 16, segmentBytes: 1_024 });
  const segments = (maxBytes: number) => {
    const { segmentCount, segmentBytes } = planLayout(1, maxBytes);
    return [segmentCount, segmentBytes / 1024];
  };
  expect([64 / 1024, 0.25, 0.5, 1, 4, 16, 32, 1024].map((mib) => segments(mib * MIB))).toEqual(
    [[16, 4], [16, 16], [32, 16], [64, 16], [64, 64], [64, 256], [128, 256], [128, 8 * 1024]],
  );
});

test('parts follow one another without overlap and on their alignment, whatever is asked for', () => {
  for (const maxProfiles of [1, 2, 7, 8, 9, 1_000, 4_999, 5_000, 65_536, 1_000_001, MAX_SLOTS]) {
    for (const maxBytes of [16 * 1024, 100_001, 3 * MIB + 5, 16 * MIB, 64 * MIB, 1024 * MIB + 7, 16 * 1024 * MIB]) {
      const plan = planLayout(maxProfiles, maxBytes);
      expect(plan.rowsStart).toBeGreaterThanOrEqual(HEADER_BYTES);
      expect(plan.schemaIdsStart).toBeGreaterThanOrEqual(plan.rowsStart + THREAD_ROWS * ROW.bytes);
      expect(plan.schemaStart).toBeGreaterThanOrEqual(plan.schemaIdsStart + SCHEMA_IDS * 4);
      expect(plan.indexStart).toBeGreaterThanOrEqual(plan.schemaStart + SCHEMA_LOG_BYTES);
      expect(plan.slotsStart).toBeGreaterThanOrEqual(plan.indexStart + plan.indexCells * 4);
      expect(plan.arenaStart).toBeGreaterThanOrEqual(plan.slotsStart + plan.slotCount * SLOT.bytes);
      expect(plan.regionBytes).toBe(plan.arenaStart + plan.arenaBytes);
      for (const at of [plan.rowsStart, plan.schemaIdsStart, plan.schemaStart, plan.indexStart, plan.slotsStart, plan.arenaStart]) expect(at % 8).toBe(0);
      expect(plan.segmentBytes % RECORD_ALIGN_BYTES).toBe(0);
      expect(plan.slotCount).toBe(maxProfiles);
      expect(plan.indexCells).toBeGreaterThanOrEqual(2 * maxProfiles);
      expect(plan.arenaBytes).toBeLessThanOrEqual(maxBytes);
      // Offsets count units of 4 bytes from one: the last record must still have one.
      expect(plan.arenaBytes / RECORD_ALIGN_BYTES).toBeLessThanOrEqual(2 ** 32);
    }
  }
});

test('a record is its header, key and payload, padded to 4', () => {
  expect([recordBytes(1, 0), recordBytes(4, 0), recordBytes(5, 0), recordBytes(44, 1095)]).toEqual([32, 32, 36, 1168]);
});

/** Hashes are read in the slots, as L1Writer lets them. */
const policyBytes = (name: keyof typeof POLICIES, profiles: number) => POLICIES[name](profiles, { words: new Uint32Array(0), first: 0, step: SLOT.words }).bytes;

test('bytes of an entry beside its key and payload: at most 64 with lru from 5,000 profiles on, with adaptive at a million', () => {
  const overheadOf = (profiles: number, policy: keyof typeof POLICIES) => {
    const plan = planLayout(profiles, 1024 * MIB);
    const perRecord = [0, 1, 2, 3].reduce((sum, odd) => sum + recordBytes(44, 1_000 + odd) - 1_044 - odd, 0) / 4;
    return (plan.slotsStart - plan.indexStart) / profiles + SLOT.bytes + perRecord + policyBytes(policy, profiles) / profiles;
  };
  expect(overheadOf(1_000_000, 'lru')).toBeLessThan(59);
  expect(overheadOf(200_000, 'lru')).toBeLessThan(61);
  expect(overheadOf(5_000, 'lru')).toBeLessThan(64);
  expect(overheadOf(1_000_000, 'adaptive')).toBeLessThan(64);
  expect(overheadOf(200_000, 'adaptive')).toBeLessThan(67.5);
});

test('bytes of each policy: for each slot, and whatever the number of slots', () => {
  // From one power of two to the next: tables that double have doubled once.
  const eachSlot = (name: keyof typeof POLICIES) => (policyBytes(name, 2 ** 20) - policyBytes(name, 2 ** 19)) / 2 ** 19;
  const fixed = (name: keyof typeof POLICIES, profiles: number) => Math.round((policyBytes(name, profiles) - profiles * eachSlot(name)) / 1024);
  const bytes = Object.fromEntries((Object.keys(POLICIES) as (keyof typeof POLICIES)[]).map((name) => [name, [Number(eachSlot(name).toFixed(2)), fixed(name, 2 ** 20)]]));
  expect(bytes).toEqual({ lru: [4.75, 0], 's3-fifo': [17, 0], 'w-tinylfu': [17, 0], adaptive: [9.5, 241] });
  expect([50, 500, 5_000].map((profiles) => fixed('adaptive', profiles))).toEqual([43, 90, 145]);
});

describe('a region that is not ours is refused', () => {
  const refused = (buffer: unknown, why: RegExp) => {
    let error: unknown;
    try {
      openRegion(buffer as SharedArrayBuffer);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ProfileCacheError);
    expect((error as ProfileCacheError).code).toBe('ERR_HANDLE');
    expect((error as ProfileCacheError).message).toMatch(why);
  };
  const words = () => new Uint32Array(createRegion(4, 16 * 1024).buffer);

  test('opens as it was made', () => {
    const made = createRegion(4, 16 * 1024);
    const { buffer, hashKey0, hashKey1, arenaStart, segmentCount } = openRegion(made.buffer);
    expect({ buffer, hashKey0, hashKey1, arenaStart, segmentCount }).toEqual({
      buffer: made.buffer, hashKey0: made.hashKey0, hashKey1: made.hashKey1, arenaStart: made.arenaStart, segmentCount: made.segmentCount,
    });
  });
  test('no shared buffer', () => {
    refused(new ArrayBuffer(4096), /no shared region/);
    refused(undefined, /no shared region/);
    refused({ byteLength: 4096 }, /no shared region/);
    refused(new SharedArrayBuffer(64), /no shared region/);
  });
  test('no magic', () => {
    refused(new SharedArrayBuffer(1 << 20), /no magic/);
  });
  test('another layout version', () => {
    const header = words();
    header[HEADER.layoutVersion] = 1;
    refused(header.buffer, /layout version is 1, this is 2/);
  });
  test('another size than its header says', () => {
    for (const field of [HEADER.slotCount, HEADER.indexCells, HEADER.segmentCount, HEADER.segmentBytes]) {
      for (const value of [10_000, 0xffff_ffff]) {
        const header = words();
        header[field] = value;
        refused(header.buffer, /another size/);
      }
    }
  });
  test('more memory than this Node can view is a typed error', () => {
    let error: unknown;
    try {
      createRegion(1, 5 * 1024 * MIB);
    } catch (caught) {
      error = caught;
    }
    // Node 22 and later can; then there is nothing to refuse.
    if (error !== undefined) expect(error).toMatchObject({ code: 'ERR_OPTION', option: 'l1.maxBytes' });
  });
});
