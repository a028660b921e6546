/** HalfSipHash-1-3 against a second implementation that is itself checked against the authors' published vectors (for 2-4). */
import { randomBytes, randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { hashWords } from '../../src/l1/hash.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';

/** vectors_hsip32 of the reference code (github.com/veorq/SipHash, vectors.h, CC0): key 00..07, input the first n of 00, 01, 02, … */
const PUBLISHED_2_4 =
  'a9359f5b27475ab8fa62a6038afee7042a6e4689c5fab6695863fc238bcf63c5d0b8848ff806e77994b079340808305057f0872f77e663ffd6fff87c74fe2b97' +
  'd9b5ac84c474645b465b8d9b7befe387e34d1045613f62b370f367fee6adb8bd27400c63267878754f567b5f3ab0e669b0644000ff670fb4509e338b5d589f1a' +
  'fee72112337532596a434f8cfe28b729e75cc6ec697e8d5463688b0f650b62b4b6bc18405d0745052442fd2e7bb7863a7705d548d75208b1b6d499c80892202e' +
  '69e12ce38db580e5369764c6016e02043b85f3d4fedb66be1e692a3ac68984c0a5c5b9409be9e88c7dbc81407c078ec5d4e76c73428fcbb9bd83997a59ea4a74';

/** Written from the paper's description, with bigints and a round at a time: as unlike src/l1/hash.ts as can be. */
function halfSipHash(input: Uint8Array, key: Uint8Array, compressionRounds: number, finalRounds: number): number {
  const low32 = (value: bigint) => value & 0xffff_ffffn;
  const rotate = (value: bigint, by: bigint) => low32((value << by) | (value >> (32n - by)));
  const word = (bytes: Uint8Array, at: number) => BigInt(Buffer.from(bytes).readUInt32LE(at));
  const v = [word(key, 0), word(key, 4), 0x6c796765n ^ word(key, 0), 0x74656462n ^ word(key, 4)];
  const round = () => {
    v[0] = low32(v[0] + v[1]); v[1] = rotate(v[1], 5n) ^ v[0]; v[0] = rotate(v[0], 16n);
    v[2] = low32(v[2] + v[3]); v[3] = rotate(v[3], 8n) ^ v[2];
    v[0] = low32(v[0] + v[3]); v[3] = rotate(v[3], 7n) ^ v[0];
    v[2] = low32(v[2] + v[1]); v[1] = rotate(v[1], 13n) ^ v[2]; v[2] = rotate(v[2], 16n);
  };
  const padded = Buffer.alloc(Math.floor(input.length / 4) * 4 + 4);
  padded.set(input);
  padded[padded.length - 1] = input.length & 0xff;
  for (let at = 0; at < padded.length; at += 4) {
    v[3] ^= word(padded, at);
    for (let i = 0; i < compressionRounds; i++) round();
    v[0] ^= word(padded, at);
  }
  v[2] ^= 0xffn;
  for (let i = 0; i < finalRounds; i++) round();
  return Number(v[1] ^ v[3]);
}

const wordsOf = (input: Uint8Array) => {
  const words = new Int32Array((input.length >>> 2) + 1);
  new Uint8Array(words.buffer).set(input);
  return words;
};
const ours = (input: Uint8Array, key: Buffer) => hashWords(wordsOf(input), input.length, key.readInt32LE(0), key.readInt32LE(4)) >>> 0;

test('the second implementation gives the published vectors', () => {
  const key = Buffer.from([0, 1, 2, 3, 4, 5, 6, 7]);
  const published = Buffer.from(PUBLISHED_2_4, 'hex');
  for (let length = 0; length < 64; length++) {
    expect(halfSipHash(Uint8Array.from({ length }, (_, i) => i), key, 2, 4)).toBe(published.readUInt32LE(length * 4));
  }
});

test('ours gives what the second implementation gives for 1-3: every length to 300, random keys', () => {
  for (let length = 0; length <= 300; length++) {
    const input = randomBytes(length);
    const key = randomBytes(8);
    expect(ours(input, key), `${input.toString('hex')} under ${key.toString('hex')}`).toBe(halfSipHash(input, key, 1, 3));
  }
});

test('what stands after the length does not count', () => {
  const key = randomBytes(8);
  for (let length = 0; length < 12; length++) {
    const input = randomBytes(16);
    const before = hashWords(wordsOf(input), length, key.readInt32LE(0), key.readInt32LE(4));
    input.fill(0xaa, length);
    expect(hashWords(wordsOf(input), length, key.readInt32LE(0), key.readInt32LE(4))).toBe(before);
  }
});

describe('spread', () => {
  test('one flipped bit of the wallet or of the key changes about half of the hash', () => {
    let flipped = 0;
    const rounds = 4_000;
    for (let i = 0; i < rounds; i++) {
      const input = randomBytes(44);
      const key = randomBytes(8);
      const before = ours(input, key);
      const where = i % 2 === 0 ? input : key;
      where[randomInt(where.length)] ^= 1 << randomInt(8);
      let difference = before ^ ours(input, key);
      for (; difference !== 0; difference &= difference - 1) flipped++;
    }
    // 16 of 32 bits; standard error under 0.05.
    expect(flipped / rounds).toBeGreaterThan(15.7);
    expect(flipped / rounds).toBeLessThan(16.3);
  });

  test('alike wallets fill index positions and tags evenly (chi-square)', () => {
    const key = new WalletKey(randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0);
    const positions = new Float64Array(1024);
    const tags = new Float64Array(256);
    const wallets = 102_400;
    for (let i = 0; i < wallets; i++) {
      const hash = key.set(`wallet-${i}`).hash >>> 0;
      positions[hash & 1023]++;
      tags[hash >>> 24]++;
    }
    for (const cells of [positions, tags]) {
      const expected = wallets / cells.length;
      const chiSquare = cells.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
      // Mean is the degrees of freedom, deviation the root of twice that: six deviations.
      expect(chiSquare).toBeLessThan(cells.length + 6 * Math.sqrt(2 * cells.length));
      expect(chiSquare).toBeGreaterThan(cells.length - 6 * Math.sqrt(2 * cells.length));
    }
  });
});
