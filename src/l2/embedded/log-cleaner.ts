/**
 * Keeps the log small: removes files whose records are all expired or overtaken, rewrites half-empty ones, evicts whole files when
 * the store is over its size, sets damaged ones aside. Any thread of any process may do it; the rename that takes a file lets one win.
 *
 *   1. rename <base>.seg -> <base>.take-<me>    its writer, if alive, sees at its next append that it has to start another file
 *   2. read it to its end                       what was appended before the rename is there
 *   3. copy what must live on to our own file   other threads find the copies before they miss the original
 *   4. unlink it, or rename it to .damaged-<time>
 * A cleaner that dies in between leaves a `.take-` file, which is read like any other, and is taken over after a minute.
 */
import { renameSync, statSync } from 'node:fs';
import type { Clock } from '../../clock.ts';
import { BatchBuilder } from './batch-builder.ts';
import { asStorageError, errorCode, removeFile, type StoreFolder } from './folder.ts';
import { FRAME, frameBodyIsWhole, KIND_CLEAR, KIND_FLOOR, KIND_RECORD, KIND_TOMBSTONE } from './layout.ts';
import type { LogState } from './log-state.ts';
import { readFrame, type LogTail } from './log-tail.ts';
import type { LogWriter } from './log-writer.ts';
import { madeMsOf, type Segment } from './segment.ts';
import { FileWindow } from './window.ts';

/** A file that is not sealed, and so long without a write, belongs to nobody or to an idle thread. */
const ORPHAN_MS = 60_000;
/** The same when the store is full. */
const PRESSED_ORPHAN_MS = 1_000;
/** Files with less than this share of live bytes are rewritten, fuller ones evicted. */
const REWRITE_BELOW = 0.5;
/** Listeners in other processes get so long to read a file before it is cleaned for want of space within it. */
const MIN_AGE_MS = 5_000;
/** A listener polls at least this often (the bound of pollIntervalMs), so an older file has been read by all. */
const LISTENERS_DONE_MS = 120_000;
const COPY_BATCH_BYTES = 256 * 1024;
/** More files than this are merged, the small ones first. */
const MANY_SEGMENTS = 96;
const NO_KEY = new Uint8Array(0);
const NO_BODY = new Uint8Array(0);

interface Job {
  segment: Segment;
  /** Where the index pointed into the segment when the job began. */
  offsets: number[];
  next: number;
}

export class LogCleaner {
  readonly #folder: StoreFolder;
  readonly #state: LogState;
  readonly #tail: LogTail;
  readonly #writer: LogWriter;
  readonly #clock: Clock;
  readonly #segmentBytes: number;
  readonly #builder = new BatchBuilder();
  #job: Job | undefined;
  #sweptSlot = 0;

  constructor(folder: StoreFolder, state: LogState, tail: LogTail, writer: LogWriter, clock: Clock, segmentBytes: number) {
    this.#folder = folder;
    this.#state = state;
    this.#tail = tail;
    this.#writer = writer;
    this.#clock = clock;
    this.#segmentBytes = segmentBytes;
  }

  /** Forgets some expired keys, all of them within eight calls. */
  sweep(): void {
    const { index } = this.#state;
    const nowMs = this.#clock.wallMs();
    const end = Math.min(index.slots, this.#sweptSlot + Math.max(16_384, index.slots >>> 3));
    for (let slot = this.#sweptSlot; slot < end; slot++) {
      if (index.isLive(slot) && index.expiresMs[slot] <= nowMs) this.#state.remove(slot);
    }
    this.#sweptSlot = end >= index.slots ? 0 : end;
    // Our own file is cleaned only once it is finished. A small one is left: finishing it would cost as much as it holds.
    const { active } = this.#writer;
    if (active !== undefined && active.fileBytes > this.#segmentBytes / 8 && liveShare(active) < REWRITE_BELOW && nowMs - active.lastWrittenMs > MIN_AGE_MS) this.#writer.rotate();
  }

  /** One bounded slice of cleaning; true when there is more to do at once. */
  step(): boolean {
    this.#job ??= this.#nextJob();
    const job = this.#job;
    if (job === undefined) return false;
    if (!this.#state.segments.has(job.segment.id)) {
      this.#job = undefined;
      return true;
    }
    this.#copySome(job, () => true);
    if (job.next < job.offsets.length) return true;
    this.#finish(job.segment);
    this.#job = undefined;
    return true;
  }

  /** Cleans damaged files to the end: at open, before anything is served from them. */
  salvage(): void {
    while ([...this.#state.segments.values()].some((segment) => segment.damaged && this.#mayTake(segment, 0)) && this.step());
  }

  /**
   * Makes room at once: rewrites the emptiest file if it is half empty, else removes the one whose profiles are nearest to their
   * expiry, but for its tombstones. False when there is no file to take.
   */
  makeRoom(): boolean {
    if (this.#choose() === undefined) {
      const { active } = this.#writer;
      if (active === undefined || active.fileBytes < this.#segmentBytes / 4) return false;
      this.#writer.rotate();
    }
    const choice = this.#choose();
    if (choice === undefined) return false;
    const { victim, rewrite } = choice;
    if (this.#job?.segment === victim) this.#job = undefined;
    const job = this.#take(victim);
    if (job === undefined) return true;
    while (job.next < job.offsets.length) this.#copySome(job, (kind) => rewrite || kind !== KIND_RECORD);
    this.#finish(victim);
    return true;
  }

  #choose(): { victim: Segment; rewrite: boolean } | undefined {
    const candidates = [...this.#state.segments.values()].filter((segment) => this.#mayTake(segment, 0, PRESSED_ORPHAN_MS));
    const emptiest = candidates.reduce<Segment | undefined>((best, segment) => (best === undefined || liveShare(segment) < liveShare(best) ? segment : best), undefined);
    if (emptiest === undefined) return undefined;
    return liveShare(emptiest) < REWRITE_BELOW ? { victim: emptiest, rewrite: true } : { victim: this.#nearestToExpiry(candidates), rewrite: false };
  }

  #nextJob(): Job | undefined {
    const candidates = [...this.#state.segments.values()].filter((segment) => this.#mayTake(segment, segment.damaged ? 0 : MIN_AGE_MS));
    const wanted =
      candidates.find((segment) => segment.damaged) ??
      candidates.find((segment) => segment.liveBytes === 0 || segment.file.endsWith(this.#writer.id)) ??
      candidates.find((segment) => liveShare(segment) < REWRITE_BELOW) ??
      (this.#state.segments.size > MANY_SEGMENTS ? smallest(candidates, this.#segmentBytes / 4) : undefined);
    return wanted && this.#take(wanted);
  }

  #mayTake(segment: Segment, minAgeMs: number, orphanMs = ORPHAN_MS): boolean {
    if (segment === this.#writer.active) return segment.damaged;
    const ageMs = this.#clock.wallMs() - segment.lastWrittenMs;
    if (!segment.file.endsWith('.seg') && !segment.file.endsWith(this.#writer.id)) {
      const takenAtMs = statSync(this.#path(segment.file), { throwIfNoEntry: false })?.ctimeMs ?? 0;
      return Date.now() - takenAtMs > ORPHAN_MS;
    }
    return ageMs >= (segment.sealed || segment.mine || segment.damaged ? minAgeMs : orphanMs);
  }

  /** By the mean expiry of what the index still has of each. */
  #nearestToExpiry(candidates: readonly Segment[]): Segment {
    const { index } = this.#state;
    const sums = new Map(candidates.map((segment) => [segment.id, { sum: 0, count: 0 }]));
    for (let slot = 0; slot < index.slots; slot++) {
      const tally = sums.get(index.segment[slot]);
      if (tally === undefined) continue;
      tally.sum += index.expiresMs[slot];
      tally.count++;
    }
    const mean = (segment: Segment) => sums.get(segment.id)!.sum / Math.max(1, sums.get(segment.id)!.count);
    return candidates.reduce((best, segment) => (mean(segment) < mean(best) ? segment : best));
  }

  #take(segment: Segment): Job | undefined {
    if (this.#writer.active === segment) this.#writer.active = undefined;
    const file = `${segment.base}.take-${this.#writer.id}`;
    if (segment.file !== file) {
      try {
        renameSync(this.#path(segment.file), this.#path(file));
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw asStorageError(error, this.#folder.path);
        // Somebody else was first: see what there is now.
        this.#tail.scan();
        return undefined;
      }
      segment.file = file;
    }
    if (!segment.mine) this.#tail.follow(segment);
    const { index } = this.#state;
    const offsets: number[] = [];
    for (let slot = 0; slot < index.slots; slot++) if (index.segment[slot] === segment.id) offsets.push(index.offset[slot]);
    return { segment, offsets: offsets.sort((a, b) => a - b), next: 0 };
  }

  /** Copies frames that the index still points to, one batch of them. */
  #copySome(job: Job, keep: (kind: number) => boolean): void {
    const { index } = this.#state;
    const { segment } = job;
    const window = new FileWindow(segment);
    const moved: Array<{ key: Uint8Array; at: number; bytes: number; offset: number }> = [];
    const builder = this.#builder;
    const nowMs = this.#clock.wallMs();
    let next = job.next;
    builder.reset();
    for (; next < job.offsets.length && builder.bytes < COPY_BATCH_BYTES; next++) {
      const offset = job.offsets[next];
      const found = readFrame(window, offset, segment.fileBytes, segment.salt);
      if (found === undefined) continue;
      const slot = this.#state.find(window.buffer, found.keyAt, found.keyAt + found.keyBytes);
      if (slot < 0 || index.segment[slot] !== segment.id || index.offset[slot] !== offset) continue;
      if (index.expiresMs[slot] <= nowMs || !keep(index.kind[slot])) {
        this.#state.remove(slot);
        continue;
      }
      const { placed, keyBytes } = found;
      const place = window.ensure(offset, placed.bytes);
      const keyAt = place + FRAME.headerBytes;
      const key = Uint8Array.prototype.slice.call(window.buffer, keyAt, keyAt + keyBytes);
      const isWhole = place >= 0 && !found.dead && index.kind[slot] !== KIND_FLOOR && frameBodyIsWhole(window.buffer, place, keyBytes, placed.bytes - FRAME.headerBytes - keyBytes);
      // A body that is damaged or overtaken is not carried on; its version is, as a tombstone, so that no older record takes its place.
      const body = isWhole ? window.buffer.subarray(keyAt + keyBytes, place + placed.bytes) : NO_BODY;
      const at = builder.addFrame({ ...placed, kind: isWhole ? placed.kind : KIND_TOMBSTONE }, key, keyBytes, body);
      moved.push({ key, at, bytes: FRAME.headerBytes + keyBytes + body.length, offset });
    }
    if (next === job.offsets.length && segment.hasClear) this.#carryClears(segment);
    if (!builder.isEmpty) {
      const { segment: to, framesAt } = this.#writer.append(builder, nowMs);
      for (const { key, at, bytes } of moved) {
        const slot = this.#state.find(key, 0, key.length);
        if (slot < 0) continue;
        const { version, expiresMs, writtenMs } = this.#fields(slot);
        const isRecord = bytes === index.bytes[slot] && index.kind[slot] !== KIND_FLOOR;
        segment.liveBytes -= index.bytes[slot];
        this.#state.place(slot, { kind: isRecord ? index.kind[slot] : KIND_TOMBSTONE, version, expiresMs, writtenMs, offset: framesAt + at, bytes }, to);
      }
    }
    job.next = next;
  }

  #fields(slot: number): { version: number; expiresMs: number; writtenMs: number } {
    const { index } = this.#state;
    return { version: index.version[slot], expiresMs: index.expiresMs[slot], writtenMs: index.writtenMs[slot] };
  }

  /** A clear() has to outlive every file that may still hold what it cleared. */
  #carryClears(from: Segment): void {
    for (const clear of this.#state.clears) {
      const needed = [...this.#state.segments.values()].some((other) => other !== from && madeMsOf(other.base) <= clear.writtenMs);
      if (needed) this.#builder.addFrame({ kind: KIND_CLEAR, expiresMs: 0, ...clear }, NO_KEY, 0, NO_BODY);
    }
  }

  #finish(segment: Segment): void {
    const isRecent = this.#clock.wallMs() - segment.lastWrittenMs < LISTENERS_DONE_MS;
    if (isRecent) {
      this.#writer.noteDropped(segment.lastWrittenMs);
      this.#writer.appendNote();
    }
    try {
      if (segment.damaged) renameSync(this.#path(segment.file), this.#path(`${segment.base}.damaged-${Date.now()}`));
      else removeFile(this.#path(segment.file));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw asStorageError(error, this.#folder.path);
    }
    this.#state.drop(segment);
    if (segment.damaged) this.#tail.scan();
  }

  #path(file: string): string {
    return `${this.#folder.segments}/${file}`;
  }
}

const liveShare = (segment: Segment): number => segment.liveBytes / Math.max(1, segment.fileBytes);

function smallest(segments: readonly Segment[], below: number): Segment | undefined {
  return segments.filter((segment) => segment.fileBytes < below).sort((a, b) => a.fileBytes - b.fileBytes)[0];
}
