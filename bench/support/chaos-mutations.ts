/** Ways to damage a stored record; for the chaos row on corrupted values and for the fuzzer. */
import { crc32 } from 'node:zlib';

const HEADER_BYTES = 48;
const FORMAT_AT = 4;
const SCHEMA_AT = 8;
const RAW_BYTES_AT = 12;
const STORED_BYTES_AT = 16;
const CRC_AT = 20;

export const MUTATIONS = ['flip', 'bytes', 'truncate', 'splice', 'swap', 'length', 'format', 'bomb', 'grow', 'nest'] as const;
export type Mutation = (typeof MUTATIONS)[number];

/** @param other a whole record of another wallet or profile. @param random 0 <= x < 1 */
export function mutate(kind: Mutation, original: Uint8Array, other: Uint8Array, random: () => number): Buffer {
  const bytes = Buffer.from(original);
  const below = (bound: number) => Math.floor(random() * bound);
  const setUint32 = (value: number, at: number) => at + 4 <= bytes.length && bytes.writeUInt32LE(value >>> 0, at);
  switch (kind) {
    case 'flip':
      for (let i = 1 + below(4); i > 0; i--) bytes[below(bytes.length)] ^= 1 << below(8);
      return bytes;
    case 'bytes':
      for (let i = 1 + below(8), at = below(bytes.length); i > 0; i--, at++) if (at < bytes.length) bytes[at] = below(256);
      return bytes;
    case 'truncate':
      return bytes.subarray(0, below(bytes.length));
    case 'splice':
      return Buffer.concat([bytes.subarray(0, below(bytes.length)), Buffer.from(other).subarray(below(other.length))]);
    case 'swap':
      return Buffer.from(other);
    case 'length':
      setUint32([0xffffffff, 0x7fffffff, 1 << 20, below(4_000)][below(4)], [RAW_BYTES_AT, STORED_BYTES_AT, SCHEMA_AT, HEADER_BYTES + below(64)][below(4)]);
      return bytes;
    case 'format':
      if (bytes.length > FORMAT_AT + 1) bytes[FORMAT_AT + below(2)] = below(256);
      return bytes;
    case 'bomb': {
      // Says that little is much: of LZ4, in both places that name the size.
      const says = 1 << (16 + below(15));
      setUint32(says, RAW_BYTES_AT);
      setUint32(says, HEADER_BYTES + (bytes.length > 8 ? bytes.readUInt16LE(6) : 0));
      return bytes;
    }
    case 'grow':
      return Buffer.concat([bytes, Buffer.from(Array.from({ length: 1 + below(64) }, () => below(256)))]);
    case 'nest': {
      // Arrays or maps in each other, to the end: msgpack's 0x91 and 0x81.
      const from = Math.min(bytes.length, HEADER_BYTES + (bytes.length > 8 ? bytes.readUInt16LE(6) : 0));
      bytes.fill(random() < 0.5 ? 0x91 : 0x81, from);
      return bytes;
    }
  }
}

/** Gives damaged bytes the CRC that an attacker would give them. */
export function reseal(bytes: Buffer): Buffer {
  if (bytes.length < HEADER_BYTES) return bytes;
  bytes.writeUInt32LE(0, CRC_AT);
  bytes.writeUInt32LE(crc32(bytes) >>> 0, CRC_AT);
  return bytes;
}

/** As chance and a faulty disk do it: the CRC is left as it is. */
export const chaosMutation = (original: Uint8Array, other: Uint8Array, random: () => number): Buffer =>
  mutate(MUTATIONS[Math.floor(random() * MUTATIONS.length)], original, other, random);
