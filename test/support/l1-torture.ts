/**
 * Real threads: the owner writes in this one, readers (test/threads/l1-reader.mjs) judge what they read in theirs. What the owner
 * has acknowledged stands in a table of its own in shared memory; a reader looks there before each read.
 */
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { POLICIES } from '../../src/eviction/index.ts';
import { HEADER, SLOT } from '../../src/l1/layout.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { systemClock } from '../../src/clock.ts';
import { RowReaper, claimedRows } from '../../src/l1/row-claim.ts';
import { ThreadRow } from '../../src/l1/thread-row.ts';
import { verifyRegion } from '../../src/l1/verify.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer } from '../../src/l1/writer.ts';
import { Stalls, type TimesReport } from './stalls.mjs';

const dist = new URL('../../dist/src', import.meta.url);

/** `cacheHits`: by the whole read path of a thread; `lateHits` of them came after their deadline, within the run of hits that shares a clock reading. */
export interface ReaderCounts {
  reads: number; hits: number; misses: number; expired: number; contended: number; nearHits: number; cacheHits: number; lateHits: number; maxLateMs: number; maxReadMs: number;
}
export interface FaultCounts { foreign: number; torn: number; stale: number; expired: number }
export interface WriterCounts { puts: number; removes: number; clears: number; evictions: number; expirations: number; movedBytes: number }
export interface TortureReport extends WriterCounts { readers: ReaderCounts; kinds: FaultCounts; faults: string[] }
/** `times`: of a reader in the owner's thread, right after each end. `rowsKept`: rows that terminated threads hold when all is over. */
export interface KillReport extends WriterCounts { kills: number; reads: number; oddSlots: number; times: TimesReport; rowsKept: number; faults: string[] }

export interface TortureOptions {
  runMs: number;
  readers: number;
  wallets: number;
  maxProfiles: number;
  maxBytes: number;
  seed: number;
  policy?: keyof typeof POLICIES;
  /** Makes the readers wrong: no closing check, no key compare, a near cache that never looks at the version, a clock that is 5 ms late. */
  broken?: 'no-close' | 'no-key' | 'near-blind' | 'late-clock';
}

type Verdict = { counts: ReaderCounts; kinds: FaultCounts; faults: string[] };

/** Words of the control array that owner and readers share. */
const CONTROL = { stop: 0, faulty: 1, started: 2, tick: 3 } as const;

/** One region with its owner, and the table of what has been acknowledged. */
class Ground {
  readonly region: Region;
  readonly writer: L1Writer;
  readonly control: Int32Array;
  readonly done = { puts: 0, removes: 0, clears: 0 };
  private readonly options: TortureOptions;
  private readonly shared: SharedArrayBuffer;
  private readonly key: WalletKey;
  private readonly acked: Float64Array;
  private readonly removedUpTo: Float64Array;
  /** Wallet and version over and over; words 2 and 3 are the deadline. */
  private readonly payload = new Uint32Array(2_048);
  private readonly deadline = new Float64Array(this.payload.buffer, 8, 1);
  private state: number;
  private version = 0;
  private spawned = 0;

  constructor(options: TortureOptions) {
    if (!existsSync(new URL('l1/reader.js', `${dist}/`))) throw new Error('dist/ is not built: npm run build');
    const { wallets } = options;
    this.options = options;
    this.state = options.seed;
    this.region = createRegion(options.maxProfiles, options.maxBytes);
    // The owner's row, which no reaper looks at.
    ThreadRow.claim(this.region);
    this.writer = new L1Writer(this.region, POLICIES[options.policy ?? 'lru']);
    this.key = new WalletKey(this.region.hashKey0, this.region.hashKey1);
    this.shared = new SharedArrayBuffer(wallets * 16 + 16);
    this.acked = new Float64Array(this.shared, 0, wallets);
    this.removedUpTo = new Float64Array(this.shared, wallets * 8, wallets);
    this.control = new Int32Array(this.shared, wallets * 16, 4);
  }

  spawn(): { worker: Worker; report: Promise<Verdict> } {
    const { options, region, shared } = this;
    const worker = new Worker(new URL('../threads/l1-reader.mjs', import.meta.url), {
      workerData: { dist: dist.href, buffer: region.buffer, shared, wallets: options.wallets, seed: options.seed + ++this.spawned, broken: options.broken, nearShare: 50 },
    });
    const report = new Promise<Verdict>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    return { worker, report };
  }

  /** `reports` settle early only when a reader could not start. */
  async started(count: number, reports: Promise<unknown>[]): Promise<void> {
    while (Atomics.load(this.control, CONTROL.started) < count) await Promise.race([setTimeout(2), ...reports]);
  }

  counts(): WriterCounts {
    return { ...this.done, evictions: this.writer.evictions, expirations: this.writer.expirations, movedBytes: this.writer.arena.movedBytes };
  }

  nowMs = () => systemClock.monotonicMs();

  random = (below: number) => {
    let { state } = this;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.state = state;
    return (state >>> 0) % below;
  };

  /** Changes as fast as it can, until the time is over or a reader has found a fault. */
  write(runMs: number): void {
    const { options: { wallets }, key, writer, payload, done, random, nowMs, control } = this;
    const endMs = nowMs() + runMs;
    while (nowMs() < endMs && Atomics.load(control, CONTROL.faulty) === 0) {
      const version = ++this.version;
      const wallet = random(4) === 0 ? random(wallets) : random(Math.min(32, wallets));
      const choice = random(1_000);
      key.set(`wallet-${wallet}`);
      if (choice < 900) {
        const words = 2 * (8 + random(random(8) === 0 ? 1_000 : 120));
        for (let i = 0; i < words; i += 2) {
          payload[i] = wallet;
          payload[i + 1] = version;
        }
        const expiresAtMs = nowMs() + (random(10) === 0 ? 1 + random(3) : 60_000);
        this.deadline[0] = expiresAtMs;
        const stored = writer.put(key, new Uint8Array(payload.buffer, 0, words * 4), { schemaId: 1, version, expiresAtMs, createdAtMs: 0 });
        if (stored !== 'stored') throw new Error(`put: ${stored}`);
        this.acked[wallet] = version;
        done.puts++;
      } else if (choice < 990) {
        writer.remove(key);
        this.removedUpTo[wallet] = version;
        done.removes++;
      } else if (choice < 999) {
        writer.sweep(64, nowMs());
      } else {
        writer.clear();
        this.removedUpTo.fill(version);
        done.clears++;
      }
      // Acknowledged: what is in the table now may be relied on.
      Atomics.add(control, CONTROL.tick, 1);
    }
  }
}

export async function torture(options: TortureOptions): Promise<TortureReport> {
  const ground = new Ground(options);
  const threads = Array.from({ length: options.readers }, () => ground.spawn());
  const reports = threads.map(({ report }) => report);
  try {
    await ground.started(options.readers, reports);
    ground.write(options.runMs);
    Atomics.store(ground.control, CONTROL.stop, 1);
    const all = await Promise.all(reports);
    verifyRegion(ground.region, ground.writer);
    const readers = all.map(({ counts }) => counts).reduce((sum, one) => ({
      reads: sum.reads + one.reads, hits: sum.hits + one.hits, misses: sum.misses + one.misses, expired: sum.expired + one.expired,
      contended: sum.contended + one.contended, nearHits: sum.nearHits + one.nearHits, cacheHits: sum.cacheHits + one.cacheHits,
      lateHits: sum.lateHits + one.lateHits, maxLateMs: Math.max(sum.maxLateMs, one.maxLateMs), maxReadMs: Math.max(sum.maxReadMs, one.maxReadMs),
    }));
    const kinds = all.map((verdict) => verdict.kinds).reduce((sum, one) => ({
      foreign: sum.foreign + one.foreign, torn: sum.torn + one.torn, stale: sum.stale + one.stale, expired: sum.expired + one.expired,
    }));
    return { ...ground.counts(), readers, kinds, faults: all.flatMap(({ faults }) => faults) };
  } finally {
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }
}

/** Rows of the dead are back by then, or they are lost. */
const ROWS_BACK_MS = 20_000;

/** Reader threads are terminated wherever they are, and others take their place; after each end the region is examined whole. */
export async function tortureWithKills(options: TortureOptions): Promise<KillReport> {
  const ground = new Ground(options);
  const { region, writer } = ground;
  const reader = new L1Reader(region);
  const reaper = new RowReaper(region);
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const threads = Array.from({ length: options.readers }, () => ground.spawn());
  const faults: string[] = [];
  const stalls = new Stalls();
  let [kills, reads, oddSlots] = [0, 0, 0];
  try {
    const endMs = ground.nowMs() + options.runMs;
    while (ground.nowMs() < endMs && faults.length === 0) {
      await ground.started(kills + options.readers, threads.map(({ report }) => report));
      ground.write(1 + ground.random(20));
      const victim = ground.random(threads.length);
      const ending = threads[victim].worker.terminate();
      // The owner goes on while the thread dies.
      ground.write(2);
      await ending;
      threads[victim] = ground.spawn();
      kills++;
      reaper.pass();
      for (let slot = 0; slot < region.slotCount; slot++) oddSlots += Atomics.load(region.i32, region.slotsStart / 4 + slot * SLOT.words + SLOT.seq) & 1;
      if ((Atomics.load(region.i32, HEADER.indexShift) & 1) !== 0) faults.push('indexShift is odd');
      stalls.restart();
      for (let wallet = 0; wallet < options.wallets; wallet++) {
        const startMs = performance.now();
        if (reader.read(key.set(`wallet-${wallet}`), ground.nowMs()) === 'contended') faults.push(`wallet ${wallet} is contended with nobody writing`);
        const readMs = performance.now();
        stalls.note(startMs, readMs, readMs);
        reads++;
      }
      verifyRegion(region, writer);
      if (Atomics.load(ground.control, CONTROL.faulty) !== 0) faults.push('a reader found a fault');
    }
    await ground.started(kills + options.readers, threads.map(({ report }) => report));
    Atomics.store(ground.control, CONTROL.stop, 1);
    for (const verdict of await Promise.all(threads.map(({ report }) => report))) faults.push(...verdict.faults);
    if (oddSlots > 0) faults.push(`${oddSlots} slots were odd`);
    // Those who ended as they should have freed theirs.
    for (const giveUpMs = ground.nowMs() + ROWS_BACK_MS; claimedRows(region) > 1 && ground.nowMs() < giveUpMs; await setTimeout(20)) reaper.pass();
    const rowsKept = claimedRows(region) - 1;
    if (rowsKept > 0) faults.push(`${rowsKept} rows are lost`);
    return { ...ground.counts(), kills, reads, oddSlots, times: stalls.report().reads, rowsKept, faults };
  } finally {
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }
}
