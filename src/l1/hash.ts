/** The bytes of the last, incomplete word that belong to `lengthBytes`. */
export const tailMask = (lengthBytes: number): number => (1 << ((lengthBytes & 3) * 8)) - 1;

/**
 * HalfSipHash-1-3 with a random 64-bit key for each region (J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input
 * PRF", 2012; the 32-bit-word variant of the reference code). Keyed, so that nobody who does not know the key can choose
 * wallets that collide; one compression round a word and three at the end, as the hash maps of Rust and Ruby use it.
 *
 * `words` are the bytes as little-endian words, one word more than whole ones.
 */
export function hashWords(words: Int32Array, lengthBytes: number, key0: number, key1: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  const whole = lengthBytes >>> 2;
  let word = 0;
  for (let i = 0; i <= whole; i++) {
    // The last word carries the length in its top byte; what stands behind the end does not count.
    word = i < whole ? words[i] : (lengthBytes << 24) | (words[i] & tailMask(lengthBytes));
    v3 ^= word;
    v0 = (v0 + v1) | 0; v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0; v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0; v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0; v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0; v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2; v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0; v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0; v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0; v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0; v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0; v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2; v2 = (v2 << 16) | (v2 >>> 16);
  }
  return v1 ^ v3;
}
