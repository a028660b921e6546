/**
 * What numbers cost as keys of a Map or members of a Set. V8 hashes strings with a secret and numbers without one
 * (ComputeUnseededHash in src/utils/utils.h; T. Wang's integer hash): whoever writes the bytes can put thousands of numbers into one
 * chain, and each that is added walks the chain. So the chains are counted here, before anything is added.
 */

const BUCKETS = 1_024;
/** A bucket may hold as many for nothing: 20,000 numbers that nobody chose stay below. */
const FREE_MEMBERS = 32;
const STEPS_A_UNIT = 16;
const chains = new Uint32Array(BUCKETS);

/** Units for adding these to one Map or Set, beside what each entry costs anyway. */
export function keyWork(keys: readonly unknown[]): number {
  if (keys.length <= FREE_MEMBERS) return 0;
  chains.fill(0);
  let units = 0;
  let wide = 0;
  for (const key of keys) {
    if (typeof key === 'number' && (key | 0) === key) units += stepWork(++chains[hash32(key) & (BUCKETS - 1)]);
    // Hashed by their 64 bits, without a secret either: all are taken to be in one chain.
    else if (typeof key === 'number' || typeof key === 'bigint') units += stepWork(++wide);
  }
  return Math.ceil(units);
}

const stepWork = (members: number) => Math.max(0, members - FREE_MEMBERS) / STEPS_A_UNIT;

function hash32(key: number): number {
  let hash = (~key + (key << 15)) | 0;
  hash ^= hash >>> 12;
  hash = (hash + (hash << 2)) | 0;
  hash ^= hash >>> 4;
  hash = Math.imul(hash, 2_057);
  return hash ^ (hash >>> 16);
}
