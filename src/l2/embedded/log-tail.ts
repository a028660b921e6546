/** Follows the folder: finds new segments, reads what other threads and processes have appended, forgets what is gone. */
import { fstatSync, statSync } from 'node:fs';
import { asStorageError, listFolder, trimDamaged, type StoreFolder } from './folder.ts';
import { BATCH, batchHeaderIsWhole, FLAG_SEALED, FRAME, frameHeaderIsWhole, isDead, readBatchHeader, readFrameLengths, SEGMENT_HEADER_BYTES } from './layout.ts';
import type { LogState, Placed } from './log-state.ts';
import { isDamagedName, parseSegmentName, Segment } from './segment.ts';
import { FileWindow } from './window.ts';

/** The kernel stamps a folder with its clock tick: within this time of the stamp the folder may have changed again unseen. */
const FOLDER_TICK_MS = 30;
/** Bytes that make no sense at the end of a file may be a write under way for so long, and are damage after it. */
const SUSPECT_MS = 1_000;
const MAGICS = [Buffer.from('PCF1'), Buffer.from('PCB1')];

export class LogTail {
  readonly #folder: StoreFolder;
  readonly #state: LogState;
  readonly #maxDamagedBytes: number;
  #folderStampMs = -1;
  /** Segment files set aside in the folder, by whomever. */
  damagedFiles = 0;
  /** Of what lies beside the segments: blobs, and the snapshot of the index. */
  besideBytes = 0;

  constructor(folder: StoreFolder, state: LogState, maxDamagedBytes: number) {
    this.#folder = folder;
    this.#state = state;
    this.#maxDamagedBytes = maxDamagedBytes;
  }

  /** After it the index holds everything that was acknowledged, by any process, before it was called. */
  sync(): void {
    try {
      const stampMs = statSync(this.#folder.segments, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (stampMs !== this.#folderStampMs || Math.abs(Date.now() - stampMs) < FOLDER_TICK_MS) this.scan(stampMs);
      for (const segment of this.#state.segments.values()) if (!segment.mine && !segment.sealed) this.follow(segment);
    } catch (error) {
      throw asStorageError(error, this.#folder.path);
    }
  }

  /** @param known is given the files met for the first time, and may say what of them is known already (`tailedBytes`). */
  scan(stampMs = -1, known: (fresh: readonly Segment[]) => void = () => {}): void {
    this.#folderStampMs = stampMs;
    const seen = new Set<string>();
    const damaged: string[] = [];
    const fresh: Segment[] = [];
    for (const file of listFolder(this.#folder.segments)) {
      const name = parseSegmentName(file);
      if (name === undefined) {
        if (isDamagedName(file)) damaged.push(file);
        continue;
      }
      seen.add(name.base);
      const followed = this.#state.byBase.get(name.base);
      if (followed !== undefined) {
        followed.file = file;
        continue;
      }
      const segment = Segment.open(this.#state.takeId(), this.#folder.segments, name);
      if (segment === undefined) continue;
      this.#state.add(segment);
      fresh.push(segment);
    }
    known(fresh);
    // First what is new, then what is gone: cleaning copies a record before it removes the file that held it.
    for (const segment of fresh) this.follow(segment);
    for (const segment of this.#state.segments.values()) if (!seen.has(segment.base)) this.#state.drop(segment);
    const kept = trimDamaged(this.#folder.segments, damaged, this.#maxDamagedBytes);
    this.damagedFiles = kept.names.length;
    this.#state.otherBytes = kept.bytes + this.besideBytes;
  }

  /** Applies what was appended since the last time. */
  follow(segment: Segment): void {
    const found = fstatSync(segment.fd);
    const grown = found.size !== segment.fileBytes || segment.tailedBytes === SEGMENT_HEADER_BYTES;
    segment.fileBytes = found.size;
    // Made, its first bytes not yet written: a writer starts it right now, or was killed in between.
    if (found.size < SEGMENT_HEADER_BYTES && segment.tailedBytes === SEGMENT_HEADER_BYTES) return;
    if (found.size < segment.tailedBytes) {
      segment.damaged = true;
      return;
    }
    if (!grown && segment.suspectSinceMs === 0) return;
    this.#read(segment, found.size, Date.now() - found.mtimeMs > SUSPECT_MS);
  }

  #read(segment: Segment, size: number, isOld: boolean): void {
    const window = new FileWindow(segment);
    let at = segment.tailedBytes;
    // End of the batch that `at` is in: frames count up to here.
    let gate = at;
    let salvaging = false;
    while (at < size) {
      if (at < gate) {
        const end = this.#frame(segment, window, at, gate);
        if (end > 0) {
          at = end;
          continue;
        }
      }
      if (at >= gate || salvaging) {
        const batch = this.#batch(segment, window, at, size);
        if (batch === 'unfinished') break;
        if (batch !== 'bad') {
          ({ at, gate } = batch);
          salvaging = false;
          continue;
        }
      }
      const resumed = this.#search(segment, window, at + 1, size);
      if (at >= gate && !salvaging) {
        // Nothing behind it: what a killed writer left of its last batch, or one under way.
        if (resumed < 0) break;
        if (!isOld) {
          segment.suspectSinceMs ||= Date.now();
          if (Date.now() - segment.suspectSinceMs < SUSPECT_MS) {
            segment.tailedBytes = at;
            return;
          }
        }
      }
      segment.damaged = true;
      at = resumed < 0 ? Math.max(at + 1, gate) : resumed;
      if (resumed >= 0 && resumed !== gate) {
        salvaging = true;
        gate = size;
      }
    }
    segment.suspectSinceMs = 0;
    segment.tailedBytes = Math.min(at, size);
  }

  #batch(segment: Segment, window: FileWindow, at: number, size: number): { at: number; gate: number } | 'bad' | 'unfinished' {
    if (at + BATCH.headerBytes > size) return 'unfinished';
    let place = window.ensure(at, BATCH.headerBytes);
    if (place < 0) return 'unfinished';
    const header = readBatchHeader(window.buffer, place);
    if (header === undefined) return 'bad';
    const framesAt = at + BATCH.headerBytes + header.eventBytes;
    if (framesAt > size) return 'bad';
    place = window.ensure(at, BATCH.headerBytes + header.eventBytes);
    if (place < 0 || !batchHeaderIsWhole(window.buffer, place, header.eventBytes, segment.salt)) return 'bad';
    if (framesAt + header.frameBytes > size) return 'unfinished';
    segment.lastWrittenMs = Math.max(segment.lastWrittenMs, header.writtenMs);
    if ((header.flags & FLAG_SEALED) !== 0) segment.sealed = true;
    return { at: framesAt, gate: framesAt + header.frameBytes };
  }

  /** Where the frame ends; 0 when there is none. */
  #frame(segment: Segment, window: FileWindow, at: number, gate: number): number {
    const found = readFrame(window, at, gate, segment.salt);
    if (found === undefined) return 0;
    if (!found.dead) this.#state.apply(found.placed, segment, window.buffer, found.keyAt, found.keyAt + found.keyBytes);
    return at + found.placed.bytes;
  }

  /** Next place from `from` on where a whole header stands; -1 without one. */
  #search(segment: Segment, window: FileWindow, from: number, size: number): number {
    let at = from;
    while (at + FRAME.headerBytes <= size) {
      const place = window.ensure(at, FRAME.headerBytes);
      if (place < 0) return -1;
      const hay = window.buffer.subarray(place, place + window.available(at));
      const hits = MAGICS.map((magic) => hay.indexOf(magic)).filter((hit) => hit >= 0);
      if (hits.length === 0) {
        at += Math.max(1, hay.length - 3);
        continue;
      }
      at += Math.min(...hits);
      if (readFrame(window, at, size, segment.salt) !== undefined || typeof this.#batch(segment, window, at, size) === 'object') return at;
      at++;
    }
    return -1;
  }
}

export interface FoundFrame {
  placed: Placed;
  /** Where the key stands in the window's buffer. */
  keyAt: number;
  keyBytes: number;
  dead: boolean;
}

/** The frame at `at`, header and key checked; undefined when there is none that ends by `limit`. */
export function readFrame(window: FileWindow, at: number, limit: number, salt: number): FoundFrame | undefined {
  if (at + FRAME.headerBytes > limit) return undefined;
  let place = window.ensure(at, FRAME.headerBytes);
  if (place < 0) return undefined;
  const lengths = readFrameLengths(window.buffer, place);
  if (lengths === undefined) return undefined;
  const { keyBytes, bodyBytes } = lengths;
  const bytes = FRAME.headerBytes + keyBytes + bodyBytes;
  if (at + bytes > limit) return undefined;
  place = window.ensure(at, FRAME.headerBytes + keyBytes);
  if (place < 0 || !frameHeaderIsWhole(window.buffer, place, keyBytes, salt)) return undefined;
  const from = window.buffer;
  return {
    placed: {
      kind: from[place + FRAME.kind],
      version: from.readDoubleLE(place + FRAME.version),
      expiresMs: from.readDoubleLE(place + FRAME.expiresMs),
      writtenMs: from.readDoubleLE(place + FRAME.writtenMs),
      offset: at,
      bytes,
    },
    keyAt: place + FRAME.headerBytes,
    keyBytes,
    dead: isDead(from[place + FRAME.state]),
  };
}
