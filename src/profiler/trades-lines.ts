/** Chunks of text -> lines with their 1-based number. */

/** A longer line is no trade; what is kept of it while waiting for its end stays under this. */
export const MAX_LINE_CHARS = 1_048_576;

export interface LineSink {
  /** `text` without its line break. `terminated` is false only for a last line that has none. */
  line(text: string, number: number, terminated: boolean): void;
  overlong(number: number): void;
}

export class LineSplitter {
  #rest = '';
  #number = 1;
  #skipping = false;
  readonly #sink: LineSink;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  push(chunk: string): void {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      const text = this.#rest === '' ? chunk.slice(start, end) : this.#rest + chunk.slice(start, end);
      this.#rest = '';
      start = end + 1;
      this.#emit(text, true);
    }
    if (!this.#skipping) this.#rest += chunk.slice(start);
    if (this.#rest.length > MAX_LINE_CHARS) {
      this.#skipping = true;
      this.#rest = '';
    }
  }

  end(): void {
    if (this.#rest !== '' || this.#skipping) this.#emit(this.#rest, false);
    this.#rest = '';
  }

  #emit(text: string, terminated: boolean): void {
    const number = this.#number++;
    if (this.#skipping || text.length > MAX_LINE_CHARS) {
      this.#skipping = false;
      this.#sink.overlong(number);
    } else {
      this.#sink.line(text.endsWith('\r') ? text.slice(0, -1) : text, number, terminated);
    }
  }
}
