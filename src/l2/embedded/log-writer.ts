/** Appends batches to this thread's own segment. A batch is all or nothing: what failed is cut off again and never counts. */
import { closeSync, fstatSync, ftruncateSync, statSync, writevSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { BatchBuilder } from './batch-builder.ts';
import { asStorageError, removeFile, storageError, type StoreFolder } from './folder.ts';
import { BATCH, FLAG_SEALED, hashText, SEGMENT_HEADER, SEGMENT_HEADER_BYTES } from './layout.ts';
import type { LogState } from './log-state.ts';
import { Segment, segmentBase } from './segment.ts';

/** Others may take the file of a thread that was idle for long; more often than this it does not happen to one append. */
const MAX_TAKEN = 3;

export interface Appended {
  segment: Segment;
  /** Where the first frame lies. */
  framesAt: number;
}

export class LogWriter {
  readonly id = randomBytes(8).toString('hex');
  readonly #folder: StoreFolder;
  readonly #state: LogState;
  readonly #clock: Clock;
  readonly #segmentBytes: number;
  readonly #channelHash: number;
  readonly #empty = new BatchBuilder();
  active: Segment | undefined;
  #ordinal = 0;
  #seq = 0;
  #droppedThroughMs = 0;

  constructor(folder: StoreFolder, state: LogState, clock: Clock, segmentBytes: number, channelName: string) {
    this.#folder = folder;
    this.#state = state;
    this.#clock = clock;
    this.#segmentBytes = segmentBytes;
    this.#channelHash = hashText(channelName);
  }

  /** Throws ERR_L2_STORAGE, and then nothing of the batch takes effect, now or later. */
  append(builder: BatchBuilder, writtenMs: number): Appended {
    try {
      for (let taken = 0; taken < MAX_TAKEN; taken++) {
        const segment = this.#openActive();
        const framesAt = segment.fileBytes + builder.headBytes;
        this.#write(segment, builder, writtenMs, 0);
        // Checked after the write: whoever takes the file for cleaning renames it first and reads it to its end after that. If the
        // name still stands, the batch was there to be read; if not, it may have come too late and is written again.
        if (!this.#isStillOurs(segment)) {
          this.active = undefined;
          continue;
        }
        if (segment.fileBytes >= this.#segmentBytes) this.rotate();
        return { segment, framesAt };
      }
    } catch (error) {
      throw asStorageError(error, this.#folder.path);
    }
    throw storageError(`${this.#folder.path}: the file of this thread was taken away ${MAX_TAKEN} times; is something else working in the folder?`, 'l2.path');
  }

  /** Tells listeners of all processes that messages written up to then may be gone. Goes out with the next batch. */
  noteDropped(throughMs: number): void {
    this.#droppedThroughMs = Math.max(this.#droppedThroughMs, throughMs);
  }

  /** A batch without frames and events, to carry `noteDropped`. */
  appendNote(): void {
    this.#empty.reset();
    this.append(this.#empty, this.#clock.wallMs());
  }

  /** The next append starts a new segment. */
  rotate(): void {
    const segment = this.active;
    if (segment === undefined) return;
    this.active = undefined;
    this.#empty.reset();
    try {
      this.#write(segment, this.#empty, this.#clock.wallMs(), FLAG_SEALED);
    } catch (error) {
      // Without its mark the file is taken for a killed writer's, a minute later: no reason to fail the write that came before.
      asStorageError(error, this.#folder.path);
    }
    segment.sealed = true;
  }

  close(): void {
    if (this.active !== undefined && this.#seq === 0) removeFile(`${this.#folder.segments}/${this.active.file}`);
    else this.rotate();
    this.active = undefined;
  }

  #openActive(): Segment {
    if (this.active !== undefined && this.active.fd >= 0) return this.active;
    const base = segmentBase(this.#clock.wallMs(), this.id, ++this.#ordinal);
    let segment: Segment;
    try {
      segment = Segment.create(this.#state.takeId(), this.#folder.segments, base);
    } catch {
      // The folder was removed beneath us: make it again, as at the start.
      this.#folder.prepare();
      segment = Segment.create(this.#state.takeId(), this.#folder.segments, base);
    }
    try {
      writeFully(segment.fd, [SEGMENT_HEADER], 0);
    } catch (error) {
      closeSync(segment.fd);
      removeFile(`${this.#folder.segments}/${segment.file}`);
      throw error;
    }
    segment.fileBytes = SEGMENT_HEADER_BYTES;
    this.#state.add(segment);
    this.active = segment;
    return segment;
  }

  #write(segment: Segment, builder: BatchBuilder, writtenMs: number, flags: number): void {
    const at = segment.fileBytes;
    const fields = { seq: this.#seq + 1, writtenMs, channelHash: this.#channelHash, flags, droppedThroughMs: this.#droppedThroughMs };
    try {
      writeFully(segment.fd, builder.finish(segment.salt, fields), at);
    } catch (error) {
      this.#cutOff(segment, at);
      throw error;
    }
    this.#seq++;
    segment.fileBytes = at + builder.bytes;
    segment.tailedBytes = segment.fileBytes;
    segment.lastWrittenMs = writtenMs;
  }

  /** Readers take whole batches alone, so nobody has seen the part that is cut off. */
  #cutOff(segment: Segment, at: number): void {
    try {
      ftruncateSync(segment.fd, at);
    } catch {
      // The part stays, unfinished for ever as nothing more is appended to this file.
      this.active = undefined;
    }
  }

  #isStillOurs(segment: Segment): boolean {
    const named = statSync(`${this.#folder.segments}/${segment.base}.seg`, { throwIfNoEntry: false });
    return named !== undefined && named.ino === fstatSync(segment.fd).ino;
  }
}

export const batchOverheadBytes: number = BATCH.headerBytes;

/** pwritev until all is written. */
function writeFully(fd: number, parts: readonly Buffer[], at: number): void {
  let rest = parts.filter((part) => part.length > 0);
  let position = at;
  while (rest.length > 0) {
    let written = writevSync(fd, rest, position);
    position += written;
    while (rest.length > 0 && written >= rest[0].length) {
      written -= rest[0].length;
      rest = rest.slice(1);
    }
    if (rest.length > 0 && written > 0) rest = [rest[0].subarray(written), ...rest.slice(1)];
  }
}
