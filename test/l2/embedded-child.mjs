// The other process of the embedded store's tests. Runs the built code: `npm run build` comes first.
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { EmbeddedStore } from '../../dist/src/l2/embedded-store.js';
import { packRecord, packTombstone } from '../../dist/src/codec/transcode.js';

const LIFE_MS = 600_000;
export const bodyOf = (wallet, version) => `${wallet}|${version}|`.repeat(1 + (version % 40));
export const record = (wallet, version) =>
  packRecord({ wallet, raw: Buffer.from(bodyOf(wallet, version)), schemaId: 0, version, createdAtMs: 1, expiresAtMs: 0 }, 'none');
export const set = (wallet, version) => ({ wallet, version, envelope: record(wallet, version), ttlMs: LIFE_MS });
export const del = (wallet, version) => ({ wallet, version, tombstone: packTombstone(wallet, version, 1, 0), tombstoneTtlMs: LIFE_MS });
export const versionOf = (envelope) => Buffer.from(envelope.buffer, envelope.byteOffset).readDoubleLE(24);

/** Snapshots of the index are written at every occasion, unless told otherwise. */
export async function openStore(path, more = {}, snapshotAfterBytes = 1) {
  const store = new EmbeddedStore({ kind: 'embedded', path, maxBytes: 64 << 20, minFreeBytes: 0, sweepIntervalMs: 50, pollIntervalMs: 20, ...more }, { channelName: 'test', snapshotAfterBytes });
  await store.open();
  return store;
}

/** Small, seeded, good enough to choose with. */
export function random(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

const say = (line) => writeSync(1, `${line}\n`);

const MODES = {
  /** Writes for ever and says what was acknowledged. */
  async write(path, firstVersion, seed) {
    // Every sweep writes the index, so that many a kill comes in the middle of that.
    const store = await openStore(path, { maxBytes: 4 << 20, sweepIntervalMs: 5 });
    const pick = random(Number(seed));
    let version = Number(firstVersion);
    for (;;) {
      const wallets = [...new Set(Array.from({ length: 1 + pick(40) }, () => `w${pick(300)}`))];
      version++;
      const isDelete = pick(8) === 0;
      const outcomes = isDelete ? await store.deleteMany(wallets.map((w) => del(w, version))) : await store.setMany(wallets.map((w) => set(w, version)));
      const bad = outcomes.find((outcome) => outcome.status !== 'stored');
      if (bad) throw new Error(JSON.stringify(bad));
      say(`${isDelete ? 'D' : 'S'} ${version} ${wallets.join(' ')}`);
      // Timers get their turn: cleaning is killed in the middle, too.
      if (pick(4) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  },

  /** Compare-and-sets on few keys against another process; then says what it stored and what it sees. */
  async race(path, seed, keys, rounds) {
    const store = await openStore(path);
    const pick = random(Number(seed));
    const best = {};
    for (let round = 0; round < Number(rounds); round++) {
      const wallets = [...new Set(Array.from({ length: 4 }, () => `r${pick(Number(keys))}`))];
      const before = await store.getMany(wallets);
      // Odd and even numbers, so that two processes never write the same version.
      const requests = wallets.map((wallet, i) => set(wallet, (before[i].status === 'hit' ? Math.floor(versionOf(before[i].envelope) / 2) * 2 + 2 : 2) + (Number(seed) % 2)));
      const outcomes = await store.setMany(requests);
      for (const [i, outcome] of outcomes.entries()) if (outcome.status === 'stored') best[wallets[i]] = Math.max(best[wallets[i]] ?? 0, requests[i].version);
    }
    say(`best ${JSON.stringify(best)}`);
    await new Promise((resolve) => process.stdin.once('data', resolve));
    const all = Array.from({ length: Number(keys) }, (_, i) => `r${i}`);
    const seen = await store.getMany(all);
    say(`seen ${JSON.stringify(Object.fromEntries(all.map((w, i) => [w, seen[i].status === 'hit' ? versionOf(seen[i].envelope) : 0])))}`);
    await store.close();
    process.exit(0);
  },

  /** Damages files of a store, open or closed, in many ways; says what the reads gave. */
  async damage(kind, when, cases, seed) {
    const pick = random(Number(seed));
    const sum = { hit: 0, miss: 0, failed: 0, wrong: 0, setAside: 0, refused: 0 };
    for (let n = 0; n < Number(cases); n++) {
      const path = mkdtempSync(join(tmpdir(), 'profilecache-damage-'));
      // Every other store has no snapshot: then what is damaged is met while the log is read, else when a record is.
      const snapshotAfterBytes = n % 2 === 0 ? 1 : Infinity;
      let store = await openStore(path, { maxBytes: 8 << 20 }, snapshotAfterBytes);
      const reader = await openStore(path, { maxBytes: 8 << 20 }, snapshotAfterBytes);
      const expected = new Map();
      for (let batch = 1; batch <= 12; batch++) {
        const wallets = [...new Set(Array.from({ length: 30 }, () => `w${pick(120)}`))];
        await (batch % 2 ? store : reader).setMany(wallets.map((w) => set(w, batch)));
        for (const w of wallets) expected.set(w, batch);
      }
      const deleted = [...expected.keys()].slice(0, 10);
      await store.deleteMany(deleted.map((w) => del(w, 20)));
      for (const w of deleted) expected.set(w, 'deleted');
      if (when === 'closed') {
        await store.close();
        await reader.close();
      } else await reader.getMany(['w0']);
      hurt(path, kind, pick);
      const readers = when === 'closed' ? [(store = await openStore(path, {}, snapshotAfterBytes))] : [store, reader];
      for (const one of readers) await check(one, expected, sum);
      const late = await store.setMany([set('late', 1), set('w0', 30)]);
      sum.refused += late.filter((outcome) => outcome.status !== 'stored').length;
      expected.set('late', 1).set('w0', 30);
      await new Promise((resolve) => setTimeout(resolve, 120));
      await check(store, expected, sum);
      sum.setAside += (await store.health()).quarantined;
      await store.close();
      await reader.close();
      const again = await openStore(path);
      await check(again, expected, sum);
      await again.close();
      rmSync(path, { recursive: true });
    }
    say(JSON.stringify(sum));
  },
};

async function check(store, expected, sum) {
  const wallets = [...expected.keys()];
  for (const [i, outcome] of (await store.getMany(wallets)).entries()) {
    sum[outcome.status]++;
    const version = expected.get(wallets[i]);
    if (outcome.status === 'hit' && (version === 'deleted' || Buffer.compare(outcome.envelope, record(wallets[i], version)) !== 0)) sum.wrong++;
  }
}

function hurt(path, kind, pick) {
  const folder = join(path, 'segments');
  const files = readdirSync(folder).filter((file) => file.endsWith('.seg'));
  const fd = openSync(join(folder, files[pick(files.length)]), 'r+');
  const { size } = fstatSync(fd);
  const at = pick(size);
  if (kind === 'truncate') ftruncateSync(fd, at);
  else if (kind === 'zero') writeSync(fd, Buffer.alloc(Math.min(4096, size - Math.floor(at / 4096) * 4096)), 0, undefined, Math.floor(at / 4096) * 4096);
  else {
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, at);
    byte[0] ^= 1 << pick(8);
    writeSync(fd, byte, 0, 1, at);
  }
  closeSync(fd);
}

/** Writes until it is terminated; what was acknowledged stands in shared memory. */
async function terminated() {
  const { path, acked, seed } = workerData;
  const versions = new Int32Array(acked);
  const store = await openStore(path, { maxBytes: 4 << 20 });
  const pick = random(seed);
  parentPort.postMessage('up');
  for (;;) {
    const keys = [...new Set(Array.from({ length: 1 + pick(30) }, () => pick(versions.length)))];
    const next = keys.map((key) => Atomics.load(versions, key) + 1 + pick(3));
    const outcomes = await store.setMany(keys.map((key, i) => set(`t${key}`, next[i])));
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status !== 'stored') continue;
      // Two workers write the same keys: the largest acknowledged version stands.
      for (let seen = Atomics.load(versions, keys[i]); seen < next[i]; seen = Atomics.load(versions, keys[i])) Atomics.compareExchange(versions, keys[i], seen, next[i]);
    }
    if (pick(4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

const [, , mode, ...args] = process.argv;
if (!isMainThread && workerData?.role === 'terminated') await terminated();
else if (isMainThread && Object.hasOwn(MODES, mode)) await MODES[mode](...args);
