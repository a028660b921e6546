/**
 * What every L2 store must do, run by each implementation: the rules of src/l2/store.ts, one behaviour a test.
 * The envelopes are real ones of src/codec with bodies that no codec would write.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCacheError } from '../../src/errors.ts';
import type { ChannelSource } from '../../src/channel/source.ts';
import type { DeleteRequest, GetOutcome, L2Store, SetRequest } from '../../src/l2/store.ts';
import { recordEnvelope, tombstoneEnvelope } from './envelopes.ts';

export interface L2StoreContractOptions {
  /** A second handle on what `makeStore` made last, opened: another process as far as the store can tell. */
  makeTwin?: (store: L2Store) => Promise<L2Store>;
  /** A source, not started, that hears what `store` publishes. */
  makeSource?: (store: L2Store) => ChannelSource | Promise<ChannelSource>;
  /** Frees what `makeStore` made; runs after the store is closed. */
  cleanUp?: () => Promise<void>;
  /** Milliseconds that a message may take to arrive. */
  eventDelayMs?: number;
  /** Test name -> why this store does not run it. */
  skip?: Readonly<Record<string, string>>;
}

const LIFE_MS = 60_000;
const CLEARED_BY_5 = { status: 'older', storedVersion: 5, cleared: true };
const BULK_KEYS = 2_000;

/** `makeStore` resolves with an opened store over an empty space of its own. */
export function l2StoreContract(name: string, makeStore: () => Promise<L2Store>, options: L2StoreContractOptions = {}): void {
  describe(`L2 store contract: ${name}`, () => {
    let store: L2Store;
    const closers: Array<() => Promise<void>> = [];
    const test = (title: string, body: () => Promise<void>, needs: 'makeTwin' | 'makeSource' | 'nothing' = 'nothing'): void => {
      const reason = options.skip?.[title] ?? (needs === 'nothing' || options[needs] ? undefined : `no ${needs} given`);
      if (reason === undefined) it(title, body);
      else it.skip(`${title} (${reason})`, body);
    };

    beforeEach(async () => {
      store = await makeStore();
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
      await store.close();
      await options.cleanUp?.();
    });

    const twin = async (): Promise<L2Store> => {
      const other = await options.makeTwin!(store);
      closers.push(() => other.close());
      return other;
    };

    test('answers get, set and delete by index, in the order asked', async () => {
      const wallets = ['c', 'a', 'b'];
      expect(await store.setMany(wallets.map((wallet, i) => set(wallet, i + 1)))).toEqual(wallets.map(() => ({ status: 'stored' })));
      const found = await store.getMany(['b', 'nobody', 'a', 'c']);
      expect(found.map((outcome) => outcome.status)).toEqual(['hit', 'miss', 'hit', 'hit']);
      expectEnvelope(found[0], recordEnvelope('b', 3));
      expectEnvelope(found[2], recordEnvelope('a', 2));
      expectEnvelope(found[3], recordEnvelope('c', 1));
      const deleted = await store.deleteMany([del('a', 1), del('c', 9), del('nobody', 4)]);
      expect(deleted).toEqual([{ status: 'older', storedVersion: 2 }, { status: 'stored' }, { status: 'stored' }]);
      expect((await store.getMany(wallets)).map((outcome) => outcome.status)).toEqual(['miss', 'hit', 'hit']);
    });

    test('an empty batch is an empty answer', async () => {
      expect(await store.getMany([])).toEqual([]);
      expect(await store.setMany([])).toEqual([]);
      expect(await store.deleteMany([])).toEqual([]);
    });

    test('duplicates in one batch are taken one after the other', async () => {
      const outcomes = await store.setMany([set('w', 1), set('w', 3), set('w', 2), set('x', 1), set('w', 4)]);
      expect(outcomes).toEqual([
        { status: 'stored' },
        { status: 'stored' },
        { status: 'older', storedVersion: 3 },
        { status: 'stored' },
        { status: 'stored' },
      ]);
      const found = await store.getMany(['w', 'w', 'w']);
      for (const outcome of found) expectEnvelope(outcome, recordEnvelope('w', 4));
      expect(await store.deleteMany([del('w', 5), del('w', 5), del('w', 6)])).toEqual([
        { status: 'stored' },
        { status: 'older', storedVersion: 5 },
        { status: 'stored' },
      ]);
    });

    test('compare-and-set: an older and an equal version are refused, a newer one wins', async () => {
      expect(await store.setMany([set('w', 1_000_001)])).toEqual([{ status: 'stored' }]);
      expect(await store.setMany([set('w', 1_000_000)])).toEqual([{ status: 'older', storedVersion: 1_000_001 }]);
      expect(await store.setMany([set('w', 1_000_001, 'other')])).toEqual([{ status: 'older', storedVersion: 1_000_001 }]);
      expectEnvelope((await store.getMany(['w']))[0], recordEnvelope('w', 1_000_001));
      expect(await store.setMany([set('w', 1_000_002, 'newer')])).toEqual([{ status: 'stored' }]);
      expectEnvelope((await store.getMany(['w']))[0], recordEnvelope('w', 1_000_002, 'newer'));
    });

    test('versions keep every bit, up to the largest safe integer', async () => {
      const versions = [1, 2 ** 31, 2 ** 32 + 1, 1_795_354_321_123_456, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER];
      for (const version of versions) {
        expect(await store.setMany([set('w', version)])).toEqual([{ status: 'stored' }]);
        expect(await store.setMany([set('w', Math.max(1, version - 1))])).toEqual([{ status: 'older', storedVersion: version }]);
      }
    });

    test('a tombstone blocks older writes, reports its floor, and gives way to a newer write', async () => {
      await store.setMany([set('w', 5)]);
      expect(await store.deleteMany([del('w', 7)])).toEqual([{ status: 'stored' }]);
      expect(await store.getMany(['w'])).toEqual([{ status: 'miss', floor: 7 }]);
      expect(await store.setMany([set('w', 6), set('w', 7)])).toEqual([
        { status: 'older', storedVersion: 7 },
        { status: 'older', storedVersion: 7 },
      ]);
      expect(await store.getMany(['w'])).toEqual([{ status: 'miss', floor: 7 }]);
      expect(await store.setMany([set('w', 8)])).toEqual([{ status: 'stored' }]);
      expectEnvelope((await store.getMany(['w']))[0], recordEnvelope('w', 8));
    });

    test('a delete older than what is stored is refused', async () => {
      await store.setMany([set('w', 5)]);
      expect(await store.deleteMany([del('w', 4), del('w', 5)])).toEqual([
        { status: 'older', storedVersion: 5 },
        { status: 'older', storedVersion: 5 },
      ]);
      expect((await store.getMany(['w']))[0].status).toBe('hit');
    });

    test('a wallet that nobody wrote is a miss without a floor', async () => {
      expect(await store.getMany(['w'])).toEqual([{ status: 'miss' }]);
    });

    test('time to live is honoured, for records and for tombstones', async () => {
      await store.setMany([{ ...set('short', 5), ttlMs: 80 }, set('long', 5)]);
      await store.deleteMany([{ ...del('gone', 5), tombstoneTtlMs: 80 }]);
      expect((await store.getMany(['short', 'long'])).map((outcome) => outcome.status)).toEqual(['hit', 'hit']);
      await sleep(160);
      expect((await store.getMany(['short', 'long', 'gone'])).map((outcome) => outcome.status)).toEqual(['miss', 'hit', 'miss']);
      expect((await store.getMany(['gone']))[0]).toEqual({ status: 'miss' });
      // Expired is absent: an older version may be written again.
      expect(await store.setMany([set('short', 1), set('gone', 1)])).toEqual([{ status: 'stored' }, { status: 'stored' }]);
    });

    test('a newer write brings its own time to live', async () => {
      await store.setMany([{ ...set('w', 1), ttlMs: 80 }]);
      await store.setMany([set('w', 2)]);
      await sleep(160);
      expect((await store.getMany(['w']))[0].status).toBe('hit');
    });

    test(`batches of ${BULK_KEYS} keys: all stored, all found, all deleted`, async () => {
      const wallets = Array.from({ length: BULK_KEYS }, (_, i) => `wallet-${i}`);
      const stored = await store.setMany(wallets.map((wallet, i) => set(wallet, i + 1, 'x'.repeat(1_000))));
      expect(stored.filter((outcome) => outcome.status === 'stored')).toHaveLength(BULK_KEYS);
      const found = await store.getMany(wallets);
      for (const [i, wallet] of wallets.entries()) expectEnvelope(found[i], recordEnvelope(wallet, i + 1, 'x'.repeat(1_000)));
      const deleted = await store.deleteMany(wallets.map((wallet) => del(wallet, BULK_KEYS + 1)));
      expect(deleted.filter((outcome) => outcome.status === 'stored')).toHaveLength(BULK_KEYS);
      expect((await store.getMany(wallets)).filter((outcome) => outcome.status === 'miss')).toHaveLength(BULK_KEYS);
    });

    test('hostile wallets are keys like any other and never meet', async () => {
      const outcomes = await store.setMany(HOSTILE_WALLETS.map((wallet, i) => set(wallet, i + 1)));
      expect(outcomes).toEqual(HOSTILE_WALLETS.map(() => ({ status: 'stored' })));
      const found = await store.getMany(HOSTILE_WALLETS);
      for (const [i, wallet] of HOSTILE_WALLETS.entries()) expectEnvelope(found[i], recordEnvelope(wallet, i + 1));
      await store.deleteMany([del(HOSTILE_WALLETS[0], 100)]);
      const after = await store.getMany(HOSTILE_WALLETS);
      expect(after.map((outcome) => outcome.status)).toEqual(HOSTILE_WALLETS.map((_, i) => (i === 0 ? 'miss' : 'hit')));
    });

    test('envelopes come back byte for byte', async () => {
      const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
      const large = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 2_654_435_761) >>> 24);
      const bodies = [Uint8Array.of(0), everyByte, large, new Uint8Array(64), new Uint8Array(64).fill(255)];
      await store.setMany(bodies.map((body, i) => ({ ...set(`w${i}`, 1), envelope: recordEnvelope(`w${i}`, 1, body) })));
      const found = await store.getMany(bodies.map((_, i) => `w${i}`));
      for (const [i, body] of bodies.entries()) expectEnvelope(found[i], recordEnvelope(`w${i}`, 1, body));
    });

    test('the store keeps no hold on buffers given to it, and hands out private ones', async () => {
      const request = set('w', 1);
      const pristine = request.envelope.slice();
      await store.setMany([request]);
      request.envelope.fill(0xee);
      const [first, second] = await store.getMany(['w', 'w']);
      expectEnvelope(first, pristine);
      if (first.status === 'hit') first.envelope.fill(0xdd);
      expectEnvelope(second, pristine);
      await store.setMany([set('x', 1)]);
      expectEnvelope(second, pristine);
      expectEnvelope((await store.getMany(['w']))[0], pristine);
    });

    test('blobs: the first writer wins and everybody gets what is stored', async () => {
      expect(await store.getBlob('table/1')).toBeUndefined();
      const first = Uint8Array.of(0, 1, 2, 255);
      expect(bytes(await store.putBlobIfAbsent('table/1', first))).toEqual(bytes(first));
      expect(bytes(await store.putBlobIfAbsent('table/1', Uint8Array.of(9)))).toEqual(bytes(first));
      expect(bytes(await store.getBlob('table/1'))).toEqual(bytes(first));
      expect(await store.getBlob('table/2')).toBeUndefined();
      // A blob is no profile, whatever its name.
      expect((await store.getMany(['table/1']))[0].status).toBe('miss');
    });

    test('leases: one holder, freed by its token alone, and never longer than asked', async () => {
      expect(await store.acquireLease('w', 'one', LIFE_MS)).toBe(true);
      expect(await store.acquireLease('w', 'two', LIFE_MS)).toBe(false);
      expect(await store.acquireLease('other', 'two', LIFE_MS)).toBe(true);
      await store.releaseLease('w', 'two');
      expect(await store.acquireLease('w', 'two', LIFE_MS)).toBe(false);
      await store.releaseLease('w', 'one');
      expect(await store.acquireLease('w', 'two', 80)).toBe(true);
      expect(await store.acquireLease('w', 'three', LIFE_MS)).toBe(false);
      await sleep(160);
      expect(await store.acquireLease('w', 'three', LIFE_MS)).toBe(true);
      // The late release of an expired holder must not free the new one.
      await store.releaseLease('w', 'two');
      expect(await store.acquireLease('w', 'four', LIFE_MS)).toBe(false);
      // Who holds it renews it, and holds it for so long from then on.
      await store.releaseLease('w', 'three');
      expect(await store.acquireLease('w', 'five', 150)).toBe(true);
      expect(await store.acquireLease('w', 'five', LIFE_MS)).toBe(true);
      await sleep(250);
      expect(await store.acquireLease('w', 'six', LIFE_MS)).toBe(false);
      // A lease is no profile.
      expect(await store.getMany(['w'])).toEqual([{ status: 'miss' }]);
    });

    test('clear removes profiles up to its version and nothing else', async () => {
      await store.setMany([set('old', 1), set('same', 5), set('new', 6)]);
      await store.putBlobIfAbsent('table', Uint8Array.of(1, 2));
      await store.acquireLease('lease', 'holder', LIFE_MS);
      await store.clear(5);
      expect((await store.getMany(['old', 'same', 'new'])).map((outcome) => outcome.status)).toEqual(['miss', 'miss', 'hit']);
      expect(bytes(await store.getBlob('table'))).toEqual([1, 2]);
      expect(await store.acquireLease('lease', 'thief', LIFE_MS)).toBe(false);
      expect(await store.setMany([set('old', 7)])).toEqual([{ status: 'stored' }]);
    });

    test('a write that is on its way during a clear does not arrive after it', async () => {
      const other = await twin();
      await store.setMany([set('new', 6)]);
      await store.clear(5);
      const late = Array.from({ length: 40 }, (_, i) => set(`late${i}`, i % 2 === 0 ? 5 : 4));
      for (const outcome of await other.setMany(late)) expect(outcome).toEqual(CLEARED_BY_5);
      expect(await other.deleteMany([del('late0', 3)])).toEqual([CLEARED_BY_5]);
      expect(await other.setMany([set('new', 4), set('late1', 6)])).toEqual([{ status: 'older', storedVersion: 6 }, { status: 'stored' }]);
      // An older clear lowers nothing.
      await store.clear(2);
      expect(await other.setMany([set('late2', 4)])).toEqual([CLEARED_BY_5]);
    });

    test('a clear tells the highest version that it left, and a newer clear that it met', async () => {
      await store.setMany([set('old', 1), set('new', 7), set('newest', 9)]);
      await store.deleteMany([del('deleted', 20)]);
      expect(await store.clear(5)).toBe(9);
      expect(await store.clear(12)).toBe(0);
      expect((await store.getMany(['old', 'new', 'newest'])).map((outcome) => outcome.status)).toEqual(['miss', 'miss', 'miss']);
      expect(await store.clear(8)).toBe(12);
    });

    test('who does not know of a clear is refused, whatever the version', async () => {
      const other = await twin();
      await store.setMany([set('new', 6)]);
      expect(await other.clearFloor()).toBe(0);
      expect(await other.setMany([set('none yet', 1)], undefined, 0)).toEqual([{ status: 'stored' }]);
      await store.clear(5);
      expect(await other.clearFloor()).toBe(5);
      expect(await other.setMany([set('ahead', 100), set('new', 101)], undefined, 4)).toEqual([CLEARED_BY_5, CLEARED_BY_5]);
      expect(await other.deleteMany([del('new', 102)], undefined, 4)).toEqual([CLEARED_BY_5]);
      expect((await store.getMany(['ahead', 'new'])).map((outcome) => outcome.status)).toEqual(['miss', 'hit']);
      expect(await other.setMany([set('ahead', 100), set('new', 101)], undefined, 5)).toEqual([{ status: 'stored' }, { status: 'stored' }]);
      expect(await other.deleteMany([del('new', 102)], undefined, 6)).toEqual([{ status: 'stored' }]);
    });

    test('an event goes out with the write that takes effect, and only then', async () => {
      const heard = await listen(await options.makeSource!(store), options.eventDelayMs);
      closers.push(heard.close);
      await store.setMany([{ ...set('w', 5), event: 'set 5' }, { ...set('w', 4), event: 'set 4 refused' }, set('quiet', 1)]);
      await store.deleteMany([{ ...del('w', 3), event: 'delete 3 refused' }, { ...del('w', 6), event: 'delete 6' }]);
      await store.setMany([{ ...set('w', 6), event: 'set 6 refused' }]);
      await store.clear(2, 'clear 2');
      await store.publish('published: é 🚀 \n "quoted"');
      expect(await heard.until('published: é 🚀 \n "quoted"')).toEqual(['clear 2', 'delete 6', 'published: é 🚀 \n "quoted"', 'set 5']);
      expect(heard.gaps).toEqual([]);
    }, 'makeSource');

    test('another handle sees writes, refuses older ones, and its events are heard', async () => {
      const other = await twin();
      await store.setMany([set('w', 5)]);
      expectEnvelope((await other.getMany(['w']))[0], recordEnvelope('w', 5));
      expect(await other.setMany([set('w', 4)])).toEqual([{ status: 'older', storedVersion: 5 }]);
      expect(await other.deleteMany([del('w', 6)])).toEqual([{ status: 'stored' }]);
      expect(await store.getMany(['w'])).toEqual([{ status: 'miss', floor: 6 }]);
      expect(await store.setMany([set('w', 5)])).toEqual([{ status: 'older', storedVersion: 6 }]);
      const blobs = await Promise.all([store.putBlobIfAbsent('b', Uint8Array.of(1)), other.putBlobIfAbsent('b', Uint8Array.of(2))]);
      expect(bytes(blobs[0])).toEqual(bytes(blobs[1]));
      const leases = await Promise.all([store.acquireLease('w', 'one', LIFE_MS), other.acquireLease('w', 'two', LIFE_MS)]);
      expect(leases.filter(Boolean)).toHaveLength(1);
      if (!options.makeSource) return;
      const heard = await listen(await options.makeSource(store), options.eventDelayMs);
      closers.push(heard.close);
      await other.setMany([{ ...set('w', 7), event: 'from the other' }]);
      await other.publish('end');
      expect(await heard.until('end')).toEqual(['end', 'from the other']);
    }, 'makeTwin');

    test('racing writers of one wallet end with the newest, whoever was last', async () => {
      const other = await twin();
      const versions = Array.from({ length: 60 }, (_, i) => ((i * 37) % 60) + 1);
      await Promise.all(versions.map((version, i) => (i % 2 ? store : other).setMany([set('w', version)])));
      expectEnvelope((await store.getMany(['w']))[0], recordEnvelope('w', 60));
      expectEnvelope((await other.getMany(['w']))[0], recordEnvelope('w', 60));
    }, 'makeTwin');

    test('health names its nodes and the slots they cover', async () => {
      const health = await store.health();
      expect(health.kind).toBe(store.kind);
      expect(health.reachable).toBe(true);
      expect(health.slotsCovered).toBe(16_384);
      expect(health.nodes.length).toBeGreaterThan(0);
      for (const node of health.nodes) {
        expect(node.node).not.toBe('');
        expect(node.reachable).toBe(true);
        expect(node.latencyMs).toBeGreaterThanOrEqual(0);
        expect(['master', 'replica', 'standalone', 'embedded']).toContain(node.role);
      }
      expect(Math.abs(store.nowMs() - Date.now())).toBeLessThan(5_000);
    });

    test('close is idempotent; what comes after it fails, typed, key by key', async () => {
      await store.setMany([set('w', 1)]);
      await store.close();
      await store.close();
      const outcomes = [
        ...(await store.getMany(['w', 'x'])),
        ...(await store.setMany([set('w', 2)])),
        ...(await store.deleteMany([del('w', 3)])),
      ];
      expect(outcomes).toHaveLength(4);
      for (const outcome of outcomes) {
        expect(outcome.status).toBe('failed');
        if (outcome.status === 'failed') expect(outcome.error).toBeInstanceOf(ProfileCacheError);
      }
      for (const call of [store.clear(1), store.publish('x'), store.getBlob('b'), store.acquireLease('w', 't', 1), store.releaseLease('w', 't')]) {
        await expect(call).rejects.toBeInstanceOf(ProfileCacheError);
      }
      await expect(store.putBlobIfAbsent('b', Uint8Array.of(1))).rejects.toBeInstanceOf(ProfileCacheError);
      expect((await store.health()).reachable).toBe(false);
    });
  });
}

export const HOSTILE_WALLETS: readonly string[] = [
  '__proto__', 'constructor', 'toString', '{a}b', '{a}c', '{}', 'a:b', 'a', 'A', 'a ', ' a', 'a\0', 'a\0b', '\0', 'line\nbreak', 'line\r\nbreak',
  '🦊🚀', '\u00e9', 'e\u0301', '%', '_', '*', '?', '[a-z]', "'; DROP TABLE records; --", '../../etc/passwd', '/', '.', 'x'.repeat(1_024), 'x'.repeat(1_023), '€'.repeat(341),
];

function set(wallet: string, version: number, body: string | Uint8Array = 'body'): SetRequest {
  return { wallet, version, envelope: recordEnvelope(wallet, version, body), ttlMs: LIFE_MS };
}

function del(wallet: string, version: number): DeleteRequest {
  return { wallet, version, tombstone: tombstoneEnvelope(wallet, version), tombstoneTtlMs: LIFE_MS };
}

const bytes = (from: Uint8Array | undefined): number[] | undefined => from && [...from];

function expectEnvelope(outcome: GetOutcome, envelope: Uint8Array): void {
  expect(outcome.status).toBe('hit');
  // Buffer.compare: toEqual on thousands of kilobyte arrays takes seconds.
  if (outcome.status === 'hit' && Buffer.compare(outcome.envelope, envelope) !== 0) expect([...outcome.envelope]).toEqual([...envelope]);
}

interface Heard {
  /** Sorted messages heard until `last` has come: nodes of a cluster promise no order among each other. */
  until(last: string): Promise<string[]>;
  gaps: string[];
  close(): Promise<void>;
}

async function listen(source: ChannelSource, eventDelayMs = 2_000): Promise<Heard> {
  const messages: string[] = [];
  const gaps: string[] = [];
  await source.start({ onMessage: (text) => messages.push(text), onGap: (reason) => gaps.push(reason) });
  return {
    gaps,
    close: () => source.close(),
    async until(last) {
      const deadlineMs = performance.now() + eventDelayMs;
      while (!messages.includes(last) && performance.now() < deadlineMs) await sleep(5);
      // What should not come gets its chance to come.
      await sleep(50);
      return [...messages].sort();
    },
  };
}
