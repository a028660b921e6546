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
import { recordWork, structureWork, WORK, workAllowed } from '../../src/codec/work-budget.ts';
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

  /** What each of so many readings came to, the first by a thread that has never met the table: units spent, or why it was refused. */
  function outcomes(table: Uint8Array, bytes: Uint8Array, readings: number): Array<number | string> {
    const tables = new StructureTables();
    const { id } = tables.add(table);
    const codec = newCodec('structured', tables);
    return Array.from({ length: readings }, () => {
      try {
        codec.decode(bytes, 0, bytes.length, id);
        return spentOn(bytes.length);
      } catch (error) {
        return (error as Error).message;
      }
    });
  }

  it.each([[1, 96, 1], [7, 96, 1], [60, 12, 1], [85, 96, 33], [512, 2, 33]])('of %d structures of %d fields, %d of one before the next: refused at the first reading and at each after it', (structures, fields, repeat) => {
    const { table, bytes } = hostileTable(structures, fields, repeat);
    const seen = new Set(outcomes(table, bytes, 50));
    expect([...seen]).toEqual([expect.stringMatching(/more objects and fields than any profile/)]);
  });

  /** `{ list: [records of structure 1, …] }`, `of(i)` names the structure of the i-th. */
  function listOf(length: number, structures: number, fields: number, of: (i: number) => number): { table: Uint8Array; bytes: Uint8Array } {
    const token = (s: number) => (s < 32 || structures < 32 ? [0x40 + s] : [0x60 + ((s - 32) & 31), (s - 32) >> 5]);
    const values = Array.from({ length: fields }, (_, f) => [0xcd, 1, f]).flat();
    const { bytes: table } = writeTable([['list'], ...Array.from({ length: structures }, (_, s) => Array.from({ length: fields }, (_name, f) => `f${s}_${f}`))]);
    const records = Array.from({ length }, (_, i) => [...token(1 + of(i)), ...values]).flat();
    return { table, bytes: Uint8Array.from([0x40, 0xdc, length >> 8, length & 255, ...records]) };
  }

  it.each([[4_300, 1, 12], [1_000, 1, 60], [900, 1, 48], [20_000, 1, 2], [2_000, 3, 12], [1_000, 60, 8]])('a list of %d records, of %d structures of %d fields, is read whatever was read before, for the same units each time', (length, structures, fields) => {
    const { table, bytes } = listOf(length, structures, fields, (i) => i % structures);
    const seen = new Set(outcomes(table, bytes, 40));
    expect(seen.size).toBe(1);
    expect([...seen][0]).toBeLessThan(workAllowed(bytes.length));
    const tables = new StructureTables();
    const { id } = tables.add(table);
    const { list } = newCodec('structured', tables).decode(bytes, 0, bytes.length, id) as { list: Array<Record<string, number>> };
    expect(list).toHaveLength(length);
    const last = (length - 1) % structures;
    expect(list.at(-1)).toEqual(Object.fromEntries(Array.from({ length: fields }, (_, f) => [`f${last}_${f}`, 256 + f])));
  });

  it.each([[3, 1], [12, 40]])('what the writer takes the reader reads, up to the last record (%d structures, a table of %d besides)', (structures, besides) => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    const one = (i: number) => Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((f) => [`f${i % structures}_${f}`, 1]));
    for (let i = 0; i < 2_000 && !tables.full && tables.current?.structures.length !== 1 + structures + besides; i++) codec.encode({ list: [one(i)], ...(i % 2 === 0 ? { [`other_${i % besides}`]: 1 } : {}) });
    const written = (length: number) => {
      try {
        return codec.encode({ list: Array.from({ length }, (_, i) => one(i)) });
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_PROFILE_TOO_LARGE' });
        return undefined;
      }
    };
    let [most, tooMany] = [1, 16_000];
    while (tooMany - most > 1) {
      const middle = (most + tooMany) >> 1;
      if (written(middle) === undefined) tooMany = middle;
      else most = middle;
    }
    const { bytes, schemaId } = written(most)!;
    const fresh = new StructureTables();
    fresh.add(tables.get(schemaId)!.bytes);
    expect(newCodec('structured', fresh).decode(new Uint8Array(bytes), 0, bytes.length, schemaId)).toEqual({ list: Array.from({ length: most }, (_, i) => one(i)) });
    // And no more than it must refuse: the last one nearly used it up.
    expect(spentOn(bytes.length)).toBeGreaterThan(workAllowed(bytes.length) - 64);
  });

  it('a new structure costs more than one that is known to the value, and records cost double from the fifth on', () => {
    const units = (structures: number) => {
      const { table, bytes } = listOf(240, structures, 6, (i) => i % structures);
      return outcomes(table, bytes, 1)[0] as number;
    };
    expect(units(2) - units(1)).toBe(structureWork(6));
    expect(units(3) - units(1)).toBe(2 * structureWork(6));
    // With that of the list, 60 of 240 records are of the fifth.
    expect(units(4) - units(3)).toBe(structureWork(6) + 60 * recordWork(['a', 'b', 'c', 'd', 'e', 'f']));
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
