/** One file of the log, as one thread knows it. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { errorCode, MODE_FILE } from './folder.ts';
import { FRAME, hashText, SEGMENT_HEADER_BYTES, STATE_DEAD } from './layout.ts';

const NAME = /^(s-[0-9a-z]{9}-[0-9a-f]{16}-([0-9a-z]+))\.(seg|take-[0-9a-f]{16})$/;
const DAMAGED = /^s-.*\.damaged-\d+$/;
const DEAD = Uint8Array.of(STATE_DEAD);

export interface SegmentName {
  base: string;
  file: string;
}

export function parseSegmentName(file: string): SegmentName | undefined {
  const match = NAME.exec(file);
  return match ? { base: match[1], file } : undefined;
}

export const isDamagedName = (file: string): boolean => DAMAGED.test(file);

/** Bases sort by the time they were made in, then by writer. */
export const segmentBase = (madeMs: number, writer: string, ordinal: number): string =>
  `s-${Math.max(0, Math.floor(madeMs)).toString(36).padStart(9, '0')}-${writer}-${ordinal.toString(36).padStart(6, '0')}`;

export const madeMsOf = (base: string): number => Number.parseInt(base.slice(2, 11), 36);
export const writerOf = (base: string): string => base.slice(12, 28);

export class Segment {
  /** Never 0, never used twice by one store object: what the index calls this segment. */
  readonly id: number;
  readonly base: string;
  readonly salt: number;
  readonly mine: boolean;
  fd: number;
  /** Present name in the folder. */
  file: string;
  /** Bytes of the file as last seen. */
  fileBytes: number;
  /** Everything before it has been applied to the index. */
  tailedBytes = SEGMENT_HEADER_BYTES;
  /** Bytes of frames that the index points to. */
  liveBytes = 0;
  /** No batch will follow. */
  sealed = false;
  /** Something in it could not be read: clean it and set it aside. */
  damaged = false;
  hasClear = false;
  /** Wall clock of its newest batch. */
  lastWrittenMs: number;
  /** Wall clock at which damage that may be a write under way was seen first. */
  suspectSinceMs = 0;

  constructor(id: number, name: SegmentName, fd: number, mine: boolean, fileBytes: number) {
    this.id = id;
    this.base = name.base;
    this.file = name.file;
    this.salt = hashText(name.base);
    this.fd = fd;
    this.mine = mine;
    this.fileBytes = fileBytes;
    this.lastWrittenMs = madeMsOf(name.base);
  }

  /** Opens a file that another writer made; undefined when it is gone. O_NOFOLLOW: a link is not ours. */
  static open(id: number, folder: string, name: SegmentName): Segment | undefined {
    const path = `${folder}/${name.file}`;
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ELOOP') return undefined;
      if (code !== 'EACCES' && code !== 'EROFS') throw error;
      fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    }
    return new Segment(id, name, fd, false, fstatSync(fd).size);
  }

  static create(id: number, folder: string, base: string): Segment {
    const file = `${base}.seg`;
    const fd = openSync(`${folder}/${file}`, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, MODE_FILE);
    return new Segment(id, { base, file }, fd, true, 0);
  }

  /** Bytes read; fewer than asked at the end of the file. */
  read(into: Uint8Array, length: number, at: number): number {
    let done = 0;
    while (done < length) {
      const read = readSync(this.fd, into, done, length - done, at + done);
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  /** A newer record of the key was appended elsewhere. Costs no space, so it works on a full disk; failing only costs a later merge. */
  markDead(offset: number): void {
    try {
      writeSync(this.fd, DEAD, 0, 1, offset + FRAME.state);
    } catch (error) {
      if (!['EBADF', 'EROFS', 'EACCES', 'ENOSPC', 'EDQUOT', 'EIO'].includes(errorCode(error) ?? '')) throw error;
    }
  }

  close(): void {
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
  }
}
