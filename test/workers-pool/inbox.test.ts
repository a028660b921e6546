import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RECORD } from '../../src/l1/layout.ts';
import { ChunkLedger, ChunkReader, ChunkWriter, ENTRY_BYTES, HEADER_BYTES, InboxView, STATUS, makeInbox, maxEntries } from '../../src/workers-pool/inbox.ts';

const KEY = Buffer.from('a wallet');
/** As an envelope has them, behind each other, or apart, as LZ4 leaves them. */
const record = (raw: Uint8Array, isApart = false, over = {}) => {
  const together = Buffer.concat([KEY, raw]);
  const place = isApart ? { key: KEY, keyStart: 0, raw, rawStart: 0 } : { key: together, keyStart: 0, raw: together, rawStart: KEY.length };
  return { ...place, keyBytes: KEY.length, rawBytes: raw.length, schemaId: 7, version: 2 ** 53 - 1, createdAtMs: 1.5, deadlineMs: Infinity, ...over };
};

describe('chunk of the inbox', () => {
  test('brings back what was written, whatever the sizes, and never leaves its chunk', () => {
    const chunkBytes = 4096;
    const inbox = new InboxView(makeInbox(3, chunkBytes));
    const outcome = fc.oneof(
      fc.record({ kind: fc.constant('hit' as const), bytes: fc.uint8Array({ maxLength: 900 }), isApart: fc.boolean(), schemaId: fc.nat(), version: fc.nat(), createdAtMs: fc.double({ noNaN: true }), deadlineMs: fc.double({ noNaN: true }) }),
      fc.record({ kind: fc.constant('floor' as const), version: fc.nat() }),
      fc.record({ kind: fc.constantFrom('miss' as const, 'corrupt' as const, 'again' as const) }),
      fc.record({ kind: fc.constant('failed' as const), error: fc.nat(9) }),
    );
    fc.assert(
      fc.property(fc.array(outcome, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 0xffffffff }), (outcomes, stamp) => {
        inbox.u8.fill(0xee);
        const writer = new ChunkWriter(inbox, 1, outcomes.length);
        const fitted = outcomes.map((o, i) => {
          if (o.kind === 'hit') return writer.hit(i, record(o.bytes, o.isApart, { schemaId: o.schemaId, version: o.version, createdAtMs: o.createdAtMs, deadlineMs: o.deadlineMs }));
          if (o.kind === 'floor') writer.miss(i, o.version);
          else if (o.kind === 'failed') writer.failed(i, o.error);
          else writer[o.kind](i);
          return true;
        });
        writer.finish(stamp);
        const reader = new ChunkReader(inbox, 1);
        expect(reader.answers(stamp, outcomes.length)).toBe(true);
        expect(reader.answers(stamp === 1 ? 2 : stamp - 1, outcomes.length)).toBe(false);
        expect(reader.answers(stamp, outcomes.length + 1)).toBe(false);
        outcomes.forEach((o, i) => {
          if (!fitted[i]) return expect(reader.status(i)).toBe(0);
          if (o.kind === 'hit') {
            expect(reader.status(i)).toBe(STATUS.hit);
            expect(reader.raw(i)).toEqual(o.bytes);
            expect(reader.rawBytes(i)).toBe(o.bytes.length);
            expect([reader.schemaId(i), reader.version(i), reader.createdAtMs(i), reader.deadlineMs(i)]).toEqual([o.schemaId, o.version, o.createdAtMs, o.deadlineMs]);
          } else if (o.kind === 'floor') expect([reader.status(i), reader.version(i)]).toEqual([STATUS.missFloor, o.version]);
          else if (o.kind === 'failed') expect([reader.status(i), reader.where(i)]).toEqual([STATUS.failed, o.error]);
          else expect(reader.status(i)).toBe(STATUS[o.kind]);
        });
        // The neighbours are untouched.
        expect(inbox.u8.subarray(0, chunkBytes).every((byte) => byte === 0xee)).toBe(true);
        expect(inbox.u8.subarray(2 * chunkBytes).every((byte) => byte === 0xee)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('a record that fills the chunk to the last byte fits, one byte more does not', () => {
    const inbox = new InboxView(makeInbox(1, 1024));
    const room = 1024 - HEADER_BYTES - ENTRY_BYTES - RECORD.headerBytes - KEY.length;
    expect(new ChunkWriter(inbox, 0, 1).hit(0, record(new Uint8Array(room)))).toBe(true);
    expect(new ChunkWriter(inbox, 0, 1).hit(0, record(new Uint8Array(room + 1)))).toBe(false);
  });

  test('an unfinished answer, or one left by a former task, is no answer', () => {
    const inbox = new InboxView(makeInbox(1, 1024));
    const first = new ChunkWriter(inbox, 0, 2);
    first.miss(0);
    first.miss(1);
    first.finish(5);
    expect(new ChunkReader(inbox, 0).answers(5, 2)).toBe(true);
    const second = new ChunkWriter(inbox, 0, 2);
    expect(new ChunkReader(inbox, 0).answers(5, 2)).toBe(false);
    expect(new ChunkReader(inbox, 0).status(0)).toBe(0);
    second.miss(0);
  });

  test('refuses chunks that are not there and entries that do not fit', () => {
    const inbox = new InboxView(makeInbox(2, 1024));
    expect(() => new ChunkWriter(inbox, 2, 1)).toThrow(RangeError);
    expect(() => new ChunkWriter(inbox, -1, 1)).toThrow(RangeError);
    expect(() => new ChunkWriter(inbox, 0, 100)).toThrow(RangeError);
    expect(() => makeInbox(1, 1001)).toThrow(RangeError);
    expect(() => new ChunkWriter(inbox, 0, maxEntries(1024))).not.toThrow();
  });
});

test('the ledger hands each chunk out once, and takes it back once', () => {
  const ledger = new ChunkLedger(2);
  const [a, b] = [ledger.lease()!, ledger.lease()!];
  expect(new Set([a, b])).toEqual(new Set([0, 1]));
  expect([ledger.lease(), ledger.free, ledger.out]).toEqual([undefined, 0, 2]);
  ledger.giveBack(a);
  expect([ledger.lease(), ledger.out]).toEqual([a, 2]);
  ledger.giveBack(b);
  expect(() => ledger.giveBack(b)).toThrow(/twice/);
});
