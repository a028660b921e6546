/** Another language reads the portable mode: python3 with msgpack and lz4 parses the envelope from its documented offsets. */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { packRecord, packTombstone } from '../../src/codec/transcode.ts';
import { sampleProfile } from './sample-profile.ts';
import { newCodec } from './support.ts';

const python = ['/usr/bin/python3', 'python3'].find((path) => spawnSync(path, ['-c', 'import msgpack, lz4.block']).status === 0);
const script = fileURLToPath(new URL('./read_envelopes.py', import.meta.url));

const WALLET = 'wallet-é-😀';
const profiles: object[] = [
  sampleProfile(1),
  sampleProfile(2),
  { text: 'naïve 😀', nested: { list: [1, -1, 0.5, 1e300, 70_000, -70_000, true, null, 'x'.repeat(40), []], empty: {} }, when: new Date(1_700_000_000_123), old: new Date(-5_000), big: 2n ** 63n, small: -(2n ** 63n) },
  { many: Object.fromEntries(Array.from({ length: 1_800 }, (_, i) => [`k${i}`, i])), long: Array.from({ length: 70_000 }, (_, i) => i) },
];

it.skipIf(python === undefined)('python3-msgpack and python3-lz4 read portable records (skipped where those are not installed)', () => {
  const codec = newCodec('portable', undefined, 4_000_000);
  const given = profiles.flatMap((profile) =>
    (['lz4', 'none'] as const).map((compression) => {
      const { bytes, schemaId } = codec.encode(profile);
      return { profile, envelope: packRecord({ wallet: WALLET, raw: bytes, schemaId, version: 2 ** 53 - 1, createdAtMs: 1_700_000_000_000, expiresAtMs: 0 }, compression) };
    }),
  );
  const tombstone = packTombstone(WALLET, 7, 1, 2);
  const input = [...given.map(({ envelope }) => envelope), tombstone].map((bytes) => Buffer.from(bytes).toString('hex')).join('\n');
  const lines = execFileSync(python!, [script], { input, encoding: 'utf8', maxBuffer: 64e6 }).trim().split('\n');
  expect(lines.length).toBe(given.length + 1);
  const big = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);
  given.forEach(({ profile, envelope }, i) => {
    const { profile: read, flags, ...fields } = JSON.parse(lines[i]);
    expect(fields).toEqual({ wallet: WALLET, version: 2 ** 53 - 1, createdAtMs: 1_700_000_000_000, expiresAtMs: 0, schemaId: 0, crcOk: true });
    expect(flags).toBe(envelope[5]);
    expect(read).toEqual(JSON.parse(JSON.stringify(profile, big)));
  });
  expect(given.some(({ envelope }) => envelope[5] === 1)).toBe(true);
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ flags: 4, version: 7, profile: null, crcOk: true });
});
