/**
 * Blobs and leases: one small file each, named by a hash of what it is for. link(2) puts a file in its place whole, and refuses
 * when there is one already: that is the compare-and-set of a file system, and the only lock that survives a kill.
 *
 *   0      4     8        12          16            24     24+nameBytes
 *   +------+-----+--------+-----------+-------------+------+---------+
 *   | PCX1 | crc | name   | content   | expires     | name | content |
 *   |      |     | bytes  | bytes     | Ms f64      |      |         |
 *   +------+-----+--------+-----------+-------------+------+---------+
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, linkSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { errorCode, listFolder, MODE_FILE, removeFile, sizeOf } from './folder.ts';

const MAGIC = 0x31584350;
const HEADER_BYTES = 24;
export const MAX_SMALL_FILE_BYTES = 32 * 1024 * 1024;
const TEMPORARY = /^tmp-/;
/** What a killed process left of a file that it was about to link. */
const TEMPORARY_LIFE_MS = 60_000;

export interface SmallFile {
  content: Buffer;
  expiresMs: number;
}

export type Found = SmallFile | 'absent' | 'damaged';

const fileOf = (folder: string, name: string): string => `${folder}/${createHash('sha256').update(name).digest('hex')}`;

export function readSmallFile(folder: string, name: string): Found {
  return readAt(fileOf(folder, name), name);
}

function readAt(path: string, name: string): Found {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'absent';
    if (errorCode(error) === 'ELOOP') return 'damaged';
    throw error;
  }
  try {
    const size = fstatSync(fd).size;
    if (size < HEADER_BYTES || size > MAX_SMALL_FILE_BYTES) return 'damaged';
    const all = Buffer.allocUnsafeSlow(size);
    if (readSync(fd, all, 0, size, 0) !== size || all.readUInt32LE(0) !== MAGIC) return 'damaged';
    const nameBytes = all.readUInt32LE(8);
    if (HEADER_BYTES + nameBytes + all.readUInt32LE(12) !== size || crc32(all.subarray(8)) >>> 0 !== all.readUInt32LE(4)) return 'damaged';
    if (all.toString('utf8', HEADER_BYTES, HEADER_BYTES + nameBytes) !== name) return 'damaged';
    return { content: all.subarray(HEADER_BYTES + nameBytes), expiresMs: all.readDoubleLE(16) };
  } finally {
    closeSync(fd);
  }
}

/** True when this call made the file; false when there was one. */
export function makeSmallFile(folder: string, name: string, content: Uint8Array, expiresMs: number): boolean {
  return place(folder, name, content, expiresMs, linkSync);
}

/** Whole as well, whatever was there. Between a look at that and this call another may have come: for what may get lost to such a race. */
export function replaceSmallFile(folder: string, name: string, content: Uint8Array, expiresMs: number): void {
  place(folder, name, content, expiresMs, renameSync);
}

function place(folder: string, name: string, content: Uint8Array, expiresMs: number, move: (from: string, to: string) => void): boolean {
  const nameBytes = Buffer.from(name);
  const all = Buffer.alloc(HEADER_BYTES + nameBytes.length + content.length);
  all.writeUInt32LE(MAGIC, 0);
  all.writeUInt32LE(nameBytes.length, 8);
  all.writeUInt32LE(content.length, 12);
  all.writeDoubleLE(expiresMs, 16);
  all.set(nameBytes, HEADER_BYTES);
  all.set(content, HEADER_BYTES + nameBytes.length);
  all.writeUInt32LE(crc32(all.subarray(8)) >>> 0, 4);
  const temporary = `${folder}/tmp-${randomBytes(8).toString('hex')}`;
  try {
    writeFileSync(temporary, all, { flag: 'wx', mode: MODE_FILE });
    move(temporary, fileOf(folder, name));
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    removeFile(temporary);
  }
}

/** Moves a damaged file out of the way, for a person to look at. */
export function setAsideSmallFile(folder: string, name: string): void {
  moveAway(fileOf(folder, name), `${fileOf(folder, name)}.damaged-${Date.now()}`);
}

/**
 * Removes the file if `isRight` says so of its content. The file is first moved where nobody else looks and judged there, so that of
 * two who try only one removes it; a file judged wrong goes back, unless a new one has come in the meantime.
 */
export function removeSmallFileIf(folder: string, name: string, isRight: (found: SmallFile) => boolean): boolean {
  const path = fileOf(folder, name);
  const temporary = `${folder}/tmp-${randomBytes(8).toString('hex')}`;
  if (!moveAway(path, temporary)) return false;
  try {
    const found = readAt(temporary, name);
    if (typeof found === 'string' || isRight(found)) return true;
    linkSync(temporary, path);
    return false;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    removeFile(temporary);
  }
}

function moveAway(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Bytes of all files in the folder, and its files set aside. */
export function measureFolder(folder: string): { bytes: number; damaged: number } {
  const files = listFolder(folder);
  return { bytes: files.reduce((sum, file) => sum + sizeOf(`${folder}/${file}`), 0), damaged: files.filter((file) => file.includes('.damaged-')).length };
}

/** Removes at most `limit` files that are past their time: leases by their own, what a killed process left by its age. */
export function sweepSmallFiles(folder: string, nowMs: number, ageMs: (path: string) => number, limit: number): void {
  let looked = 0;
  for (const file of listFolder(folder)) {
    if (looked++ >= limit) return;
    const path = `${folder}/${file}`;
    if (TEMPORARY.test(file)) {
      if (ageMs(path) > TEMPORARY_LIFE_MS) removeFile(path);
      continue;
    }
    if (file.includes('.damaged-')) continue;
    const expiresMs = expiryAt(path);
    // A minute of grace: whoever steals an expired lease does it by name, and must not meet this sweep.
    if (expiresMs > 0 && expiresMs + TEMPORARY_LIFE_MS < nowMs) removeFile(path);
  }
}

function expiryAt(path: string): number {
  try {
    const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const head = Buffer.alloc(HEADER_BYTES);
      return readSync(fd, head, 0, HEADER_BYTES, 0) === HEADER_BYTES ? head.readDoubleLE(16) : 0;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
