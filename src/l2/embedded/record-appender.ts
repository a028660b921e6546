/**
 * Versioned writes, many at a time: each is checked against the newest that this thread knows of its key, those that pass go out as one batch,
 * and the index follows. Room is made first, when the store is full.
 */
import type { Clock } from '../../clock.ts';
import { ProfileCacheError } from '../../errors.ts';
import type { EmbeddedL2Options } from '../../options.ts';
import type { SetOutcome } from '../store.ts';
import { BatchBuilder } from './batch-builder.ts';
import { asStorageError, storageError, type StoreFolder } from './folder.ts';
import { FRAME, KIND_CLEAR, KIND_RECORD, type KIND_TOMBSTONE } from './layout.ts';
import type { LogCleaner } from './log-cleaner.ts';
import type { LogState } from './log-state.ts';
import type { Appended, LogWriter } from './log-writer.ts';
import type { WalletBytes } from './wallet-bytes.ts';

const MAX_BATCH_BYTES = 1024 * 1024;
/** Part of maxBytes that stays free for what other threads append between our look and our write, and for cleaning. */
export const HEADROOM: number = 1 / 8;
/** Largest share of maxBytes that one record may take. */
const MAX_RECORD_SHARE = 1 / 8;
/** Files that one append takes away at the most, to make room. */
const MAX_CLEANED = 128;

export interface Write {
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

export interface AppenderParts {
  options: EmbeddedL2Options;
  clock: Clock;
  folder: StoreFolder;
  state: LogState;
  writer: LogWriter;
  cleaner: LogCleaner;
  wallets: WalletBytes;
  segmentBytes: number;
}

export class RecordAppender {
  readonly #options: EmbeddedL2Options;
  readonly #clock: Clock;
  readonly #folder: StoreFolder;
  readonly #state: LogState;
  readonly #writer: LogWriter;
  readonly #cleaner: LogCleaner;
  readonly #wallets: WalletBytes;
  readonly #batchBytes: number;
  readonly #builder = new BatchBuilder();

  constructor({ options, clock, folder, state, writer, cleaner, wallets, segmentBytes }: AppenderParts) {
    this.#options = options;
    this.#clock = clock;
    this.#folder = folder;
    this.#state = state;
    this.#writer = writer;
    this.#cleaner = cleaner;
    this.#wallets = wallets;
    this.#batchBytes = Math.min(MAX_BATCH_BYTES, segmentBytes / 2);
  }

  /** One outcome for each item, in their order; nothing throws. */
  write(items: readonly Write[], deadlineMs: number, knows: number): SetOutcome[] {
    const outcomes: SetOutcome[] = [];
    let next = 0;
    try {
      while (next < items.length) {
        if (this.#clock.monotonicMs() >= deadlineMs) throw new ProfileCacheError('ERR_L2_TIMEOUT', 'the embedded store came to this write after its deadline; raise l2TimeoutMs, or write less at once', { option: 'l2TimeoutMs' });
        next = this.#writeBatch(items, next, outcomes, knows);
      }
    } catch (error) {
      const typed = this.#typed(error);
      for (; next < items.length; next++) outcomes[next] = { status: 'failed', error: typed };
    }
    return outcomes;
  }

  /** Returns the highest version that it left, or that of a newer clear. */
  clear(version: number, event: string | undefined): number {
    const nowMs = this.#clock.wallMs();
    // The calendar of the machine may have been set back since some of it was written.
    const writtenMs = Math.max(nowMs, this.#state.newest(nowMs).writtenMs);
    const floor = this.#state.clearFloor(nowMs);
    const { key } = this.#wallets;
    this.#builder.reset();
    this.#builder.addFrame({ kind: KIND_CLEAR, version, expiresMs: 0, writtenMs }, key, 0, key.subarray(0, 0));
    if (event !== undefined) this.#builder.addEvent(event);
    const { segment } = this.#append(nowMs, false);
    segment.hasClear = true;
    this.#state.applyClear({ version, writtenMs });
    return Math.max(this.#state.newest(nowMs).version, floor > version ? floor : 0);
  }

  publish(event: string): void {
    this.#builder.reset();
    this.#builder.addEvent(event);
    this.#append(this.#clock.wallMs(), false);
  }

  /** One append of as many items as fit; all of those that it would store fail together. Returns the next item. */
  #writeBatch(items: readonly Write[], start: number, outcomes: SetOutcome[], knows: number): number {
    const builder = this.#builder;
    const nowMs = this.#clock.wallMs();
    const clearFloor = this.#state.clearFloor(nowMs);
    const pending: Pending[] = [];
    const newest = new Map<string, Pending>();
    // Items refused because of one that is itself only pending share its fate.
    const dependent: number[] = [];
    builder.reset();
    let item = start;
    for (; item < items.length && (builder.isEmpty || builder.bytes < this.#batchBytes); item++) {
      const { wallet, version, body, kind, lifeMs, event } = items[item];
      try {
        const keyBytes = this.#wallets.encode(wallet);
        const rival = newest.get(wallet);
        const stored = rival === undefined ? this.#storedVersion(keyBytes, nowMs) : items[rival.item].version;
        if (knows < clearFloor || (version <= clearFloor && stored <= clearFloor)) {
          outcomes[item] = { status: 'older', storedVersion: clearFloor, cleared: true };
          continue;
        }
        if (version <= stored) {
          outcomes[item] = { status: 'older', storedVersion: stored };
          if (rival !== undefined) dependent.push(item);
          continue;
        }
        const frameBytes = FRAME.headerBytes + keyBytes + body.length;
        if (frameBytes > this.#options.maxBytes * MAX_RECORD_SHARE) throw this.#tooLarge(frameBytes);
        const expiresMs = nowMs + lifeMs;
        const frameAt = builder.addFrame({ kind, version, expiresMs, writtenMs: nowMs }, this.#wallets.key, keyBytes, body);
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
      const keyBytes = this.#wallets.encode(wallet);
      const old = index.find(this.#wallets.key, 0, keyBytes);
      if (old >= 0) this.#state.supersede(old);
      const slot = old >= 0 ? old : index.claim(this.#wallets.key, 0, keyBytes);
      this.#state.place(slot, { kind, version, expiresMs, writtenMs: nowMs, offset: framesAt + frameAt, bytes: frameBytes }, segment);
    }
  }

  /** `needsRoom`: tombstones and messages go out even under the free-space floor, as long as the disk takes them. */
  #append(nowMs: number, needsRoom: boolean): Appended {
    const { maxBytes, minFreeBytes, path } = this.#options;
    const bytes = this.#builder.bytes;
    for (let tries = 0; this.#state.totalBytes() + bytes > maxBytes * (1 - HEADROOM); tries++) {
      if (tries > MAX_CLEANED || !this.#cleaner.makeRoom()) throw storageError(`${path}: no room within maxBytes (${maxBytes}); raise l2.maxBytes`, 'l2.maxBytes');
    }
    if (needsRoom && !this.#folder.hasRoomFor(bytes, this.#clock.monotonicMs())) {
      throw storageError(`${path}: less than ${minFreeBytes} bytes would be free on the disk; free some, or lower l2.minFreeBytes`, 'l2.minFreeBytes');
    }
    return this.#writer.append(this.#builder, nowMs);
  }

  #storedVersion(keyBytes: number, nowMs: number): number {
    const slot = this.#state.find(this.#wallets.key, 0, keyBytes);
    return slot < 0 || this.#state.index.expiresMs[slot] <= nowMs ? 0 : this.#state.index.version[slot];
  }

  #tooLarge(bytes: number): ProfileCacheError {
    return storageError(`a record of ${bytes} bytes is more than an eighth of the store; raise l2.maxBytes`, 'l2.maxBytes');
  }

  #typed(error: unknown): ProfileCacheError {
    return asStorageError(error, this.#options.path);
  }
}
