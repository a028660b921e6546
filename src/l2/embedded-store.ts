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
import { BatchBuilder } from './embedded/batch-builder.ts';
import { asStorageError, storageError, StoreFolder } from './embedded/folder.ts';
import { FRAME, KIND_CLEAR, KIND_RECORD, KIND_TOMBSTONE, MAX_KEY_BYTES } from './embedded/layout.ts';
import { LogCleaner } from './embedded/log-cleaner.ts';
import { LogState } from './embedded/log-state.ts';
import { LogTail } from './embedded/log-tail.ts';
import { LogWriter } from './embedded/log-writer.ts';
import { readRecord } from './embedded/record-reader.ts';
import { makeSmallFile, MAX_SMALL_FILE_BYTES, measureFolder, readSmallFile, removeSmallFileIf, replaceSmallFile, setAsideSmallFile, sweepSmallFiles } from './embedded/small-files.ts';
import type { DeleteRequest, GetOutcome, L2Store, SetOutcome, SetRequest, StoreHealth } from './store.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** A store is about this many files when full: one of them is what an eviction takes. */
const SEGMENTS = 64;
const MIN_SEGMENT_BYTES = 64 * KIB;
const MAX_SEGMENT_BYTES = 1024 * MIB;
const MAX_BATCH_BYTES = MIB;
/** Part of maxBytes that stays free for what other threads append between our look and our write, and for cleaning. */
const HEADROOM = 1 / 8;
/** Largest share of maxBytes that one record may take. */
const MAX_RECORD_SHARE = 1 / 8;
/** Cleaning works in slices, so that no verb waits for it longer. */
const CLEAN_SLICE_MS = 8;
const SWEEP_FILES = 256;
const SLOTS = 16_384;

interface Write {
  wallet: string;
  kind: typeof KIND_RECORD | typeof KIND_TOMBSTONE;
  version: number;
  body: Uint8Array;
  lifeMs: number;
  event?: string;
}

interface Pending {
  at: number;
  item: number;
  frameAt: number;
  frameBytes: number;
  expiresMs: number;
  isDead: boolean;
}

export class EmbeddedStore implements L2Store {
  readonly kind = 'embedded';
  readonly #options: EmbeddedL2Options;
  readonly #clock: Clock;
  readonly #folder: StoreFolder;
  readonly #state = new LogState();
  readonly #tail: LogTail;
  readonly #writer: LogWriter;
  readonly #cleaner: LogCleaner;
  readonly #builder = new BatchBuilder();
  readonly #key = Buffer.alloc(MAX_KEY_BYTES + 4);
  readonly #segmentBytes: number;
  #timer: NodeJS.Timeout | undefined;
  #status: 'new' | 'open' | 'closed' = 'new';
  #maintenanceError: ProfileCacheError | undefined;

  constructor(options: EmbeddedL2Options, context: { channelName: string; clock?: Clock }) {
    this.#options = options;
    this.#clock = context.clock ?? systemClock;
    this.#segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, Math.floor(options.maxBytes / SEGMENTS)));
    this.#folder = new StoreFolder(options.path, options.minFreeBytes);
    this.#tail = new LogTail(this.#folder, this.#state, Math.floor(options.maxBytes * HEADROOM) / 2);
    this.#writer = new LogWriter(this.#folder, this.#state, this.#clock, this.#segmentBytes, context.channelName);
    this.#cleaner = new LogCleaner(this.#folder, this.#state, this.#tail, this.#writer, this.#clock, this.#segmentBytes);
  }

  async open(): Promise<void> {
    if (this.#status === 'closed') throw closedError();
    if (this.#status === 'open') return;
    this.#folder.prepare();
    this.#measureBlobs();
    this.#tail.scan();
    this.#maintain(() => this.#cleaner.salvage());
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
    const keyBytes = this.#encode(wallet);
    const slot = this.#state.find(this.#key, 0, keyBytes);
    if (slot < 0 || index.expiresMs[slot] <= nowMs) return clearFloor > 0 ? { status: 'miss', floor: clearFloor } : { status: 'miss' };
    if (index.kind[slot] === KIND_RECORD) {
      const envelope = readRecord(this.#state, slot, this.#key, keyBytes);
      if (envelope === 'other key') return { status: 'miss' };
      if (envelope !== 'damaged') return { status: 'hit', envelope };
    }
    return { status: 'miss', floor: Math.max(index.version[slot], clearFloor) };
  }

  async setMany(requests: readonly SetRequest[], deadlineMs?: number): Promise<SetOutcome[]> {
    return this.#write(requests.map(({ wallet, version, envelope, ttlMs, event }) => ({ wallet, kind: KIND_RECORD, version, body: envelope, lifeMs: ttlMs, event })), deadlineMs);
  }

  async deleteMany(requests: readonly DeleteRequest[], deadlineMs?: number): Promise<SetOutcome[]> {
    return this.#write(requests.map(({ wallet, version, tombstone, tombstoneTtlMs, event }) => ({ wallet, kind: KIND_TOMBSTONE, version, body: tombstone, lifeMs: tombstoneTtlMs, event })), deadlineMs);
  }

  #write(items: readonly Write[], deadlineMs = Infinity): SetOutcome[] {
    const outcomes: SetOutcome[] = [];
    const batchBytes = Math.min(MAX_BATCH_BYTES, this.#segmentBytes / 2);
    let next = 0;
    try {
      this.#begin();
      while (next < items.length) {
        if (this.#clock.monotonicMs() >= deadlineMs) throw new ProfileCacheError('ERR_L2_TIMEOUT', 'the embedded store came to this write after its deadline; raise l2TimeoutMs, or write less at once', { option: 'l2TimeoutMs' });
        next = this.#writeBatch(items, next, outcomes, batchBytes);
      }
    } catch (error) {
      const typed = this.#typed(error);
      for (; next < items.length; next++) outcomes[next] = { status: 'failed', error: typed };
    }
    return outcomes;
  }

  /** One append of as many items as fit; all of those that it would store fail together. Returns the next item. */
  #writeBatch(items: readonly Write[], start: number, outcomes: SetOutcome[], batchBytes: number): number {
    const builder = this.#builder;
    const nowMs = this.#clock.wallMs();
    const clearFloor = this.#state.clearFloor(nowMs);
    const pending: Pending[] = [];
    const newest = new Map<string, Pending>();
    // Items refused because of one that is itself only pending share its fate.
    const dependent: number[] = [];
    builder.reset();
    let item = start;
    for (; item < items.length && (builder.isEmpty || builder.bytes < batchBytes); item++) {
      const { wallet, version, body, kind, lifeMs, event } = items[item];
      try {
        const keyBytes = this.#encode(wallet);
        const rival = newest.get(wallet);
        const stored = Math.max(clearFloor, rival === undefined ? this.#storedVersion(keyBytes, nowMs) : items[rival.item].version);
        if (version <= stored) {
          outcomes[item] = { status: 'older', storedVersion: stored };
          if (rival !== undefined) dependent.push(item);
          continue;
        }
        const frameBytes = FRAME.headerBytes + keyBytes + body.length;
        if (frameBytes > this.#options.maxBytes * MAX_RECORD_SHARE) throw this.#tooLarge(frameBytes);
        const expiresMs = nowMs + lifeMs;
        const frameAt = builder.addFrame({ kind, version, expiresMs, writtenMs: nowMs }, this.#key, keyBytes, body);
        if (event !== undefined) builder.addEvent(event);
        if (rival !== undefined) {
          rival.isDead = true;
          builder.markDead(rival.frameAt);
        }
        const mine: Pending = { at: pending.length, item, frameAt, frameBytes, expiresMs, isDead: false };
        pending.push(mine);
        newest.set(wallet, mine);
      } catch (error) {
        outcomes[item] = { status: 'failed', error: this.#typed(error) };
      }
    }
    if (pending.length === 0) return item;
    try {
      this.#commit(items, pending, nowMs);
      for (const { item: done } of pending) outcomes[done] = { status: 'stored' };
    } catch (error) {
      const typed = this.#typed(error);
      for (const { item: lost } of pending) outcomes[lost] = { status: 'failed', error: typed };
      for (const lost of dependent) outcomes[lost] = { status: 'failed', error: typed };
    }
    return item;
  }

  /** Append first, then mark what was overtaken: a kill in between leaves both, and the merge rule knows which one counts. */
  #commit(items: readonly Write[], pending: readonly Pending[], nowMs: number): void {
    const { segment, framesAt } = this.#append(nowMs, pending.some(({ item }) => items[item].kind === KIND_RECORD));
    const { index } = this.#state;
    for (const { item, frameAt, frameBytes, expiresMs, isDead } of pending) {
      if (isDead) continue;
      const { wallet, version, kind } = items[item];
      const keyBytes = this.#encode(wallet);
      const old = index.find(this.#key, 0, keyBytes);
      if (old >= 0) this.#state.supersede(old);
      const slot = old >= 0 ? old : index.claim(this.#key, 0, keyBytes);
      this.#state.place(slot, { kind, version, expiresMs, writtenMs: nowMs, offset: framesAt + frameAt, bytes: frameBytes }, segment);
    }
  }

  /** `needsRoom`: tombstones and messages go out even under the free-space floor, as long as the disk takes them. */
  #append(nowMs: number, needsRoom: boolean): ReturnType<LogWriter['append']> {
    const { maxBytes, minFreeBytes, path } = this.#options;
    const bytes = this.#builder.bytes;
    for (let tries = 0; this.#state.totalBytes() + bytes > maxBytes * (1 - HEADROOM); tries++) {
      if (tries > SEGMENTS * 2 || !this.#cleaner.makeRoom()) throw storageError(`${path}: no room within maxBytes (${maxBytes}); raise l2.maxBytes`, 'l2.maxBytes');
    }
    if (needsRoom && !this.#folder.hasRoomFor(bytes, this.#clock.monotonicMs())) {
      throw storageError(`${path}: less than ${minFreeBytes} bytes would be free on the disk; free some, or lower l2.minFreeBytes`, 'l2.minFreeBytes');
    }
    return this.#writer.append(this.#builder, nowMs);
  }

  async clear(version: number, event?: string): Promise<void> {
    this.#guard(() => {
      const nowMs = this.#clock.wallMs();
      this.#builder.reset();
      this.#builder.addFrame({ kind: KIND_CLEAR, version, expiresMs: 0, writtenMs: nowMs }, this.#key, 0, this.#key.subarray(0, 0));
      if (event !== undefined) this.#builder.addEvent(event);
      const { segment } = this.#append(nowMs, false);
      segment.hasClear = true;
      this.#state.applyClear({ version, writtenMs: nowMs });
    });
  }

  async publish(event: string): Promise<void> {
    this.#guard(() => {
      this.#builder.reset();
      this.#builder.addEvent(event);
      this.#append(this.#clock.wallMs(), false);
    });
  }

  async getBlob(name: string): Promise<Uint8Array | undefined> {
    return this.#guard(() => {
      const found = readSmallFile(this.#folder.blobs, name);
      if (found === 'damaged') {
        setAsideSmallFile(this.#folder.blobs, name);
        this.#measureBlobs();
      }
      return typeof found === 'string' ? undefined : new Uint8Array(found.content);
    });
  }

  async putBlobIfAbsent(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#guard(() => {
      if (bytes.length + name.length * 3 > MAX_SMALL_FILE_BYTES / 2) throw storageError(`blob ${name}: over ${MAX_SMALL_FILE_BYTES / 2} bytes`, 'l2.maxBytes');
      // Twice at most: the second time a damaged one has been set aside.
      for (let tries = 0; tries < 2; tries++) {
        if (makeSmallFile(this.#folder.blobs, name, bytes, 0)) {
          this.#measureBlobs();
          return new Uint8Array(bytes);
        }
        const found = readSmallFile(this.#folder.blobs, name);
        if (typeof found !== 'string') return new Uint8Array(found.content);
        if (found === 'damaged') setAsideSmallFile(this.#folder.blobs, name);
      }
      throw storageError(`${this.#folder.blobs}: a blob can neither be read nor made`, 'l2.path');
    });
  }

  async acquireLease(wallet: string, token: string, ttlMs: number): Promise<boolean> {
    return this.#guard(() => {
      const { leases } = this.#folder;
      const nowMs = this.#clock.wallMs();
      const content = Buffer.from(token);
      if (makeSmallFile(leases, wallet, content, nowMs + ttlMs)) return true;
      const found = readSmallFile(leases, wallet);
      const isLive = typeof found !== 'string' && found.expiresMs > nowMs;
      if (isLive) {
        if (!content.equals(found.content)) return false;
        replaceSmallFile(leases, wallet, content, nowMs + ttlMs);
        return true;
      }
      if (found !== 'absent') removeSmallFileIf(leases, wallet, (lease) => lease.expiresMs <= nowMs);
      return makeSmallFile(leases, wallet, content, nowMs + ttlMs);
    });
  }

  async releaseLease(wallet: string, token: string): Promise<void> {
    this.#guard(() => {
      const found = readSmallFile(this.#folder.leases, wallet);
      const isMine = (content: Buffer) => content.equals(Buffer.from(token));
      if (typeof found === 'string' || !isMine(found.content)) return;
      removeSmallFileIf(this.#folder.leases, wallet, (lease) => isMine(lease.content));
    });
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
      quarantined: this.#tail.damagedFiles + measureFolder(this.#folder.blobs).damaged,
    };
  }

  async close(): Promise<void> {
    if (this.#status === 'closed') return;
    this.#status = 'closed';
    clearInterval(this.#timer);
    this.#maintain(() => this.#writer.close());
    for (const segment of this.#state.segments.values()) this.#state.drop(segment);
  }

  #tick(): void {
    this.#maintain(() => {
      this.#tail.sync();
      this.#cleaner.sweep();
      sweepSmallFiles(this.#folder.leases, this.#clock.wallMs(), (path) => Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity), SWEEP_FILES);
      this.#clean();
    });
  }

  /** One slice; the rest after whatever is waiting now. */
  #clean(): void {
    const untilMs = performance.now() + CLEAN_SLICE_MS;
    while (this.#cleaner.step()) {
      if (performance.now() < untilMs) continue;
      setImmediate(() => this.#status === 'open' && this.#maintain(() => this.#clean())).unref();
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

  #measureBlobs(): void {
    this.#state.otherBytes -= this.#tail.blobBytes;
    this.#tail.blobBytes = measureFolder(this.#folder.blobs).bytes;
    this.#state.otherBytes += this.#tail.blobBytes;
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

  #encode(wallet: string): number {
    if (wallet.length > MAX_KEY_BYTES || Buffer.byteLength(wallet) > MAX_KEY_BYTES) {
      throw new ProfileCacheError('ERR_WALLET', `a wallet takes at most ${MAX_KEY_BYTES} bytes in UTF-8`, { wallet });
    }
    return this.#key.write(wallet, 'utf8');
  }

  #storedVersion(keyBytes: number, nowMs: number): number {
    const slot = this.#state.find(this.#key, 0, keyBytes);
    return slot < 0 || this.#state.index.expiresMs[slot] <= nowMs ? 0 : this.#state.index.version[slot];
  }

  #tooLarge(bytes: number): ProfileCacheError {
    return storageError(`a record of ${bytes} bytes is more than an eighth of the store; raise l2.maxBytes`, 'l2.maxBytes');
  }

  #typed(error: unknown): ProfileCacheError {
    return asStorageError(error, this.#options.path);
  }
}

const closedError = (): ProfileCacheError => new ProfileCacheError('ERR_CLOSED', 'the embedded store is closed (or was not opened)');
