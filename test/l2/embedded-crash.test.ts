/** kill -9, two processes at once, worker.terminate(): nothing acknowledged is lost and everybody ends with the same. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readVersion } from '../../src/codec/envelope.ts';
import { packRecord } from '../../src/codec/transcode.ts';
import { EmbeddedStore } from '../../src/l2/embedded-store.ts';
import type { GetOutcome } from '../../src/l2/store.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { embeddedOptions } from '../support/tmp-store.ts';

const KILLS = Number(process.env.PROFILECACHE_KILL_ROUNDS ?? 10);
const childFile = fileURLToPath(new URL('./embedded-child.mjs', import.meta.url));

let folder: ReturnType<typeof makeTmpFolder>;
const children: ChildProcess[] = [];
const stores: EmbeddedStore[] = [];

beforeEach(() => {
  folder = makeTmpFolder('crash');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    // Waited for: one that still runs would make the folder again.
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  }
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

async function openHere(maxBytes = 64 << 20): Promise<EmbeddedStore> {
  const store = new EmbeddedStore(embeddedOptions(folder.path, { maxBytes }), { channelName: 'test' });
  await store.open();
  stores.push(store);
  return store;
}

function start(...args: Array<string | number>): { child: ChildProcess; lines: string[]; errors: string[]; line: (has: string) => Promise<string> } {
  const child = spawn(process.execPath, [childFile, ...args.map(String)], { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  const lines: string[] = [];
  const errors: string[] = [];
  let rest = '';
  child.stdout!.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n');
    rest = parts.pop()!;
    lines.push(...parts);
  });
  child.stderr!.on('data', (data: Buffer) => errors.push(data.toString()));
  const line = async (has: string): Promise<string> => {
    for (;;) {
      const found = lines.find((text) => text.startsWith(has));
      if (found !== undefined) return found;
      if (child.exitCode !== null) throw new Error(`the child ended: ${errors.join('')}`);
      await sleep(5);
    }
  };
  return { child, lines, errors, line };
}

const bodyOf = (wallet: string, version: number) => `${wallet}|${version}|`.repeat(1 + (version % 40));

/** Version of what was found; throws where it is not what that version was written as. */
function versionFound(wallet: string, outcome: GetOutcome): { version: number; isHit: boolean } {
  if (outcome.status === 'failed') throw outcome.error;
  if (outcome.status === 'miss') return { version: outcome.floor ?? 0, isHit: false };
  const version = readVersion(outcome.envelope)!;
  const written = packRecord({ wallet, raw: Buffer.from(bodyOf(wallet, version)), schemaId: 0, version, createdAtMs: 1, expiresAtMs: 0 }, 'none');
  if (Buffer.compare(outcome.envelope, written) !== 0) throw new Error(`${wallet}: wrong bytes`);
  return { version, isHit: true };
}

describe('embedded store, killed', () => {
  it(`kill -9 loses nothing acknowledged (${KILLS} rounds, all in one folder)`, { timeout: 30_000 + KILLS * 3_000 }, async () => {
    const acked = new Map<string, { version: number; isDelete: boolean }>();
    let restored = 0;
    for (let round = 1; round <= KILLS; round++) {
      const { child, lines, line } = start('write', folder.path, round * 1_000_000, round * 7_919);
      await line('S');
      await sleep(Math.random() * 60);
      child.kill('SIGKILL');
      await once(child, 'close');
      for (const text of lines) {
        const [kind, version, ...wallets] = text.split(' ');
        for (const wallet of wallets) acked.set(wallet, { version: Number(version), isDelete: kind === 'D' });
      }
      const store = await openHere(4 << 20);
      const wallets = [...acked.keys()];
      for (const [i, outcome] of (await store.getMany(wallets)).entries()) {
        const { version, isDelete } = acked.get(wallets[i])!;
        const found = versionFound(wallets[i], outcome);
        expect(found.version, `${wallets[i]} in round ${round}`).toBeGreaterThanOrEqual(version);
        // The same version is the same write; a newer one was under way when the child was killed.
        if (found.version === version) expect(found.isHit).toBe(!isDelete);
      }
      const { quarantined, indexSnapshot } = await store.health();
      expect({ quarantined, damaged: indexSnapshot!.damaged }).toEqual({ quarantined: 0, damaged: 0 });
      restored += indexSnapshot!.restored;
      await store.close();
    }
    expect(restored).toBeGreaterThan(0);
    expect(acked.size).toBeGreaterThan(100);
  });

  it('two processes that compare-and-set the same keys end equal, with the newest of what either stored', { timeout: 60_000 }, async () => {
    const keys = 40;
    const here = await openHere();
    const both = [start('race', folder.path, 1, keys, 1_500), start('race', folder.path, 2, keys, 1_500)];
    const best = (await Promise.all(both.map(({ line }) => line('best')))).map((text) => JSON.parse(text.slice(5)) as Record<string, number>);
    for (const { child } of both) child.stdin!.write('go\n');
    const seen = (await Promise.all(both.map(({ line }) => line('seen')))).map((text) => JSON.parse(text.slice(5)) as Record<string, number>);
    expect(seen[0]).toEqual(seen[1]);
    const wallets = Object.keys(seen[0]);
    const mine = await here.getMany(wallets);
    for (const [i, wallet] of wallets.entries()) {
      const newest = Math.max(best[0][wallet] ?? 0, best[1][wallet] ?? 0);
      expect(seen[0][wallet]).toBe(newest);
      expect(versionFound(wallet, mine[i]).version).toBe(newest);
    }
    expect(Object.keys(best[0]).length).toBe(keys);
    const fresh = await openHere();
    for (const [i, outcome] of (await fresh.getMany(wallets)).entries()) expect(versionFound(wallets[i], outcome).version).toBe(seen[0][wallets[i]]);
  });

  it('worker.terminate() at any moment loses nothing acknowledged and stops nobody', { timeout: 60_000 }, async () => {
    const acked = new SharedArrayBuffer(4 * 200);
    const versions = new Int32Array(acked);
    const here = await openHere(4 << 20);
    for (let round = 1; round <= 25; round++) {
      const workers = [1, 2].map((n) => new Worker(childFile, { workerData: { role: 'terminated', path: folder.path, acked, seed: round * 31 + n } }));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      await sleep(Math.random() * 40);
      await Promise.all(workers.map((worker) => worker.terminate()));
      const wallets = Array.from(versions, (_, key) => `t${key}`);
      for (const [key, outcome] of (await here.getMany(wallets)).entries()) expect(versionFound(wallets[key], outcome).version).toBeGreaterThanOrEqual(versions[key]);
      expect(await here.setMany([{ wallet: `main${round}`, version: 1, envelope: packRecord({ wallet: 'm', raw: Buffer.from('m'), schemaId: 0, version: 1, createdAtMs: 1, expiresAtMs: 0 }, 'none'), ttlMs: 1_000 }])).toEqual([{ status: 'stored' }]);
    }
    expect(Math.max(...versions)).toBeGreaterThan(10);
  });
});
