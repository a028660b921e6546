/** Records damaged in every way: nothing wrong comes out, nothing crashes, nothing takes long. The seed is printed on failure. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ENVELOPE } from '../../src/codec/envelope.ts';
import { packRecord, packTombstone, unpackRecord } from '../../src/codec/transcode.ts';
import { sampleProfile } from './sample-profile.ts';
import { CAP_BYTES, expectDeeplyFrozen, expectSame, newCodec, reseal } from './support.ts';

const WALLET = 'So11111111111111111111111111111111111111112';
const structured = newCodec();
const portable = newCodec('portable');
const profiles: object[] = [
  sampleProfile(1),
  { tiny: 1 },
  { text: 'naïve '.repeat(50), list: Array.from({ length: 60 }, (_, i) => ({ i, s: `row ${i}` })) },
  { when: new Date(1.7e12), big: 1n << 90n, set: new Set([1, 'x']), map: new Map<unknown, unknown>([['k', { fresh: [1] }]]), bin: new Uint8Array(40), u: undefined },
];
const originals = profiles.flatMap((profile, i) =>
  [structured, portable].flatMap((codec) => {
    if (codec === portable && i === 3) return [];
    const { bytes, schemaId } = codec.encode(profile);
    return (['lz4', 'none'] as const).map((compression) => ({
      profile: profile as object | undefined,
      envelope: packRecord({ wallet: WALLET, raw: bytes, schemaId, version: 5, createdAtMs: 1, expiresAtMs: 2 }, compression),
    }));
  }),
);
originals.push({ profile: undefined, envelope: packTombstone(WALLET, 5, 1, 2) });

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.array(fc.tuple(position, fc.integer({ min: 0, max: 7 })), { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: fc.constant('truncate' as const), at: position }),
  fc.record({ kind: fc.constant('bytes' as const), at: position, bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }),
  fc.record({ kind: fc.constant('splice' as const), from: fc.nat({ max: originals.length - 1 }), at: position, other: position }),
  fc.record({ kind: fc.constant('length' as const), field: fc.constantFrom(ENVELOPE.rawBytesOffset, ENVELOPE.storedBytesOffset, ENVELOPE.schemaIdOffset, ENVELOPE.headerBytes + WALLET.length), value: fc.oneof(fc.nat({ max: 3_000 }), fc.constantFrom(0xffffffff, 0x7fffffff, CAP_BYTES)) }),
  fc.record({ kind: fc.constant('grow' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer M> ? M : never;

function mutate(original: Uint8Array, m: Mutation): Uint8Array {
  const bytes = Uint8Array.from(original);
  const index = (at: number) => Math.floor(at * bytes.length);
  if (m.kind === 'flip') for (const [at, bit] of m.at) bytes[index(at)] ^= 1 << bit;
  if (m.kind === 'bytes') bytes.set(m.bytes.subarray(0, bytes.length - index(m.at)), index(m.at));
  if (m.kind === 'length' && m.field + 4 <= bytes.length) new DataView(bytes.buffer).setUint32(m.field, m.value, true);
  if (m.kind === 'truncate') return bytes.slice(0, index(m.at));
  if (m.kind === 'grow') return Uint8Array.from([...bytes, ...m.bytes]);
  if (m.kind === 'splice') {
    const other = originals[m.from].envelope;
    return Uint8Array.from([...bytes.subarray(0, index(m.at)), ...other.subarray(Math.floor(m.other * other.length))]);
  }
  return bytes;
}

/** The profile, 'tombstone', or undefined for ERR_L2_CORRUPT; any other error goes through. */
function read(bytes: Uint8Array): object | 'tombstone' | undefined {
  try {
    const record = unpackRecord(bytes, WALLET, CAP_BYTES);
    if ('tombstone' in record) return 'tombstone';
    return structured.decode(record.raw, 0, record.raw.length, record.schemaId);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_L2_CORRUPT' });
    return undefined;
  }
}

/** Less than what lz4 takes for a size that lies, were it not looked at first; far more than any pause of a busy machine. */
const MAX_CALL_MS = 1_500;

it('damaged by chance: the right profile or nothing, 12,000 times', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.constantFrom(...originals), mutation, ({ envelope }, m) => {
      const bytes = mutate(envelope, m);
      const started = performance.now();
      const got = read(bytes);
      expect(performance.now() - started).toBeLessThan(MAX_CALL_MS);
      if (got === undefined) {
        refused++;
        return;
      }
      // A mutation may put back what was there, or put together another whole record.
      const whole = originals.find((one) => Buffer.from(one.envelope).equals(bytes));
      expect(whole).toBeDefined();
      if (whole!.profile === undefined) expect(got).toBe('tombstone');
      else expectSame(got, whole!.profile);
    }),
    { numRuns: 12_000 },
  );
  expect(refused).toBeGreaterThan(9_000);
});

it('damaged on purpose, with a CRC that fits: a frozen object or nothing, 12,000 times', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...originals), mutation, ({ envelope }, m) => {
      const bytes = mutate(envelope, m);
      if (bytes.length >= ENVELOPE.headerBytes) reseal(bytes);
      const started = performance.now();
      const got = read(bytes);
      expect(performance.now() - started).toBeLessThan(MAX_CALL_MS);
      if (got === undefined || got === 'tombstone') return;
      accepted++;
      expectDeeplyFrozen(got);
    }),
    { numRuns: 12_000 },
  );
  // Proves that the mutations reached the decoder and were not all stopped at the envelope.
  expect(accepted).toBeGreaterThan(200);
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});
