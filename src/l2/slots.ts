/**
 * Wallets, keys and hash slots of Redis Cluster.
 *
 *   buckets > 0   <prefix>{<tag>}:<wallet>     profile        <prefix>{<tag>}!<wallet>   lease
 *   buckets = 0   <prefix><wallet>             profile        <prefix>{}!<wallet>        lease
 *                 <prefix>{}:<wallet>          profile of a wallet that begins with {
 *   both          <prefix>{<tag>}^             clear floor of a slot
 *   always        <prefix>{meta}:<name>        blob; its copies on other shards are <prefix>{<tag>}$<name>
 *
 * Wallets of one bucket share a hash tag, hence a slot, hence one MGET. The prefix holds no braces (options.ts), so the first
 * brace of a bucketed key opens the tag whatever the wallet holds. Tags are decimal numerals, so no bucket is called `meta`.
 * In the plain layout a wallet that begins with a brace could spell a blob or a lease; those are set apart by `{}:`,
 * an empty tag, which Redis takes for no tag: the whole key is hashed.
 */
import { ProfileCacheError } from '../errors.ts';

export const SLOT_COUNT = 16_384;

export interface KeyLayout {
  readonly prefix: string;
  readonly buckets: number;
  keyOf(wallet: string): string;
  slotOf(wallet: string): number;
  /** Keys and slots of a whole batch, each wallet hashed once. */
  place(wallets: readonly string[]): Placement;
  /** The wallet of a profile key, undefined for any other key. Inverse of `keyOf`. */
  walletOf(key: string): string | undefined;
  leaseKeyOf(wallet: string): string;
  /** One for each copy, evenly spread over the slots: a table is needed for whatever shard a profile lies on, so no shard may take it along. */
  blobKeysOf(name: string): string[];
  /** Of the slot that it lies in itself. */
  floorKeyOf(slot: number): string;
  /** Every slot that a profile may lie in. */
  profileSlots(): Iterable<number>;
  /** Glob for SCAN that every profile key of this layout matches. */
  readonly scanPattern: string;
}

export interface Placement {
  keys: string[];
  /** Of each key in UTF-8. */
  keyBytes: Uint16Array;
  slots: Uint16Array;
}

export function keyLayout(prefix: string, buckets: number): KeyLayout {
  if (/[{}]/.test(prefix)) throw new ProfileCacheError('ERR_OPTION', 'l2.keyPrefix: may hold no { or }, they would be taken for a hash tag', { option: 'l2.keyPrefix' });
  const blobStarts = [`${prefix}{meta}:`, ...copySlots().map((slot) => `${prefix}{${tagOfSlot(slot)}}$`)];
  const blobKeysOf = (name: string) => blobStarts.map((start) => start + name);
  const floorKeyOf = (slot: number) => `${prefix}{${tagOfSlot(slot)}}^`;
  if (buckets === 0) {
    const keyOf = (wallet: string) => (wallet.startsWith('{') ? `${prefix}{}:${wallet}` : prefix + wallet);
    return {
      prefix,
      buckets,
      keyOf,
      slotOf: (wallet) => keySlot(keyOf(wallet)),
      place: (wallets) => {
        const keys = wallets.map(keyOf);
        return { keys, keyBytes: Uint16Array.from(keys, (key) => Buffer.byteLength(key)), slots: Uint16Array.from(keys, keySlot) };
      },
      walletOf: (key) => {
        if (!key.startsWith(prefix)) return undefined;
        const rest = key.slice(prefix.length);
        if (!rest.startsWith('{')) return rest === '' ? undefined : rest;
        return rest.startsWith('{}:{') ? rest.slice(3) : undefined;
      },
      leaseKeyOf: (wallet) => `${prefix}{}!${wallet}`,
      blobKeysOf,
      floorKeyOf,
      profileSlots: () => Array.from({ length: SLOT_COUNT }, (_, slot) => slot),
      scanPattern: `${escapeGlob(prefix)}*`,
    };
  }
  const tags = Array.from({ length: buckets }, (_, bucket) => tagOfSlot(slotOfBucket(bucket, buckets)));
  const starts = tags.map((tag) => `${prefix}{${tag}}`);
  const startBytes = starts.map((start) => Buffer.byteLength(start));
  const slotOf = Uint16Array.from({ length: buckets }, (_, bucket) => slotOfBucket(bucket, buckets));
  const bucketOf = (wallet: string) => walletHash(wallet) % buckets;
  return {
    prefix,
    buckets,
    keyOf: (wallet) => `${starts[bucketOf(wallet)]}:${wallet}`,
    slotOf: (wallet) => slotOfBucket(bucketOf(wallet), buckets),
    place: (wallets) => {
      const keys = new Array<string>(wallets.length);
      const keyBytes = new Uint16Array(wallets.length);
      const slots = new Uint16Array(wallets.length);
      for (let i = 0; i < wallets.length; i++) {
        const wallet = wallets[i];
        const bucket = bucketOf(wallet);
        keys[i] = `${starts[bucket]}:${wallet}`;
        // Of the wallet alone: counting in a key that was just put together would copy it.
        keyBytes[i] = startBytes[bucket] + 1 + Buffer.byteLength(wallet);
        slots[i] = slotOf[bucket];
      }
      return { keys, keyBytes, slots };
    },
    walletOf: (key) => {
      if (!key.startsWith(`${prefix}{`)) return undefined;
      const end = key.indexOf('}:', prefix.length);
      if (end < 0) return undefined;
      const wallet = key.slice(end + 2);
      // Only the bucket that the wallet hashes to is its home.
      return wallet !== '' && key === `${starts[bucketOf(wallet)]}:${wallet}` ? wallet : undefined;
    },
    leaseKeyOf: (wallet) => `${starts[bucketOf(wallet)]}!${wallet}`,
    blobKeysOf,
    floorKeyOf,
    profileSlots: () => Array.from({ length: buckets }, (_, bucket) => slotOfBucket(bucket, buckets)),
    scanPattern: `${escapeGlob(prefix)}{*}:*`,
  };
}

/** Buckets lie evenly over the slots, in the middle of equal ranges, so that each master has its share. */
export const slotOfBucket = (bucket: number, buckets: number): number => Math.floor(((bucket + 0.5) * SLOT_COUNT) / buckets);

const BLOB_COPIES = 3;
/** Of the copies of a blob beside the first. */
const copySlots = () => Array.from({ length: BLOB_COPIES - 1 }, (_, k) => (keySlot('{meta}') + Math.floor(((k + 1) * SLOT_COUNT) / BLOB_COPIES)) % SLOT_COUNT);

/** CRC16-CCITT (XMODEM), polynomial 0x1021, as in the Redis Cluster specification, appendix A. */
const crcTable = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The slot of a key by the rules of Redis: of the part between the first `{` and the next `}`, if that is not empty. */
export function keySlot(key: string): number {
  const open = key.indexOf('{');
  if (open >= 0) {
    const close = key.indexOf('}', open + 1);
    if (close > open + 1) return crc16(key.slice(open + 1, close)) % SLOT_COUNT;
  }
  return crc16(key) % SLOT_COUNT;
}

function crc16(text: string): number {
  let crc = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return crc16Bytes(Buffer.from(text, 'utf8'));
    crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >>> 8) ^ unit];
  }
  return crc;
}

function crc16Bytes(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >>> 8) ^ byte];
  return crc;
}

/** Strings come in more shapes than an inline cache holds: `wallet.charCodeAt` would be looked up anew for every character. */
const { charCodeAt } = String.prototype;

/** FNV-1a over the UTF-8 bytes, then the finalizer of MurmurHash3 (fmix32): FNV's low bits alone are not even enough. */
export function walletHash(wallet: string): number {
  let hash = 0x811c9dc5;
  const { length } = wallet;
  for (let i = 0; i < length; i++) {
    const unit = charCodeAt.call(wallet, i);
    if (unit > 0x7f) {
      hash = 0x811c9dc5;
      for (const byte of Buffer.from(wallet, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
      break;
    }
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** For every slot the smallest decimal numeral that hashes to it; found once, on first use (a few milliseconds). */
let tags: string[] | undefined;

export function tagOfSlot(slot: number): string {
  tags ??= findTags();
  return tags[slot];
}

function findTags(): string[] {
  const found = new Array<string>(SLOT_COUNT);
  for (let i = 0, missing = SLOT_COUNT; missing > 0; i++) {
    const tag = String(i);
    const slot = crc16(tag) % SLOT_COUNT;
    if (found[slot] !== undefined) continue;
    found[slot] = tag;
    missing--;
  }
  return found;
}

/** So that a prefix such as `a*[b]` stands for itself in MATCH. */
const escapeGlob = (text: string): string => text.replaceAll(/[\\*?[\]^-]/g, '\\$&');
