/** Index, slots, arena and LRU against a Map that does the same the slow way. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordBytes } from '../../src/l1/layout.ts';
import { TestL1, payloadFor } from '../support/l1.ts';

type Op =
  | { kind: 'put'; wallet: string; bytes: number; ttlMs: number; late: boolean }
  | { kind: 'get' | 'remove'; wallet: string }
  | { kind: 'tick'; ms: number }
  | { kind: 'sweep' | 'clear' };

const wallets = ['a', 'bb', '__proto__', '{a}b', 'é💸', 'x'.repeat(1024), ...Array.from({ length: 60 }, (_, i) => `wallet-${i}`)];
const wallet = fc.constantFrom(...wallets);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('put' as const), wallet, bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 5000 })), ttlMs: fc.constantFrom(5, 50, 1e9), late: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('get' as const), wallet }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), wallet }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);

interface Held { payload: Buffer; version: number; expiresAtMs: number }

describe('L1 against a Map', () => {
  // Small bounds on purpose: every run evicts, compacts and reuses.
  for (const [maxProfiles, maxBytes] of [[8, 64 * 1024], [40, 32 * 1024], [1000, 24 * 1024]]) {
    test(`${maxProfiles} profiles, ${maxBytes} bytes`, () => {
      fc.assert(
        fc.property(fc.array(op, { maxLength: 400, size: 'max' }), (ops) => {
          const l1 = new TestL1(maxProfiles, maxBytes);
          /** Least recently used first. */
          const model = new Map<string, Held>();
          let version = 0;
          for (const step of ops) {
            switch (step.kind) {
              case 'put': {
                const stamp = step.late ? Math.max(1, version - 3) : ++version;
                const payload = payloadFor(step.wallet, stamp, step.bytes);
                const held = model.get(step.wallet);
                const result = l1.put(step.wallet, payload, stamp, step.ttlMs);
                if (held && held.version >= stamp) {
                  expect(result).toBe('older');
                } else if (recordBytes(Buffer.byteLength(step.wallet), step.bytes) > l1.writer.arena.maxRecordBytes) {
                  expect(result).toBe('too-large');
                  model.delete(step.wallet);
                } else {
                  expect(result).toBe('stored');
                  model.delete(step.wallet);
                  model.set(step.wallet, { payload, version: stamp, expiresAtMs: l1.nowMs + step.ttlMs });
                }
                dropEvicted(l1, model);
                expect(l1.has(step.wallet)).toBe(model.has(step.wallet));
                break;
              }
              case 'get': {
                const held = model.get(step.wallet);
                const got = l1.get(step.wallet);
                if (held && held.expiresAtMs > l1.nowMs) {
                  expect(got?.equals(held.payload)).toBe(true);
                  model.delete(step.wallet);
                  model.set(step.wallet, held);
                } else {
                  expect(got).toBeUndefined();
                }
                break;
              }
              case 'remove':
                expect(l1.remove(step.wallet)).toBe(model.delete(step.wallet));
                break;
              case 'tick':
                l1.nowMs += step.ms;
                break;
              case 'sweep':
                l1.writer.sweep(maxProfiles, l1.nowMs);
                for (const [name, held] of model) if (held.expiresAtMs <= l1.nowMs) model.delete(name);
                break;
              case 'clear':
                l1.writer.clear();
                model.clear();
            }
            l1.verify();
            expect(l1.writer.size).toBe(model.size);
            expect(l1.writer.size).toBeLessThanOrEqual(maxProfiles);
            expect(l1.writer.arena.liveBytes).toBeLessThanOrEqual(maxBytes);
          }
        }),
        { numRuns: 60 },
      );
    });
  }
});

/** Exact LRU: what the engine evicted must be the oldest of the model, with no survivor older than a victim. */
function dropEvicted(l1: TestL1, model: Map<string, Held>): void {
  let survivorSeen = false;
  for (const name of model.keys()) {
    if (l1.has(name)) {
      survivorSeen = true;
    } else {
      if (survivorSeen) throw new Error(`${name} was evicted before an entry used longer ago`);
      model.delete(name);
    }
  }
}
