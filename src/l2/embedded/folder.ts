/**
 * The folder of a store and what may be done to it.
 *
 *   <path>/segments/<base>.seg              appended to by one thread, read by all
 *   <path>/segments/<base>.take-<taker>     being cleaned; read by all, appended to by nobody
 *   <path>/segments/<base>.damaged-<time>   set aside; read by nobody
 *   <path>/blobs/<hash of the name>         see small-files.ts
 *   <path>/leases/<hash of the wallet>      the same
 *   <path>/index.snapshot                   see index-snapshot.ts
 */
import { accessSync, chmodSync, constants, lstatSync, mkdirSync, readdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ProfileCacheError } from '../../errors.ts';

const MODE_FOLDER = 0o700;
export const MODE_FILE = 0o600;
/** Files set aside that are kept for a person to look at; the oldest go first. */
const MAX_DAMAGED_FILES = 4;
const FREE_SPACE_CACHE_MS = 200;

export const storageError = (message: string, option: string, cause?: unknown): ProfileCacheError =>
  new ProfileCacheError('ERR_L2_STORAGE', message, { option, cause });

export const errorCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** Any failure of the file system, with the way out that fits it. */
export function asStorageError(error: unknown, path: string): ProfileCacheError {
  if (error instanceof ProfileCacheError) return error;
  const code = errorCode(error) ?? String(error);
  const wayOut =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full: free some space, or give l2.path another disk'
      : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
        ? 'no permission: give this user the folder, or set l2.path'
        : 'check the disk, or set l2.path';
  return storageError(`${path}: ${code}; ${wayOut}`, 'l2.path', error);
}

export class StoreFolder {
  readonly path: string;
  readonly segments: string;
  readonly blobs: string;
  readonly leases: string;
  readonly #minFreeBytes: number;
  #freeBytes = 0;
  #freeReadAtMs = -Infinity;

  constructor(path: string, minFreeBytes: number) {
    this.path = path;
    this.segments = join(path, 'segments');
    this.blobs = join(path, 'blobs');
    this.leases = join(path, 'leases');
    this.#minFreeBytes = minFreeBytes;
  }

  /** Makes what is absent. Throws ERR_L2_STORAGE for a link, a file, or a folder that cannot be written. */
  prepare(): void {
    try {
      for (const folder of [this.path, this.segments, this.blobs, this.leases]) this.#prepareOne(folder);
    } catch (error) {
      throw asStorageError(error, this.path);
    }
  }

  #prepareOne(folder: string): void {
    refuseBadTarget(folder);
    mkdirSync(folder, { recursive: true, mode: MODE_FOLDER });
    if ((lstatSync(folder).mode & 0o077) !== 0 && process.platform !== 'win32') chmodSync(folder, MODE_FOLDER);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  }

  /** False when writing so much would leave less than minFreeBytes. The reading is kept for a moment, less what was written since. */
  hasRoomFor(bytes: number, monotonicMs: number): boolean {
    if (this.#minFreeBytes === 0) return true;
    if (monotonicMs - this.#freeReadAtMs > FREE_SPACE_CACHE_MS) {
      const found = statfsSync(this.path);
      this.#freeBytes = found.bavail * found.bsize;
      this.#freeReadAtMs = monotonicMs;
    }
    if (this.#freeBytes - bytes < this.#minFreeBytes) return false;
    this.#freeBytes -= bytes;
    return true;
  }
}

/** lstat: a link would let somebody else choose where profiles are written. */
function refuseBadTarget(path: string): void {
  let found;
  try {
    found = lstatSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw asStorageError(error, path);
  }
  if (found.isSymbolicLink()) throw storageError(`${path} is a symbolic link; set l2.path to the folder itself`, 'l2.path');
  if (!found.isDirectory()) throw storageError(`${path} is not a folder; set l2.path to a folder`, 'l2.path');
}

/** Names of files set aside, oldest first; those over the bound, in number or in bytes, are removed. */
export function trimDamaged(folder: string, names: readonly string[], maxBytes: number): { names: string[]; bytes: number } {
  const sorted = names.map((name) => ({ name, bytes: sizeOf(join(folder, name)), time: name.slice(name.lastIndexOf('-') + 1) })).sort((a, b) => (a.time < b.time ? -1 : 1));
  let bytes = sorted.reduce((sum, file) => sum + file.bytes, 0);
  while (sorted.length > 0 && (sorted.length > MAX_DAMAGED_FILES || bytes > maxBytes)) {
    const oldest = sorted.shift()!;
    bytes -= oldest.bytes;
    removeFile(join(folder, oldest.name));
  }
  return { names: sorted.map((file) => file.name), bytes };
}

export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** True when this call removed it. */
export function removeFile(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    // Removed beneath us: nothing is stored any more; the next write makes it anew.
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
