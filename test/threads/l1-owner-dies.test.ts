/** The owner thread is terminated in the middle of writing: whatever it left half done, readers come back at once and never with a wrong profile. */
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { HEADER, SLOT } from '../../src/l1/layout.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { beginChange } from '../../src/l1/seqlock.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { TestL1, payloadFor, payloadOf } from '../support/l1.ts';

const WALLETS = 200;
const LEAST_HITS = 50;
const KILLS = Number(process.env.PROFILECACHE_OWNER_KILLS ?? 8);

/** Reads every wallet as whole or not at all; how often each result came. */
function readAll(region: Region): Record<string, number> {
  const reader = new L1Reader(region);
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const results: Record<string, number> = { hit: 0, miss: 0, expired: 0, contended: 0 };
  for (let wallet = 0; wallet < WALLETS; wallet++) {
    const result = reader.read(key.set(`wallet-${wallet}`), 0);
    results[result]++;
    if (result !== 'hit') continue;
    const words = new Uint32Array(Uint8Array.from(payloadOf(reader)).buffer);
    for (let i = 0; i < words.length; i += 2) {
      if (words[i] !== wallet || words[i + 1] !== reader.version) throw new Error(`wallet ${wallet} reads ${words[i]} version ${words[i + 1]}`);
    }
  }
  return results;
}

test(`terminated ${KILLS} times at some moment`, async () => {
  const seen: Record<string, number>[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const region = createRegion(120, 64 * 1024);
    const worker = new Worker(new URL('./l1-owner.mjs', import.meta.url), {
      workerData: { dist: new URL('../../dist/src', import.meta.url).href, buffer: region.buffer, wallets: WALLETS, seed: kill + 1 },
    });
    await once(worker, 'message');
    // Until it has filled a part of L1, however late a busy machine lets it run.
    while (readAll(region).hit <= LEAST_HITS) await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, 10 + kill));
    await worker.terminate();
    const results = readAll(region);
    // Nobody writes any more: the answers stay as they are.
    expect(readAll(region)).toEqual(results);
    // At most one slot is odd; only those whose way in the index leads past it, or all misses of an unfinished shift, are contended.
    expect(results.hit).toBeGreaterThan(LEAST_HITS);
    seen.push(results);
  }
  console.log(`    ${JSON.stringify(seen)}`);
}, 60_000);

describe('left half done, by hand', () => {
  let l1: TestL1;
  let repair: () => void;
  afterEach(() => {
    repair();
    l1.verify();
  });
  const fresh = () => {
    l1 = new TestL1(8, 16 * 1024);
    for (const wallet of ['a', 'b']) l1.put(wallet, payloadFor(wallet, 1, 32), 1);
    l1.read('a');
  };

  test('an odd slot is a contended read, the other wallets are read as ever', () => {
    fresh();
    const seqAt = l1.region.slotsStart / 4 + l1.reader.slot * SLOT.words + SLOT.seq;
    beginChange(l1.region.i32, seqAt);
    repair = () => void l1.region.i32[seqAt]--;
    expect([l1.read('a'), l1.read('a'), l1.read('b')]).toEqual(['contended', 'contended', 'hit']);
  });
  test('an unfinished index shift: what is found is a hit, what is not found is contended', () => {
    fresh();
    l1.region.i32[HEADER.indexShift]++;
    repair = () => void l1.region.i32[HEADER.indexShift]--;
    expect([l1.read('a'), l1.read('b'), l1.read('absent')]).toEqual(['hit', 'hit', 'contended']);
  });
  test('a slot that points outside the region', () => {
    fresh();
    const offsetAt = l1.region.slotsStart / 4 + l1.reader.slot * SLOT.words + SLOT.offset;
    const offset = l1.region.u32[offsetAt];
    l1.region.u32[offsetAt] = 0xffff_ffff;
    repair = () => void (l1.region.u32[offsetAt] = offset);
    expect(l1.read('a')).toBe('contended');
  });
});
