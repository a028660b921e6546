import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Redis } from 'ioredis';
import { keyLayout, keySlot } from '../../src/l2/slots.ts';
import { bare } from '../support/redis.ts';
import { redisCluster } from '../support/redis-servers.ts';

const pieces = fc.constantFrom('{', '}', '{}', 'a', 'user1000', 'é', '🦊', '\0', ':', '\r\n');
const text = fc.oneof(fc.array(pieces, { minLength: 1, maxLength: 10 }).map((parts) => parts.join('')), fc.string({ minLength: 1, unit: 'binary' }));

describe('slots against a real node', () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await bare(redisCluster.nodes[0]);
  });
  afterAll(() => redis.disconnect());

  it('CLUSTER KEYSLOT agrees on any key', async () => {
    await fc.assert(fc.asyncProperty(fc.array(text, { minLength: 50, maxLength: 50 }), async (keys) => {
      const answers = await Promise.all(keys.map((key) => redis.cluster('KEYSLOT', key)));
      expect(keys.map(keySlot)).toEqual(answers);
    }), { numRuns: 60 });
  });

  it('CLUSTER KEYSLOT agrees on the keys of wallets', async () => {
    for (const layout of [keyLayout('profile:', 256), keyLayout('profile:', 16_384), keyLayout('', 0)]) {
      const wallets = ['abc', '{a}b', '{}', '}{', '__proto__', '🦊🚀', 'x'.repeat(1_024)];
      const answers = await Promise.all(wallets.map((wallet) => redis.cluster('KEYSLOT', layout.keyOf(wallet))));
      expect(wallets.map((wallet) => layout.slotOf(wallet))).toEqual(answers);
    }
  });
});
