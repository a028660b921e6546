import { crc32 } from 'node:zlib';
import { expect } from 'vitest';
import { ENVELOPE } from '../../src/codec/envelope.ts';
import { ProfileCodec } from '../../src/codec/profile-codec.ts';
import { StructureTables } from '../../src/codec/structure-tables.ts';
import { ProfileCacheError, type ErrorCode } from '../../src/errors.ts';

export const CAP_BYTES = 1024 * 1024;

export function newCodec(format: 'structured' | 'portable' = 'structured', tables = new StructureTables({ learn: true }), maxProfileBytes = CAP_BYTES): ProfileCodec {
  return new ProfileCodec({ format, maxProfileBytes, tables });
}

/** Encodes, copies (as every transport does) and decodes. */
export function roundTrip(codec: ProfileCodec, profile: unknown): object {
  const { bytes, schemaId } = codec.encode(profile);
  const copy = new Uint8Array(bytes);
  const decoded = codec.decode(copy, 0, copy.length, schemaId);
  // The result may share nothing with the input.
  copy.fill(0xaa);
  return decoded;
}

export function errorOf(run: () => unknown): ProfileCacheError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ProfileCacheError);
    return error as ProfileCacheError;
  }
  throw new Error('nothing was thrown');
}

export function expectError(run: () => unknown, code: ErrorCode, path?: string): void {
  const error = errorOf(run);
  expect({ code: error.code, path: path === undefined ? undefined : error.path, message: error.message }).toMatchObject({ code, path });
}

/** Gives an envelope that was tampered with the CRC it would have from an attacker. */
export function reseal(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(ENVELOPE.crcOffset, 0, true);
  view.setUint32(ENVELOPE.crcOffset, crc32(bytes), true);
  return bytes;
}

/** Throws where anything reachable can still be changed, but for the content of Uint8Arrays. */
export function expectDeeplyFrozen(value: unknown): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  expect(Object.isFrozen(value)).toBe(true);
  if (value instanceof Date) expect(() => value.setTime(0)).toThrow(TypeError);
  else if (value instanceof Map) {
    expect(() => value.set(1, 2)).toThrow(TypeError);
    for (const [key, inner] of value) {
      expectDeeplyFrozen(key);
      expectDeeplyFrozen(inner);
    }
  } else if (value instanceof Set) {
    expect(() => value.add(1)).toThrow(TypeError);
    for (const inner of value) expectDeeplyFrozen(inner);
  } else for (const key of Object.keys(value)) expectDeeplyFrozen((value as Record<string, unknown>)[key]);
}

/**
 * Throws unless both are the same in type, value and order, all the way down. (toStrictEqual compares `constructor` as a value
 * where a profile has a field of that name, and does not look at the order of keys.)
 */
export function expectSame(actual: unknown, expected: unknown, at: readonly string[] = [], binary: 'exact' | 'any class' = 'exact'): void {
  if (Object.is(actual, expected)) return;
  const kind = kindOf(expected);
  const fail = (what: string) => new Error(`profile.${at.join('.')}: ${what}`);
  if (typeof expected !== 'object' || expected === null) throw fail(`${String(actual)} is not ${String(expected)}`);
  const sameBinary = binary === 'any class' && actual instanceof Uint8Array && expected instanceof Uint8Array;
  if (kindOf(actual) !== kind && !sameBinary) throw fail(`${kindOf(actual)} is not ${kind}`);
  if (expected instanceof Date) return expectSame((actual as Date).getTime(), expected.getTime(), [...at, 'time']);
  if (expected instanceof Map) return expectSame([...(actual as Map<unknown, unknown>)], [...expected], [...at, 'entries'], binary);
  if (expected instanceof Set) return expectSame([...(actual as Set<unknown>)], [...expected], [...at, 'values'], binary);
  if (expected instanceof Uint8Array) {
    if (!Buffer.from(actual as Uint8Array).equals(expected)) throw fail('other bytes');
    return;
  }
  const keys = Object.keys(expected);
  const actualKeys = Object.keys(actual as object);
  if (keys.length !== actualKeys.length || keys.some((key, i) => key !== actualKeys[i])) throw fail(`${JSON.stringify(actualKeys)} are not ${JSON.stringify(keys)}`);
  if (Array.isArray(expected) && (actual as unknown[]).length !== expected.length) throw fail('another length');
  for (const key of keys) {
    const [a, e] = [(actual as Record<string, unknown>)[key], (expected as Record<string, unknown>)[key]];
    if (!Object.is(a, e)) expectSame(a, e, [...at, key], binary);
  }
}

function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return typeof value;
  if (Buffer.isBuffer(value)) return 'Buffer';
  const tag = Object.prototype.toString.call(value);
  const plain = tag === '[object Object]' && Object.getPrototypeOf(value) !== Object.prototype;
  return plain ? 'instance' : tag;
}
