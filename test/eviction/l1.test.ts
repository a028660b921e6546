/** L1 with each policy that is not exact LRU: right profiles only, bounds kept, and the whole region verified after every step. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { POLICIES } from '../../src/eviction/index.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { createRegion } from '../../src/l1/region.ts';
import { verifyRegion } from '../../src/l1/verify.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer } from '../../src/l1/writer.ts';
import { parseOptions } from '../../src/options.ts';
import { payloadFor, payloadOf } from '../support/l1.ts';

type Step =
  | { kind: 'put'; wallet: string; bytes: number; ttlMs: number }
  | { kind: 'get' | 'remove'; wallet: string }
  | { kind: 'tick'; ms: number }
  | { kind: 'sweep' | 'clear' };

const wallet = fc.integer({ min: 0, max: 60 }).map((n) => `wallet-${n}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ kind: fc.constant('put' as const), wallet, bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 1_200 })), ttlMs: fc.constantFrom(5, 50, 1e9) }) },
  { weight: 40, arbitrary: fc.record({ kind: fc.constant('get' as const), wallet }) },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant('remove' as const), wallet }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);

for (const name of Object.keys(POLICIES).filter((policy) => policy !== 'lru') as (keyof typeof POLICIES)[]) {
  describe(`L1 with ${name}`, () => {
    test('is an option', () => expect(parseOptions({ l1: { eviction: name } }).l1.eviction).toBe(name));

    for (const [maxProfiles, maxBytes] of [[8, 64 * 1024], [1_000, 24 * 1024]]) {
      test(`${maxProfiles} profiles, ${maxBytes} bytes`, () => {
        fc.assert(fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => run(name, maxProfiles, maxBytes, steps)), { numRuns: 20 });
      });
    }
  });
}

function run(name: keyof typeof POLICIES, maxProfiles: number, maxBytes: number, steps: readonly Step[]): void {
  const region = createRegion(maxProfiles, maxBytes);
  const writer = new L1Writer(region, POLICIES[name]);
  const reader = new L1Reader(region);
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const put = new Map<string, { payload: Buffer; expiresAtMs: number }>();
  let nowMs = 1_000;
  let version = 0;
  for (const now of steps) {
    switch (now.kind) {
      case 'put': {
        const payload = payloadFor(now.wallet, ++version, now.bytes);
        expect(writer.put(key.set(now.wallet), payload, { schemaId: 1, version, expiresAtMs: nowMs + now.ttlMs, createdAtMs: 0 })).toBe('stored');
        put.set(now.wallet, { payload, expiresAtMs: nowMs + now.ttlMs });
        // What was just put is there, whoever had to go for it.
        expect(writer.find(key.set(now.wallet))).toBeGreaterThanOrEqual(0);
        break;
      }
      case 'get': {
        const held = put.get(now.wallet);
        if (reader.read(key.set(now.wallet), nowMs) !== 'hit') break;
        writer.policy.touched(reader.slot);
        expect(held !== undefined && held.expiresAtMs > nowMs).toBe(true);
        expect(payloadOf(reader).equals(held?.payload as Buffer)).toBe(true);
        break;
      }
      case 'remove':
        writer.remove(key.set(now.wallet));
        put.delete(now.wallet);
        break;
      case 'tick':
        nowMs += now.ms;
        break;
      case 'sweep':
        writer.sweep(maxProfiles, nowMs);
        break;
      case 'clear':
        writer.clear();
        put.clear();
    }
    verifyRegion(region, writer);
    expect(writer.size).toBeLessThanOrEqual(maxProfiles);
    expect(writer.arena.liveBytes).toBeLessThanOrEqual(maxBytes);
  }
}

test('an overwritten entry tells the policy what it takes now', () => {
  const told: [number, number][] = [];
  const writer = new L1Writer(createRegion(8, 64 * 1024), (slots) => Object.assign(POLICIES.adaptive(slots), { resized: (slot: number, bytes: number) => void told.push([slot, bytes]) }));
  const region = createRegion(8, 64 * 1024);
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const put = (version: number, bytes: number) => writer.put(key.set('w'), payloadFor('w', version, bytes), { schemaId: 1, version, expiresAtMs: 1e9, createdAtMs: 0 });
  put(1, 100);
  expect(told).toEqual([]);
  put(2, 900);
  const [[slot, larger]] = told;
  put(3, 100);
  expect(slot).toBe(writer.find(key.set('w')));
  expect(larger - told[1][1]).toBeGreaterThan(700);
});
