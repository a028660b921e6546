/** Blobs (structure tables) that are made once and stay, and leases that somebody holds for a time: small files in folders of their own. */
import { statSync } from 'node:fs';
import type { Clock } from '../../clock.ts';
import { storageError, type StoreFolder } from './folder.ts';
import { makeSmallFile, MAX_SMALL_FILE_BYTES, measureFolder, readSmallFile, removeSmallFileIf, replaceSmallFile, setAsideSmallFile, sweepSmallFiles } from './small-files.ts';

/** Files looked at in one sweep. */
const SWEEP_FILES = 256;

export class BlobsAndLeases {
  readonly #folder: StoreFolder;
  readonly #clock: Clock;

  constructor(folder: StoreFolder, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Of the blobs: those set aside too. */
  measure(): { bytes: number; damaged: number } {
    return measureFolder(this.#folder.blobs);
  }

  getBlob(name: string): Uint8Array | undefined {
    const found = readSmallFile(this.#folder.blobs, name);
    if (found === 'damaged') setAsideSmallFile(this.#folder.blobs, name);
    return typeof found === 'string' ? undefined : new Uint8Array(found.content);
  }

  /** What stands there afterwards: these bytes, or those that somebody had put there before. */
  putBlobIfAbsent(name: string, bytes: Uint8Array): Uint8Array {
    if (bytes.length + name.length * 3 > MAX_SMALL_FILE_BYTES / 2) throw storageError(`blob ${name}: over ${MAX_SMALL_FILE_BYTES / 2} bytes`, 'l2.maxBytes');
    // Twice at most: the second time a damaged one has been set aside.
    for (let tries = 0; tries < 2; tries++) {
      if (makeSmallFile(this.#folder.blobs, name, bytes, 0)) return new Uint8Array(bytes);
      const found = readSmallFile(this.#folder.blobs, name);
      if (typeof found !== 'string') return new Uint8Array(found.content);
      if (found === 'damaged') setAsideSmallFile(this.#folder.blobs, name);
    }
    throw storageError(`${this.#folder.blobs}: a blob can neither be read nor made`, 'l2.path');
  }

  acquireLease(wallet: string, token: string, ttlMs: number): boolean {
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
  }

  releaseLease(wallet: string, token: string): void {
    const found = readSmallFile(this.#folder.leases, wallet);
    const isMine = (content: Buffer) => content.equals(Buffer.from(token));
    if (typeof found === 'string' || !isMine(found.content)) return;
    removeSmallFileIf(this.#folder.leases, wallet, (lease) => isMine(lease.content));
  }

  sweep(): void {
    sweepSmallFiles(this.#folder.leases, this.#clock.wallMs(), (path) => Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity), SWEEP_FILES);
  }
}
