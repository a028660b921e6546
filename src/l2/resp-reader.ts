/**
 * Replies of Redis (RESP2) as they come out of a socket, in the order of the commands.
 *
 * The values of an MGET are handed over one by one, as places in the chunk that was read: no Buffer, no string and no promise for
 * each of them. Any other reply is built whole. A value over `maxValueBytes` is told by its length and thrown away
 * as it comes in: whatever somebody has put at a key of ours, this process never holds it.
 */

/** Takes one whole reply. Strings are Buffers that are views of a socket chunk: copy what is kept. */
export interface ReplySink {
  reply(value: unknown): void;
  error(error: Error): void;
}

/** Takes the values of one reply that is an array of strings. */
export interface ValuesSink {
  /** The value is `bytes[start..end)`, valid during the call. */
  value(index: number, bytes: Buffer, start: number, end: number): void;
  nil(index: number): void;
  /** A value of so many bytes is there, and is not handed over. */
  tooLarge(index: number, valueBytes: number): void;
  done(): void;
  error(error: Error): void;
}

export type Sink = ReplySink | ValuesSink;

/** What is no RESP2, or larger than anything we ask for: the connection is of no use any more. */
export class ProtocolError extends Error {}

/** One whole reply: blobs are structure tables, lists are at most one SCAN or CLUSTER SLOTS of a large cluster. */
const MAX_REPLY_BYTES = 32 * 1024 * 1024;
/** What one read of a socket may bring on top. */
const MAX_CHUNK_BYTES = 1024 * 1024;
const MAX_DEPTH = 8;
const INCOMPLETE = Symbol('incomplete');
const CR = 13;
const FIRST_HELD_BYTES = 128 * 1024;
const MAX_IDLE_BYTES = 4 * FIRST_HELD_BYTES;
const NOTHING = Buffer.alloc(0);

export class RespReader {
  readonly #maxValueBytes: number;
  readonly #maxHeldBytes: number;
  #sinks: Sink[] = [];
  #head = 0;
  /** Bytes that a former chunk ended with, when a value or reply was cut. */
  #held: Buffer = NOTHING;
  #heldBytes = 0;
  /** Of an oversized value: still to be thrown away, its line end included. */
  #skipBytes = 0;
  /** Of the reply that is being handed over: values to come; -1 between replies. */
  #valuesLeft = -1;
  #valueIndex = 0;
  /** Where parsing stands in `#bytes`. */
  #bytes: Buffer = NOTHING;
  #at = 0;
  #end = 0;

  constructor(maxValueBytes: number) {
    this.#maxValueBytes = maxValueBytes;
    this.#maxHeldBytes = Math.max(MAX_REPLY_BYTES, maxValueBytes) + MAX_CHUNK_BYTES;
  }

  /** Replies that are still to come. */
  get pending(): number {
    return this.#sinks.length - this.#head;
  }

  expect(sink: Sink): void {
    this.#sinks.push(sink);
  }

  /** The connection is gone: all that is pending fails. */
  fail(error: Error): void {
    const sinks = this.#sinks.slice(this.#head);
    this.#sinks = [];
    this.#head = 0;
    for (const sink of sinks) sink.error(error);
  }

  /** Throws ProtocolError; what a sink throws is its own fault and passes through. */
  push(chunk: Buffer): void {
    let from = 0;
    if (this.#skipBytes > 0) {
      from = Math.min(this.#skipBytes, chunk.length);
      this.#skipBytes -= from;
      if (from === chunk.length) return;
    }
    if (this.#heldBytes === 0) {
      this.#bytes = chunk;
      this.#at = from;
      this.#end = chunk.length;
    } else {
      this.#hold(chunk, from);
      this.#bytes = this.#held;
      this.#at = 0;
      this.#end = this.#heldBytes;
    }
    while (this.#at < this.#end && this.#next());
    const rest = this.#end - this.#at;
    if (this.#bytes === this.#held) this.#held.copyWithin(0, this.#at, this.#end);
    this.#heldBytes = this.#bytes === this.#held ? rest : 0;
    if (rest > 0 && this.#bytes !== this.#held) this.#hold(this.#bytes, this.#at);
    // One large reply must not leave its room behind for ever.
    if (rest === 0 && this.#held.length > MAX_IDLE_BYTES) this.#held = NOTHING;
    this.#bytes = NOTHING;
  }

  #hold(chunk: Buffer, from: number): void {
    const needed = this.#heldBytes + chunk.length - from;
    if (needed > this.#held.length) {
      if (needed > this.#maxHeldBytes) throw new ProtocolError(`a reply is over ${MAX_REPLY_BYTES} bytes`);
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_HELD_BYTES, 2 * needed));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldBytes, from);
    this.#heldBytes = needed;
  }

  /** One reply, or the values of it that are there; false when more bytes are needed. */
  #next(): boolean {
    if (this.#head === this.#sinks.length) throw new ProtocolError('an answer to nothing');
    const sink = this.#sinks[this.#head];
    if (!('value' in sink)) return this.#whole(sink);
    if (this.#valuesLeft >= 0) return this.#values(sink);
    const type = this.#bytes[this.#at];
    if (type === 0x2d) return this.#whole(sink);
    const start = this.#at;
    if (type !== 0x2a) throw new ProtocolError('values were asked for and something else came');
    const count = this.#number();
    if (count === undefined) {
      this.#at = start;
      return false;
    }
    this.#valueIndex = 0;
    this.#valuesLeft = Math.max(0, count);
    if (this.#valuesLeft === 0) this.#endOfValues(sink);
    return true;
  }

  /** All that are there. The loop is here and not in `push`, so that this alone gets hot and is compiled. */
  #values(sink: ValuesSink): boolean {
    const bytes = this.#bytes;
    while (this.#valuesLeft > 0) {
      const start = this.#at;
      if (start >= this.#end) return false;
      if (bytes[start] !== 0x24) throw new ProtocolError('a list of values holds something else');
      const valueBytes = this.#number();
      const end = this.#at + (valueBytes ?? 0);
      if (valueBytes === undefined || (valueBytes <= this.#maxValueBytes && end + 2 > this.#end && valueBytes >= 0)) {
        this.#at = start;
        return false;
      }
      if (valueBytes < 0) {
        sink.nil(this.#valueIndex);
      } else if (valueBytes > this.#maxValueBytes) {
        this.#at = Math.min(end + 2, this.#end);
        this.#skipBytes = end + 2 - this.#at;
        sink.tooLarge(this.#valueIndex, valueBytes);
      } else {
        sink.value(this.#valueIndex, bytes, this.#at, end);
        this.#at = end + 2;
      }
      this.#valueIndex++;
      this.#valuesLeft--;
    }
    this.#endOfValues(sink);
    return true;
  }

  #endOfValues(sink: ValuesSink): void {
    this.#valuesLeft = -1;
    this.#shift();
    sink.done();
  }

  #whole(sink: Sink): boolean {
    const start = this.#at;
    const value = this.#parse(0);
    if (value === INCOMPLETE) {
      this.#at = start;
      return false;
    }
    this.#shift();
    if (value instanceof Error) sink.error(value);
    else if ('reply' in sink) sink.reply(value);
    return true;
  }

  #shift(): void {
    this.#head++;
    if (this.#head === this.#sinks.length || this.#head === 1_024) {
      this.#sinks = this.#sinks.slice(this.#head);
      this.#head = 0;
    }
  }

  #parse(depth: number): unknown {
    const type = this.#bytes[this.#at];
    switch (type) {
      case 0x3a: // :
        return this.#number() ?? INCOMPLETE;
      case 0x2b: // +
      case 0x2d: { // -
        const line = this.#line();
        if (line === undefined) return INCOMPLETE;
        return type === 0x2d ? new Error(line) : Buffer.from(line);
      }
      case 0x24: { // $
        const bytes = this.#number();
        if (bytes === undefined) return INCOMPLETE;
        if (bytes < 0) return null;
        if (bytes > MAX_REPLY_BYTES) throw new ProtocolError(`a reply announces ${bytes} bytes`);
        const start = this.#at;
        if (start + bytes + 2 > this.#end) return INCOMPLETE;
        this.#at = start + bytes + 2;
        return this.#bytes === this.#held ? Buffer.from(this.#bytes.subarray(start, start + bytes)) : this.#bytes.subarray(start, start + bytes);
      }
      case 0x2a: { // *
        const count = this.#number();
        if (count === undefined) return INCOMPLETE;
        if (count < 0) return null;
        if (depth === MAX_DEPTH) throw new ProtocolError('a reply is nested too deep');
        const list: unknown[] = [];
        for (let i = 0; i < count; i++) {
          if (this.#at >= this.#end) return INCOMPLETE;
          const value = this.#parse(depth + 1);
          if (value === INCOMPLETE) return INCOMPLETE;
          list.push(value);
        }
        return list;
      }
      default:
        throw new ProtocolError(`a reply begins with byte ${type}`);
    }
  }

  /** The integer of a line `<type><digits>\r\n`; undefined when the line is cut. */
  #number(): number | undefined {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at + 1;
    let value = 0;
    const negative = bytes[at] === 0x2d;
    if (negative) at++;
    for (; at < end; at++) {
      const digit = bytes[at] - 0x30;
      if (digit >= 0 && digit <= 9) {
        value = value * 10 + digit;
        continue;
      }
      if (bytes[at] !== CR) throw new ProtocolError('a length is no number');
      if (at + 1 >= end) return undefined;
      this.#at = at + 2;
      return negative ? -value : value;
    }
    return undefined;
  }

  #line(): string | undefined {
    const end = this.#bytes.indexOf(CR, this.#at);
    if (end < 0 || end + 1 >= this.#end) return undefined;
    const text = this.#bytes.toString('utf8', this.#at + 1, end);
    this.#at = end + 2;
    return text;
  }
}
