/** A full disk, the size bound, expiry, and folders that are refused. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { readVersion } from '../../src/codec/envelope.ts';
import { EmbeddedStore } from '../../src/l2/embedded-store.ts';
import type { EmbeddedL2Options } from '../../src/options.ts';
import { recordEnvelope, tombstoneEnvelope } from '../contract/envelopes.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { embeddedOptions } from '../support/tmp-store.ts';

const MIB = 1024 * 1024;
const LIFE_MS = 600_000;

let folder: ReturnType<typeof makeTmpFolder>;
let skewMs = 0;
const stores: EmbeddedStore[] = [];

beforeEach(() => {
  folder = makeTmpFolder('limits');
  skewMs = 0;
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

async function open(path: string, more: Partial<EmbeddedL2Options> = {}): Promise<EmbeddedStore> {
  const clock = { monotonicMs: () => systemClock.monotonicMs(), wallMs: () => Date.now() + skewMs };
  const store = new EmbeddedStore(embeddedOptions(path, { sweepIntervalMs: 20, ...more }), { channelName: 'test', clock });
  await store.open();
  stores.push(store);
  return store;
}

const set = (wallet: string, version: number, bodyBytes = 1_000, ttlMs = LIFE_MS) => ({ wallet, version, envelope: recordEnvelope(wallet, version, `${version};`.padEnd(bodyBytes, wallet)), ttlMs });
const diskBytes = (path: string): number =>
  readdirSync(path, { recursive: true, withFileTypes: true }).reduce((sum, entry) => sum + (entry.isFile() ? (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0) : 0), 0);

async function expectAll(store: EmbeddedStore, written: Map<string, number>, bodyBytes = 1_000): Promise<void> {
  const wallets = [...written.keys()];
  const found = await store.getMany(wallets);
  // Counted, not expected one by one: an expect costs more than the read.
  const isRight = (wallet: string, i: number): boolean => {
    const outcome = found[i];
    return outcome.status === 'hit' && Buffer.compare(outcome.envelope, set(wallet, written.get(wallet)!, bodyBytes).envelope) === 0;
  };
  expect(wallets.filter((wallet, i) => !isRight(wallet, i))).toEqual([]);
}

const disk = makeTmpFolder('disk');
const isMounted = process.platform === 'linux' && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk.path]).status === 0;
afterAll(() => {
  if (isMounted) spawnSync('umount', [disk.path]);
  disk.remove();
});

describe.skipIf(!isMounted)('embedded store, disk full (a 24 MB tmpfs: skipped where it cannot be mounted)', () => {
  let path: string;
  beforeEach(() => {
    path = join(disk.path, 'store');
    writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(4 * MIB));
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    for (const name of readdirSync(disk.path)) rmSync(join(disk.path, name), { recursive: true });
  });

  it('refuses writes with an error, goes on reading, and resumes when space returns', async () => {
    const store = await open(path);
    const other = await open(path);
    const written = new Map<string, number>();
    const refused = new Set<string>();
    const codes = new Set<string>();
    for (let batch = 0; batch < 300; batch++) {
      const writer = batch % 2 ? store : other;
      const requests = Array.from({ length: 25 }, (_, i) => set(`w${(batch * 25 + i) % 6_000}`, batch + 1, 4_000));
      for (const [i, outcome] of (await writer.setMany(requests)).entries()) {
        if (outcome.status === 'stored') written.set(requests[i].wallet, requests[i].version);
        else refused.add(requests[i].wallet);
        if (outcome.status === 'failed') codes.add(outcome.error.code);
      }
    }
    expect([...codes]).toEqual(['ERR_L2_STORAGE']);
    expect(refused.size).toBeGreaterThan(500);
    expect(written.size).toBeGreaterThan(2_500);
    await expectAll(store, written, 4_000);
    await expectAll(other, written, 4_000);
    // What was refused must not turn up later, nor for whoever opens the folder next.
    const never = [...refused].filter((wallet) => !written.has(wallet));
    const fresh = await open(path);
    for (const reader of [store, other, fresh]) expect((await reader.getMany(never)).every((outcome) => outcome.status === 'miss')).toBe(true);
    await expectAll(fresh, written, 4_000);

    rmSync(join(disk.path, 'ballast'));
    for (const [i, writer] of [store, other, fresh].entries()) expect(await writer.setMany([set(`resumed${i}`, 1)])).toEqual([{ status: 'stored' }]);
    await expectAll(other, written, 4_000);
  }, 60_000);

  it('keeps minFreeBytes free for the rest of the machine, and still takes tombstones', async () => {
    const store = await open(path, { minFreeBytes: 8 * MIB });
    const written: string[] = [];
    let failed = 0;
    const options = new Set<string | undefined>();
    for (let batch = 0; batch < 200; batch++) {
      const requests = Array.from({ length: 100 }, (_, i) => set(`w${batch * 100 + i}`, 1));
      for (const [i, outcome] of (await store.setMany(requests)).entries()) {
        if (outcome.status === 'stored') written.push(requests[i].wallet);
        else if (outcome.status === 'failed') {
          failed++;
          options.add(outcome.error.option);
        }
      }
    }
    expect(failed).toBeGreaterThan(1_000);
    expect([...options]).toEqual(['l2.minFreeBytes']);
    expect(diskBytes(disk.path)).toBeLessThan(16 * MIB + 64 * 1024);
    expect(await store.deleteMany([{ wallet: written[0], version: 2, tombstone: tombstoneEnvelope(written[0], 2), tombstoneTtlMs: LIFE_MS }])).toEqual([{ status: 'stored' }]);
    expect(await store.getMany([written[0]])).toEqual([{ status: 'miss', floor: 2 }]);
  }, 60_000);
});

describe('embedded store, bounds', () => {
  it('stays under maxBytes with five times as much written, by two handles, and keeps the newest', async () => {
    const maxBytes = 2 * MIB;
    const both = [await open(folder.path, { maxBytes }), await open(folder.path, { maxBytes })];
    let largest = 0;
    for (let batch = 0; batch < 105; batch++) {
      const outcomes = await both[batch % 2].setMany(Array.from({ length: 100 }, (_, i) => set(`w${batch * 100 + i}`, 1)));
      expect(outcomes.every((outcome) => outcome.status === 'stored')).toBe(true);
      largest = Math.max(largest, diskBytes(folder.path));
      if (batch % 10 === 0) await sleep(2);
    }
    expect(largest).toBeLessThanOrEqual(maxBytes);
    expect(largest).toBeGreaterThan(maxBytes * 0.6);
    await expectAll(both[0], new Map(Array.from({ length: 500 }, (_, i) => [`w${10_499 - i}`, 1])));
    expect((await both[1].getMany(['w0']))[0].status).toBe('miss');
  }, 60_000);

  it('rewriting the same keys for ever loses none of them: what was overtaken makes room first', async () => {
    const store = await open(folder.path, { maxBytes: 2 * MIB });
    const written = new Map<string, number>();
    for (let version = 1; version <= 800; version++) {
      // From every time to hardly ever: no file is ever quite empty.
      const requests = Array.from({ length: 300 }, (_, i) => set(`w${i}`, version)).filter((_, i) => version === 1 || version % (1 + (i % 200)) === 0);
      expect((await store.setMany(requests)).every((outcome) => outcome.status === 'stored')).toBe(true);
      for (const { wallet } of requests) written.set(wallet, version);
    }
    expect(diskBytes(folder.path)).toBeLessThanOrEqual(2 * MIB);
    await expectAll(store, written);
    await expectAll(await open(folder.path, { maxBytes: 2 * MIB }), written);
  }, 60_000);

  it('an eviction keeps tombstones', async () => {
    const store = await open(folder.path, { maxBytes: MIB });
    await store.deleteMany([{ wallet: 'gone', version: 9, tombstone: tombstoneEnvelope('gone', 9), tombstoneTtlMs: LIFE_MS }]);
    for (let batch = 0; batch < 50; batch++) await store.setMany(Array.from({ length: 100 }, (_, i) => set(`w${batch * 100 + i}`, 1)));
    expect((await store.getMany(['w0']))[0].status).toBe('miss');
    expect(await store.getMany(['gone'])).toEqual([{ status: 'miss', floor: 9 }]);
    expect(await (await open(folder.path, { maxBytes: MIB })).setMany([set('gone', 8)])).toEqual([{ status: 'older', storedVersion: 9 }]);
  });

  it('refuses a record of more than an eighth of the store, and that one alone', async () => {
    const store = await open(folder.path, { maxBytes: MIB });
    const [before, large, after] = await store.setMany([set('a', 1), set('b', 1, 200_000), set('c', 1)]);
    expect([before.status, large.status, after.status]).toEqual(['stored', 'failed', 'stored']);
    if (large.status === 'failed') expect(large.error.option).toBe('l2.maxBytes');
  });

  it('sweeps what has expired and gives its space back', async () => {
    const store = await open(folder.path, { maxBytes: 8 * MIB });
    for (let batch = 0; batch < 30; batch++) await store.setMany(Array.from({ length: 100 }, (_, i) => set(`w${batch * 100 + i}`, 1, 1_000, 1_000)));
    await store.setMany([set('stays', 1)]);
    expect(diskBytes(folder.path)).toBeGreaterThan(3 * MIB);
    skewMs = 10_000;
    await until(() => diskBytes(folder.path) < 0.2 * MIB);
    await expectAll(store, new Map([['stays', 1]]));
    await expectAll(await open(folder.path, { maxBytes: 8 * MIB }), new Map([['stays', 1]]));
  });

  it('an older record does not come back when the file of the expired tombstone is gone, nor after a restart', async () => {
    const segments = join(folder.path, 'segments');
    const store = await open(folder.path, { maxBytes: 8 * MIB });
    await store.setMany([set('w', 1), ...Array.from({ length: 200 }, (_, i) => set(`filler${i}`, 1))]);
    const before = readdirSync(segments);
    const other = await open(folder.path, { maxBytes: 8 * MIB });
    await other.deleteMany([{ wallet: 'w', version: 2, tombstone: tombstoneEnvelope('w', 2), tombstoneTtlMs: 1_000 }]);
    const [second] = readdirSync(segments).filter((file) => !before.includes(file));
    await other.close();
    skewMs = 200_000;
    await until(() => !readdirSync(segments).some((file) => file.startsWith(second.slice(0, -'seg'.length))));
    expect(readdirSync(segments)).toContain(before[0]);
    expect(await store.getMany(['w'])).toEqual([{ status: 'miss' }]);
    await store.close();
    expect(await (await open(folder.path)).getMany(['w', 'filler0'])).toMatchObject([{ status: 'miss' }, { status: 'hit' }]);
  });

  it('a writer whose file is taken for cleaning writes again into another one', async () => {
    const segments = join(folder.path, 'segments');
    const store = await open(folder.path);
    await store.setMany([set('w', 1)]);
    const [file] = readdirSync(segments);
    const taken = file.replace('.seg', '.take-0123456789abcdef');
    renameSync(join(segments, file), join(segments, taken));
    // Too late for the cleaner, who has read the file to its end by now.
    expect(await store.setMany([set('late', 1)])).toEqual([{ status: 'stored' }]);
    rmSync(join(segments, taken));
    expect((await store.getMany(['late', 'w'])).map((outcome) => outcome.status)).toEqual(['hit', 'miss']);
    await expectAll(await open(folder.path), new Map([['late', 1]]));
  });

  it('a clear() holds after a restart, and for a handle that was open', async () => {
    const store = await open(folder.path);
    const other = await open(folder.path);
    await store.setMany([set('old', 5), set('new', 50)]);
    await other.setMany([set('old2', 6)]);
    await store.clear(10);
    for (const reader of [store, other, await open(folder.path)]) {
      expect((await reader.getMany(['old', 'old2', 'new'])).map((outcome) => outcome.status)).toEqual(['miss', 'miss', 'hit']);
      // A write from before the clear that comes late is refused, as by a tombstone.
      expect(await reader.setMany([set('late', 10)])).toEqual([{ status: 'older', storedVersion: 10, cleared: true }]);
    }
    expect(readVersion(tombstoneEnvelope('w', 7))).toBe(7);
  });
});

describe('embedded store, its folder', () => {
  it('is private: folders 0700, files 0600, also when it was there with more', async () => {
    mkdirSync(join(folder.path, 'store'), { mode: 0o777 });
    chmodSync(join(folder.path, 'store'), 0o777);
    const store = await open(join(folder.path, 'store'));
    await store.setMany([set('w', 1)]);
    await store.putBlobIfAbsent('b', Uint8Array.of(1));
    await store.acquireLease('w', 't', 1_000);
    expect(statSync(join(folder.path, 'store')).mode & 0o777).toBe(0o700);
    for (const entry of readdirSync(join(folder.path, 'store'), { recursive: true, withFileTypes: true })) {
      expect(statSync(join(entry.parentPath, entry.name)).mode & 0o777, entry.name).toBe(entry.isDirectory() ? 0o700 : 0o600);
    }
  });

  it('refuses a link, a file, and a link within', async () => {
    mkdirSync(join(folder.path, 'real'));
    symlinkSync(join(folder.path, 'real'), join(folder.path, 'link'));
    writeFileSync(join(folder.path, 'file'), 'x');
    mkdirSync(join(folder.path, 'within'));
    symlinkSync(join(folder.path, 'real'), join(folder.path, 'within', 'segments'));
    for (const name of ['link', 'file', 'within', 'file/below']) {
      await expect(open(join(folder.path, name)), name).rejects.toMatchObject({ code: 'ERR_L2_STORAGE', option: 'l2.path' });
    }
    expect(readdirSync(join(folder.path, 'real'))).toEqual([]);
  });

  it('a file that was made and not yet begun is no damage: its writer was killed there, or is just starting', async () => {
    const store = await open(folder.path);
    const empty = join(folder.path, 'segments', 's-0mwrx1wv6-b9b4d9e43a83ec8e-000001.seg');
    writeFileSync(empty, '');
    await store.setMany([set('w', 1)]);
    await sleep(60);
    const fresh = await open(folder.path);
    expect([(await store.health()).quarantined, (await fresh.health()).quarantined]).toEqual([0, 0]);
    await expectAll(fresh, new Map([['w', 1]]));
  });

  it('ignores files and links that are none of its own', async () => {
    const store = await open(folder.path);
    await store.setMany([set('w', 1)]);
    await store.close();
    const [segment] = readdirSync(join(folder.path, 'segments'));
    writeFileSync(join(folder.path, 'segments', 'notes.txt'), 'mine');
    symlinkSync('/etc/passwd', join(folder.path, 'segments', segment.replace(/-0*1\.seg$/, '-000009.seg')));
    await expectAll(await open(folder.path), new Map([['w', 1]]));
  });

  it('a folder removed while open is an empty store that fills again', async () => {
    const store = await open(folder.path);
    await store.setMany([set('w', 1)]);
    rmSync(folder.path, { recursive: true });
    expect((await store.getMany(['w']))[0].status).toBe('miss');
    expect(await store.setMany([set('w', 2)])).toEqual([{ status: 'stored' }]);
    await expectAll(store, new Map([['w', 2]]));
  });

  it('a damaged blob is set aside, counted, and can be written again', async () => {
    const store = await open(folder.path);
    await store.putBlobIfAbsent('table', Uint8Array.of(1, 2, 3));
    const [file] = readdirSync(join(folder.path, 'blobs'));
    writeFileSync(join(folder.path, 'blobs', file), 'damaged');
    expect(await store.getBlob('table')).toBeUndefined();
    expect((await store.health()).quarantined).toBe(1);
    expect([...(await store.putBlobIfAbsent('table', Uint8Array.of(4)))]).toEqual([4]);
  });
});

async function until(isSo: () => boolean, deadlineMs = 10_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!isSo() && performance.now() < endMs) await sleep(10);
  expect(isSo()).toBe(true);
}
