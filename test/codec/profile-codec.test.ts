import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import vm from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DEPTH } from '../../src/codec/profile-walk.ts';
import { SCHEMA_INLINE, SCHEMA_PORTABLE, StructureTables } from '../../src/codec/structure-tables.ts';
import { portableProfile, structuredProfile } from './arbitraries.ts';
import { sampleProfile } from './sample-profile.ts';
import { expectDeeplyFrozen, expectError, expectSame, newCodec, roundTrip } from './support.ts';

const RUNS = 1_500;
/** Everything in a value as text. (v8.serialize tells 1 from 1.0, which the engine may change at any time.) */
const picture = (value: unknown) => inspect(value, { depth: Infinity, maxArrayLength: null, maxStringLength: null, showHidden: true });

describe('values come back as they were', () => {
  it('structured, any supported value, one codec that learns all the while', () => {
    const codec = newCodec();
    fc.assert(
      fc.property(structuredProfile, ({ given, expected }) => {
        const before = picture(given);
        const decoded = roundTrip(codec, given);
        expectSame(decoded, expected);
        expectDeeplyFrozen(decoded);
        expect(picture(given)).toBe(before);
      }),
      { numRuns: RUNS },
    );
  });

  it('structured, without a table (a thread that does not learn)', () => {
    const codec = newCodec('structured', new StructureTables());
    fc.assert(
      fc.property(structuredProfile, ({ given, expected }) => {
        expect(codec.encode(given).schemaId).toBe(SCHEMA_INLINE);
        expectSame(roundTrip(codec, given), expected);
      }),
      { numRuns: RUNS },
    );
  });

  it('portable', () => {
    const codec = newCodec('portable');
    fc.assert(
      fc.property(portableProfile, ({ given, expected }) => {
        expect(codec.encode(given).schemaId).toBe(SCHEMA_PORTABLE);
        const decoded = roundTrip(codec, given);
        expectSame(decoded, expected);
        expectDeeplyFrozen(decoded);
      }),
      { numRuns: RUNS },
    );
  });

  it('what was decoded can be stored again', () => {
    const codec = newCodec();
    fc.assert(
      fc.property(structuredProfile, ({ given, expected }) => {
        expectSame(roundTrip(codec, roundTrip(codec, given)), expected);
      }),
      { numRuns: 300 },
    );
  });

  it('-0 becomes 0; NaN and the infinities stay', () => {
    for (const format of ['structured', 'portable'] as const) {
      expect(roundTrip(newCodec(format), { a: -0, b: NaN, c: Infinity, d: -Infinity })).toStrictEqual({ a: 0, b: NaN, c: Infinity, d: -Infinity });
    }
  });

  it('numbers at every boundary of their encodings', () => {
    const numbers = [0x3f, 0x40, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 0x100000000, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, 5e-324];
    const all = numbers.flatMap((n) => [n, -n, n + 1, -n - 1]);
    for (const format of ['structured', 'portable'] as const) expect(roundTrip(newCodec(format), { all })).toStrictEqual({ all });
  });

  it('strings, arrays and binaries at every boundary of their lengths', () => {
    for (const format of ['structured', 'portable'] as const) {
      const codec = newCodec(format);
      for (const length of [0, 1, 15, 16, 31, 32, 63, 64, 255, 256, 8_191, 8_192, 8_193, 65_535, 65_536, 70_000]) {
        const profile = { pre: 'ab', ascii: 'x'.repeat(length), wide: 'é'.repeat(length), list: Array.from({ length }, (_, i) => i), bin: new Uint8Array(length).fill(7), post: 'cd' };
        expectSame(roundTrip(codec, profile), profile);
      }
    }
  });

  it('Dates before 1970, with and without milliseconds, and at both ends', () => {
    const dates = [0, 1, 999, 1_000, -1, -1_000, -1_001, 1_700_000_000_123, 0xffffffff * 1000, 0x100000000 * 1000, 8.64e15, -8.64e15].map((ms) => new Date(ms));
    for (const format of ['structured', 'portable'] as const) expect(roundTrip(newCodec(format), { dates })).toStrictEqual({ dates });
    expect(roundTrip(newCodec(), { at: new Date(NaN) })).toStrictEqual({ at: new Date(NaN) });
  });

  it('symbol keys and fields that are not enumerable are left out, toJSON is not called', () => {
    class Profile {
      name = 'n';
      toJSON() {
        return 'never';
      }
    }
    const profile = Object.defineProperty(Object.assign(new Profile(), { [Symbol('s')]: 1 }), 'hidden', { value: 1, enumerable: false });
    expect(roundTrip(newCodec(), profile)).toStrictEqual({ name: 'n' });
  });

  it('two arrays of one table, one after the other, keep their own strings', () => {
    const codec = newCodec();
    expect(roundTrip(codec, { a: ['é', 'plain', 'ü'] })).toStrictEqual({ a: ['é', 'plain', 'ü'] });
    expect(roundTrip(codec, { a: ['plain', 'ascii'] })).toStrictEqual({ a: ['plain', 'ascii'] });
  });
});

describe('decoded profiles are frozen', () => {
  const decoded = roundTrip(newCodec(), { when: new Date(5), map: new Map([['k', { v: 1 }]]), set: new Set([[1]]), list: [{ a: 1 }] }) as Record<string, any>;

  it('and every mutator throws', () => {
    expectDeeplyFrozen(decoded);
    for (const name of Object.getOwnPropertyNames(Date.prototype).filter((n) => n.startsWith('set'))) expect(() => decoded.when[name](1)).toThrow(TypeError);
    expect(() => decoded.map.clear()).toThrow(TypeError);
    expect(() => decoded.map.delete('k')).toThrow(TypeError);
    expect(() => decoded.set.clear()).toThrow(TypeError);
    expect(() => decoded.set.delete(1)).toThrow(TypeError);
    expect(() => decoded.list.push(1)).toThrow(TypeError);
    expect(decoded.when.getTime()).toBe(5);
  });

  it('yet look like Date, Map and Set, and clone into mutable ones', () => {
    expect(decoded.when.constructor).toBe(Date);
    expect(decoded.map.constructor).toBe(Map);
    expect(decoded.set.constructor).toBe(Set);
    const clone = structuredClone(decoded);
    assert.deepStrictEqual(clone.when, new Date(5));
    clone.when.setTime(6);
    clone.map.set(1, 2);
    clone.list.push(1);
    expect(clone.when.getTime()).toBe(6);
  });

  it('but for binary, which is told', () => {
    const codec = newCodec();
    roundTrip(codec, { a: 1 });
    expect(codec.lastDecodeHadBinary).toBe(false);
    const one = roundTrip(codec, { a: { b: new Uint8Array([1, 2]) } }) as { a: { b: Uint8Array } };
    expect(codec.lastDecodeHadBinary).toBe(true);
    expect(one.a.b.buffer.byteLength).toBe(2);
    roundTrip(codec, { a: Buffer.from('x') });
    expect(codec.lastDecodeHadBinary).toBe(true);
    roundTrip(codec, { a: 1 });
    expect(codec.lastDecodeHadBinary).toBe(false);
  });
});

describe('what cannot be carried is refused with its path, before anything is written', () => {
  const cycle: Record<string, unknown> = { a: { b: [{}] } };
  (cycle.a as { b: unknown[] }).b[0] = cycle;
  const deep = (levels: number): object => (levels === 1 ? {} : { d: deep(levels - 1) });
  const refused: Array<[name: string, profile: unknown, path: string]> = [
    ['function', { a: { f: () => 1 } }, 'a.f'],
    ['symbol', { a: [1, Symbol('s')] }, 'a[1]'],
    ['cycle', cycle, 'a.b[0]'],
    ['own __proto__ key', JSON.parse('{"x":{"__proto__":{"polluted":1}}}'), 'x'],
    ['Float64Array', { a: new Float64Array(2) }, 'a'],
    ['Uint8ClampedArray', { a: new Uint8ClampedArray(2) }, 'a'],
    ['DataView', { a: new DataView(new ArrayBuffer(2)) }, 'a'],
    ['ArrayBuffer', { a: new ArrayBuffer(2) }, 'a'],
    ['SharedArrayBuffer', { a: new SharedArrayBuffer(2) }, 'a'],
    ['RegExp', { a: /x/ }, 'a'],
    ['Error', { 'a b': new TypeError('x') }, '["a b"]'],
    ['Promise', { a: Promise.resolve() }, 'a'],
    ['WeakMap', { a: new WeakMap() }, 'a'],
    ['WeakRef', { a: new WeakRef({}) }, 'a'],
    ['URL', { a: new URL('http://x') }, 'a'],
    ['boxed number', { a: Object(1) }, 'a'],
    ['iterator', { a: [1].values() }, 'a'],
    ['subclass of Map', { a: new (class extends Map {})() }, 'a'],
    ['Map of another realm', { a: vm.runInNewContext('new Map([[1, 2]])') }, 'a'],
    ['Date of another realm', { a: vm.runInNewContext('new Date()') }, 'a'],
    // oxlint-disable-next-line no-sparse-arrays
    ['hole in an array', { a: [1, , 2] }, 'a[1]'],
    ['lone surrogate', { a: ['ok', '\ud800'] }, 'a[1]'],
    ['lone surrogate in a key', { a: { '\udc00': 1 } }, 'a'],
    ['bigint out of range', { a: 2n ** 8191n }, 'a'],
    ['top level array', [1], ''],
    ['top level Map', new Map(), ''],
    ['top level Date', new Date(), ''],
    ['top level Uint8Array', new Uint8Array(1), ''],
    ['top level RegExp', /x/, ''],
    ['null', null, ''],
    ['string', 'x', ''],
    ['undefined', undefined, ''],
    ['function at the top', () => 1, ''],
    ['getter that throws', { get a() { throw new Error('boom'); } }, ''],
  ];
  it.each(refused)('%s', (_name, profile, path) => {
    for (const codec of [newCodec(), newCodec('portable')]) {
      expectError(() => codec.encode(profile), 'ERR_PROFILE', path);
      // The codec is as good as before.
      expect(roundTrip(codec, { fine: [1, { x: 'y' }] })).toStrictEqual({ fine: [1, { x: 'y' }] });
    }
  });

  it('inside a Map or a Set', () => {
    expectError(() => newCodec().encode({ a: new Map([[1, { f() {} }]]) }), 'ERR_PROFILE', 'a[0].f');
    expectError(() => newCodec().encode({ a: new Map([[{ f() {} }, 1]]) }), 'ERR_PROFILE', 'a[0].f');
    expectError(() => newCodec().encode({ a: new Set([1, Symbol('s')]) }), 'ERR_PROFILE', 'a[1]');
  });

  it('field names that msgpackr uses for itself: carried, but refused beside a Map', () => {
    for (const name of ['__keys__', 'hasOwnProperty']) {
      for (const codec of [newCodec(), newCodec('portable'), newCodec('structured', new StructureTables())]) {
        const profile = { list: [{}, { [name]: 1, 0: 1 }, {}, { a: 1, [name]: 2 }, { a: 1 }] };
        for (let i = 0; i < 4; i++) expectSame(roundTrip(codec, profile), profile);
      }
      for (let i = 0; i < 4; i++) expectError(() => newCodec().encode({ x: { [name]: 1 }, m: new Map() }), 'ERR_PROFILE', 'x');
    }
  });

  it('levels: as many as allowed pass, one more does not', () => {
    for (const codec of [newCodec(), newCodec('portable'), newCodec('structured', new StructureTables())]) {
      expect(roundTrip(codec, deep(MAX_DEPTH))).toStrictEqual(deep(MAX_DEPTH));
      expectError(() => codec.encode(deep(MAX_DEPTH + 1)), 'ERR_PROFILE');
    }
  });

  it('portable refuses what plain msgpack has no type for', () => {
    const codec = newCodec('portable');
    for (const a of [new Map(), new Set(), 2n ** 64n, -(2n ** 63n) - 1n, new Date(NaN)]) expectError(() => codec.encode({ a }), 'ERR_PROFILE', 'a');
  });

  it('too large, by what is written and long before where references are shared', () => {
    const codec = newCodec('structured', undefined, 1_000);
    expect(roundTrip(codec, { a: 'x'.repeat(900) })).toStrictEqual({ a: 'x'.repeat(900) });
    expectError(() => codec.encode({ a: 'x'.repeat(1_000) }), 'ERR_PROFILE_TOO_LARGE');
    expectError(() => codec.encode({ a: new Uint8Array(5_000) }), 'ERR_PROFILE_TOO_LARGE');
    expectError(() => codec.encode({ a: Array.from({ length: 100 }, () => 1.5) , b: Array.from({ length: 100 }, () => 1.5) }), 'ERR_PROFILE_TOO_LARGE');
    let laughs: unknown[] = [];
    for (let i = 0; i < 40; i++) laughs = [laughs, laughs];
    expectError(() => codec.encode({ laughs }), 'ERR_PROFILE_TOO_LARGE');
  });

  it('a getter that stores another profile is refused, not mixed up', () => {
    const codec = newCodec();
    expectError(() => codec.encode({ get a() { return codec.encode({ b: 1 }); } }), 'ERR_PROFILE');
    expect(roundTrip(codec, { b: 1 })).toStrictEqual({ b: 1 });
  });
});

describe('sizes', () => {
  it('a realistic profile takes less than half of its JSON once its structure is learned', () => {
    const codec = newCodec();
    const profile = sampleProfile(1);
    expect(codec.encode(profile).bytes.length).toBeLessThan(JSON.stringify(profile).length / 2);
    expect(roundTrip(codec, profile)).toStrictEqual(profile);
  });
});
