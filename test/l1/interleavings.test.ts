/**
 * Every schedule with one switch between the real reader and the real writer: the one is stopped at each of its accesses to shared
 * memory while the other does whole operations. What is read is checked against what had been acknowledged.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { POLICIES } from '../../src/eviction/index.ts';
import { RECORD, SLOT } from '../../src/l1/layout.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { recordAtOffset } from '../../src/l1/record.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { verifyRegion } from '../../src/l1/verify.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer } from '../../src/l1/writer.ts';
import { payloadFor, payloadOf, stands } from '../support/l1.ts';
import { Stepper, patchAtomics } from '../support/l1-stepped.ts';

const MAX_BYTES = 16 * 1024;
const NEVER_MS = 1e9;
/** So few positions and one tag: wallets share runs of the index, and a probe meets foreign slots. */
const HASH_BITS = 0x3;

class CrowdedKey extends WalletKey {
  override set(wallet: string): this {
    super.set(wallet);
    this.hash &= HASH_BITS;
    return this;
  }
}

interface Seen { wallet: string; slot: number; slotVersion: number; version: number }

/** One region with a reader and a writer of which one, the other or none is stepped; and what has been acknowledged. */
class World {
  readonly region: Region;
  readonly writer: L1Writer;
  readonly reader: L1Reader;
  readonly stepper = new Stepper();
  /** Newest acknowledged content; absent: removed or never there. */
  readonly acked = new Map<string, number>();
  readonly seen: Seen[] = [];
  nowMs = 0;
  private readonly writerKey: WalletKey;
  private readonly readerKey: WalletKey;
  private version = 0;

  constructor(stepped: 'reader' | 'writer', maxProfiles: number) {
    this.region = createRegion(maxProfiles, MAX_BYTES);
    const watched = this.stepper.region(this.region);
    this.writer = new L1Writer(stepped === 'writer' ? watched : this.region, POLICIES.lru);
    this.reader = new L1Reader(stepped === 'reader' ? watched : this.region);
    this.writerKey = new CrowdedKey(this.region.hashKey0, this.region.hashKey1);
    this.readerKey = new CrowdedKey(this.region.hashKey0, this.region.hashKey1);
  }

  put(wallet: string, bytes = 48, expiresAtMs = NEVER_MS): void {
    const version = ++this.version;
    const result = this.writer.put(this.writerKey.set(wallet), payloadFor(wallet, version, bytes), { schemaId: 1, version, expiresAtMs, createdAtMs: 0 });
    expect(result).toBe('stored');
    this.acked.set(wallet, version);
    for (const name of this.acked.keys()) if (this.writer.find(this.writerKey.set(name)) < 0) this.acked.delete(name);
  }

  remove(wallet: string): void {
    expect(this.writer.remove(this.writerKey.set(wallet))).toBe(this.acked.delete(wallet));
  }

  clear(): void {
    this.writer.clear();
    this.acked.clear();
  }

  /** Overwrites others, of many sizes, until compaction has moved `b` and something else stands where it was. */
  churn(): void {
    const whereIsB = () => this.region.u32[this.region.slotsStart / 4 + this.writer.find(this.writerKey.set('b')) * SLOT.words + SLOT.offset];
    const before = whereIsB();
    const word = recordAtOffset(this.region, before) / 4 + RECORD.versionLow;
    const content = this.region.u32[word];
    for (let i = 0; whereIsB() === before || this.region.u32[word] === content; i++) {
      if (i > 1_000) throw new Error('b was never moved');
      this.put(`f${(i * 5) % 13}`, 300 + ((i * 211) % 620));
      this.put('e', 200);
    }
  }

  /** Reads and checks the bytes; returns the version, or what came instead. */
  read(wallet: string): number | 'miss' | 'expired' | 'suspect' | 'contended' {
    const { reader } = this;
    const result = reader.read(this.readerKey.set(wallet), this.nowMs);
    if (result !== 'hit') return result;
    const payload = payloadOf(reader);
    if (!payload.equals(payloadFor(wallet, reader.version, payload.length))) throw new Error(`torn or foreign: ${wallet} reads as ${payload.toString().slice(0, 40)}`);
    if (reader.expiresAtMs <= this.nowMs) throw new Error(`${wallet} had expired`);
    this.seen.push({ wallet, slot: reader.slot, slotVersion: reader.slotVersion, version: reader.version });
    return reader.version;
  }

  /** Between operations: no near-cache entry made from any read so far stands unless it is the newest. */
  checkNear(): void {
    for (const { wallet, slot, slotVersion, version } of this.seen) {
      if (stands(this.region, slot, slotVersion) && this.acked.get(wallet) !== version) {
        throw new Error(`near cache would serve ${wallet} version ${version}, acknowledged is ${this.acked.get(wallet)}`);
      }
    }
  }
}

let restoreAtomics: () => void;
beforeAll(() => {
  restoreAtomics = patchAtomics();
});
afterAll(() => restoreAtomics());

let latest: World;
const newWorld = (stepped: 'reader' | 'writer', maxProfiles: number) => (latest = new World(stepped, maxProfiles));
/** Cells and slots of crowded keys do not carry the hash that verification works out, so those worlds check size and order. */
afterEach(() => {
  latest.writer.policy.verify(latest.writer.slotsInUse());
  expect(latest.writer.size).toBe(latest.acked.size);
  latest.writer.clear();
  verifyRegion(latest.region, latest.writer);
});

/** Few slots, so that inserting evicts; but where compaction is wanted. */
const FEW_PROFILES = 8;

const operations: Record<string, { touches: string[]; run: (world: World) => void; maxProfiles?: number }> = {
  'put a new wallet': { touches: ['new'], run: (w) => w.put('new') },
  'put an update': { touches: ['b'], run: (w) => w.put('b', 64) },
  'remove the first of a run': { touches: ['a'], run: (w) => { if (w.acked.has('a')) w.remove('a'); } },
  'remove in the middle of a run': { touches: ['c'], run: (w) => { if (w.acked.has('c')) w.remove('c'); } },
  'remove, then reuse the slot for another wallet': { touches: ['b', 'new'], run: (w) => { w.remove('b'); w.put('new'); } },
  'remove and put again': { touches: ['b'], run: (w) => { w.remove('b'); w.put('b'); } },
  'evict by inserting': { touches: ['a', 'n1', 'n2', 'n3', 'n4'], run: (w) => { for (const name of ['n1', 'n2', 'n3', 'n4']) w.put(name); } },
  'expire': { touches: ['short'], run: (w) => { w.nowMs = 20; w.writer.sweep(FEW_PROFILES, w.nowMs); w.acked.delete('short'); } },
  'compact and reuse all memory': { touches: [], run: (w) => w.churn(), maxProfiles: 32 },
  'clear': { touches: ['a', 'b', 'c', 'd', 'short'], run: (w) => w.clear() },
  'clear and fill again': { touches: ['a', 'b', 'c', 'd', 'short', 'new'], run: (w) => { w.clear(); w.put('new'); w.put('b'); } },
};

const fill = (world: World) => {
  for (const wallet of ['a', 'b', 'c', 'd']) world.put(wallet);
  world.put('short', 48, 10);
};

describe('the writer is stopped at every step and every wallet is read there', () => {
  for (const [name, { touches, run, maxProfiles = FEW_PROFILES }] of Object.entries(operations)) {
    test(name, () => {
      const world = newWorld('writer', maxProfiles);
      fill(world);
      const before = new Map(world.acked);
      // Compaction alone takes tens of thousands of steps.
      const everyNth = name.includes('memory') ? 23 : 1;
      let reads = 0;
      world.stepper.run(() => run(world), (step) => {
        if (step % everyNth !== 0) return;
        for (const wallet of [...before.keys(), ...touches]) {
          const floor = world.acked.get(wallet);
          const got = world.read(wallet);
          reads++;
          // While the operation is under way the old and the new are both right, and a gone one may be missed.
          if (typeof got === 'number' && floor !== undefined && got < floor) throw new Error(`${wallet}: version ${got} after ${floor} was acknowledged`);
          if ((got === 'miss' || got === 'expired') && !touches.includes(wallet)) throw new Error(`step ${step}: ${wallet} is resident and was a ${got}`);
        }
      });
      expect(reads).toBeGreaterThan(50);
      world.checkNear();
      for (const wallet of [...before.keys(), ...touches]) expect(world.read(wallet)).toBe(world.acked.get(wallet) ?? 'miss');
    });
  }
});

/** With two switches the second look at the index is interrupted too. */
const pairs = [
  ['remove the first of a run', 'remove in the middle of a run'],
  ['remove, then reuse the slot for another wallet', 'put an update'],
  ['put an update', 'clear and fill again'],
  ['remove and put again', 'remove the first of a run'],
] as const;

describe('the reader is stopped at every two steps, with a whole operation at each', () => {
  for (const [first, second] of pairs) {
    test(`${first}; ${second}`, () => {
      let schedules = 0;
      const maxProfiles = Math.max(...[first, second].map((name) => operations[name].maxProfiles ?? FEW_PROFILES));
      for (const wallet of ['b', 'd']) {
        const touched = [first, second].some((name) => operations[name].touches.includes(wallet));
        for (let stopAt = 1, ended = false; !ended; stopAt++) {
          for (let again = 1, endedAgain = false; !endedAgain; again++) {
            const world = newWorld('reader', maxProfiles);
            fill(world);
            const before = world.acked.get(wallet) as number;
            ended = endedAgain = true;
            const got = world.stepper.run(() => world.read(wallet), (step) => {
              if (step === stopAt) {
                ended = false;
                operations[first].run(world);
              }
              if (step === stopAt + again) {
                endedAgain = false;
                operations[second].run(world);
              }
            });
            schedules++;
            const where = `${wallet}, stopped at steps ${stopAt} and ${stopAt + again}`;
            if (typeof got === 'number') expect(got, where).toBeGreaterThanOrEqual(before);
            else if (got === 'miss') expect(touched, `${where}: missed though resident throughout`).toBe(true);
            world.checkNear();
            expect(world.read(wallet)).toBe(world.acked.get(wallet) ?? 'miss');
          }
        }
      }
      expect(schedules).toBeGreaterThan(100);
    });
  }
});

describe('the reader is stopped at every step and a whole operation runs there', () => {
  for (const [name, { touches, run, maxProfiles = FEW_PROFILES }] of Object.entries(operations)) {
    test(name, () => {
      const targets = name.includes('memory') ? ['a', 'b', 'c', 'd', 'short'] : ['a', 'b', 'c', 'd', 'short', 'absent', ...touches];
      let schedules = 0;
      for (const wallet of new Set(targets)) {
        for (let stopAt = 1, ended = false; !ended; stopAt++) {
          const world = newWorld('reader', maxProfiles);
          fill(world);
          const before = world.acked.get(wallet);
          ended = true;
          const got = world.stepper.run(() => world.read(wallet), (step) => {
            if (step !== stopAt) return;
            ended = false;
            run(world);
          });
          schedules++;
          const after = world.acked.get(wallet);
          const where = `${wallet}, stopped at step ${stopAt}`;
          if (typeof got === 'number') expect(got, where).toBeGreaterThanOrEqual(before ?? 0);
          else if (got === 'expired') expect(after, where).toBe(undefined);
          else if (got === 'miss') expect(before === undefined || touches.includes(wallet), `${where}: missed though resident throughout`).toBe(true);
          world.checkNear();
          expect(world.read(wallet)).toBe(after ?? 'miss');
        }
      }
      expect(schedules).toBeGreaterThan(50);
    });
  }
});
