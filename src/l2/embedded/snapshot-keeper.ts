/**
 * When the index is written to its file (index-snapshot.ts), and how it is taken up again at open.
 *
 * The order at open: what the snapshot says of a segment is placed, then the segment is followed from there as ever, so that everything
 * newer wins by the rule of the log. A snapshot may be old: segments it names that are gone are passed over, those it does not name are read
 * whole, and so is one that is shorter than it was. A record that has been overtaken since, by one that is gone, has its mark in its own
 * file, and readers look at it (record-reader.ts).
 *
 * Any thread of any process may write it; a rename puts it in its place, whole.
 */
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Clock } from '../../clock.ts';
import { errorCode, listFolder, MODE_FILE, removeFile, sizeOf, type StoreFolder } from './folder.ts';
import { CRC_FROM, layOutSnapshot, readSnapshot, sealSnapshot, snapshotBytes, type CoveredSegment, type IndexSnapshot } from './index-snapshot.ts';
import { KeyIndex } from './key-index.ts';
import { SEGMENT_HEADER_BYTES } from './layout.ts';
import type { LogState } from './log-state.ts';
import type { Segment } from './segment.ts';

const FILE = 'index.snapshot';
const TEMPORARY = 'index.tmp-';
/** What a killed process left of a snapshot that it was about to rename. */
const TEMPORARY_LIFE_MS = 60_000;
/** Written at a close when so much of the log is not covered: less is read again in a few milliseconds. */
const CLOSE_AFTER_BYTES = 1024 * 1024;
/** And while open: at least so much, and at least this share of the log. */
const OPEN_AFTER_BYTES = 8 * 1024 * 1024;
const OPEN_AFTER_SHARE = 1 / 8;
/** Largest share of maxBytes that a snapshot may take: many tiny records are read from the log instead. */
const MAX_SHARE = 1 / 16;
/** Bytes checked and written in one step. */
const STEP_BYTES = 1024 * 1024;

interface Draft {
  path: string;
  fd: number;
  file: Uint8Array;
  crc: number;
  done: number;
}

export class SnapshotKeeper {
  readonly #folder: StoreFolder;
  readonly #state: LogState;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  /** Overrides both thresholds: tests write one at every occasion. */
  readonly #afterBytes: number | undefined;
  /** How far the newest snapshot goes, by the segments' bases. */
  #covered = new Map<string, number>();
  /** Time stamp of the file that we read or wrote. */
  #stampMs = 0;
  #draft: Draft | undefined;
  /** Records placed at open without reading the log. */
  restored = 0;
  /** Snapshots that were there, and could not be used. */
  damaged = 0;

  constructor(parts: { folder: StoreFolder; state: LogState; clock: Clock; maxBytes: number; afterBytes: number | undefined }) {
    this.#folder = parts.folder;
    this.#state = parts.state;
    this.#clock = parts.clock;
    this.#maxBytes = parts.maxBytes;
    this.#afterBytes = parts.afterBytes;
  }

  get fileBytes(): number {
    return sizeOf(this.#path(FILE));
  }

  /** Takes up the snapshot for segments that have not been followed yet. Nothing is in the index before it. */
  restore(fresh: readonly Segment[]): void {
    const snapshot = this.#read();
    if (snapshot === undefined) return;
    const { seedA, seedB, entries, columns } = snapshot;
    const index = (this.#state.index = new KeyIndex(seedA, seedB, entries));
    this.#state.clears = [...snapshot.clears];
    const byBase = new Map(fresh.map((segment) => [segment.base, segment]));
    const segments = snapshot.segments.map((covered) => takeUp(byBase.get(covered.base), covered));
    for (let i = 0; i < entries; i++) {
      const segment = segments[columns.segment[i]];
      if (segment === undefined || columns.offset[i] + columns.bytes[i] > segment.tailedBytes) continue;
      const slot = index.claimHashed(columns.hashA[i], columns.hashB[i]);
      this.#state.place(slot, { kind: columns.kind[i], version: columns.version[i], expiresMs: columns.expiresMs[i], writtenMs: columns.writtenMs[i], offset: columns.offset[i], bytes: columns.bytes[i] }, segment);
    }
    this.restored = index.size;
    this.#noteCovered();
  }

  /** Starts a snapshot if one is due; the state is up to date with the log. */
  begin(when: 'open' | 'closing'): boolean {
    if (this.#draft !== undefined) return true;
    const least = this.#afterBytes ?? (when === 'closing' ? CLOSE_AFTER_BYTES : Math.max(OPEN_AFTER_BYTES, this.#state.totalBytes() * OPEN_AFTER_SHARE));
    if (this.#uncoveredBytes() < least || this.#anotherWasWritten()) return false;
    // Before the attempt: one that fails, on a full disk, is not made again at once.
    this.#noteCovered();
    const { index } = this.#state;
    const segments = [...this.#state.segments.values()].filter((segment) => !segment.damaged && segment.suspectSinceMs === 0);
    const bytes = snapshotBytes(segments.length, this.#state.clears.length, index.size);
    if (bytes > this.#maxBytes * MAX_SHARE || this.#state.totalBytes() + bytes > this.#maxBytes || !this.#folder.hasRoomFor(bytes, this.#clock.monotonicMs())) return false;
    const file = gather(this.#state, segments);
    const path = this.#path(`${TEMPORARY}${randomBytes(8).toString('hex')}`);
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE_FILE);
    this.#draft = { path, fd, file, crc: 0, done: 0 };
    return true;
  }

  /** One bounded part of the work; true when there is more. */
  step(): boolean {
    const draft = this.#draft;
    if (draft === undefined) return false;
    try {
      const { file, done } = draft;
      const end = Math.min(file.length, done + STEP_BYTES);
      draft.crc = crc32(file.subarray(Math.max(CRC_FROM, done), end), draft.crc) >>> 0;
      for (let at = done; at < end; ) at += writeSync(draft.fd, file, at, end - at, at);
      draft.done = end;
      if (end < file.length) return true;
      sealSnapshot(file, draft.crc);
      writeSync(draft.fd, file, 0, CRC_FROM, 0);
      this.#draft = undefined;
      closeSync(draft.fd);
      renameSync(draft.path, this.#path(FILE));
      this.#stampMs = this.#fileStampMs();
      return false;
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  abandon(): void {
    const draft = this.#draft;
    if (draft === undefined) return;
    this.#draft = undefined;
    closeSync(draft.fd);
    removeFile(draft.path);
  }

  /** Removes what killed processes have left. */
  sweep(): void {
    for (const name of listFolder(this.#folder.path)) {
      if (!name.startsWith(TEMPORARY)) continue;
      const { mtimeMs } = statSync(this.#path(name), { throwIfNoEntry: false }) ?? { mtimeMs: Infinity };
      if (Date.now() - mtimeMs > TEMPORARY_LIFE_MS) removeFile(this.#path(name));
    }
  }

  /** Undefined without one. What cannot be used is removed: all that it held stands in the log. */
  #read(): IndexSnapshot | undefined {
    let snapshot: IndexSnapshot | undefined;
    try {
      const fd = openSync(this.#path(FILE), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
      try {
        const { size, mtimeMs } = fstatSync(fd);
        const all = size <= this.#maxBytes * MAX_SHARE ? readWhole(fd, size) : undefined;
        snapshot = all && readSnapshot(all);
        this.#stampMs = mtimeMs;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return undefined;
      // A link, a folder, a bad sector: whatever it is, the log has the same.
      if (code === undefined) throw error;
    }
    if (snapshot !== undefined) return snapshot;
    this.damaged++;
    this.#stampMs = 0;
    rmSync(this.#path(FILE), { force: true, recursive: true });
    return undefined;
  }

  #uncoveredBytes(): number {
    let bytes = 0;
    for (const segment of this.#state.segments.values()) bytes += segment.tailedBytes - (this.#covered.get(segment.base) ?? SEGMENT_HEADER_BYTES);
    return bytes;
  }

  /** By another thread, since we looked: it covers about what we see. */
  #anotherWasWritten(): boolean {
    const stampMs = this.#fileStampMs();
    if (stampMs === this.#stampMs) return false;
    this.#stampMs = stampMs;
    if (stampMs === 0) return false;
    this.#noteCovered();
    return true;
  }

  #noteCovered(): void {
    this.#covered = new Map([...this.#state.segments.values()].map((segment) => [segment.base, segment.tailedBytes]));
  }

  #fileStampMs(): number {
    return statSync(this.#path(FILE), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  #path(name: string): string {
    return join(this.#folder.path, name);
  }
}

function readWhole(fd: number, size: number): ArrayBuffer | undefined {
  const all = new ArrayBuffer(size);
  let done = 0;
  for (let read = 1; read > 0 && done < size; done += read) read = readSync(fd, new Uint8Array(all), done, size - done, done);
  return done === size ? all : undefined;
}

/** The segment, known as far as the snapshot covers it; undefined when it is gone, or shorter than it was: then it is read from its start. */
function takeUp(segment: Segment | undefined, covered: CoveredSegment): Segment | undefined {
  if (segment === undefined || !(covered.coveredBytes >= SEGMENT_HEADER_BYTES && covered.coveredBytes <= segment.fileBytes)) return undefined;
  segment.tailedBytes = covered.coveredBytes;
  // As last seen: what it has beyond that is news.
  segment.fileBytes = covered.coveredBytes;
  segment.sealed = covered.sealed;
  segment.hasClear = covered.hasClear;
  segment.lastWrittenMs = Math.max(segment.lastWrittenMs, covered.lastWrittenMs);
  return segment;
}

function gather(state: LogState, segments: readonly Segment[]): Uint8Array {
  const { index } = state;
  const places = new Map(segments.map((segment, place) => [segment.id, place]));
  let entries = 0;
  for (let slot = 0; slot < index.slots; slot++) if (places.has(index.segment[slot])) entries++;
  const covered = segments.map(({ base, tailedBytes, lastWrittenMs, sealed, hasClear }) => ({ base, coveredBytes: tailedBytes, lastWrittenMs, sealed, hasClear }));
  const { file, columns } = layOutSnapshot({ seedA: index.seedA, seedB: index.seedB, segments: covered, clears: state.clears, entries });
  let at = 0;
  for (let slot = 0; slot < index.slots; slot++) {
    const place = places.get(index.segment[slot]);
    if (place === undefined) continue;
    columns.version[at] = index.version[slot];
    columns.expiresMs[at] = index.expiresMs[slot];
    columns.writtenMs[at] = index.writtenMs[slot];
    columns.hashA[at] = index.hashA[slot];
    columns.hashB[at] = index.hashB[slot];
    columns.segment[at] = place;
    columns.offset[at] = index.offset[slot];
    columns.bytes[at] = index.bytes[slot];
    columns.kind[at] = index.kind[slot];
    at++;
  }
  return file;
}
