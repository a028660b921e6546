/**
 * What the codec costs, for native-notes/codec-costs.md: `npm run build && npx tsx test/codec/measure-costs.ts`. No test: it asserts nothing of
 * speed. Every round runs every case once, so that a busy moment hits all; min and median over rounds, and ratios of one run.
 */
import { cpus } from 'node:os';
import { crc32 } from 'node:zlib';
import { Packr, Unpackr } from 'msgpackr';
import { sampleProfile } from './sample-profile.ts';
import { expectSame } from './support.ts';

// The built code: run from source, tsx rewrites it and the reader takes twice as long.
const built = async <M>(name: string) => (await import(new URL(`../../dist/src/codec/${name}.js`, import.meta.url).href)) as M;
const { ProfileCodec } = await built<typeof import('../../src/codec/profile-codec.ts')>('profile-codec');
const { ProfileWalk } = await built<typeof import('../../src/codec/profile-walk.ts')>('profile-walk');
const { ShapeIndex } = await built<typeof import('../../src/codec/shape-index.ts')>('shape-index');
const { StructureTables } = await built<typeof import('../../src/codec/structure-tables.ts')>('structure-tables');
const { packRecord, unpackRecord } = await built<typeof import('../../src/codec/transcode.ts')>('transcode');

const PROFILES = 256;
const ROUNDS = 30;
const WARM_UP_ROUNDS = 5;
const CAP_BYTES = 1 << 20;

const profiles = Array.from({ length: PROFILES }, (_, i) => sampleProfile(i));
const wallet = (i: number) => profiles[i].wallet_address as string;
const json = profiles.map((profile) => JSON.stringify(profile));
const tables = new StructureTables({ learn: true });
const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: CAP_BYTES, tables });
const portable = new ProfileCodec({ format: 'portable', maxProfileBytes: CAP_BYTES, tables });
const raw = profiles.map((profile) => new Uint8Array(codec.encode(profile).bytes));
const rawPortable = profiles.map((profile) => new Uint8Array(portable.encode(profile).bytes));
const table = tables.current!;
const structures = () => table.structures.map((keys) => [...keys]);
const record = (i: number, bytes: Uint8Array, schemaId: number) => ({ wallet: wallet(i), raw: bytes, schemaId, version: 1, createdAtMs: 1, expiresAtMs: 0 });
const envelopes = raw.map((bytes, i) => packRecord(record(i, bytes, table.id), 'lz4'));
const envelopesPortable = rawPortable.map((bytes, i) => packRecord(record(i, bytes, 0), 'lz4'));
const packr = new Packr({ structures: structures(), maxSharedStructures: table.structures.length, moreTypes: true });
const unpackr = new Unpackr({ structures: structures(), moreTypes: true, copyBuffers: true });
const freezing = new Unpackr({ structures: structures(), moreTypes: true, copyBuffers: true, freezeData: true } as object);
const walk = new ProfileWalk({ portable: false, maxProfileBytes: CAP_BYTES });
const index = new ShapeIndex(table.structures);

function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

profiles.forEach((profile, i) => expectSame(codec.decode(raw[i], 0, raw[i].length, table.id), profile));

const cases: Record<string, (i: number) => unknown> = {
  'JSON.parse': (i) => JSON.parse(json[i]),
  'JSON.parse, then deep freeze': (i) => deepFreeze(JSON.parse(json[i])),
  'msgpackr decode (not frozen)': (i) => unpackr.unpack(raw[i]),
  'msgpackr decode, freezeData (Dates not frozen)': (i) => freezing.unpack(raw[i]),
  'msgpackr decode, then deep freeze (Dates not frozen)': (i) => deepFreeze(unpackr.unpack(raw[i])),
  'codec.decode structured (all frozen)': (i) => codec.decode(raw[i], 0, raw[i].length, table.id),
  'codec.decode portable (all frozen)': (i) => portable.decode(rawPortable[i], 0, rawPortable[i].length, 0),
  'JSON.stringify': (i) => JSON.stringify(profiles[i]),
  'validation walk alone': (i) => walk.run(profiles[i], index, undefined) === undefined,
  'msgpackr pack alone': (i) => packr.pack(profiles[i]),
  'codec.encode structured': (i) => codec.encode(profiles[i]),
  'codec.encode portable': (i) => portable.encode(profiles[i]),
  'crc32': (i) => crc32(raw[i]) + 1,
  'packRecord none (worker)': (i) => packRecord(record(i, raw[i], table.id), 'none'),
  'packRecord lz4 (worker)': (i) => packRecord(record(i, raw[i], table.id), 'lz4'),
  'unpackRecord (worker)': (i) => unpackRecord(envelopes[i], wallet(i), CAP_BYTES),
  'unpackRecord portable, lz4 (worker)': (i) => unpackRecord(envelopesPortable[i], wallet(i), CAP_BYTES),
};

const times = new Map<string, number[]>();
for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
  for (const [name, run] of Object.entries(cases)) {
    const started = process.hrtime.bigint();
    let done = 0;
    for (let repeat = 0; repeat < 4; repeat++) for (let i = 0; i < PROFILES; i++) if (run(i)) done++;
    const us = Number(process.hrtime.bigint() - started) / 1e3 / (4 * PROFILES);
    if (done !== 4 * PROFILES) throw new Error(`${name} gave nothing`);
    if (round >= WARM_UP_ROUNDS) times.set(name, [...(times.get(name) ?? []), us]);
  }
}

console.log(`node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}`);
const base = Math.min(...times.get('JSON.parse')!);
for (const [name, all] of times) {
  all.sort((a, b) => a - b);
  console.log(`| ${name} | ${all[0].toFixed(2)} | ${all[all.length >> 1].toFixed(2)} | ${(all[0] / base).toFixed(2)} |`);
}
const mean = (of: Array<{ length: number }>) => Math.round(of.reduce((sum, { length }) => sum + length, 0) / of.length);
console.log({ json: mean(json), portable: mean(rawPortable), structured: mean(raw), envelope: mean(envelopes), envelopePortable: mean(envelopesPortable), tableBytes: table.bytes.length });
