/**
 * The strict reader against msgpackr's own, and against bytes that no encoder of ours writes.
 */
import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { SCHEMA_INLINE, SCHEMA_PORTABLE, StructureTables } from '../../src/codec/structure-tables.ts';
import { writeTable } from '../../src/codec/table-bytes.ts';
import { portableProfile, structuredProfile } from './arbitraries.ts';
import { CAP_BYTES, expectDeeplyFrozen, expectError, expectSame, newCodec } from './support.ts';

const decode = (bytes: Uint8Array | number[], schemaId: number = SCHEMA_INLINE) => newCodec().decode(Uint8Array.from(bytes), 0, bytes.length, schemaId);
const times = <T>(count: number, of: T): T[] => Array.from({ length: count }, () => of);
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
/** `{ a: <value> }` */
const inA = (value: string) => hex(`81 a161 ${value}`);

describe('against msgpackr', () => {
  it('portable: both read the same from the same bytes', () => {
    const codec = newCodec('portable');
    const unpackr = new Unpackr({ useRecords: false, copyBuffers: true });
    fc.assert(
      fc.property(portableProfile, ({ given }) => {
        const bytes = new Uint8Array(codec.encode(given).bytes);
        expectSame(codec.decode(bytes, 0, bytes.length, SCHEMA_PORTABLE), unpackr.unpack(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it('structured: what our table makes, msgpackr reads with it (maps as maps)', () => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    const unpackrs = new Map<number, Unpackr>();
    let compared = 0;
    fc.assert(
      fc.property(structuredProfile, ({ given }) => {
        const { bytes, schemaId } = codec.encode(given);
        // Behind a prefix are flags of our own; without Maps msgpackr takes our plain maps for Maps unless told.
        const payload = new Uint8Array(bytes[0] === 0xc1 ? bytes.subarray(2) : bytes);
        if (bytes[0] === 0xc1 && (bytes[1] & 1) !== 0) return;
        let unpackr = unpackrs.get(schemaId);
        if (unpackr === undefined) {
          const shared = (tables.get(schemaId)?.structures ?? []).map((keys) => [...keys]);
          unpackr = new Unpackr({ getStructures: () => shared, mapsAsObjects: true, moreTypes: true } as object);
          unpackrs.set(schemaId, unpackr);
        }
        // Where msgpackr loads structures it copies its source, and Buffers become Uint8Arrays.
        expectSame(codec.decode(new Uint8Array(bytes), 0, bytes.length, schemaId), unpackr.unpack(Buffer.from(payload)), [], 'any class');
        compared++;
      }),
      { numRuns: 800 },
    );
    expect(compared).toBeGreaterThan(300);
  });
});

describe('what no encoder of ours writes is refused', () => {
  const refused: Array<[name: string, bytes: Uint8Array, schemaId?: number]> = [
    ['nothing', hex('')],
    ['top level null', hex('c0')],
    ['top level array', hex('90')],
    ['top level string', hex('a161')],
    ['top level Date', hex('d6ff00000001')],
    ['top level Map', hex('c101 80')],
    ['bytes after the end', hex('80 c0')],
    ['an unknown prefix', hex('c1 04 80')],
    ['an empty prefix', hex('c1 00 80')],
    ['a prefix in portable', hex('c1 02 80'), SCHEMA_PORTABLE],
    ['0xc1 inside', inA('c1')],
    ['RegExp', inA('d47800 92 a178 a0')],
    ['Error', inA('d46500 93 a54572726f72 a178 c0')],
    ['reference id', inA('d66900000001 80')],
    ['reference pointer', inA('d67000000001')],
    ['bundled strings', inA('d66200000000 a161')],
    ['Float64Array', inA('c70974080000000000000000')],
    ['ArrayBuffer', inA('c7037410 0000')],
    ['DataView', inA('c7037411 0000')],
    ['unknown extension', inA('d40100')],
    ['undefined of two bytes', inA('d5000000')],
    ['timestamp of 5 bytes', inA('c705ff0000000000')],
    ['timestamp out of range', inA('c70cff000000007fffffffffffffff')],
    ['inline record without the flag', inA('d47240 91a162 01')],
    ['Set without the array', inA('d47300 a161')],
    ['Set in portable', inA('d47300 90'), SCHEMA_PORTABLE],
    ['large bigint in portable', inA('c70942010000000000000000'), SCHEMA_PORTABLE],
    ['empty bigint', inA('c70042')],
    ['record without a table', hex('40')],
    ['record number as a field in inline mode', hex('c101 d4724091a161 7f')],
    ['number and no string as a field name', hex('81 01 02')],
    ['__proto__ in a map', hex('81 a95f5f70726f746f5f5f 81 a178 01')],
    ['__proto__ in an inline record', hex('c101 d4724091 a95f5f70726f746f5f5f 81 a178 01')],
    ['inline record with a number out of range', hex('c101 d4723f91a161 01')],
    ['inline record with keys that are no array', hex('c101 d47240a161 01')],
    ['array of 4 G', inA('ddffffffff')],
    ['map of 4 G', inA('dfffffffff')],
    ['string of 4 G', inA('dbffffffff 61')],
    ['binary of 4 G', inA('c6ffffffff 00')],
    ['extension of 4 G', inA('c9ffffffff 42')],
    ['inline record of 4 G keys', hex('c101 d47240 ddffffffff')],
    ['float cut short', inA('cb0000')],
    ['deep arrays', Uint8Array.from([...inA(''), ...times(100_000, 0x91), 0])],
    ['deep maps', Uint8Array.from(Buffer.concat([...times(50_000, inA('')), Buffer.of(0)]))],
    ['deep Sets', Uint8Array.from(Buffer.concat([inA(''), ...times(50_000, hex('d47300 91')), Buffer.of(0)]))],
    ['deep lying arrays', Uint8Array.from(Buffer.concat([inA(''), ...times(50_000, hex('dc ffff'))]))],
  ];
  it.each(refused)('%s', (_name, bytes, schemaId = SCHEMA_INLINE) => {
    expectError(() => decode(bytes, schemaId), 'ERR_L2_CORRUPT', 'value');
  });

  it('every truncation of a value', () => {
    const codec = newCodec();
    const { bytes, schemaId } = codec.encode({ a: 'é', list: [1, 2.5, -3, 'x'.repeat(300)], when: new Date(1.7e12 + 5), m: new Map([[1, { b: 1 }]]), big: 1n << 99n, bin: new Uint8Array(3) });
    const copy = new Uint8Array(bytes);
    for (let end = 0; end < copy.length; end++) expectError(() => codec.decode(copy, 0, end, schemaId), 'ERR_L2_CORRUPT');
  });

  it('values over the cap, and a table that is not known', () => {
    expectError(() => newCodec('structured', undefined, 10).decode(new Uint8Array(11), 0, 11, SCHEMA_INLINE), 'ERR_L2_CORRUPT', 'value');
    expectError(() => decode(hex('80'), 12_345), 'ERR_L2_CORRUPT', 'schema');
    expect(newCodec().canDecode(12_345)).toBe(false);
    expect(newCodec().canDecode(SCHEMA_INLINE) && newCodec().canDecode(SCHEMA_PORTABLE)).toBe(true);
  });

  it('a record of a structure beyond the table', () => {
    const tables = new StructureTables();
    const { id } = tables.add(writeTable([['a']]).bytes);
    expectSame(newCodec('structured', tables).decode(hex('40 05'), 0, 2, id), { a: 5 });
    expectError(() => newCodec('structured', tables).decode(hex('41 05'), 0, 2, id), 'ERR_L2_CORRUPT', 'value');
    // Nor may the value define a structure of the table anew.
    const redefined = hex('c101 d47240 91a162 05');
    expectError(() => newCodec('structured', tables).decode(redefined, 0, redefined.length, id), 'ERR_L2_CORRUPT', 'value');
  });

  it('what is refused leaves nothing behind', () => {
    const codec = newCodec();
    const { bytes, schemaId } = codec.encode({ a: 'x', b: [1] });
    const copy = new Uint8Array(bytes);
    for (const [, bad, schema = SCHEMA_INLINE] of refused) {
      expect(() => codec.decode(bad, 0, bad.length, schema)).toThrow();
      expectSame(codec.decode(copy, 0, copy.length, schemaId), { a: 'x', b: [1] });
    }
    expect(({} as Record<string, unknown>).x).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe('hostile bytes stay cheap', () => {
  it('any bytes at all: a frozen object or ERR_L2_CORRUPT', () => {
    const codec = newCodec();
    const { schemaId } = codec.encode({ a: { b: 1 }, c: [{ d: 1 }] });
    let decoded = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom('', '81a161', 'c101', '40', 'c10282a16192'), fc.constantFrom(schemaId, SCHEMA_INLINE, SCHEMA_PORTABLE), (tail, head, schema) => {
        const bytes = Uint8Array.from([...hex(head), ...tail]);
        try {
          expectDeeplyFrozen(codec.decode(bytes, 0, bytes.length, schema));
          decoded++;
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_L2_CORRUPT' });
        }
      }),
      { numRuns: 20_000 },
    );
    expect(decoded).toBeGreaterThan(10);
  });

  it('a field that names a record which the table does not have, before there is code for the structure and after', () => {
    const codec = newCodec();
    const { schemaId } = codec.encode({ a: { b: 1 } });
    const bad = hex('40 72');
    for (let i = 0; i < 100; i++) expect(() => codec.decode(bad, 0, bad.length, schemaId)).toThrow(expect.objectContaining({ code: 'ERR_L2_CORRUPT' }));
    const good = new Uint8Array(codec.encode({ a: { b: 2 } }).bytes);
    expect(codec.decode(good, 0, good.length, schemaId)).toEqual({ a: { b: 2 } });
  });

  it('a megabyte of tricks: stopped by a bound, or of a cost that goes with their length', () => {
    // Many inline records, each read often enough that a compiling reader would compile it.
    const definitions = Buffer.concat(times(40_000, hex('d47240 91a161 c0 40c0 40c0 40c0 40c0')));
    const records = Buffer.concat([hex('c101 d4724191a16c dd'), u32(40_000 * 5), definitions]);
    const bundles = Buffer.concat([inA('dd'), u32(100_000), ...times(100_000, hex('d6620000ffff'))]);
    const manyKeys = Buffer.concat([hex('c101 d47240 dd'), u32(100_000), ...Array.from({ length: 100_000 }, (_, i) => Buffer.concat([hex('a6'), Buffer.from(i.toString(36).padStart(6, 'k'))])), Buffer.alloc(100_000)]);
    const strings = Buffer.concat([hex('c102'), inA('dd'), u32(20_000), ...times(20_000, Buffer.concat([hex('d928'), Buffer.from('é'.repeat(20))]))]);
    const numbered = Buffer.concat([inA('dd'), u32(100_000), ...times(100_000, hex('81 a3333232 00'))]);
    const empties = Buffer.concat([inA('dd'), u32(1_000_000), Buffer.alloc(1_000_000, 0x80)]);
    const outcome = (bytes: Uint8Array) => {
      try {
        newCodec('structured', undefined, CAP_BYTES * 2).decode(new Uint8Array(bytes), 0, bytes.length, SCHEMA_INLINE);
        return 'decoded';
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_L2_CORRUPT' });
        return /more objects and fields|extension 98/.exec((error as Error).message)?.[0];
      }
    };
    const tooMuch = 'more objects and fields';
    expect([records, bundles, manyKeys, strings, numbered, empties].map(outcome)).toEqual([tooMuch, 'extension 98', tooMuch, 'decoded', tooMuch, tooMuch]);
  });

  it('what msgpackr can write and we do not is refused as well', () => {
    const packr = new Packr({ moreTypes: true, useRecords: false });
    for (const value of [{ a: /x/ }, { a: new Error('x') }, { a: new Float64Array(1) }, { a: new ArrayBuffer(3) }]) {
      expectError(() => decode(new Uint8Array(packr.pack(value)), SCHEMA_PORTABLE), 'ERR_L2_CORRUPT', 'value');
    }
    expectError(() => decode(new Uint8Array(new Packr({ bundleStrings: true } as object).pack({ a: 'long enough' }))), 'ERR_L2_CORRUPT');
    expectError(() => decode(new Uint8Array(new Packr({ structuredClone: true }).pack([{ a: 1 }]))), 'ERR_L2_CORRUPT');
  });
});

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
