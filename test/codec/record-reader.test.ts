/** The code that is made for a structure against the plain way of reading it, which has none: the same answer to any bytes. */
import { expect, it } from 'vitest';
import { StructureTables } from '../../src/codec/structure-tables.ts';
import type { ProfileCodec } from '../../src/codec/profile-codec.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import { sampleProfile } from './sample-profile.ts';
import { expectDeeplyFrozen, expectSame, newCodec } from './support.ts';

/** So many decodes give every structure its code. */
const WARM_UP = 60;
const MUTANTS_A_PROFILE = 600;
const PROFILES_CHANGED = 6;

/** Beside the sample's: lists of each kind, empty and long ones, Dates of all three forms and none, integers of each size, a field that changes its kind. */
const profileOf = (seed: number) => ({
  ...sampleProfile(seed),
  small: seed % 100, byte: 128 + (seed % 100), word: 256 + seed, long: 70_000 + seed, negative: -1 - seed, huge: 2 ** 40 + seed,
  lists: [[], [seed], ['one', 'two'], [1.5, null, true, 'x'], Array.from({ length: 20 }, (_, i) => i + seed)],
  dates: { whole: new Date(seed * 1_000), split: new Date(1_700_000_000_123 + seed), far: new Date(-1_000 * seed), none: new Date(NaN) },
  changing: [seed, 'text', null, new Date(seed), [seed], { small: seed }, 1 / 3][seed % 7],
  // Last in the value: read past its end, there is no next field to notice.
  last: seed % 2 === 0 ? 200 : 300,
});

function answerOf(codec: ProfileCodec, bytes: Uint8Array, schemaId: number): object {
  try {
    return codec.decode(bytes, 0, bytes.length, schemaId);
  } catch (error) {
    if (!(error instanceof ProfileCacheError)) throw error;
    return error;
  }
}

it('the same from right bytes, cut bytes and changed bytes', () => {
  const writer = newCodec('structured', new StructureTables({ learn: true }));
  for (let seed = 0; seed < 20; seed++) writer.encode(profileOf(seed));
  const encoded = Array.from({ length: 20 }, (_, seed) => {
    const { bytes, schemaId } = writer.encode(profileOf(seed));
    return { bytes: new Uint8Array(bytes), schemaId };
  });
  const { Function: real } = globalThis;
  let made = 0;
  const warm = (make: (...text: string[]) => unknown): ProfileCodec => {
    const tables = new StructureTables({ learn: true });
    const codec = newCodec('structured', tables);
    for (let seed = 0; seed < 20; seed++) codec.encode(profileOf(seed));
    globalThis.Function = class { constructor(...text: string[]) { return make(...text) as object; } } as unknown as FunctionConstructor;
    try {
      for (let i = 0; i < WARM_UP; i++) codec.decode(encoded[i % 20].bytes, 0, encoded[i % 20].bytes.length, encoded[i % 20].schemaId);
    } finally {
      globalThis.Function = real;
    }
    return codec;
  };
  const compiled = warm((...text) => {
    made++;
    return new real(...text);
  });
  const plain = warm(() => {
    throw new Error('no code in this one');
  });
  expect(made).toBeGreaterThan(4);

  let state = 1;
  const below = (bound: number) => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) % bound;
  let refused = 0;
  let compared = 0;
  const compare = (bytes: Uint8Array, schemaId: number): object => {
    compared++;
    const [one, two] = [answerOf(compiled, bytes, schemaId), answerOf(plain, bytes, schemaId)];
    if (one instanceof ProfileCacheError || two instanceof ProfileCacheError) {
      expect(one).toEqual(two);
      refused++;
    } else expectSame(one, two);
    return one;
  };
  encoded.forEach(({ bytes, schemaId }, seed) => {
    const whole = compare(bytes, schemaId);
    expectSame(whole, profileOf(seed));
    expectDeeplyFrozen(whole);
  });
  for (const { bytes, schemaId } of encoded.slice(0, PROFILES_CHANGED)) {
    for (let length = 1; length < bytes.length; length++) compare(bytes.subarray(0, length), schemaId);
    for (let i = 0; i < MUTANTS_A_PROFILE; i++) {
      const changed = Uint8Array.from(bytes);
      for (let k = 0; k <= below(3); k++) changed[below(changed.length)] = [below(256), 0x40 + below(64), 0x90 + below(16), 0xc0 + below(32), 0xff][below(5)];
      compare(changed, schemaId);
    }
  }
  // Most of the cut ones, not all of the changed ones.
  expect(refused).toBeGreaterThan(PROFILES_CHANGED * 800);
  expect(refused).toBeLessThan(compared - PROFILES_CHANGED * 100);
});
