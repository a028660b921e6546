/** The index under collisions: keys are compared whole, and removal leaves every run whole, around the end of the table too. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { CrowdedL1 } from '../support/l1-crowded.ts';

const MAX_BYTES = 256 * 1024;
let l1: CrowdedL1;
afterEach(() => l1.verify());

/** Hashes that collide in all 32 bits, in position alone, in tag alone, and that sit at the table's end. */
const crowds: Record<string, (hash: number) => number> = {
  'eight bits of hash': (hash) => hash & 0xff,
  'one hash for all': () => 0x7f00_0003,
  'one position, many tags': (hash) => (hash & 0xff00_0000) | 5,
  'one tag, many positions': (hash) => (hash & 0x00ff_ffff) | 0x5500_0000,
  'homes at the last cells, so that runs wrap around': (hash) => -1 - (hash & 3),
};

describe.each(Object.entries(crowds))('%s', (_, crowd) => {
  test('every wallet reads as itself, and an absent one as absent', () => {
    l1 = new CrowdedL1(200, MAX_BYTES, crowd);
    for (let i = 0; i < 200; i++) l1.put(`w${i}`, i + 1);
    for (let i = 0; i < 200; i++) {
      expect(l1.read(`w${i}`)).toBe(i + 1);
      expect(l1.read(`absent${i}`)).toBe(undefined);
    }
  });

  test('any order of puts and removes leaves what a Map holds', () => {
    const step = fc.record({ wallet: fc.integer({ min: 0, max: 40 }), put: fc.boolean() });
    fc.assert(fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
      l1 = new CrowdedL1(41, 32 * 1024, crowd);
      const model = new Map<string, number>();
      steps.forEach(({ wallet, put }, i) => {
        const name = `w${wallet}`;
        if (put) {
          l1.put(name, i + 1);
          model.set(name, i + 1);
        } else {
          expect(l1.writer.remove(l1.key.set(name))).toBe(model.delete(name));
        }
      });
      for (let wallet = 0; wallet <= 40; wallet++) expect(l1.read(`w${wallet}`)).toBe(model.get(`w${wallet}`));
      l1.verify();
    }), { numRuns: 60 });
  });
});

test('wrong reads among 200,000 with an eight-bit hash and eviction: none', () => {
  l1 = new CrowdedL1(64, 32 * 1024, (hash) => hash & 0xff);
  let hits = 0;
  for (let i = 0; i < 20_000; i++) {
    l1.put(`w${(i * 7919) % 300}`, i + 1);
    // read() throws when payload and wallet do not belong together.
    for (let j = 0; j < 10; j++) if (l1.read(`w${(i * 31 + j * 37) % 300}`) !== undefined) hits++;
  }
  expect(hits).toBeGreaterThan(20_000);
});
