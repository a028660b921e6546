/** A file of trades as chunks of text: plain or gzip, told apart by content, whatever the name says. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ProfileCacheError } from '../errors.ts';

const CHUNK_BYTES = 256 * 1_024;

export class TradesText {
  /** As stored. */
  bytesRead = 0;
  /** Null for what has no size, such as a pipe. */
  bytesTotal: number | null = null;
  gzip = false;
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;

  constructor(path: string, signal?: AbortSignal) {
    this.#path = path;
    this.#signal = signal;
  }

  /** Throws ERR_TRADES_FILE when the file is missing, unreadable, or a gzip that is damaged or cut; ERR_ABORTED. */
  async *chunks(): AsyncGenerator<string, void, undefined> {
    try {
      const info = await stat(this.#path);
      this.bytesTotal = info.isFile() ? info.size : null;
      // Drops a byte order mark; what is no UTF-8 becomes U+FFFD, which no name may hold.
      const decoder = new TextDecoder('utf-8');
      for await (const bytes of this.#plainBytes()) yield decoder.decode(bytes, { stream: true });
      yield decoder.decode();
    } catch (error) {
      throw this.#fileError(error);
    }
  }

  async *#plainBytes(): AsyncGenerator<Uint8Array, void, undefined> {
    const stored = this.#storedBytes();
    const head = await firstBytes(stored, 2);
    this.gzip = head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b;
    const whole = async function* () {
      if (head.length > 0) yield head;
      yield* stored;
    };
    if (!this.gzip) {
      yield* whole();
      return;
    }
    const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
    // A failure of either end destroys `gunzip` with it, so the loop below throws it: here it would be a second report.
    const piped = pipeline(whole(), gunzip).catch(() => undefined);
    yield* gunzip;
    await piped;
  }

  async *#storedBytes(): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of createReadStream(this.#path, { highWaterMark: CHUNK_BYTES, signal: this.#signal })) {
      this.bytesRead += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  }

  #fileError(error: unknown): ProfileCacheError {
    throwIfAborted(this.#signal);
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'there is no such file'
      : code === 'EISDIR' ? 'it is a folder'
      : code === 'EACCES' || code === 'EPERM' ? 'no permission to read it'
      : code === 'Z_BUF_ERROR' ? 'the gzip is cut in the middle; copy the file again'
      : code?.startsWith('Z_') ? `the gzip is damaged (${message}); copy the file again`
      : `it cannot be read: ${message}`;
    return new ProfileCacheError('ERR_TRADES_FILE', `${this.#path}: ${why}`, { cause: error });
  }
}

async function firstBytes(source: AsyncGenerator<Buffer>, count: number): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < count) {
    const { done, value } = await source.next();
    if (done) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  return head;
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ProfileCacheError('ERR_ABORTED', 'the work on trades was aborted', { cause: signal.reason });
}
