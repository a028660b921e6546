import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { SCHEMA_INLINE, StructureTables } from '../../src/codec/structure-tables.ts';
import { ShapeLearner } from '../../src/codec/shape-learner.ts';
import { MAX_KEYS_PER_STRUCTURE, MAX_TABLE_KEYS, writeTable } from '../../src/codec/table-bytes.ts';
import { sampleProfile } from './sample-profile.ts';
import { expectError, expectSame, newCodec, roundTrip } from './support.ts';

const base58 = (n: number) => `${(n * 7_919).toString(36)}7Xwallet${'zYxWvUtSrQpNmLkJhGfE'}`.padEnd(44, String(n % 10));

describe('learning', () => {
  it('the first profile gets a table at once, and the next ones use it', () => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    const { schemaId } = codec.encode(sampleProfile(1));
    expect(tables.ids()).toEqual([schemaId]);
    expect(tables.current?.id).toBe(schemaId);
    expect(schemaId).toBeGreaterThanOrEqual(16);
    expect(tables.current?.structures[0]).toEqual(Object.keys(sampleProfile(1)));
    for (let i = 0; i < 100; i++) expect(codec.encode(sampleProfile(i)).schemaId).toBe(schemaId);
  });

  it('a new shape is learned when it was seen twice; records of the old table stay readable', () => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    const old = codec.encode({ a: 1, b: { c: 2 } });
    const oldBytes = new Uint8Array(old.bytes);
    const first = codec.encode({ a: 1, added: { x: 1 } }).schemaId;
    expect(first).toBe(old.schemaId);
    let grown = first;
    for (let i = 0; i < 5; i++) grown = codec.encode({ a: 1, added: { x: i } }).schemaId;
    expect(grown).not.toBe(old.schemaId);
    const [before, after] = [tables.get(old.schemaId)!, tables.get(grown)!];
    expect(after.structures.slice(0, before.structures.length)).toEqual(before.structures);
    expect(after.structures.slice(before.structures.length)).toEqual([['a', 'added'], ['x']]);
    expectSame(codec.decode(oldBytes, 0, oldBytes.length, old.schemaId), { a: 1, b: { c: 2 } });
  });

  it('two processes with the same profiles end on the same table', () => {
    const ids = [0, 1].map(() => {
      const tables = new StructureTables({ learn: true });
      const codec = newCodec('structured', tables);
      for (let i = 0; i < 300; i++) codec.encode(i % 3 === 0 ? { ...sampleProfile(i), extra: { i } } : sampleProfile(i));
      return tables.current!.id;
    });
    expect(ids[0]).toBe(ids[1]);
  });

  it('diverged processes agree once they have seen each other, go on from there, and read all that was written', () => {
    const [left, right] = [new StructureTables({ learn: true }), new StructureTables({ learn: true })];
    const [l, r] = [newCodec('structured', left), newCodec('structured', right)];
    const written = [
      { by: l.encode({ a: 1, b: 2 }), is: { a: 1, b: 2 } },
      { by: r.encode({ b: 1, a: 2 }), is: { b: 1, a: 2 } },
    ].map(({ by, is }) => ({ bytes: new Uint8Array(by.bytes), schemaId: by.schemaId, is }));
    expect(written[0].schemaId).not.toBe(written[1].schemaId);
    // The bytes alone are the same: read with the other table they would give wrong names.
    expect(Buffer.from(written[0].bytes.subarray(0, 1)).equals(written[1].bytes.subarray(0, 1))).toBe(true);
    expectError(() => r.decode(written[0].bytes, 0, written[0].bytes.length, written[0].schemaId), 'ERR_L2_CORRUPT', 'schema');
    expect(r.canDecode(written[0].schemaId)).toBe(false);
    for (const id of left.ids()) right.add(left.get(id)!.bytes);
    for (const id of right.ids()) left.add(right.get(id)!.bytes);
    expect(left.current!.id).toBe(right.current!.id);
    for (const codec of [l, r]) for (const { bytes, schemaId, is } of written) expectSame(codec.decode(bytes, 0, bytes.length, schemaId), is);
    for (let i = 0; i < 20; i++) for (const codec of [l, r]) for (const { is } of written) codec.encode(is);
    expect(left.current!.id).toBe(right.current!.id);
    expect(left.current!.structures.length).toBe(2);
  });

  it('a process that adopted a table learns nothing at first sight', () => {
    const source = new StructureTables({ learn: true });
    newCodec('structured', source).encode({ a: 1 });
    const tables = new StructureTables({ learn: true });
    tables.add(source.current!.bytes);
    const codec = newCodec('structured', tables);
    expect(codec.encode({ odd: 1 }).schemaId).toBe(source.current!.id);
    expect(tables.ids()).toEqual([source.current!.id]);
  });

  it('without learning: inline until a table is adopted', () => {
    const tables = new StructureTables();
    const codec = newCodec('structured', tables);
    expect(codec.encode({ a: 1 }).schemaId).toBe(SCHEMA_INLINE);
    const source = new StructureTables({ learn: true });
    newCodec('structured', source).encode({ a: 1 });
    tables.add(source.current!.bytes);
    expect(codec.encode({ a: 1 }).schemaId).toBe(source.current!.id);
    expectSame(roundTrip(codec, { a: { z: 1 } }), { a: { z: 1 } });
    expect(tables.ids().length).toBe(1);
  });
});

describe('dictionaries are not learned', () => {
  const withMap = (base: object, on: boolean) => (on ? { ...base, m: new Map([[1, 1]]) } : base);
  it.each([
    ['wallets as keys', (i: number) => ({ balances: Object.fromEntries(Array.from({ length: 5 }, (_, k) => [base58(i * 5 + k), k])) })],
    ['short words as keys, ever new', (i: number) => ({ tokens: { [`T${i}`]: { sol: 1 }, [`U${i}`]: { sol: 2 } } })],
    ['dates as keys', (i: number) => ({ days: { [`2024-01-${i}`]: 1 } })],
    ['very many keys', (i: number) => ({ all: Object.fromEntries(Array.from({ length: MAX_KEYS_PER_STRUCTURE + 1 }, (_, k) => [`k${i}_${k}`, k])) })],
  ])('%s', (_name, make) => {
    for (const map of [false, true]) {
      const tables = new StructureTables({ learn: true });
      const codec = newCodec('structured', tables);
      for (let i = 0; i < 1_000; i++) {
        const profile = withMap(make(i), map);
        if (i % 50 === 0) expectSame(roundTrip(codec, profile), profile);
        else codec.encode(profile);
      }
      expect(tables.ids().length).toBeLessThanOrEqual(3);
      expect(tables.current!.structures.length).toBeLessThanOrEqual(6);
    }
  });

  it('records inside a dictionary are', () => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    for (let i = 0; i < 50; i++) codec.encode({ w: { [base58(i)]: { amount: 1, count: 2 } } });
    expect(tables.current!.structures).toContainEqual(['amount', 'count']);
  });

  it('a place that shows ever new shapes teaches nothing any more, not even those it shows again', () => {
    const learner = new ShapeLearner();
    learner.noteAdopted();
    const note = (i: number) => learner.note('.tokens', `1:T${i}`, [`T${i}`]);
    for (let i = 0; i < 64; i++) expect(note(i)).toBe(true);
    expect(note(64)).toBe(false);
    for (let i = 0; i < 64; i++) expect(note(i)).toBe(false);
    expect(learner.takeReady()).toEqual([]);
    expect(learner.note('.elsewhere', '1:a', ['a'])).toBe(true);
    learner.note('.elsewhere', '1:a', ['a']);
    expect(learner.takeReady()).toEqual([['a']]);
  });

  it('no table is made that its readers would refuse for its keys', () => {
    const names = (prefix: string, count: number) => Array.from({ length: count }, (_, k) => `${prefix}_${k}`);
    const nearlyFull = Array.from({ length: Math.floor(MAX_TABLE_KEYS / MAX_KEYS_PER_STRUCTURE) - 1 }, (_, i) => names(`k${i}`, MAX_KEYS_PER_STRUCTURE));
    const tables = new StructureTables({ learn: true });
    tables.add(writeTable(nearlyFull).bytes);
    const codec = newCodec('structured', tables);
    const wide = (i: number) => Object.fromEntries(names(`w${i}`, 90).map((name, k) => [name, k]));
    // All in one profile: they are learned at once.
    const profile = { list: Array.from({ length: 4 }, (_, i) => wide(i)) };
    for (let round = 0; round < 400; round++) codec.encode(profile);
    const keys = tables.current!.structures.reduce((sum, { length }) => sum + length, 0);
    expect(keys).toBeLessThanOrEqual(MAX_TABLE_KEYS);
    expect(tables.current!.structures.length).toBeGreaterThan(nearlyFull.length);
    expect(tables.full).toBe(true);
    new StructureTables().add(tables.current!.bytes);
    expectSame(roundTrip(codec, profile), profile);
  });

  it('memory does not grow with distinct shapes', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const heapBytes = () => {
      gc();
      return process.memoryUsage().heapUsed;
    };
    for (const map of [false, true]) {
      const codec = newCodec();
      const run = (from: number) => {
        for (let i = from; i < from + 8_000; i++) codec.encode(withMap({ d: { [`a${i}`]: 1, [`b${i}`]: { [`c${i}`]: 2 } } }, map));
      };
      run(0);
      const before = heapBytes();
      run(10_000);
      run(20_000);
      run(30_000);
      // 24,000 profiles with three new keys each: kept, they would take over 10 MB.
      expect(heapBytes() - before).toBeLessThan(4e6);
    }
  });
});

describe('bounds', () => {
  it('maxTables and maxStructures: past them shapes travel inside the value', () => {
    const tables = new StructureTables({ learn: true, maxTables: 3, maxStructures: 5 });
    const codec = newCodec('structured', tables);
    for (let i = 0; i < 400; i++) {
      const profile = { [`field${i % 40}`]: { [`inner${i % 40}`]: i } };
      expectSame(roundTrip(codec, profile), profile);
    }
    expect(tables.ids().length).toBeLessThanOrEqual(3);
    expect(tables.current!.structures.length).toBeLessThanOrEqual(5);
    const more = new StructureTables({ maxTables: 1 });
    more.add(writeTable([['a']]).bytes);
    expectError(() => more.add(writeTable([['b']]).bytes), 'ERR_L2_CORRUPT', 'schema');
    const wide = Array.from({ length: Math.floor(MAX_TABLE_KEYS / MAX_KEYS_PER_STRUCTURE) + 1 }, (_, i) => Array.from({ length: MAX_KEYS_PER_STRUCTURE }, (_key, k) => `k${i}_${k}`));
    expectError(() => new StructureTables().add(writeTable(wide).bytes), 'ERR_L2_CORRUPT', 'schema');
    expect(new StructureTables().add(writeTable(wide.slice(1)).bytes).structures).toHaveLength(wide.length - 1);
    expectError(() => new StructureTables({ maxStructures: 1 }).add(writeTable([['a'], ['b']]).bytes), 'ERR_L2_CORRUPT', 'schema');
  });

  it('33, 64, 65 and 300 structures: the two-byte records', () => {
    for (const count of [31, 32, 33, 64, 65, 300]) {
      for (const map of [false, true]) {
        const profile: Record<string, unknown> = { list: Array.from({ length: count - 1 }, (_, i) => ({ [`f${i}`]: i, x: { odd: i } })) };
        const tables = new StructureTables({ learn: true });
        const writer = newCodec('structured', tables);
        writer.encode(profile);
        if (map) profile.m = new Map<unknown, unknown>([[{ new1: 1 }, [{ new2: 2 }, { new2: 3 }]]]);
        const { bytes, schemaId } = writer.encode(profile);
        const reader = new StructureTables();
        reader.add(tables.get(schemaId)!.bytes);
        expectSame(newCodec('structured', reader).decode(new Uint8Array(bytes), 0, bytes.length, schemaId), profile);
      }
    }
  });
});

describe('tables as bytes', () => {
  it('the same structures give the same id, another order another one', () => {
    expect(writeTable([['a', 'b'], ['c']])).toEqual(writeTable([['a', 'b'], ['c']]));
    expect(new Set([[['a', 'b'], ['c']], [['c'], ['a', 'b']], [['b', 'a'], ['c']], [['ab'], ['c']], [['a', 'b', 'c']]].map((s) => writeTable(s).id)).size).toBe(5);
  });

  it('every flipped bit and every truncation is refused', () => {
    const { bytes } = writeTable([['a', 'bé'], ['c']]);
    const tables = new StructureTables();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const bad = Uint8Array.from(bytes);
      bad[bit >> 3] ^= 1 << (bit & 7);
      expectError(() => tables.add(bad), 'ERR_L2_CORRUPT', 'schema');
    }
    for (let length = 0; length < bytes.length; length++) expectError(() => tables.add(bytes.subarray(0, length)), 'ERR_L2_CORRUPT', 'schema');
    expect(tables.ids()).toEqual([]);
    expect(tables.current).toBeUndefined();
  });

  it('hostile tables with a right id', () => {
    const tables = new StructureTables();
    for (const keys of [['__proto__'], ['a', 'a'], [], ['__keys__'], Array.from({ length: MAX_KEYS_PER_STRUCTURE + 1 }, (_, i) => `k${i}`)]) {
      expectError(() => tables.add(writeTable([keys]).bytes), 'ERR_L2_CORRUPT', 'schema');
    }
    const names = ['constructor', '"],r=process.exit(),["', "'", '\u2028', '${1}', '*/', '\\', 'toString'];
    const table = tables.add(writeTable([names]).bytes);
    const profile = Object.fromEntries(names.map((name, i) => [name, i]));
    const codec = newCodec('structured', tables);
    for (let i = 0; i < 10; i++) {
      const { bytes, schemaId } = codec.encode(profile);
      expect(schemaId).toBe(table.id);
      expectSame(codec.decode(new Uint8Array(bytes), 0, bytes.length, schemaId), profile);
    }
  });

  it('are private: the bytes given to add may change later, those handed out lie in memory of their own', () => {
    const { bytes } = writeTable([['a']]);
    const tables = new StructureTables();
    const table = tables.add(bytes);
    bytes.fill(0);
    expect(new StructureTables().add(table.bytes).id).toBe(table.id);
    expect(table.bytes.buffer.byteLength).toBe(table.bytes.length);
  });

  it('from shared memory', () => {
    const { bytes, id } = writeTable([['a', 'b']]);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    expect(new StructureTables().add(shared).id).toBe(id);
  });
});

it('another thread decodes with the table it was sent', async () => {
  const tables = new StructureTables({ learn: true });
  const codec = newCodec('structured', tables);
  const profile = { ...sampleProfile(3), inline: { fresh: [{ only_here: 1 }] } };
  codec.encode(sampleProfile(1));
  const { bytes, schemaId } = codec.encode(profile);
  const worker = new Worker(new URL('./decode-worker.mjs', import.meta.url), {
    workerData: { table: tables.get(schemaId)!.bytes, bytes: new Uint8Array(bytes), schemaId },
  });
  try {
    const decoded = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    expectSame(decoded, profile);
  } finally {
    await worker.terminate();
  }
});
