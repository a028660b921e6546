/**
 * What Redis pushes to a subscriber of one channel, taken apart by hand: the bytes of a message are looked at once, and every other
 * kind of frame is an answer to SUBSCRIBE or PING. A client library makes seven objects of each message and takes ten times as long, which
 * whoever may publish could make us pay.
 *
 *   *3\r\n$7\r\nmessage\r\n$4\r\nname\r\n$17\r\n{"wallet":"w",…}\r\n          a message, RESP2
 *   *3\r\n$9\r\nsubscribe\r\n$4\r\nname\r\n:1\r\n                           the subscription stands
 *   *2\r\n$4\r\npong\r\n$0\r\n\r\n                                        PING of a subscriber
 *   -NOPERM …\r\n                                                   refused
 */
const CR = 13;
const LF = 10;
const DIGIT_0 = 48;
const DOLLAR = 36;
const ARRAY = 42;
const INTEGER = 58;
const ERROR = 45;
/** Of an error, a length, or a name in an answer; longer ones are none. */
const MAX_LINE_BYTES = 4_096;
const MAX_PARTS = 8;
/** Redis takes no longer ones (proto-max-bulk-len may be raised to this). */
const MAX_DIGITS = 10;
/** The clock is read after so many messages. */
const MESSAGES_A_LOOK = 16;
/** A number that is not there yet, and one that is none. */
const UNFINISHED = -1;
const NONE = -2;

export interface PushListener {
  onMessage(text: string): void;
  /** `subscribe` or `pong`. */
  onAnswer(kind: string): void;
  onRefusal(reason: string): void;
}

export class PushFrames {
  private readonly messageHead: Buffer;
  private readonly maxMessageBytes: number;
  private readonly listener: PushListener;
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;
  /** Where the line of the last `number` is over. */
  private numberEnd = 0;
  /** Of a long message, what is still to come and is of no use. */
  private toSkip = 0;

  /** @param maxMessageBytes so much of a longer message is made a text; the rest is never kept. */
  constructor(channelName: string, maxMessageBytes: number, listener: PushListener) {
    this.messageHead = Buffer.from(`*3\r\n$7\r\nmessage\r\n$${Buffer.byteLength(channelName)}\r\n${channelName}\r\n$`);
    this.maxMessageBytes = maxMessageBytes;
    this.listener = listener;
  }

  /** Bytes as they came, behind those that are still to be read. */
  add(chunk: Buffer): void {
    this.bytes = this.at === this.bytes.length ? chunk : Buffer.concat([this.bytes.subarray(this.at), chunk]);
    this.at = 0;
  }

  /**
   * Reads what has come, until `isOver` says that it has been long enough; false when it did.
   * @throws Error when the bytes make no sense: nothing after them can be told apart.
   */
  read(isOver: () => boolean): boolean {
    for (let left = MESSAGES_A_LOOK; this.readOne(); left--) {
      if (left > 1) continue;
      if (isOver()) return false;
      left = MESSAGES_A_LOOK + 1;
    }
    return true;
  }

  /** False when nothing whole is left. */
  private readOne(): boolean {
    const { bytes } = this;
    if (this.toSkip > 0) {
      const skipped = Math.min(this.toSkip, bytes.length - this.at);
      this.at += skipped;
      this.toSkip -= skipped;
      if (this.toSkip > 0) return false;
    }
    if (this.at === bytes.length) return false;
    return this.isMessage() ? this.readMessage(this.at + this.messageHead.length) : this.readAnswer();
  }

  private isMessage(): boolean {
    const { bytes, at, messageHead } = this;
    if (bytes.length - at < messageHead.length) return false;
    for (let i = 0; i < messageHead.length; i++) if (bytes[at + i] !== messageHead[i]) return false;
    return true;
  }

  private readMessage(lengthAt: number): boolean {
    const length = this.number(lengthAt);
    if (length === UNFINISHED) return false;
    if (length === NONE) throw new Error('a message of no length');
    const start = this.numberEnd;
    const { bytes, maxMessageBytes } = this;
    const kept = Math.min(length, maxMessageBytes);
    // A long one is done with when as much as is kept has come.
    const whole = kept < length ? start + kept : start + length + 2;
    if (bytes.length < whole) return false;
    this.at = whole;
    this.toSkip = start + length + 2 - whole;
    this.listener.onMessage(bytes.toString('utf8', start, start + kept));
    return true;
  }

  /** An error, or an array of texts and numbers whose first says what it is. */
  private readAnswer(): boolean {
    const { bytes, at } = this;
    const isArray = bytes[at] === ARRAY;
    if (!isArray && bytes[at] !== ERROR) throw new Error(`a frame that starts with byte ${bytes[at]}`);
    const end = this.lineEnd(at);
    if (end < 0) return this.unfinished();
    if (!isArray) {
      this.at = end;
      this.listener.onRefusal(bytes.toString('utf8', at + 1, end - 2));
      return true;
    }
    const parts = this.number(at + 1);
    if (parts < 1 || parts > MAX_PARTS) throw new Error('an array of no bearable length');
    let kind = '';
    let next = end;
    for (let part = 0; part < parts; part++) {
      const lineEnd = this.lineEnd(next);
      if (lineEnd < 0) return this.unfinished();
      if (bytes[next] !== DOLLAR && bytes[next] !== INTEGER) throw new Error(`a part that starts with byte ${bytes[next]}`);
      if (bytes[next] === DOLLAR) {
        const length = this.number(next + 1);
        if (length === NONE || length > MAX_LINE_BYTES) throw new Error('a part of no bearable length');
        if (bytes.length < lineEnd + length + 2) return this.unfinished();
        if (part === 0) kind = bytes.toString('latin1', lineEnd, lineEnd + length);
        next = lineEnd + length + 2;
      } else {
        next = lineEnd;
      }
    }
    this.at = next;
    this.listener.onAnswer(kind);
    return true;
  }

  /** What should be an answer waits for its end, but not for ever. */
  private unfinished(): false {
    if (this.bytes.length - this.at > MAX_PARTS * MAX_LINE_BYTES) throw new Error('an answer without an end');
    return false;
  }

  /** Digits up to the end of the line. */
  private number(from: number): number {
    const { bytes } = this;
    let value = 0;
    for (let i = from; i < bytes.length; i++) {
      const digit = bytes[i] - DIGIT_0;
      if (digit >= 0 && digit <= 9 && i - from < MAX_DIGITS) value = value * 10 + digit;
      else if (bytes[i] !== CR || i === from) return NONE;
      else if (i + 1 === bytes.length) return UNFINISHED;
      else {
        this.numberEnd = i + 2;
        return value;
      }
    }
    return UNFINISHED;
  }

  /** Where the line that starts at `from` is over; -1 when its end has not come. */
  private lineEnd(from: number): number {
    const end = this.bytes.indexOf(LF, from);
    return end < 0 ? UNFINISHED : end + 1;
  }
}
