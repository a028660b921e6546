/** What hostile bytes may cost, in units, calls and things made: never in time, which measure-hostile.ts shows. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { cursor } from '../../src/codec/cursor.ts';
import { hashOf, keyWork } from '../../src/codec/key-work.ts';
import { ProfileWalk } from '../../src/codec/profile-walk.ts';
import { ShapeIndex } from '../../src/codec/shape-index.ts';
import { SCHEMA_INLINE, SCHEMA_PORTABLE, StructureTables } from '../../src/codec/structure-tables.ts';
import { writeTable } from '../../src/codec/table-bytes.ts';
import { WORK, workAllowed } from '../../src/codec/work-budget.ts';
import { structuredProfile } from './arbitraries.ts';
import { HOSTILE, HOSTILE_BYTES, hostileTable } from './hostile-bytes.ts';
import { sampleProfile } from './sample-profile.ts';
import { CAP_BYTES, errorOf, expectError, expectSame, newCodec } from './support.ts';

const spentOn = (bytes: number) => workAllowed(bytes) - cursor.work;

describe('the budget', () => {
  it.each(HOSTILE.filter(({ refused }) => refused))('stops $name', ({ bytes }) => {
    const error = errorOf(() => newCodec().decode(bytes, 0, bytes.length, SCHEMA_INLINE));
    expect(error).toMatchObject({ code: 'ERR_L2_CORRUPT', path: 'value' });
    expect(error.message).toMatch(/more objects and fields than any profile/);
  });

  it.each(HOSTILE.filter(({ refused }) => !refused))('reads $name, which costs what its bytes cost', ({ bytes }) => {
    newCodec().decode(bytes, 0, bytes.length, SCHEMA_INLINE);
    expect(spentOn(bytes.length)).toBeLessThan(workAllowed(HOSTILE_BYTES));
  });

  it('is far from any profile: 2 KB, and lists and dictionaries of every kind', () => {
    const list = <T>(count: number, one: (i: number) => T) => Array.from({ length: count }, (_, i) => one(i));
    const rest = new Date(1.7e12);
    const large: Record<string, object> = {
      trades: { list: list(4_000, (i) => ({ mint: `${i}`.padStart(44, 'm'), sol: i / 3, kind: 'buy', slot: 250_000_000 + i, at: new Date(1.7e12 + i) })) },
      candles: { list: list(3_000, (i) => ({ t: i, o: i / 3, h: i / 7, l: i / 9, c: i / 11 })) },
      prices: { list: list(30_000, (i) => i / 3), days: list(20_000, (i) => i) },
      'days by name': Object.fromEntries(list(800, (i) => [`d${new Date(1.6e12 + i * 86_400_000).toISOString().slice(0, 10)}`, i])),
      'wallets by name': Object.fromEntries(list(1_500, (i) => [`w${i}`.padEnd(44, 'x'), { score: i / 3, rest }])),
      'a Map of wallets': { map: new Map(list(5_000, (i) => [`w${i}`.padEnd(44, 'x'), i / 3])) },
      'a Set of slots': { set: new Set(list(5_000, (i) => 250_000_000 + i * 3)) },
      'names not in ASCII': { list: list(1_000, (i) => ({ name: `naïve ${i}`, n: i })) },
    };
    for (const format of ['structured', 'portable'] as const) {
      const codec = newCodec(format);
      for (const [name, profile] of Object.entries(large)) {
        if (format === 'portable' && /Map|Set/.test(name)) continue;
        const { bytes, schemaId } = codec.encode(profile);
        const copy = new Uint8Array(bytes);
        expectSame(codec.decode(copy, 0, copy.length, schemaId), profile);
      }
      const fresh = newCodec(format);
      const { bytes, schemaId } = fresh.encode(sampleProfile(1));
      fresh.decode(new Uint8Array(bytes), 0, bytes.length, schemaId);
      // Portable, and in a thread that has seen none of its 70 names: a third. Else a hundredth.
      expect(spentOn(bytes.length)).toBeLessThan(workAllowed(bytes.length) * (format === 'portable' ? 0.4 : 0.02));
    }
  });

  it('the writer never counts less than the reader', () => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    const walk = new ProfileWalk({ portable: false, maxProfileBytes: CAP_BYTES });
    fc.assert(
      fc.property(structuredProfile, ({ given }) => {
        const { bytes, schemaId } = codec.encode(given);
        codec.decode(new Uint8Array(bytes), 0, bytes.length, schemaId);
        const table = tables.get(schemaId);
        walk.run(given as object, table === undefined ? undefined : new ShapeIndex(table.structures), undefined);
        expect(walk.work).toBeGreaterThanOrEqual(spentOn(bytes.length));
      }),
      { numRuns: 500 },
    );
  });

  it('a profile over the budget is refused when it is written, with a way out', () => {
    expectError(() => newCodec().encode({ list: Array.from({ length: 40_000 }, () => []) }), 'ERR_PROFILE_TOO_LARGE');
    expectError(() => newCodec('portable').encode({ list: Array.from({ length: 600 }, (_, i) => ({ [`k${i}`]: 1 })) }), 'ERR_PROFILE_TOO_LARGE');
  });
});

describe('numbers in one chain', () => {
  it('cost what the chain costs; those that spread cost nothing', () => {
    expect(keyWork(Array.from({ length: 10_000 }, (_, i) => i * 7))).toBe(0);
    expect(keyWork(Array.from({ length: 10_000 }, (_, i) => `w${i}`))).toBe(0);
    const chained = HOSTILE.find(({ name }) => name === 'a Set of numbers in one chain')!;
    expect(chained.refused).toBe(true);
    // Prices, times and amounts as they come.
    expect(keyWork(Array.from({ length: 10_000 }, (_, i) => i + 0.5))).toBe(0);
    expect(keyWork(Array.from({ length: 10_000 }, (_, i) => 1.7e12 + i * 60_000))).toBe(0);
    expect(keyWork(Array.from({ length: 10_000 }, (_, i) => BigInt(i) * 1_000_000n))).toBe(0);
    const fractions = Array.from({ length: 400_000 }, (_, i) => i + 0.5).filter((x) => (hashOf(x) & 1_023) === 7);
    expect(keyWork(fractions)).toBeGreaterThan(fractions.length * 5);
    // One number below 2^64 for all.
    expect(keyWork(Array.from({ length: 2_000 }, (_, i) => BigInt(i) << 64n))).toBeGreaterThan(workAllowed(HOSTILE_BYTES));
  });
});

describe('a hostile structure table', () => {
  /** How often code is made while a value of `fields` fields in each structure is read so many times. */
  function codeMade(structures: number, fields: number, readings: number): number {
    const { table, bytes } = hostileTable(structures, fields, 33);
    const tables = new StructureTables();
    const { id } = tables.add(table);
    const made = vi.fn();
    const { Function: real } = globalThis;
    globalThis.Function = class extends real {
      constructor(...text: string[]) {
        super(...text);
        made();
        return new real(...text);
      }
    } as FunctionConstructor;
    try {
      const codec = newCodec('structured', tables);
      for (let i = 0; i < readings; i++) errorOf(() => codec.decode(bytes, 0, bytes.length, id));
    } finally {
      globalThis.Function = real;
    }
    return made.mock.calls.length;
  }

  it('code is made for a few structures a value, whatever it holds', () => {
    expect(codeMade(512, 2, 3)).toBeGreaterThan(3);
    expect(codeMade(512, 2, 3)).toBeLessThan(3 * 5);
  });

  it('a value of very many structures is refused until there is code for them, a few with each attempt', () => {
    const { table, bytes } = hostileTable(60, 12, 1);
    const tables = new StructureTables();
    const { id } = tables.add(table);
    const codec = newCodec('structured', tables);
    const reasons: string[] = [];
    for (let i = 0; i < 250; i++) reasons.push(/more (new structures|records of structures without code|objects and fields)/.exec(errorOf(() => codec.decode(bytes, 0, bytes.length, id)).message)![1]);
    // Each in its time, and none comes back.
    expect(reasons.filter((reason, i) => reason !== reasons[i - 1])).toEqual(['new structures', 'records of structures without code', 'objects and fields']);
  });

  it('code that the engine has not compiled yet is as good as none: a value may use little of it, until it has been used', () => {
    const { table, bytes } = hostileTable(1, 96, 1);
    const tables = new StructureTables();
    const { id } = tables.add(table);
    const codec = newCodec('structured', tables);
    const reasons = Array.from({ length: 40 }, () => /more (records of structures without code|objects and fields)/.exec(errorOf(() => codec.decode(bytes, 0, bytes.length, id)).message)![1]);
    const refused = reasons.indexOf('objects and fields');
    // Some hundred of its records a value, some thousand in all.
    expect(refused).toBeGreaterThan(10);
    expect(reasons.slice(refused)).toEqual(reasons.slice(refused).fill('objects and fields'));
  });

  it.each([[4_300, 12], [900, 48], [20_000, 2]])('a process that has read nothing yet reads a list of %d records of %d fields', (length, fields) => {
    const { id, bytes: table } = writeTable([['list'], Array.from({ length: fields }, (_, f) => `f${f}`)]);
    const tables = new StructureTables();
    tables.add(table);
    const record = [0x41, ...Array.from({ length: fields }, (_, f) => [0xcd, 1, f]).flat()];
    const bytes = Uint8Array.from([0x40, 0xdc, length >> 8, length & 255, ...Array.from({ length }, () => record).flat()]);
    const { list } = newCodec('structured', tables).decode(bytes, 0, bytes.length, id) as { list: Array<Record<string, number>> };
    expect(list).toHaveLength(length);
    expect(list.at(-1)).toEqual(Object.fromEntries(Array.from({ length: fields }, (_, f) => [`f${f}`, 256 + f])));
  });

  it('so many new structures are refused, and come in bit by bit', () => {
    const structures = Array.from({ length: 100 }, (_, s) => Array.from({ length: 10 }, (_value, f) => `f${s}_${f}`));
    const { id, bytes: table } = writeTable(structures);
    const tables = new StructureTables();
    tables.add(table);
    const codec = newCodec('structured', tables);
    // { f0_0: [record of 1, record of 2, …], f0_1: 0, … }
    const token = (s: number) => (s < 32 ? [0x40 + s] : [0x60 + ((s - 32) & 31), (s - 32) >> 5]);
    const records = Array.from({ length: 99 }, (_, i) => [...token(i + 1), ...Array.from({ length: 10 }, () => 1)]).flat();
    const bytes = Uint8Array.from([0x40, 0xdc, 0, 99, ...records, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(errorOf(() => codec.decode(bytes, 0, bytes.length, id)).message).toMatch(/more new structures/);
    expect(Object.keys(codec.decode(bytes, 0, bytes.length, id))).toHaveLength(10);
  });
});

it('field names: known from the second time on, in portable bytes too', () => {
  const codec = newCodec('portable');
  const { bytes } = codec.encode({ list: Array.from({ length: 50 }, () => ({ fresh_name_a: 1, fresh_name_b: 2 })) });
  codec.decode(new Uint8Array(bytes), 0, bytes.length, SCHEMA_PORTABLE);
  const first = spentOn(bytes.length);
  codec.decode(new Uint8Array(bytes), 0, bytes.length, SCHEMA_PORTABLE);
  expect(first - spentOn(bytes.length)).toBe(3 * WORK.newName);
});

it('where code may not be made from text, records are read all the same', () => {
  const script = `
    const { ProfileCodec } = await import('./dist/src/codec/profile-codec.js');
    const { StructureTables } = await import('./dist/src/codec/structure-tables.js');
    const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1e6, tables: new StructureTables({ learn: true }) });
    const profile = { a: 1, b: { c: 'x', constructor: 2.5 }, list: [{ c: 'y', constructor: null }], toString: true };
    for (let i = 0; i < 40; i++) {
      const { bytes, schemaId } = codec.encode(profile);
      const text = JSON.stringify(codec.decode(new Uint8Array(bytes), 0, bytes.length, schemaId));
      if (text !== JSON.stringify(profile)) throw new Error(text);
    }
    let made = true;
    try { new Function('return 1'); } catch { made = false; }
    console.log(made ? 'code can be made' : 'read without code');`;
  const printed = execFileSync(process.execPath, ['--disallow-code-generation-from-strings', '--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(printed.trim()).toBe('read without code');
});
