/**
 * What numbers cost as keys of a Map or members of a Set. V8 hashes strings with a secret and numbers without one
 * (ComputeUnseededHash and ComputeLongHash in src/utils/utils.h; T. Wang's integer hashes): whoever writes the bytes can put thousands
 * of numbers into one chain, and each that is added walks the chain. So the chains are counted here, before anything is added.
 */

const BUCKETS = 1_024;
/** A bucket may hold as many for nothing: 20,000 numbers that nobody chose stay below. */
const FREE_MEMBERS = 32;
const STEPS_A_UNIT = 16;
const chains = new Uint32Array(BUCKETS);
const f64 = new Float64Array(1);
const u64 = new BigUint64Array(f64.buffer);
const [low, high] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? [0, 1] : [1, 0];
const u32 = new Uint32Array(f64.buffer);

/** Units for adding these to one Map or Set, beside what each entry costs anyway. */
export function keyWork(keys: readonly unknown[]): number {
  if (keys.length <= FREE_MEMBERS) return 0;
  chains.fill(0);
  let units = 0;
  for (const key of keys) {
    if (typeof key !== 'number' && typeof key !== 'bigint') continue;
    units += stepWork(++chains[hashOf(key) & (BUCKETS - 1)]);
  }
  return Math.ceil(units);
}

const stepWork = (members: number) => Math.max(0, members - FREE_MEMBERS) / STEPS_A_UNIT;

/** V8's own, for numbers and bigints. */
export function hashOf(key: number | bigint): number {
  if (typeof key === 'bigint') {
    // Its magnitude below 2^64: all that differ above are in one chain.
    u64[0] = key < 0n ? -key : key;
    return hash64(u32[high], u32[low]);
  }
  if ((key | 0) === key) return hash32(key);
  f64[0] = key;
  return hash64(u32[high], u32[low]);
}

function hash32(key: number): number {
  let hash = (~key + (key << 15)) | 0;
  hash ^= hash >>> 12;
  hash = (hash + (hash << 2)) | 0;
  hash ^= hash >>> 4;
  hash = Math.imul(hash, 2_057);
  return hash ^ (hash >>> 16);
}

/** Of 64 bits in two halves: `~k + (k << 18)`, `^ >> 31`, `* 21`, `^ >> 11`, `+ << 6`, `^ >> 22`. @returns the lower half */
function hash64(hi: number, lo: number): number {
  let sum = (~lo >>> 0) + ((lo << 18) >>> 0);
  hi = (~hi + ((hi << 18) | (lo >>> 14)) + carry(sum)) | 0;
  lo = sum | 0;
  lo ^= (hi << 1) | (lo >>> 31);
  hi ^= hi >>> 31;
  const times21 = (lo >>> 0) * 21;
  hi = (Math.imul(hi, 21) + Math.floor(times21 / 2 ** 32)) | 0;
  lo = times21 | 0;
  lo ^= (hi << 21) | (lo >>> 11);
  hi ^= hi >>> 11;
  sum = (lo >>> 0) + ((lo << 6) >>> 0);
  hi = (hi + ((hi << 6) | (lo >>> 26)) + carry(sum)) | 0;
  lo = sum | 0;
  return lo ^ ((hi << 10) | (lo >>> 22));
}

const carry = (sum: number): number => (sum >= 2 ** 32 ? 1 : 0);
