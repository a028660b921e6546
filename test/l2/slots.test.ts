import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLOT_COUNT, keyLayout, keySlot, slotOfBucket, tagOfSlot, walletHash } from '../../src/l2/slots.ts';

// Pieces that layouts are made of come up often, so that wallets spell keys of ours.
const pieces = fc.constantFrom('{', '}', '{}', '{}:', '{}!', '{meta}:', '}$', '{0}:', ':', '!', 'a', 'b', '0', '7', 'é', '🦊', '\0', '__proto__', 'p:');
const wallet = fc.oneof(fc.array(pieces, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')), fc.string({ minLength: 1, unit: 'binary' }));
const layouts = [keyLayout('p:', 0), keyLayout('p:', 1), keyLayout('p:', 7), keyLayout('p:', 256), keyLayout('', 0), keyLayout('', 256)];

describe('keys and wallets', () => {
  it('a key gives its wallet back, whatever the wallet', () => {
    fc.assert(fc.property(wallet, (text) => {
      for (const layout of layouts) expect(layout.walletOf(layout.keyOf(text))).toBe(text);
    }), { numRuns: 3_000 });
  });

  it('no two of profiles, leases and blobs share a key', () => {
    fc.assert(fc.property(wallet, wallet, (one, other) => {
      const texts = one === other ? [one] : [one, other];
      for (const layout of layouts) {
        const keys = texts.flatMap((text) => [layout.keyOf(text), layout.leaseKeyOf(text), ...layout.blobKeysOf(text)]);
        expect(new Set(keys).size).toBe(keys.length);
      }
    }), { numRuns: 3_000 });
  });

  it('leases and blobs are not taken for profiles', () => {
    fc.assert(fc.property(wallet, (text) => {
      for (const layout of layouts) {
        expect(layout.walletOf(layout.leaseKeyOf(text))).toBeUndefined();
        for (const key of layout.blobKeysOf(text)) expect(layout.walletOf(key)).toBeUndefined();
      }
    }), { numRuns: 3_000 });
  });

  it('the slot of a wallet is the slot of its key', () => {
    fc.assert(fc.property(wallet, (text) => {
      for (const layout of layouts) expect(layout.slotOf(text)).toBe(keySlot(layout.keyOf(text)));
    }), { numRuns: 2_000 });
  });

  it('keys look as documented', () => {
    expect(keyLayout('profile:', 0).keyOf('abc')).toBe('profile:abc');
    expect(keyLayout('profile:', 0).keyOf('{a}b')).toBe('profile:{}:{a}b');
    expect(keyLayout('profile:', 0).keyOf('a{b}')).toBe('profile:a{b}');
    expect(keyLayout('profile:', 256).keyOf('abc')).toMatch(/^profile:\{\d+\}:abc$/);
    expect(() => keyLayout('a{b', 0)).toThrow(/hash tag/);
  });

  it('the pattern of SCAN takes the prefix literally', () => {
    expect(keyLayout('a*[b]?\\:', 0).scanPattern).toBe('a\\*\\[b\\]\\?\\\\:*');
  });
});

describe('slots', () => {
  it('knows the examples of the Redis Cluster specification', () => {
    expect(keySlot('123456789')).toBe(0x31c3 % SLOT_COUNT);
    expect(keySlot('{user1000}.following')).toBe(keySlot('{user1000}.followers'));
    expect(keySlot('foo{}{bar}')).toBe(keySlot('foo{}{bar}'));
    expect(keySlot('foo{}{bar}')).not.toBe(keySlot('bar'));
    expect(keySlot('foo{{bar}}zap')).toBe(keySlot('{bar'));
    expect(keySlot('foo{bar}{zap}')).toBe(keySlot('bar'));
    expect(keySlot('foo}{bar')).not.toBe(keySlot('bar'));
  });

  it('every slot has a tag that hashes to it', () => {
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (keySlot(`{${tagOfSlot(slot)}}`) !== slot) expect.fail(`tag ${tagOfSlot(slot)} is not of slot ${slot}`);
    }
  });

  it('buckets lie evenly over the slots', () => {
    for (const buckets of [1, 2, 3, 30, 256, 1_000, SLOT_COUNT]) {
      const slots = Array.from({ length: buckets }, (_, bucket) => slotOfBucket(bucket, buckets));
      expect(new Set(slots).size).toBe(buckets);
      const gaps = slots.slice(1).map((slot, i) => slot - slots[i]);
      if (gaps.length > 0) expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
    }
  });

  // Chi-square over 255 degrees of freedom: 99.9 % of even hashes stay under 330.5, and the inputs are fixed.
  it.each([
    ['numbered', (i: number) => `wallet-${i}`],
    ['numbers alone', (i: number) => String(i)],
    ['base58-like', (i: number) => (BigInt(i + 1) * 0x9e3779b97f4a7c15n * 0xd1b54a32d192ed03n).toString(36).padStart(44, 'x')],
    ['one character apart, non-ASCII', (i: number) => `é${String.fromCodePoint(0x1f300 + (i % 600))}${Math.floor(i / 600)}`],
  ])('%s wallets spread evenly over 256 buckets', (_name, make) => {
    const WALLETS = 51_200;
    const counts = new Uint32Array(256);
    for (let i = 0; i < WALLETS; i++) counts[walletHash(make(i)) % 256]++;
    const expected = WALLETS / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(330.5);
  });

  it('hashes text as the bytes of its UTF-8', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      let hash = 0x811c9dc5;
      for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
      hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
      expect(walletHash(text)).toBe((hash ^ (hash >>> 16)) >>> 0);
    }));
  });
});

it('a blob and its copies are on a shard each, of three of the same size', () => {
  for (const buckets of [0, 256]) {
    const shards = keyLayout('p:', buckets).blobKeysOf('structures:17').map((key) => Math.floor(keySlot(key) / (16_384 / 3)));
    expect(new Set(shards).size).toBe(3);
  }
});
