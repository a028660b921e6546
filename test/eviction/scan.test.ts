/** A warm working set and a scan of keys that come once: whose hot entries are still there, while it runs and after it? The optimum keeps them all: they fit. */
import { expect, test } from 'vitest';
import { hashOfId } from '../../src/cli/simulate-replay.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import { seeded } from './support.ts';

interface Case { entries: number; hot: number; warm: number; scan: number; hotShare: number; mayLag?: number }

/** Share of the requests for hot keys that hit: during the scan, and in as many requests after it as there are hot keys. */
function hitShares(name: keyof typeof POLICIES, { entries, hot, warm, scan, hotShare }: Case, seed: number): { during: number; after: number } {
  const random = seeded(seed);
  const words = new Uint32Array(entries);
  const policy = POLICIES[name](entries, { words, first: 0, step: 1 });
  const slotOf = new Map<number, number>();
  const idIn = new Int32Array(entries);
  const hits = { warm: 0, during: 0, after: 0 };
  const asked = { warm: 0, during: 0, after: 0 };
  const request = (id: number, when: keyof typeof hits) => {
    const held = slotOf.get(id);
    if (id < hot) {
      asked[when]++;
      if (held !== undefined) hits[when]++;
    }
    if (held !== undefined) return policy.touched(held);
    const slot = slotOf.size < entries ? slotOf.size : policy.victim();
    if (slotOf.size === entries) {
      slotOf.delete(idIn[slot]);
      policy.removed(slot);
    }
    slotOf.set(id, slot);
    idIn[slot] = id;
    words[slot] = hashOfId(id);
    policy.inserted(slot, words[slot], 1);
  };
  const anyHot = () => Math.floor(random() * hot);
  for (let at = 0; at < warm; at++) request(anyHot(), 'warm');
  for (let at = 0; at < scan; at++) request(random() < hotShare ? anyHot() : hot + at, 'during');
  for (let at = 0; at < hot; at++) request(anyHot(), 'after');
  return { during: hits.during / Math.max(1, asked.during), after: hits.after / asked.after };
}

function mean(name: keyof typeof POLICIES, scan: Case): { during: number; after: number } {
  const shares = [1, 2, 3].map((seed) => hitShares(name, scan, seed));
  return { during: shares.reduce((sum, { during }) => sum + during, 0) / 3, after: shares.reduce((sum, { after }) => sum + after, 0) / 3 };
}

const cases: [string, Case][] = [
  ['three touches, half of the time a scan', { entries: 1_000, hot: 500, warm: 1_500, scan: 3_000, hotShare: 0.5 }],
  ['two touches, half of the time a scan', { entries: 1_000, hot: 800, warm: 1_600, scan: 4_000, hotShare: 0.5 }],
  ['three touches, four fifths a scan', { entries: 1_000, hot: 500, warm: 1_500, scan: 5_000, hotShare: 0.2 }],
  ['eight touches, four fifths a scan', { entries: 1_000, hot: 800, warm: 6_400, scan: 5_000, hotShare: 0.2, mayLag: 0.14 }],
  ['three touches, four fifths a scan, 5,000 entries', { entries: 5_000, hot: 3_000, warm: 9_000, scan: 20_000, hotShare: 0.2 }],
];

test.each(cases)('%s: about as good as S3-FIFO or better, far from LRU', (_title, scan) => {
  const [adaptive, fifo, lru] = [mean('adaptive', scan), mean('s3-fifo', scan), mean('lru', scan)];
  const { mayLag = 0.02 } = scan;
  expect(adaptive.during).toBeGreaterThan(fifo.during - mayLag);
  expect(adaptive.after).toBeGreaterThan(fifo.after - mayLag);
  expect(adaptive.during).toBeGreaterThan(lru.during + 0.1);
  expect(adaptive.after).toBeGreaterThan(lru.after + 0.1);
});

test('a scan three times the cache, and nothing else meanwhile: no better than LRU after three touches, most of the hot entries after eight', () => {
  // While nobody asks for them, hot entries look as dead as those of the scan: only how often they were used before speaks for them.
  const few = { entries: 1_000, hot: 500, warm: 1_500, scan: 3_000, hotShare: 0 };
  expect(mean('adaptive', few).after).toBeGreaterThan(mean('lru', few).after - 0.02);
  const many = { entries: 1_000, hot: 800, warm: 6_400, scan: 3_000, hotShare: 0 };
  expect(mean('adaptive', many).after).toBeGreaterThan(mean('lru', many).after + 0.3);
});
