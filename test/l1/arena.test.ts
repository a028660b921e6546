/**
 * The arena under mixed sizes: a shadow of every live record, the share of maxBytes that stays usable, what compaction copies.
 * PROFILECACHE_ARENA_UPDATES sets the updates of each mix (a million takes a minute or two).
 */
import { afterEach, describe, expect, test } from 'vitest';
import { recordBytes } from '../../src/l1/layout.ts';
import { recordOfSlot, recordSize } from '../../src/l1/record.ts';
import { TestL1, payloadFor } from '../support/l1.ts';

const MIB = 1024 * 1024;
const UPDATES = Number(process.env.PROFILECACHE_ARENA_UPDATES ?? 25_000);
const fillBytes = Buffer.alloc(MIB, 'x');

let l1: TestL1;
afterEach(() => l1.verify());

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const logUniform = (random: () => number, from: number, to: number) => Math.floor(from * (to / from) ** random());

/** No two live records overlap, none leaves its segment, and their bytes are what the arena counts. */
function shadow(): void {
  const { region, writer } = l1;
  const spans: [number, number][] = [];
  for (const slot of writer.slotsInUse()) {
    const at = recordOfSlot(region, slot);
    spans.push([at, at + recordSize(region, at)]);
  }
  spans.sort((a, b) => a[0] - b[0]);
  let live = 0;
  let previousEnd = region.arenaStart;
  for (const [start, end] of spans) {
    if (start < previousEnd) throw new Error(`two live records overlap at ${start}`);
    const segment = (at: number) => Math.floor((at - region.arenaStart) / region.segmentBytes);
    if (segment(start) !== segment(end - 1)) throw new Error(`the record at ${start} crosses the end of its segment`);
    previousEnd = end;
    live += end - start;
  }
  if (live !== writer.arena.liveBytes) throw new Error(`${live} bytes live, the arena believes ${writer.arena.liveBytes}`);
}

const mixes: [string, (random: () => number) => { bytes: number; wallet: number }][] = [
  ['log-uniform sizes from 100 bytes to 8 KB, more wallets than fit', (random) => ({ bytes: logUniform(random, 100, 8_192), wallet: Math.floor(random() * 20_000) })],
  ['two sizes, 200 bytes and 6,000', (random) => ({ bytes: random() < 0.9 ? 200 : 6_000, wallet: Math.floor(random() * 40_000) })],
  ['hot overwrites over a cold set', (random) => ({ bytes: logUniform(random, 100, 8_192), wallet: random() < 0.9 ? Math.floor(random() * 200) : 200 + Math.floor(random() * 20_000) })],
  ['one size', (random) => ({ bytes: 1_100, wallet: Math.floor(random() * 30_000) })],
];

test.each(mixes.flatMap(([name, next]) => [[name, 16, next], [name, 1, next]] as [string, number, typeof next][]))('%s, %i MiB: nine tenths of maxBytes stay usable, one put copies a bounded amount', (_, mib, next) => {
  const maxBytes = mib * MIB;
  l1 = new TestL1(60_000, maxBytes);
  const { arena } = l1.writer;
  const random = generator(1);
  // A small arena holds fewer of the same wallets.
  const shrink = 16 / mib;
  const fills = 12_000 / shrink;
  let writtenBytes = 0;
  let movedBefore = 0;
  let movedMost = 0;
  let leastShare = 1;
  let evictionsBefore = 0;
  // What fills the cache at the start is cold or overwritten by the mix, as it comes.
  for (let i = 1; i <= (UPDATES + 12_000) / shrink; i++) {
    const { bytes, wallet } = next(random);
    expect(l1.put(`wallet-${i <= fills ? i : Math.floor(wallet / shrink)}`, fillBytes.subarray(0, bytes), i)).toBe('stored');
    writtenBytes += recordBytes(12, bytes);
    movedMost = Math.max(movedMost, arena.movedBytes - movedBefore);
    movedBefore = arena.movedBytes;
    // Where something had to go, it was full before: up to the largest record and the largest victim.
    if (l1.writer.evictions > evictionsBefore) leastShare = Math.min(leastShare, (arena.liveBytes + 8_240) / maxBytes);
    evictionsBefore = l1.writer.evictions;
    if (i % 4_096 === 0) shadow();
  }
  shadow();
  console.log(`    usable ${((100 * arena.liveBytes) / maxBytes).toFixed(1)} % (least ${(100 * leastShare).toFixed(1)} %), copied ${(arena.movedBytes / writtenBytes).toFixed(1)} bytes a byte written, at most ${movedMost} for one put, ${l1.writer.evictions} evictions`);
  expect(leastShare).toBeGreaterThan(0.9);
  expect(movedMost).toBeLessThanOrEqual(Math.max(24 * 8_240, 3 * l1.region.segmentBytes));
}, Math.max(120_000, UPDATES * 2));

describe('a shadow after every operation', () => {
  // Sizes from tiny to a whole segment in the smallest arenas there are.
  test.each([[16 * 1024, 900], [24 * 1024, 1_400], [64 * 1024, 3_900], [256 * 1024, 15_000]])('%i bytes, payloads up to %i', (maxBytes, most) => {
    l1 = new TestL1(64, maxBytes);
    const random = generator(maxBytes);
    const versions = new Map<string, { version: number; bytes: number }>();
    for (let version = 1; version <= 4_000; version++) {
      const wallet = `w${Math.floor(random() * 90)}`;
      const bytes = logUniform(random, 1, most);
      if (random() < 0.1) {
        expect(l1.remove(wallet)).toBe(l1.writer.size > 0 && versions.has(wallet) && versions.delete(wallet));
      } else {
        expect(l1.put(wallet, payloadFor(wallet, version, bytes), version)).toBe('stored');
        versions.set(wallet, { version, bytes });
      }
      shadow();
      for (const name of versions.keys()) if (!l1.has(name)) versions.delete(name);
      expect(versions.size).toBe(l1.writer.size);
    }
    for (const [wallet, { version, bytes }] of versions) expect(l1.get(wallet)?.equals(payloadFor(wallet, version, bytes))).toBe(true);
  });
});

describe('records near the size of a segment', () => {
  test('every one that fits alone is stored, in full arenas too, and no put goes on for ever', () => {
    l1 = new TestL1(1_000, 64 * 1024);
    const { maxRecordBytes } = l1.writer.arena;
    for (let version = 1; version < 600; version++) {
      const bytes = maxRecordBytes - 48 - 8 * (version % 5);
      expect(l1.put(`w${version % 37}`, fillBytes.subarray(0, bytes), version)).toBe('stored');
      shadow();
    }
  });
  test('large and middling ones mixed: room that goes down and up again ends (it once did not), and a put copies little', () => {
    l1 = new TestL1(1_000, 16 * MIB);
    const { arena } = l1.writer;
    const random = generator(42);
    let movedMost = 0;
    let leastShare = 1;
    for (let version = 1; version <= 1_500; version++) {
      const before = { movedBytes: arena.movedBytes, evictions: l1.writer.evictions };
      expect(l1.put(`w${Math.floor(random() * 1_000)}`, fillBytes.subarray(0, logUniform(random, 20_000, 250_000)), version)).toBe('stored');
      movedMost = Math.max(movedMost, arena.movedBytes - before.movedBytes);
      if (before.evictions > 0) leastShare = Math.min(leastShare, arena.liveBytes / (16 * MIB));
    }
    shadow();
    // It once was 9 MB: four times the own bytes and those of a few that were evicted.
    expect(movedMost).toBeLessThanOrEqual(12 * 250_000);
    expect(leastShare).toBeGreaterThan(0.8);
  });
  test('small ones fill the holes that large ones leave', () => {
    l1 = new TestL1(10_000, MIB);
    const { arena, region } = { arena: l1.writer.arena, region: l1.region };
    for (let i = 0; i < 60; i++) l1.put(`large${i}`, fillBytes.subarray(0, Math.floor(region.segmentBytes * 0.7)), i + 1);
    const segmentsFilled = () => arena.segments().filter(({ free, filledBytes }) => !free && filledBytes > 0).length;
    const before = segmentsFilled();
    for (let i = 0; i < 200; i++) l1.put(`small${i}`, fillBytes.subarray(0, 1_000), 1_000 + i);
    expect(segmentsFilled()).toBeLessThanOrEqual(before + 1);
    expect(l1.writer.evictions).toBeLessThanOrEqual(3);
    shadow();
  });
});

test('after everything is removed, everything fits again', () => {
  l1 = new TestL1(10_000, MIB);
  const fillAndCount = (from: number) => {
    for (let i = 0; i < 2_000; i++) l1.put(`w${i}`, fillBytes.subarray(0, 900), from + i);
    return l1.writer.size;
  };
  const first = fillAndCount(1);
  for (let i = 0; i < 2_000; i++) l1.remove(`w${i}`);
  expect(l1.writer.arena.liveBytes).toBe(0);
  expect(fillAndCount(10_000)).toBe(first);
});
