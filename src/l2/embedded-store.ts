/**
 * L2 without a server: a log of segment files in one folder, shared by all threads and processes of the machine.
 * Why not a library, how the files look and what survives what: native-notes/embedded-store.md.
 *
 * Every verb first reads what others have appended, then works on its own index; all of it is synchronous, so a verb is one step
 * to this thread. Two processes that write one wallet at the same moment both append; the log's merge rule (log-state.ts) makes the
 * higher version win for everybody, and so does a compare-and-set over processes.
 */
import { statSync } from 'node:fs';
import { systemClock, type Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { EmbeddedL2Options } from '../options.ts';
import { BlobsAndLeases } from './embedded/blobs-and-leases.ts';
import { asStorageError, storageError, StoreFolder } from './embedded/folder.ts';
import { KIND_RECORD, KIND_TOMBSTONE } from './embedded/layout.ts';
import { LogCleaner } from './embedded/log-cleaner.ts';
import { LogState } from './embedded/log-state.ts';
import { LogTail } from './embedded/log-tail.ts';
import { LogWriter } from './embedded/log-writer.ts';
import { HEADROOM, RecordAppender, type Write } from './embedded/record-appender.ts';
import { readRecord } from './embedded/record-reader.ts';
import { SnapshotKeeper } from './embedded/snapshot-keeper.ts';
import { WalletBytes } from './embedded/wallet-bytes.ts';
import type { DeleteRequest, GetOutcome, L2Store, SetOutcome, SetRequest, StoreHealth } from './store.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** A store is about this many files when full: one of them is what an eviction takes. */
const SEGMENTS = 64;
const MIN_SEGMENT_BYTES = 64 * KIB;
const MAX_SEGMENT_BYTES = 1024 * MIB;
/** Cleaning and snapshots work in slices, so that no verb waits for them longer. */
const SLICE_MS = 8;
const SLOTS = 16_384;

export interface EmbeddedStoreContext {
  channelName: string;
  clock?: Clock;
  /** A snapshot of the index is written when so much of the log is not in the last one; by rules of its own where absent. */
  snapshotAfterBytes?: number;
  /** How long a clear is remembered. */
  rememberedMs?: number;
}

export class EmbeddedStore implements L2Store {
  readonly kind = 'embedded';
  readonly #options: EmbeddedL2Options;
  readonly #clock: Clock;
  readonly #folder: StoreFolder;
  readonly #state: LogState;
  readonly #wallets = new WalletBytes();
  readonly #tail: LogTail;
  readonly #writer: LogWriter;
  readonly #cleaner: LogCleaner;
  readonly #appender: RecordAppender;
  readonly #small: BlobsAndLeases;
  readonly #snapshots: SnapshotKeeper;
  #timer: NodeJS.Timeout | undefined;
  #status: 'new' | 'open' | 'closed' = 'new';
  #maintenanceError: ProfileCacheError | undefined;

  constructor(options: EmbeddedL2Options, context: EmbeddedStoreContext) {
    this.#options = options;
    const clock = (this.#clock = context.clock ?? systemClock);
    const segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, Math.floor(options.maxBytes / SEGMENTS)));
    const folder = (this.#folder = new StoreFolder(options.path, options.minFreeBytes));
    const state = (this.#state = new LogState(context.rememberedMs));
    this.#tail = new LogTail(folder, state, Math.floor(options.maxBytes * HEADROOM) / 2);
    const writer = (this.#writer = new LogWriter(folder, state, clock, segmentBytes, context.channelName));
    const cleaner = (this.#cleaner = new LogCleaner(folder, state, this.#tail, writer, clock, segmentBytes));
    this.#appender = new RecordAppender({ options, clock, folder, state, writer, cleaner, wallets: this.#wallets, segmentBytes });
    this.#small = new BlobsAndLeases(folder, clock);
    this.#snapshots = new SnapshotKeeper({ folder, state, clock, maxBytes: options.maxBytes, afterBytes: context.snapshotAfterBytes });
  }

  async open(): Promise<void> {
    if (this.#status === 'closed') throw closedError();
    if (this.#status === 'open') return;
    this.#folder.prepare();
    this.#tail.scan(undefined, (fresh) => this.#snapshots.restore(fresh));
    this.#measureOthers();
    this.#maintain(() => {
      this.#snapshots.sweep();
      this.#cleaner.salvage();
    });
    this.#status = 'open';
    this.#timer = setInterval(() => this.#tick(), this.#options.sweepIntervalMs).unref();
  }

  nowMs(): number {
    return this.#clock.wallMs();
  }

  async getMany(wallets: readonly string[]): Promise<GetOutcome[]> {
    try {
      this.#begin();
    } catch (error) {
      return wallets.map(() => ({ status: 'failed', error: this.#typed(error) }));
    }
    const nowMs = this.#clock.wallMs();
    const clearFloor = this.#state.clearFloor(nowMs);
    return wallets.map((wallet) => {
      try {
        return this.#get(wallet, nowMs, clearFloor);
      } catch (error) {
        return { status: 'failed', error: this.#typed(error) };
      }
    });
  }

  #get(wallet: string, nowMs: number, clearFloor: number): GetOutcome {
    const { index } = this.#state;
    const keyBytes = this.#wallets.encode(wallet);
    const slot = this.#state.find(this.#wallets.key, 0, keyBytes);
    if (slot < 0 || index.expiresMs[slot] <= nowMs) return clearFloor > 0 ? { status: 'miss', floor: clearFloor } : { status: 'miss' };
    if (index.kind[slot] === KIND_RECORD) {
      const envelope = readRecord(this.#state, slot, this.#wallets.key, keyBytes);
      if (envelope === 'other key') return { status: 'miss' };
      if (typeof envelope !== 'string') return { status: 'hit', envelope };
    }
    return { status: 'miss', floor: Math.max(index.version[slot], clearFloor) };
  }

  async setMany(requests: readonly SetRequest[], deadlineMs?: number, knows?: number): Promise<SetOutcome[]> {
    return this.#write(requests.map(({ wallet, version, envelope, ttlMs, event }) => ({ wallet, kind: KIND_RECORD, version, body: envelope, lifeMs: ttlMs, event })), deadlineMs, knows);
  }

  async deleteMany(requests: readonly DeleteRequest[], deadlineMs?: number, knows?: number): Promise<SetOutcome[]> {
    return this.#write(requests.map(({ wallet, version, tombstone, tombstoneTtlMs, event }) => ({ wallet, kind: KIND_TOMBSTONE, version, body: tombstone, lifeMs: tombstoneTtlMs, event })), deadlineMs, knows);
  }

  #write(items: readonly Write[], deadlineMs = Infinity, knows = Infinity): SetOutcome[] {
    try {
      this.#begin();
    } catch (error) {
      const typed = this.#typed(error);
      return items.map(() => ({ status: 'failed', error: typed }));
    }
    return this.#appender.write(items, deadlineMs, knows);
  }

  async clear(version: number, event?: string): Promise<number> {
    return this.#guard(() => this.#appender.clear(version, event));
  }

  async clearFloor(): Promise<number> {
    return this.#guard(() => this.#state.clearFloor(this.#clock.wallMs()));
  }

  async publish(event: string): Promise<void> {
    this.#guard(() => this.#appender.publish(event));
  }

  async getBlob(name: string): Promise<Uint8Array | undefined> {
    return this.#guard(() => this.#small.getBlob(name));
  }

  async putBlobIfAbsent(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#guard(() => {
      const stands = this.#small.putBlobIfAbsent(name, bytes);
      this.#measureOthers();
      return stands;
    });
  }

  async acquireLease(wallet: string, token: string, ttlMs: number): Promise<boolean> {
    return this.#guard(() => this.#small.acquireLease(wallet, token, ttlMs));
  }

  async releaseLease(wallet: string, token: string): Promise<void> {
    this.#guard(() => this.#small.releaseLease(wallet, token));
  }

  async health(): Promise<StoreHealth> {
    const node = { node: this.#options.path, role: 'embedded' as const };
    const startMs = performance.now();
    try {
      this.#begin();
      const found = statSync(this.#folder.segments);
      if (!found.isDirectory()) throw storageError(`${this.#folder.segments} is not a folder`, 'l2.path');
    } catch (error) {
      return { kind: 'embedded', reachable: false, slotsCovered: 0, nodes: [{ ...node, reachable: false, slotsCovered: 0, error: this.#typed(error).message }] };
    }
    const error = this.#maintenanceError?.message;
    return {
      kind: 'embedded',
      reachable: true,
      slotsCovered: SLOTS,
      nodes: [{ ...node, reachable: true, latencyMs: performance.now() - startMs, slotsCovered: SLOTS, ...(error === undefined ? {} : { error }) }],
      bytes: this.#state.totalBytes(),
      quarantined: this.#tail.damagedFiles + this.#small.measure().damaged,
      indexSnapshot: { restored: this.#snapshots.restored, damaged: this.#snapshots.damaged },
    };
  }

  async close(): Promise<void> {
    if (this.#status === 'closed') return;
    const wasOpen = this.#status === 'open';
    this.#status = 'closed';
    clearInterval(this.#timer);
    this.#maintain(() => this.#writer.close());
    if (wasOpen) {
      this.#maintain(() => {
        this.#tail.sync();
        if (this.#snapshots.begin('closing')) while (this.#snapshots.step());
      });
    }
    this.#snapshots.abandon();
    for (const segment of this.#state.segments.values()) this.#state.drop(segment);
  }

  #tick(): void {
    this.#maintain(() => {
      this.#tail.sync();
      this.#cleaner.sweep();
      this.#small.sweep();
      this.#inSlices(() => this.#cleaner.step());
      if (this.#snapshots.begin('open')) this.#inSlices(() => this.#snapshots.step());
      this.#measureOthers();
    });
  }

  /** One slice; the rest after whatever is waiting now. */
  #inSlices(step: () => boolean): void {
    const untilMs = performance.now() + SLICE_MS;
    while (step()) {
      if (performance.now() < untilMs) continue;
      setImmediate(() => this.#status === 'open' && this.#maintain(() => this.#inSlices(step))).unref();
      return;
    }
  }

  /** A failure of upkeep (a full disk, mostly) must not stop reads; health tells of it, and the next round tries again. */
  #maintain(work: () => void): void {
    try {
      work();
      this.#maintenanceError = undefined;
    } catch (error) {
      this.#maintenanceError = this.#typed(error);
    }
  }

  /** What lies beside the log counts, too. */
  #measureOthers(): void {
    this.#state.otherBytes -= this.#tail.besideBytes;
    this.#tail.besideBytes = this.#small.measure().bytes + this.#snapshots.fileBytes;
    this.#state.otherBytes += this.#tail.besideBytes;
  }

  #begin(): void {
    if (this.#status !== 'open') throw closedError();
    this.#tail.sync();
  }

  #guard<T>(work: () => T): T {
    try {
      this.#begin();
      return work();
    } catch (error) {
      throw this.#typed(error);
    }
  }

  #typed(error: unknown): ProfileCacheError {
    return asStorageError(error, this.#options.path);
  }
}

const closedError = (): ProfileCacheError => new ProfileCacheError('ERR_CLOSED', 'the embedded store is closed (or was not opened)');
