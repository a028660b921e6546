import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { StructureTables } from '../../src/codec/structure-tables.ts';
import { expectDeeplyFrozen, expectSame, newCodec } from './support.ts';

it('what is dropped at once stays out of old space, however many profiles were kept before', () => {
  // A process of its own: the engine remembers what became of earlier profiles.
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8';
    const { ProfileCodec } = await import('./dist/src/codec/profile-codec.js');
    const { StructureTables } = await import('./dist/src/codec/structure-tables.js');
    const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1e6, tables: new StructureTables({ learn: true }) });
    const profile = (i) => ({ wallet: 'wallet number ' + i, score: i / 7, names: ['a', 'b'], scores: [i / 3, i / 5, 1, 2, 3, 4], none: [],
      volumes: { bought: i / 11, sold: i }, tokens: [0, 1].map((k) => ({ mint: 'mint of ' + i + ' and ' + k, trades: k })), seen: new Date(i) });
    const encoded = Array.from({ length: 4_000 }, (_, i) => { const { bytes, schemaId } = codec.encode(profile(i)); return { bytes: new Uint8Array(bytes), schemaId }; });
    const decode = ({ bytes, schemaId }) => codec.decode(bytes, 0, bytes.length, schemaId);
    const kept = [];
    for (let round = 0; round < 12; round++) kept.push(...encoded.map(decode));
    const oldBytes = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space').space_used_size;
    const drop = () => { let sum = 0; for (const one of encoded) sum += decode(one).none.length; return sum; };
    for (let round = 0; round < 8; round++) drop();
    let grown = 0;
    // Step by step: a full collection in between takes back what came before it, not what this counts.
    for (let round = 0, before = oldBytes(); round < 16; round++) {
      drop();
      const now = oldBytes();
      grown += Math.max(0, now - before);
      before = now;
    }
    console.log(grown / 16 / encoded.length + ' ' + kept.length);`;
  // The engine judges only when new space is as large as it may be: early, before the code that counts has been replaced by compiled code.
  const flags = ['--min-semi-space-size=1', '--max-semi-space-size=1'];
  const [bytesEach] = execFileSync(process.execPath, [...flags, '--input-type=module', '-e', script], { encoding: 'utf8' }).split(' ').map(Number);
  // Of about 1,200.
  expect(bytesEach).toBeLessThan(50);
});

it('arrays of every length hold what was in them and are plain arrays of their own', () => {
  const codec = newCodec();
  const lists = Array.from({ length: 70 }, (_, length) => Array.from({ length }, (_value, i) => (i % 3 === 0 ? i / 2 : i % 3 === 1 ? `s${i}` : null)));
  const { bytes, schemaId } = codec.encode({ lists });
  const copy = new Uint8Array(bytes);
  const [one, two] = [0, 1].map(() => codec.decode(copy, 0, copy.length, schemaId) as { lists: unknown[][] });
  expectSame(one, { lists });
  expectDeeplyFrozen(one);
  one.lists.forEach((list, i) => {
    expect(Object.getPrototypeOf(list)).toBe(Array.prototype);
    expect(list).not.toBe(two.lists[i]);
  });
  expect(new Set(one.lists).size).toBe(lists.length);
});

it.each(['toString', 'constructor', 'hasOwnProperty', 'valueOf', '__defineGetter__'])('a field named %s is a field like others, read once or often', (name) => {
  const codec = newCodec('structured', new StructureTables({ learn: true }));
  const profile = { a: 1.5, [name]: 'x', inner: { [name]: null, b: [] } };
  for (let i = 0; i < 50; i++) {
    const { bytes, schemaId } = codec.encode(profile);
    const copy = new Uint8Array(bytes);
    const decoded = codec.decode(copy, 0, copy.length, schemaId);
    expectSame(decoded, profile);
    expectDeeplyFrozen(decoded);
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
  }
});

it('no setter of Object.prototype is called, and none that refuses is in the way', () => {
  const script = `
    Object.defineProperty(Object.prototype, 'polluted', { set() { throw new Error('called'); }, get() { return 'theirs'; }, configurable: true });
    Object.freeze(Object.prototype);
    const { ProfileCodec } = await import('./dist/src/codec/profile-codec.js');
    const { StructureTables } = await import('./dist/src/codec/structure-tables.js');
    const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1e6, tables: new StructureTables({ learn: true }) });
    const text = '{"a":1,"polluted":"ours","toString":2}';
    for (let i = 0; i < 40; i++) {
      const { bytes, schemaId } = codec.encode(JSON.parse(text));
      const decoded = codec.decode(new Uint8Array(bytes), 0, bytes.length, schemaId);
      const shown = Object.entries(decoded).join(';');
      if (shown !== 'a,1;polluted,ours;toString,2') throw new Error(shown);
    }
    console.log('fields of their own');`;
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()).toBe('fields of their own');
});

it('a setter that somebody gives all objects or all arrays after the code was made is not called', () => {
  const script = `
    const { ProfileCodec } = await import('./dist/src/codec/profile-codec.js');
    const { StructureTables } = await import('./dist/src/codec/structure-tables.js');
    const { createHash } = await import('node:crypto');
    const hashed = (i) => createHash('sha1').update(String(i)).digest('hex');
    const plain = { late: 1, deep: { late: [{ late: 'x', other: null }] }, long: Array.from({ length: 200 }, (_, i) => i), last: new Date(5) };
    const byName = { names: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [hashed(i), { late: i }])) };
    const withMap = { map: new Map([['k', { late: 2, toString: 3, deep: { late: 4 } }], ['l', { 7: 'seven', late: 1 }]]) };
    const cases = [];
    for (const format of ['structured', 'portable']) {
      const codec = new ProfileCodec({ format, maxProfileBytes: 1e6, tables: new StructureTables({ learn: true }) });
      const fresh = { late: 'of a structure that is read plainly', long: plain.long };
      for (const profile of format === 'structured' ? [plain, fresh, byName, withMap] : [plain, byName]) {
        let encoded;
        for (let i = 0; i < 3; i++) encoded = codec.encode(profile);
        const bytes = new Uint8Array(encoded.bytes);
        const { schemaId } = encoded;
        for (let i = 0; i < (profile === fresh ? 1 : 60); i++) codec.decode(bytes, 0, bytes.length, schemaId);
        cases.push({ decode: () => codec.decode(bytes, 0, bytes.length, schemaId), before: Object.entries(profile) });
      }
    }
    const { inspect, isDeepStrictEqual } = await import('node:util');
    isDeepStrictEqual({ a: [1] }, { a: [1] });
    const decoded = [];
    const trap = { set() { called = true; }, get() { return 'theirs'; }, configurable: true };
    const traps = [[Object.prototype, 'late'], [Object.prototype, 'deep'], [Object.prototype, hashed(150)], [Object.prototype, '7'], [Array.prototype, '70'], [Object.prototype, '4294967294']];
    let called = false;
    // After the first with traps, without them, and with them again.
    for (const set of [true, false, true]) {
      for (const [on, name] of traps) if (set) Object.defineProperty(on, name, trap);
      for (const { decode } of cases) decoded.push(decode());
      for (const [on, name] of traps) delete on[name];
    }
    if (called) throw new Error('a setter was called');
    decoded.forEach((profile, i) => {
      const expected = Object.fromEntries(cases[i % cases.length].before);
      if (!isDeepStrictEqual(structuredClone(profile), structuredClone(expected))) throw new Error(i + ': ' + inspect(profile, { depth: 9 }));
      if (!Object.isFrozen(profile) || Object.keys(profile).some((key) => !('value' in Object.getOwnPropertyDescriptor(profile, key)))) throw new Error('not its own fields');
    });
    console.log(decoded.length + ' decoded');`;
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()).toBe('18 decoded');
});
