/** The one-pass writer: byte for byte what msgpackr makes of the same profile, or nothing at all. */
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { PlainWriter } from '../../src/codec/plain-writer.ts';
import { MAX_DEPTH, ProfileWalk } from '../../src/codec/profile-walk.ts';
import { ShapeIndex } from '../../src/codec/shape-index.ts';
import { StructureTables } from '../../src/codec/structure-tables.ts';
import { structuredProfile } from './arbitraries.ts';
import { sampleProfile } from './sample-profile.ts';
import { expectSame, newCodec } from './support.ts';

const writer = new PlainWriter();

/** As the codec packs what has no Map in it, by a table that has the structures of `profile`. */
function msgpackrs(profile: object, structures: readonly (readonly string[])[]): Buffer {
  const walk = new ProfileWalk({ portable: false, maxProfileBytes: 1 << 20 });
  walk.run(profile, new ShapeIndex(structures), undefined);
  let next = 0;
  const options = {
    structures: structures.map((keys) => [...keys]), maxSharedStructures: structures.length, maxOwnStructures: 0, useRecords: () => walk.known[next++] === 1,
    variableMapSize: true, moreTypes: true, useToJSON: false, structuredClone: false,
  };
  return Buffer.from(new Packr(options as ConstructorParameters<typeof Packr>[0]).pack(profile));
}

/** Structures of all plain objects in `value`. */
function structuresOf(value: unknown, into = new Map<string, string[]>()): string[][] {
  if (Array.isArray(value)) for (const element of value) structuresOf(element, into);
  else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    const keys = Object.keys(value);
    if (keys.length > 0) into.set(JSON.stringify(keys), keys);
    for (const key of keys) structuresOf((value as Record<string, unknown>)[key], into);
  }
  return [...into.values()];
}

const written = (profile: object, structures = structuresOf(profile)) => {
  const length = writer.write(profile, new ShapeIndex(structures));
  return length === 0 ? undefined : Buffer.from(writer.bytes.subarray(0, length));
};

const plainScalar = fc.oneof(
  fc.integer(), fc.integer({ min: -200, max: 300 }), fc.maxSafeInteger(), fc.double(), fc.constantFrom(0, -0, 63, 64, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), NaN, Infinity),
  fc.string({ unit: fc.integer({ min: 0, max: 0x7f }).map((code) => String.fromCharCode(code)), maxLength: 300 }),
  fc.constantFrom(null, true, false, 'x'.repeat(11), 'x'.repeat(12), 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(255), 'x'.repeat(256)),
  fc.integer({ min: 1, max: 2 ** 32 * 1_000 - 1 }).map((ms) => new Date(ms)), fc.integer({ min: 1, max: 2 ** 31 }).map((s) => new Date(s * 1_000)),
);

const plainValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    { arbitrary: plainScalar, weight: 9 },
    fc.array(tie('value'), { maxLength: 20 }), tie('object'),
  ),
  object: fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'risk_score', 'x y', '17', 'é', 'constructor'), tie('value')), { selector: ([name]) => name, minLength: 1, maxLength: 6 })
    .map((entries) => Object.fromEntries(entries)),
})).object;

describe('what is plain', () => {
  it('is written, and as msgpackr writes it', () => {
    fc.assert(
      fc.property(plainValue, (profile) => {
        const bytes = written(profile as object);
        expect(bytes).toBeDefined();
        expect(bytes!.equals(msgpackrs(profile as object, structuresOf(profile)))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('and so are profiles of the usual kind, one after the other, in a table of more than 32 structures too', () => {
    const fillers = Array.from({ length: 40 }, (_, i) => [`only${i}`]);
    for (let seed = 0; seed < 50; seed++) {
      const profile = sampleProfile(seed);
      for (const structures of [structuresOf(profile), [...fillers, ...structuresOf(profile)]]) {
        expect(written(profile, structures)?.equals(msgpackrs(profile, structures))).toBe(true);
      }
    }
  });

  it('where the shape at a place changes from one object to the next', () => {
    const profile = { list: [{ a: 1 }, { a: 1, b: 2 }, { b: 1, a: 2 }, { a: 3 }], one: { a: { b: 1 } } };
    const index = new ShapeIndex(structuresOf(profile));
    for (let round = 0; round < 3; round++) {
      const length = writer.write(profile, index);
      expect(Buffer.from(writer.bytes.subarray(0, length)).equals(msgpackrs(profile, structuresOf(profile)))).toBe(true);
    }
  });

  it('any profile: the same bytes or none', () => {
    let plain = 0;
    fc.assert(
      fc.property(structuredProfile, ({ given }) => {
        const structures = structuresOf(given);
        const bytes = written(given as object, structures);
        if (bytes === undefined) return;
        plain++;
        expect(bytes.equals(msgpackrs(given as object, structures))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
    expect(plain).toBeGreaterThan(5);
  });
});

describe('by code of the structure', () => {
  /** So many that every structure has code of its own. */
  const AGE = 70;
  const aged = (profile: object, structures = structuresOf(profile)) => {
    const index = new ShapeIndex(structures);
    for (let i = 0; i < AGE; i++) writer.write(profile, index);
    return index;
  };
  const bytesBy = (index: ShapeIndex, profile: object) => {
    const length = writer.write(profile, index);
    return length === 0 ? undefined : Buffer.from(writer.bytes.subarray(0, length));
  };

  it('a profile is written as before, and so is one with other values in the same fields', () => {
    const fields = ['a', 'x y', '17', 'constructor', 'é', 'toString'];
    const scalars = fields.map((name) => [name, 1] as const);
    const structures = structuresOf(Object.fromEntries(scalars));
    const index = aged(Object.fromEntries(scalars), structures);
    expect(index.find(structures[0])?.write).toBeDefined();
    fc.assert(
      fc.property(fc.tuple(...fields.map(() => plainScalar)), (values) => {
        const profile = Object.fromEntries(fields.map((name, i) => [name, values[i]]));
        expect(bytesBy(index, profile)?.equals(msgpackrs(profile, structures))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('profiles of the usual kind', () => {
    const structures = [...new Map(Array.from({ length: 50 }, (_, seed) => structuresOf(sampleProfile(seed))).flat().map((keys) => [JSON.stringify(keys), keys])).values()];
    const index = new ShapeIndex(structures);
    for (let round = 0; round < 4; round++) {
      for (let seed = 0; seed < 50; seed++) expect(bytesBy(index, sampleProfile(seed))?.equals(msgpackrs(sampleProfile(seed), structures))).toBe(true);
    }
    expect(structures.some((keys) => index.find(keys)?.write !== undefined)).toBe(true);
  });

  it('the end of the room is an end, whatever comes last', () => {
    const lasts: unknown[] = [1.5, 'x'.repeat(20), null, 70, [1.5, 'y'.repeat(13)], new Date(1_500)];
    for (const last of lasts) {
      const profile = (units: number) => ({ a: 'x'.repeat(units), b: 1.5, c: [2.5], d: null, e: last });
      const index = aged(profile(1));
      const written: boolean[] = [];
      for (let units = 65_400; units < 65_600; units++) {
        const bytes = bytesBy(index, profile(units));
        written.push(bytes !== undefined);
        if (bytes !== undefined && units % 10 === 0) expect(bytes.equals(msgpackrs(profile(units), structuresOf(profile(1))))).toBe(true);
      }
      expect([written[0], written.at(-1)]).toEqual([true, false]);
    }
  });

  it('what is not plain is found there too', () => {
    const index = aged({ a: 1, b: 'x'.repeat(20) });
    for (const value of [undefined, 1n, new Map(), 'é', `${'x'.repeat(20)}é`, { c: 1 }, Symbol('s'), new Date(-1), Object.create(Date.prototype)]) expect(bytesBy(index, { a: value, b: 'x'.repeat(20) })).toBeUndefined();
    expect(bytesBy(index, { a: 1 })).toBeUndefined();
    expect(bytesBy(index, { a: 1, b: 2, c: 3 })).toBeUndefined();
    expect(bytesBy(index, { get a() { delete (this as { b?: number }).b; return 1; }, b: 2 })).toBeUndefined();
    expect(bytesBy(index, { a: 1, b: 2 })).toEqual(Buffer.from([0x40, 1, 2]));
  });

  it('more fields than code is made for, and more strings than are written in one call', () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, i]));
    const index = aged(many);
    expect(index.find(Object.keys(many))?.write).toBeUndefined();
    expect(bytesBy(index, many)?.equals(msgpackrs(many, structuresOf(many)))).toBe(true);
    const strings = (count: number) => ({ a: Array.from({ length: count }, (_, i) => `string number ${i}`) });
    expect(bytesBy(aged({ a: 1 }), strings(1_000))?.equals(msgpackrs(strings(1_000), [['a']]))).toBe(true);
    expect(bytesBy(aged({ a: 1 }), strings(1_100))).toBeUndefined();
  });
});

describe('what is not plain goes the long way', () => {
  class Instance {
    a = 1;
  }
  class List extends Array {}
  const nested = (depth: number): object => (depth === 0 ? { a: 1 } : { a: nested(depth - 1) });
  const cycle: Record<string, unknown> = {};
  cycle.a = cycle;
  const cases: Record<string, unknown> = {
    'a Map': new Map(), 'a Set': new Set(), bytes: new Uint8Array(2), 'a bigint': 1n, undefined, 'a function': () => 1, 'a symbol': Symbol('s'), 'text beyond ASCII': 'é', 'long text beyond ASCII': `${'x'.repeat(60)}é`,
    'a lone surrogate': '\ud800', 'an instance': new Instance(), 'no prototype': Object.assign(Object.create(null) as object, { a: 1 }), 'an array of a subclass': List.from([1]), 'a hole': [1, , 2], // oxlint-disable-line no-sparse-arrays
    'an empty object': {}, 'a Date before 1970': new Date(-1), 'an invalid Date': new Date(NaN), 'a far Date': new Date(8.64e15), 'a false Date': Object.create(Date.prototype) as unknown, 'too much': 'x'.repeat(70_000), 'much in pieces': Array.from({ length: 2_000 }, () => 'x'.repeat(40)),
    'too deep': nested(MAX_DEPTH), 'a cycle': cycle, 'more work than a reader may be given': Array.from({ length: 20_000 }, () => []),
  };
  for (const [name, value] of Object.entries(cases)) {
    it(name, () => {
      expect(written({ a: value }, [['a']])).toBeUndefined();
      expect(written({ a: 1 }, [['a']])).toEqual(Buffer.from([0x40, 1]));
    });
  }

  it('an object whose structure the table lacks, at the top and below', () => {
    expect(written({ b: 1 }, [['a']])).toBeUndefined();
    expect(written({ a: { c: 1 } }, [['a']])).toBeUndefined();
    expect(written({ b: 1, a: 2 }, [['a', 'b']])).toBeUndefined();
    expect(written({ a: 1 }, [['a', 'b']])).toBeUndefined();
  });

  it('what is inherited is no field', () => {
    const index = new ShapeIndex([['a'], ['a', 'inherited']]);
    const [own, other] = [{ a: 1, inherited: 2 }, { a: 1 }];
    const before = writer.write(own, index);
    Object.defineProperty(Object.prototype, 'inherited', { value: 1, enumerable: true, configurable: true });
    const polluted = writer.write(other, index);
    delete (Object.prototype as Record<string, unknown>).inherited;
    expect([before, polluted, writer.write(other, index)]).toEqual([3, 0, 2]);
  });

  it('a getter that changes the object it is of', () => {
    const removing = { get a() { delete (this as { b?: number }).b; return 1; }, b: 2 };
    expect(written(removing, [['a', 'b']])).toBeUndefined();
    const throwing = { get a() { throw new Error('no'); } };
    expect(() => written(throwing, [['a']])).toThrow('no');
  });
});

it('the codec goes on learning while profiles are plain', () => {
  const tables = new StructureTables({ learn: true });
  const codec = newCodec('structured', tables);
  for (let i = 0; i < 50; i++) codec.encode({ a: i });
  const first = tables.current!.id;
  for (let i = 0; i < 200 && tables.current!.id === first; i++) {
    codec.encode({ a: i, later: { x: i, y: 1 } });
    for (let k = 0; k < 20; k++) codec.encode({ a: k });
  }
  expect(tables.current!.id).not.toBe(first);
  const profile = { a: 1, later: { x: 2, y: 1 } };
  const { bytes, schemaId } = codec.encode(profile);
  expectSame(codec.decode(new Uint8Array(bytes), 0, bytes.length, schemaId), profile);
});
