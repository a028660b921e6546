/** One task at a time, in this thread, against stores that answer what the test says. */
import { afterEach, describe, expect, test } from 'vitest';
import { packRecord, packTombstone } from '../../src/codec/transcode.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import type { Clock } from '../../src/clock.ts';
import type { GetOutcome, L2Store } from '../../src/l2/store.ts';
import { ChunkReader, InboxView, STATUS, makeInbox } from '../../src/workers-pool/inbox.ts';
import { REOPEN_PAUSE_MS, StoreSlot } from '../../src/workers-pool/store-slot.ts';
import { TaskRunner } from '../../src/workers-pool/task-runner.ts';
import { MemoryStore, makeMemoryStoreData } from '../support/memory-store.ts';

const settings = { compression: 'lz4', maxProfileBytes: 100_000, rememberedMs: 60_000, graceMs: 0, maxSpillBytes: 10_000 } as const;
const inbox = new InboxView(makeInbox(2, 4096));

class TestClock implements Clock {
  now = 1_000;
  monotonicMs = () => this.now;
  wallMs = () => Date.now();
}

function runnerOf(store: L2Store, clock: TestClock = new TestClock()) {
  const slot = new StoreSlot(async () => store, clock);
  return { runner: new TaskRunner(slot, inbox, settings, clock), clock, slot };
}

/** A store that answers reads with these envelopes. */
function storeOf(rows: Record<string, Uint8Array | GetOutcome>): L2Store {
  const store = new MemoryStore(makeMemoryStoreData(4096));
  store.getMany = async (wallets) => wallets.map((wallet): GetOutcome => (rows[wallet] instanceof Uint8Array ? { status: 'hit', envelope: rows[wallet] } : ((rows[wallet] as GetOutcome) ?? { status: 'miss' })));
  return store;
}

const envelopeOf = (wallet: string, raw: Uint8Array, over = {}) => packRecord({ wallet, raw, schemaId: 3, version: 9, createdAtMs: Date.now(), expiresAtMs: Date.now() + 5_000, ...over }, 'lz4');
const get = (wallets: string[], deadlineMs = 10_000) => ({ op: 'get', seq: 77, deadlineMs, wallets, chunk: 1, graceMs: 0 }) as const;

afterEach(() => void inbox.u8.fill(0));

describe('reading', () => {
  test('leaves one outcome for each wallet: hit, miss, tombstone, damaged, foreign, expired, failed', async () => {
    const raw = Buffer.from('some profile '.repeat(20));
    const damaged = envelopeOf('damaged', raw);
    damaged[damaged.length - 3] ^= 1;
    const rows = {
      hit: envelopeOf('hit', raw),
      damaged,
      swapped: envelopeOf('another', raw),
      foreign: Buffer.from('{"json":true}'),
      expired: envelopeOf('expired', raw, { expiresAtMs: Date.now() - 1 }),
      deleted: packTombstone('deleted', 12, Date.now(), Date.now() + 1000),
      floor: { status: 'miss', floor: 4 } as const,
      failed: { status: 'failed', error: new ProfileCacheError('ERR_L2_UNAVAILABLE', 'node down', { node: 'h:1' }) } as const,
    };
    const wallets = [...Object.keys(rows), 'absent'];
    const { runner } = runnerOf(storeOf(rows));
    const { reply } = await runner.run(get(wallets));
    const reader = new ChunkReader(inbox, 1);
    expect(reader.answers(77, wallets.length)).toBe(true);
    expect(Object.fromEntries(wallets.map((wallet, i) => [wallet, reader.status(i)]))).toEqual({
      hit: STATUS.hit,
      damaged: STATUS.corrupt,
      swapped: STATUS.corrupt,
      foreign: STATUS.corrupt,
      // Not to be had, yet nothing older may be believed.
      expired: STATUS.missFloor,
      deleted: STATUS.missFloor,
      floor: STATUS.missFloor,
      failed: STATUS.failed,
      absent: STATUS.miss,
    });
    expect(Buffer.from(reader.raw(0)).toString()).toBe(raw.toString());
    expect([reader.schemaId(0), reader.version(0)]).toEqual([3, 9]);
    // 5 s of life, told on the monotonic clock of the test.
    expect(reader.deadlineMs(0)).toBeGreaterThan(5_500);
    expect(reader.deadlineMs(0)).toBeLessThanOrEqual(6_001);
    expect([reader.version(5), reader.version(6)]).toEqual([12, 4]);
    expect(reply).toEqual({ is: 'read', errors: [expect.objectContaining({ code: 'ERR_L2_UNAVAILABLE', node: 'h:1', message: 'node down' })] });
  });

  test('what does not fit is spilled, and past the spill asked for again', async () => {
    const rows = Object.fromEntries([1, 2, 3, 4].map((n) => [`w${n}`, envelopeOf(`w${n}`, Buffer.alloc(6_000, n))]));
    const { runner } = runnerOf(storeOf(rows));
    const { reply, transfer } = await runner.run(get(['w1', 'w2', 'w3', 'w4']));
    const reader = new ChunkReader(inbox, 1);
    expect([0, 1, 2, 3].map((i) => reader.status(i))).toEqual([STATUS.spilled, STATUS.again, STATUS.again, STATUS.again]);
    if (reply.is !== 'read') throw new Error(reply.is);
    expect(reply.spill).toEqual([new Uint8Array(6_000).fill(1)]);
    // Moved, not cloned: a buffer of exactly its own bytes.
    expect(transfer.map(({ byteLength }) => byteLength)).toEqual([6_000]);
  });

  test('a record larger than the spill still comes: progress is certain', async () => {
    const { runner } = runnerOf(storeOf({ big: envelopeOf('big', Buffer.alloc(50_000, 1)) }));
    const { reply } = await runner.run(get(['big']));
    expect(reply.is === 'read' && reply.spill?.[0].length).toBe(50_000);
  });

  test('the same error of many wallets travels once', async () => {
    const failed = (node: string) => ({ status: 'failed', error: new ProfileCacheError('ERR_L2_UNAVAILABLE', 'down', { node }) }) as const;
    const { runner } = runnerOf(storeOf({ a: failed('n1'), b: failed('n1'), c: failed('n2') }));
    const { reply } = await runner.run(get(['a', 'b', 'c']));
    expect(reply.is === 'read' && reply.errors?.map(({ node }) => node)).toEqual(['n1', 'n2']);
    expect([0, 1, 2].map((i) => new ChunkReader(inbox, 1).where(i))).toEqual([0, 0, 1]);
  });

  test('is not begun after its deadline, and not unpacked when the deadline passed meanwhile', async () => {
    const data = makeMemoryStoreData(4096);
    const store = new MemoryStore(data);
    const { runner, clock } = runnerOf(store);
    let asked = 0;
    store.getMany = async () => {
      asked++;
      clock.now = 20_000;
      return [{ status: 'miss' }];
    };
    expect((await runner.run(get(['w'], 1_000))).reply).toEqual({ is: 'late' });
    expect(asked).toBe(0);
    expect((await runner.run(get(['w'], 10_000))).reply).toEqual({ is: 'late' });
    expect(asked).toBe(1);
    // The late worker left no answer behind.
    expect(new ChunkReader(inbox, 1).answers(77, 1)).toBe(false);
  });

  test('a store that throws is an answer, with its code', async () => {
    const store = storeOf({});
    store.getMany = async () => {
      throw Object.assign(new Error('no'), { code: 'ERR_L2_AUTH' });
    };
    expect((await runnerOf(store).runner.run(get(['w']))).reply).toMatchObject({ is: 'failed', error: { code: 'ERR_L2_AUTH' } });
  });
});

describe('writing', () => {
  test('packs, stores by version, and tells which were refused', async () => {
    const { runner } = runnerOf(new MemoryStore(makeMemoryStoreData()));
    const bytes = new Uint8Array(Buffer.from('aaabbbbb'));
    const set = (versions: number[]) =>
      ({ op: 'set', seq: 1, deadlineMs: 10_000, wallets: ['a', 'fail:b'], numbers: Float64Array.from(versions.flatMap((version, i) => [1, version, 1000, [3, 5][i]])), bytes, events: ['e', undefined] }) as const;
    expect((await runner.run(set([5, 5]))).reply).toMatchObject({ is: 'written', failed: [1, 0], errors: [{ code: 'ERR_L2_UNAVAILABLE' }] });
    expect((await runner.run(set([4, 5]))).reply).toMatchObject({ is: 'written', older: [0, 5] });
    await runner.run(get(['a']));
    expect(Buffer.from(new ChunkReader(inbox, 1).raw(0)).toString()).toBe('aaa');
    expect((await runner.run({ op: 'delete', seq: 2, deadlineMs: 10_000, wallets: ['a'], versions: Float64Array.of(6) })).reply).toEqual({ is: 'written' });
    await runner.run(get(['a']));
    expect([new ChunkReader(inbox, 1).status(0), new ChunkReader(inbox, 1).version(0)]).toEqual([STATUS.missFloor, 6]);
  });

  test('does not begin to write after the deadline', async () => {
    const store = new MemoryStore(makeMemoryStoreData());
    const { runner } = runnerOf(store);
    const task = { op: 'set', seq: 1, deadlineMs: 500, wallets: ['a'], numbers: Float64Array.of(1, 5, 1000, 1), bytes: new Uint8Array(1) } as const;
    expect((await runner.run(task)).reply).toEqual({ is: 'late' });
    expect(await store.getMany(['a'])).toEqual([{ status: 'miss' }]);
  });
});

describe('the store of the thread', () => {
  test('is opened again after a failure, not before a pause, and the failed one is closed', async () => {
    const clock = new TestClock();
    const data = { ...makeMemoryStoreData(4096), failOpen: { code: 'ERR_L2_AUTH', nths: [0] } };
    const made: MemoryStore[] = [];
    const slot = new StoreSlot(async () => {
      made.push(new MemoryStore(data));
      return made[made.length - 1];
    }, clock);
    const code = (promise: Promise<unknown>) => promise.then(() => 'open', (error: ProfileCacheError) => error.code);
    expect(await code(slot.get(Infinity))).toBe('ERR_L2_AUTH');
    expect(await code(slot.get(Infinity))).toBe('ERR_L2_AUTH');
    expect(made).toHaveLength(1);
    expect(new Int32Array(data.control)[1]).toBe(1);
    clock.now += REOPEN_PAUSE_MS;
    expect(await code(slot.get(Infinity))).toBe('open');
    expect(made).toHaveLength(2);
    await slot.close();
    expect(new Int32Array(data.control)[1]).toBe(2);
    expect(await code(slot.get(Infinity))).toBe('ERR_CLOSED');
  });

  test('a task waits for it no longer than its deadline; the attempt goes on for the next', async () => {
    const clock = new TestClock();
    const slot = new StoreSlot(async () => new MemoryStore({ ...makeMemoryStoreData(4096), openMs: 100 }), clock);
    await expect(slot.get(clock.now + 10)).rejects.toMatchObject({ code: 'ERR_L2_UNAVAILABLE' });
    await expect(slot.get(clock.now + 5_000)).resolves.toBeInstanceOf(MemoryStore);
  });
});
