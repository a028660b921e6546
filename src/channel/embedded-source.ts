/**
 * Messages of the update channel where the L2 is a folder: they lie in the log, each in the batch of the write it tells of, and a
 * batch counts only when it is there whole. This source follows the batch headers and skips the records, so that it costs the main
 * thread a stat of the folder and one of each open file when nothing has happened.
 *
 * A gap is told of when a message may have been missed: a hole in a writer's batch numbers, a new writer whose first batches are
 * gone, a file removed that was written after our last look (`droppedThroughMs`), a file that shrank or cannot be read.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { systemClock, type Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { EmbeddedL2Options } from '../options.ts';
import { asStorageError, errorCode, listFolder, StoreFolder } from '../l2/embedded/folder.ts';
import { BATCH, batchHeaderIsWhole, FLAG_SEALED, hashText, readBatchHeader, SEGMENT_HEADER_BYTES } from '../l2/embedded/layout.ts';
import { parseSegmentName, writerOf } from '../l2/embedded/segment.ts';
import { FileWindow } from '../l2/embedded/window.ts';
import type { ChannelListener, ChannelSource } from './source.ts';

/** Within this time of the folder's stamp it may have changed again unseen (the kernel's clock tick). */
const FOLDER_TICK_MS = 30;
/** What makes no sense at the end of a file may be a write under way for so long. */
const SUSPECT_MS = 1_000;
/** Numbers of writers that are gone are kept for so many, the newest. */
const MAX_WRITERS = 4_096;

interface Followed {
  base: string;
  writer: string;
  salt: number;
  fd: number;
  readBytes: number;
  sealed: boolean;
  suspectSinceMs: number;
  /** Nothing of it can be read any more. */
  lost: boolean;
}

export class EmbeddedSource implements ChannelSource {
  /** The log numbers its batches: what is missing is seen. */
  readonly isLossy = false;
  readonly #options: EmbeddedL2Options;
  readonly #channelHash: number;
  readonly #clock: Clock;
  readonly #folder: StoreFolder;
  readonly #files = new Map<string, Followed>();
  /** Sealed segments that have been read to their end. */
  #finished = new Set<string>();
  /** Last batch number of each writer. */
  readonly #seqs = new Map<string, number>();
  #folderStampMs = -1;
  #lastPollMs = 0;
  #knownDropMs = 0;
  #listener: ChannelListener | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EmbeddedL2Options, context: { channelName: string; clock?: Clock }) {
    this.#options = options;
    this.#channelHash = hashText(context.channelName);
    this.#clock = context.clock ?? systemClock;
    this.#folder = new StoreFolder(options.path, 0);
  }

  /** Rejects with ERR_L2_STORAGE when the folder cannot be used. */
  async start(listener: ChannelListener): Promise<void> {
    this.#folder.prepare();
    try {
      this.#scan();
      for (const file of this.#files.values()) this.#follow(file);
    } catch (error) {
      throw asStorageError(error, this.#options.path);
    }
    // What was there before the start has been walked over without a listener: now the numbers and places are known.
    this.#lastPollMs = this.#clock.wallMs();
    this.#listener = listener;
    this.#timer = setInterval(() => this.poll(), this.#options.pollIntervalMs).unref();
  }

  get isListening(): boolean {
    return this.#listener !== undefined;
  }

  /** There is nothing to connect anew: the next look starts over. */
  renew(): void {
    this.#folderStampMs = -1;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#listener = undefined;
    for (const file of this.#files.values()) closeSync(file.fd);
    this.#files.clear();
  }

  /** One look; the timer calls it. */
  poll(): void {
    if (this.#listener === undefined) return;
    const startMs = this.#clock.wallMs();
    try {
      const stampMs = statSync(this.#folder.segments, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (stampMs !== this.#folderStampMs || Math.abs(Date.now() - stampMs) < FOLDER_TICK_MS) {
        this.#folderStampMs = stampMs;
        this.#scan();
      }
      for (const file of this.#files.values()) {
        this.#follow(file);
        // A listener may have closed us.
        if (this.#listener === undefined) return;
        if (file.sealed) this.#drop(file);
      }
      this.#lastPollMs = startMs;
    } catch (error) {
      const typed = ProfileCacheError.from(error, 'ERR_L2_STORAGE');
      // Start over from where the next look finds the files; in between anything may have been told.
      this.#folderStampMs = -1;
      this.#gap(`the folder cannot be read: ${typed.message}`);
    }
  }

  #scan(): void {
    const seen = new Set<string>();
    for (const file of listFolder(this.#folder.segments)) {
      const name = parseSegmentName(file);
      if (name === undefined) continue;
      seen.add(name.base);
      if (this.#files.has(name.base) || this.#finished.has(name.base)) continue;
      const fd = openIfThere(`${this.#folder.segments}/${file}`);
      if (fd === undefined) continue;
      if (this.#listener === undefined && this.#skipIfSealed(fd, name.base)) continue;
      this.#files.set(name.base, { base: name.base, writer: writerOf(name.base), salt: hashText(name.base), fd, readBytes: SEGMENT_HEADER_BYTES, sealed: false, suspectSinceMs: 0, lost: false });
    }
    // A file that is gone has been appended to for the last time: read it to its end by the descriptor we hold, then let go.
    for (const file of this.#files.values()) {
      if (seen.has(file.base)) continue;
      this.#follow(file);
      this.#drop(file);
    }
    this.#finished = new Set([...this.#finished].filter((base) => seen.has(base)));
    if (this.#seqs.size > MAX_WRITERS) for (const writer of [...this.#seqs.keys()].slice(0, this.#seqs.size - MAX_WRITERS)) this.#seqs.delete(writer);
  }

  /** At the start a finished segment need not be walked: its last batch is the mark, and has the writer's number. */
  #skipIfSealed(fd: number, base: string): boolean {
    const tail = Buffer.alloc(BATCH.headerBytes);
    const at = fstatSync(fd).size - BATCH.headerBytes;
    if (at < SEGMENT_HEADER_BYTES || readUpTo(fd, tail, tail.length, at) < tail.length) return false;
    const header = readBatchHeader(tail, 0);
    if (header === undefined || header.eventBytes + header.frameBytes > 0 || (header.flags & FLAG_SEALED) === 0) return false;
    if (!batchHeaderIsWhole(tail, 0, 0, hashText(base))) return false;
    const writer = writerOf(base);
    this.#seqs.set(writer, Math.max(this.#seqs.get(writer) ?? 0, header.seq));
    closeSync(fd);
    this.#finished.add(base);
    return true;
  }

  #drop(file: Followed): void {
    closeSync(file.fd);
    this.#files.delete(file.base);
    this.#finished.add(file.base);
  }

  #follow(file: Followed): void {
    const { size } = fstatSync(file.fd);
    // Made, its first bytes not yet written.
    if (size < SEGMENT_HEADER_BYTES && file.readBytes === SEGMENT_HEADER_BYTES) return;
    if (size < file.readBytes) {
      this.#lose(file, 'a file of the log shrank');
      return;
    }
    if (size === file.readBytes || file.lost) return;
    const window = new FileWindow({ read: (into, length, at) => readUpTo(file.fd, into, length, at) });
    while (file.readBytes + BATCH.headerBytes <= size && !file.sealed) {
      const end = this.#batch(file, window, size);
      if (end === 'unfinished') break;
      if (end === 'bad') {
        file.suspectSinceMs ||= Date.now();
        if (Date.now() - file.suspectSinceMs >= SUSPECT_MS) this.#lose(file, 'a file of the log is damaged');
        break;
      }
      file.suspectSinceMs = 0;
      file.readBytes = end;
    }
  }

  /** End of the batch that starts where we are. */
  #batch(file: Followed, window: FileWindow, size: number): number | 'unfinished' | 'bad' {
    const at = file.readBytes;
    let place = window.ensure(at, BATCH.headerBytes);
    if (place < 0) return 'unfinished';
    const header = readBatchHeader(window.buffer, place);
    if (header === undefined || at + BATCH.headerBytes + header.eventBytes > size) return 'bad';
    place = window.ensure(at, BATCH.headerBytes + header.eventBytes);
    if (place < 0 || !batchHeaderIsWhole(window.buffer, place, header.eventBytes, file.salt)) return 'bad';
    const end = at + BATCH.headerBytes + header.eventBytes + header.frameBytes;
    if (end > size) return 'unfinished';
    this.#checkSequence(file, header.seq, header.droppedThroughMs);
    if ((header.flags & FLAG_SEALED) !== 0) file.sealed = true;
    if (header.channelHash === this.#channelHash && header.events > 0) {
      const events = window.buffer.subarray(place + BATCH.headerBytes, place + BATCH.headerBytes + header.eventBytes);
      for (let from = 0; from + 4 <= events.length; ) {
        const length = events.readUInt32LE(from);
        const text = events.toString('utf8', from + 4, from + 4 + length);
        from += 4 + length;
        this.#listener?.onMessage(text);
      }
    }
    return end;
  }

  #checkSequence(file: Followed, seq: number, droppedThroughMs: number): void {
    const last = this.#seqs.get(file.writer) ?? 0;
    // Taken out and put back: the map keeps the writers heard last at its end.
    this.#seqs.delete(file.writer);
    this.#seqs.set(file.writer, Math.max(last, seq));
    if (seq > last + 1) this.#gap(`batches ${last + 1} to ${seq - 1} of a writer are gone`);
    if (droppedThroughMs <= this.#knownDropMs) return;
    this.#knownDropMs = droppedThroughMs;
    if (droppedThroughMs >= this.#lastPollMs) this.#gap('a file of the log was removed that may not have been read');
  }

  #lose(file: Followed, reason: string): void {
    if (file.lost) return;
    file.lost = true;
    this.#gap(reason);
  }

  #gap(reason: string): void {
    this.#listener?.onGap(reason);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ELOOP') return undefined;
    throw error;
  }
}

function readUpTo(fd: number, into: Uint8Array, length: number, at: number): number {
  let done = 0;
  while (done < length) {
    const read = readSync(fd, into, done, length - done, at + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}
