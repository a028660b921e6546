/** A sliding view of a file: large reads, small looks. */
import type { Segment } from './segment.ts';

const READ_BYTES = 512 * 1024;

export class FileWindow {
  readonly #segment: Pick<Segment, 'read'>;
  buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #bytes = 0;

  constructor(segment: Pick<Segment, 'read'>) {
    this.#segment = segment;
  }

  /** Place in `buffer` where byte `at` of the file is, with `length` bytes behind it; -1 when the file has not so many. */
  ensure(at: number, length: number): number {
    if (at < this.#start || at + length > this.#start + this.#bytes) {
      const want = Math.max(length, READ_BYTES);
      if (this.buffer.length < want) this.buffer = Buffer.allocUnsafeSlow(want);
      this.#start = at;
      this.#bytes = this.#segment.read(this.buffer, Math.min(want, this.buffer.length), at);
      if (this.#bytes < length) return -1;
    }
    return at - this.#start;
  }

  /** Bytes at hand from `at` on. */
  available(at: number): number {
    return Math.max(0, this.#start + this.#bytes - at);
  }
}
