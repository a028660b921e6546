/**
 * Real threads: the owner writes in this one, readers (test/threads/l1-reader.mjs) judge what they read in theirs. What the owner
 * has acknowledged stands in a table of its own in shared memory; a reader looks there before each read.
 */
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { POLICIES } from '../../src/eviction/index.ts';
import { createRegion } from '../../src/l1/region.ts';
import { verifyRegion } from '../../src/l1/verify.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer } from '../../src/l1/writer.ts';

const dist = new URL('../../dist/src', import.meta.url);

export interface ReaderCounts { reads: number; hits: number; misses: number; expired: number; contended: number; nearHits: number; maxReadMs: number }
export interface TortureReport { puts: number; removes: number; clears: number; evictions: number; expirations: number; movedBytes: number; readers: ReaderCounts; faults: string[] }

export interface TortureOptions {
  runMs: number;
  readers: number;
  wallets: number;
  maxProfiles: number;
  maxBytes: number;
  seed: number;
  /** Makes the readers wrong: no closing check, or no key compare. */
  broken?: 'no-close' | 'no-key';
}

export async function torture(options: TortureOptions): Promise<TortureReport> {
  if (!existsSync(new URL('l1/reader.js', `${dist}/`))) throw new Error('dist/ is not built: npm run build');
  const { wallets, readers } = options;
  const region = createRegion(options.maxProfiles, options.maxBytes);
  const writer = new L1Writer(region, POLICIES.lru);
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const shared = new SharedArrayBuffer(wallets * 16 + 16);
  const acked = new Float64Array(shared, 0, wallets);
  const removedUpTo = new Float64Array(shared, wallets * 8, wallets);
  const control = new Int32Array(shared, wallets * 16, 4);
  const workers = Array.from({ length: readers }, (_, i) => new Worker(new URL('../threads/l1-reader.mjs', import.meta.url), {
    workerData: { dist: dist.href, buffer: region.buffer, shared, wallets, seed: options.seed + i + 1, broken: options.broken, nearShare: 50 },
  }));
  const reports = workers.map((worker) => new Promise<{ counts: ReaderCounts; faults: string[] }>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  }));
  try {
    // A reader that reports already has failed to start.
    while (Atomics.load(control, 2) < readers) await Promise.race([setTimeout(2), ...reports]);
    const done = { puts: 0, removes: 0, clears: 0 };
    write(done);
    Atomics.store(control, 0, 1);
    const all = await Promise.all(reports);
    verifyRegion(region, writer);
    const counts = all.map((report) => report.counts).reduce((sum, one) => ({
      reads: sum.reads + one.reads, hits: sum.hits + one.hits, misses: sum.misses + one.misses, expired: sum.expired + one.expired,
      contended: sum.contended + one.contended, nearHits: sum.nearHits + one.nearHits, maxReadMs: Math.max(sum.maxReadMs, one.maxReadMs),
    }));
    return { ...done, evictions: writer.evictions, expirations: writer.expirations, movedBytes: writer.arena.movedBytes, readers: counts, faults: all.flatMap((report) => report.faults) };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  function write(done: { puts: number; removes: number; clears: number }): void {
    const nowMs = () => performance.timeOrigin + performance.now();
    const endMs = nowMs() + options.runMs;
    const payload = new Uint32Array(2_048);
    let state = options.seed;
    const random = (below: number) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    for (let version = 1; nowMs() < endMs && Atomics.load(control, 1) === 0; version++) {
      const wallet = random(4) === 0 ? random(wallets) : random(Math.min(32, wallets));
      const choice = random(1_000);
      key.set(`wallet-${wallet}`);
      if (choice < 900) {
        const words = 2 * (8 + random(random(8) === 0 ? 1_000 : 120));
        for (let i = 0; i < words; i += 2) {
          payload[i] = wallet;
          payload[i + 1] = version;
        }
        const ttlMs = random(10) === 0 ? 1 + random(3) : 60_000;
        const stored = writer.put(key, new Uint8Array(payload.buffer, 0, words * 4), { schemaId: 1, version, expiresAtMs: nowMs() + ttlMs, createdAtMs: 0 });
        if (stored !== 'stored') throw new Error(`put: ${stored}`);
        acked[wallet] = version;
        done.puts++;
      } else if (choice < 990) {
        writer.remove(key);
        removedUpTo[wallet] = version;
        done.removes++;
      } else if (choice < 999) {
        writer.sweep(64, nowMs());
      } else {
        writer.clear();
        for (let i = 0; i < wallets; i++) removedUpTo[i] = version;
        done.clears++;
      }
      // Acknowledged: what is in the table now may be relied on.
      Atomics.add(control, 3, 1);
    }
  }
}
