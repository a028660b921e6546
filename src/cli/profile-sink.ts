/** Where the profiles of a run go as NDJSON: a file that is whole or not there, or stdout. */
import { rmSync } from 'node:fs';
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { ProfileCacheError } from '../errors.ts';
import { toJson } from './format.ts';
import type { Shell } from './shell.ts';

export interface ProfileSink {
  readonly bytesWritten: number;
  readonly lines: number;
  write(profiles: readonly object[]): Promise<void>;
  /** All are written: the file gets its name. */
  finish(): Promise<void>;
  /** Leaves nothing behind. Harmless after `finish`. */
  discard(): Promise<void>;
}

/** Opened before any work is done: a run of an hour must not end with "permission denied". @throws ERR_OUTPUT */
export async function openSink(path: string, shell: Shell): Promise<ProfileSink> {
  if (path === '-') return new StdoutSink(shell);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) throw cannotWrite(path, 'it is a folder');
  // A device or a pipe (/dev/null, a FIFO) is written to as it is: renaming would replace it.
  const special = found !== undefined && !found.isFile();
  const target = special ? path : `${path}.${process.pid}.partial`;
  try {
    return new FileSink(path, await open(target, 'w'), special ? undefined : target);
  } catch (error) {
    throw cannotWrite(path, reason(error), error);
  }
}

class StdoutSink implements ProfileSink {
  bytesWritten = 0;
  lines = 0;
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  async write(profiles: readonly object[]): Promise<void> {
    const text = linesOf(profiles);
    await this.#shell.write(text);
    this.bytesWritten += Buffer.byteLength(text);
    this.lines += profiles.length;
  }

  async finish(): Promise<void> {}
  async discard(): Promise<void> {}
}

class FileSink implements ProfileSink {
  bytesWritten = 0;
  lines = 0;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #partial: string | undefined;
  #open = true;
  readonly #onExit = () => this.#partial !== undefined && rmSync(this.#partial, { force: true });

  constructor(path: string, file: FileHandle, partial: string | undefined) {
    this.#path = path;
    this.#file = file;
    this.#partial = partial;
    // A second Ctrl-C ends the process at once.
    process.once('exit', this.#onExit);
  }

  async write(profiles: readonly object[]): Promise<void> {
    const text = Buffer.from(linesOf(profiles));
    try {
      await this.#file.appendFile(text);
    } catch (error) {
      throw cannotWrite(this.#path, reason(error), error);
    }
    this.bytesWritten += text.length;
    this.lines += profiles.length;
  }

  async finish(): Promise<void> {
    try {
      await this.#close();
      if (this.#partial !== undefined) await rename(this.#partial, this.#path);
    } catch (error) {
      throw cannotWrite(this.#path, reason(error), error);
    }
    process.off('exit', this.#onExit);
  }

  async discard(): Promise<void> {
    if (!this.#open) return;
    await this.#close();
    if (this.#partial !== undefined) await rm(this.#partial, { force: true });
    process.off('exit', this.#onExit);
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

const linesOf = (profiles: readonly object[]): string => profiles.map((profile) => `${toJson(profile)}\n`).join('');

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'its folder does not exist'
    : code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'no permission to write there'
    : code === 'ENOSPC' ? 'the disk is full'
    : message;
}

const cannotWrite = (path: string, why: string, cause?: unknown): ProfileCacheError =>
  new ProfileCacheError('ERR_OUTPUT', `--out ${path} cannot be written: ${why}; choose another file, or - for stdout`, { cause });
