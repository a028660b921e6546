/** The index as a file: an old, foreign or damaged one never changes an answer, it only saves reading the log. */
import fc from 'fast-check';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readVersion } from '../../src/codec/envelope.ts';
import { packRecord, packTombstone } from '../../src/codec/transcode.ts';
import { EmbeddedStore } from '../../src/l2/embedded-store.ts';
import type { DeleteRequest, SetRequest } from '../../src/l2/store.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { embeddedOptions } from '../support/tmp-store.ts';

let folder: ReturnType<typeof makeTmpFolder>;
const stores: EmbeddedStore[] = [];
beforeEach(() => {
  folder = makeTmpFolder('snapshot');
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

const file = (path = folder.path) => join(path, 'index.snapshot');
const segments = (path = folder.path) => readdirSync(join(path, 'segments')).map((name) => join(path, 'segments', name));

async function open(more: { path?: string; maxBytes?: number; snapshotAfterBytes?: number; sweepIntervalMs?: number } = {}): Promise<EmbeddedStore> {
  const { path = folder.path, snapshotAfterBytes = 1, ...options } = more;
  const store = new EmbeddedStore(embeddedOptions(path, { maxBytes: 16 << 20, sweepIntervalMs: 3_600_000, ...options }), { channelName: 'test', snapshotAfterBytes });
  await store.open();
  stores.push(store);
  return store;
}

const set = (wallet: string, version: number): SetRequest => ({
  wallet, version, ttlMs: 600_000,
  envelope: packRecord({ wallet, raw: Buffer.from(`${wallet}|${version}|`.repeat(1 + (version % 40))), schemaId: 0, version, createdAtMs: 1, expiresAtMs: 0 }, 'none'),
});
const del = (wallet: string, version: number): DeleteRequest => ({ wallet, version, tombstone: packTombstone(wallet, version, 1, 0), tombstoneTtlMs: 600_000 });
const wallets = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`);
const restored = async (store: EmbeddedStore) => (await store.health()).indexSnapshot!;

/** Versions read; bytes that are not those of that version throw. */
async function versions(store: EmbeddedStore, of: readonly string[]): Promise<number[]> {
  return (await store.getMany(of)).map((outcome, i) => {
    if (outcome.status === 'failed') throw outcome.error;
    if (outcome.status === 'miss') return 0;
    const version = readVersion(outcome.envelope)!;
    if (Buffer.compare(outcome.envelope, set(of[i], version).envelope) !== 0) throw new Error(`${of[i]}: wrong bytes`);
    return version;
  });
}

describe('snapshot of the index', () => {
  test('a close leaves one; who opens next has every record from it, tombstones and the bound of a clear too', async () => {
    const writer = await open();
    await writer.setMany(wallets(500).map((wallet) => set(wallet, 5)));
    await writer.clear(6);
    await writer.setMany(wallets(300).map((wallet) => set(wallet, 7)));
    await writer.deleteMany([del('w0', 8)]);
    await writer.close();
    const reader = await open();
    expect(await restored(reader)).toEqual({ restored: 300, damaged: 0 });
    expect(await versions(reader, wallets(500))).toEqual([0, ...Array<number>(299).fill(7), ...Array<number>(200).fill(0)]);
    expect(await reader.setMany([set('w0', 8), set('w400', 6), set('w400', 7)])).toMatchObject([{ status: 'older', storedVersion: 8 }, { status: 'older' }, { status: 'stored' }]);
    expect((await reader.health()).bytes).toBe(segments().reduce((sum, path) => sum + statSync(path).size, statSync(file()).size));
  });

  test('is written again only when enough of the log is not in it', async () => {
    const writer = await open({ snapshotAfterBytes: 100_000 });
    await writer.setMany(wallets(50).map((wallet) => set(wallet, 1)));
    await writer.close();
    expect(existsSync(file())).toBe(false);
    const second = await open({ snapshotAfterBytes: 100_000 });
    await second.setMany(wallets(500).map((wallet) => set(wallet, 39)));
    await second.close();
    const { mtimeMs } = statSync(file());
    const third = await open({ snapshotAfterBytes: 100_000 });
    expect((await restored(third)).restored).toBe(500);
    await third.setMany([set('w1', 40)]);
    await third.close();
    expect(statSync(file()).mtimeMs).toBe(mtimeMs);
    expect(await versions(await open(), ['w0', 'w1'])).toEqual([39, 40]);
  });

  test('without an option, a megabyte of log is enough at a close', async () => {
    const store = new EmbeddedStore(embeddedOptions(folder.path), { channelName: 'test' });
    await store.open();
    for (let version = 1; version <= 4; version++) await store.setMany(wallets(2_000).map((wallet) => set(wallet, 39 * version)));
    await store.close();
    expect(await restored(await open())).toEqual({ restored: 2_000, damaged: 0 });
  });

  test('is written while open, too: who opens after a kill reads the log only from there', async () => {
    const writer = await open({ sweepIntervalMs: 10 });
    await writer.setMany(wallets(100).map((wallet) => set(wallet, 1)));
    while (!existsSync(file())) await sleep(5);
    const early = readFileSync(file());
    await writer.setMany([set('w1', 2), set('new', 2)]);
    // The writer is still there, as far as its files tell; nobody has closed anything.
    writeFileSync(file(), early);
    const reader = await open();
    expect((await restored(reader)).restored).toBe(100);
    expect(await versions(reader, ['w0', 'w1', 'new'])).toEqual([1, 2, 2]);
  });

  test('a record that was overtaken by one that is gone does not come back', async () => {
    const first = await open();
    await first.setMany(wallets(10).map((wallet) => set(wallet, 1)));
    await first.close();
    const before = segments();
    const second = await open({ snapshotAfterBytes: Infinity });
    await second.setMany([set('w3', 2)]);
    await second.close();
    for (const path of segments()) if (!before.includes(path)) rmSync(path);
    // The snapshot of the first is older than the second's mark.
    const both = [await open({ snapshotAfterBytes: Infinity })];
    expect((await restored(both[0])).restored).toBe(10);
    rmSync(file());
    both.push(await open());
    for (const store of both) expect(await versions(store, ['w2', 'w3', 'w4'])).toEqual([1, 0, 1]);
  });

  test('takes at most a sixteenth of the store', async () => {
    const writer = await open({ maxBytes: 1 << 20 });
    await writer.setMany(Array.from({ length: 2_000 }, (_, i) => set(`t${i}`, 40)));
    await writer.close();
    expect(existsSync(file())).toBe(false);
  });

  test('what a killed writer left of one is removed after a minute', async () => {
    const left = join(folder.path, 'index.tmp-0123');
    const young = join(folder.path, 'index.tmp-4567');
    for (const path of [left, young]) writeFileSync(path, 'x');
    utimesSync(left, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000));
    await open();
    expect([existsSync(left), existsSync(young)]).toEqual([false, true]);
  });
});

describe('a snapshot that is not what it was', () => {
  const COUNT = 400;
  async function filled(): Promise<Buffer> {
    const writer = await open();
    await writer.setMany(wallets(COUNT).map((wallet) => set(wallet, 3)));
    await writer.deleteMany([del('w7', 4)]);
    await writer.close();
    return readFileSync(file());
  }
  const expected = wallets(COUNT).map((wallet) => (wallet === 'w7' ? 0 : 3));

  test('one flipped bit anywhere: it is passed over, counted, and every answer stands', async () => {
    const whole = await filled();
    await fc.assert(fc.asyncProperty(fc.nat(whole.length * 8 - 1), async (bit) => {
      const bytes = Buffer.from(whole);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(file(), bytes);
      const store = await open({ snapshotAfterBytes: Infinity });
      expect(await restored(store)).toEqual({ restored: 0, damaged: 1 });
      expect(await versions(store, wallets(COUNT))).toEqual(expected);
      await store.close();
    }), { numRuns: 60 });
  });

  test.each<[string, (whole: Buffer) => void]>([
    ['cut', (whole) => writeFileSync(file(), whole.subarray(0, whole.length - 40))],
    ['empty', () => writeFileSync(file(), '')],
    ['longer than it says', (whole) => writeFileSync(file(), Buffer.concat([whole, Buffer.alloc(45)]))],
    ['larger than any', () => closeSync(sparse(2 ** 33))],
    ['of another kind', () => writeFileSync(file(), Buffer.alloc(5_000, 'profile'))],
    ['a folder', () => {
      rmSync(file());
      mkdirSync(file());
    }],
    ['a link', (whole) => {
      writeFileSync(join(folder.path, 'elsewhere'), whole);
      rmSync(file());
      symlinkSync(join(folder.path, 'elsewhere'), file());
    }],
  ])('%s: passed over, counted, and the next one takes its place', async (_what, harm) => {
    harm(await filled());
    const store = await open();
    expect(await restored(store)).toEqual({ restored: 0, damaged: 1 });
    expect(await versions(store, wallets(COUNT))).toEqual(expected);
    await store.setMany([set('w1', 9)]);
    await store.close();
    expect(await restored(await open())).toEqual({ restored: COUNT, damaged: 0 });
  });

  function sparse(bytes: number): number {
    const fd = openSync(file(), 'w');
    writeSync(fd, Buffer.from([0]), 0, 1, bytes - 1);
    return fd;
  }

  test('of a file that was cut since: that file is read from its start', async () => {
    await filled();
    const [segment] = segments();
    const bytes = readFileSync(segment);
    writeFileSync(segment, bytes.subarray(0, bytes.length - 100));
    const store = await open({ snapshotAfterBytes: Infinity });
    expect(await restored(store)).toEqual({ restored: 0, damaged: 0 });
    // The last batch was cut through: the deletion, or its mark alone.
    expect((await versions(store, wallets(COUNT))).filter((version) => version === 3).length).toBeGreaterThanOrEqual(COUNT - 1);
  });
});

type Act = { do: 'set' | 'delete'; wallet: number; by: 0 | 1 } | { do: 'clear' | 'reopen' | 'keep'; by: 0 | 1 };

test('any history, opened with any snapshot it ever had: the answers of the log alone', { timeout: 120_000 }, async () => {
  const who = fc.constantFrom<0 | 1>(0, 1);
  const act: fc.Arbitrary<Act> = fc.oneof(
    { weight: 12, arbitrary: fc.record({ do: fc.constant('set' as const), wallet: fc.nat(11), by: who }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), wallet: fc.nat(11), by: who }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), by: who }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('reopen' as const), by: who }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('keep' as const), by: who }) },
  );
  let kept = 0;
  await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 60 }), async (acts) => {
    const home = makeTmpFolder('snapshot-history');
    const own = { path: home.path, maxBytes: 1 << 20 };
    try {
      const both = [await open(own), await open(own)];
      const old: Buffer[] = [];
      let version = 0;
      for (const step of acts) {
        const store = both[step.by];
        version++;
        if (step.do === 'set') await store.setMany([set(`h${step.wallet}`, version)]);
        else if (step.do === 'delete') await store.deleteMany([del(`h${step.wallet}`, version)]);
        else if (step.do === 'clear') await store.clear(version);
        else if (step.do === 'reopen') {
          await store.close();
          both[step.by] = await open(own);
        } else if (existsSync(file(home.path))) old.push(readFileSync(file(home.path)));
      }
      const names = Array.from({ length: 12 }, (_, i) => `h${i}`);
      for (const store of both) await store.close();
      rmSync(file(home.path), { force: true });
      const plain = await open({ ...own, snapshotAfterBytes: Infinity });
      const answers = await versions(plain, names);
      await plain.close();
      for (const [i, snapshot] of old.entries()) {
        const copy = join(home.path, `copy-${i}`);
        mkdirSync(join(copy, 'segments'), { recursive: true, mode: 0o700 });
        for (const path of segments(home.path)) copyFileSync(path, join(copy, 'segments', path.slice(path.lastIndexOf('/') + 1)));
        writeFileSync(file(copy), snapshot);
        const store = await open({ ...own, path: copy, snapshotAfterBytes: Infinity });
        if ((await restored(store)).restored > 0) kept++;
        expect(await versions(store, names)).toEqual(answers);
        await store.close();
      }
    } finally {
      home.remove();
    }
  }), { numRuns: 60 });
  // Else the snapshots were all empty, and nothing was tried.
  expect(kept).toBeGreaterThan(5);
});
