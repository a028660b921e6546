/** Builds one batch in two growing buffers; `finish` puts the checksums in, once it is known for which segment. */
import { crc32 } from 'node:zlib';
import { BATCH, FRAME, STATE_DEAD } from './layout.ts';

const START_BYTES = 64 * 1024;
/** A buffer that grew for one large batch is given back when it is over this. */
const KEEP_BYTES = 4 * 1024 * 1024;

export interface FrameFields {
  kind: number;
  version: number;
  expiresMs: number;
  writtenMs: number;
}

export class BatchBuilder {
  #head: Buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #frames: Buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #eventBytes = 0;
  #events = 0;
  frameBytes = 0;
  frames = 0;

  reset(): void {
    this.#eventBytes = 0;
    this.#events = 0;
    this.frameBytes = 0;
    this.frames = 0;
    if (this.#head.length > KEEP_BYTES) this.#head = Buffer.allocUnsafeSlow(START_BYTES);
    if (this.#frames.length > KEEP_BYTES) this.#frames = Buffer.allocUnsafeSlow(START_BYTES);
  }

  get isEmpty(): boolean {
    return this.#events === 0 && this.frames === 0;
  }

  get bytes(): number {
    return BATCH.headerBytes + this.#eventBytes + this.frameBytes;
  }

  get headBytes(): number {
    return BATCH.headerBytes + this.#eventBytes;
  }

  addEvent(text: string): void {
    const length = Buffer.byteLength(text);
    this.#head = withRoom(this.#head, this.headBytes, 4 + length);
    this.#head.writeUInt32LE(length, this.headBytes);
    this.#head.write(text, this.headBytes + 4);
    this.#eventBytes += 4 + length;
    this.#events++;
  }

  /** Offset of the frame from the first one. `key` is a view of `keyBytes` bytes, `body` is copied. */
  addFrame(fields: FrameFields, key: Uint8Array, keyBytes: number, body: Uint8Array): number {
    const at = this.frameBytes;
    const bytes = FRAME.headerBytes + keyBytes + body.length;
    this.#frames = withRoom(this.#frames, at, bytes);
    const to = this.#frames;
    to.fill(0, at, at + FRAME.headerBytes);
    to.writeUInt32LE(FRAME.magic, at);
    to.writeUInt32LE(crc32(body) >>> 0, at + FRAME.bodyCrc);
    to.writeUInt32LE(body.length, at + FRAME.bodyBytes);
    to.writeUInt16LE(keyBytes, at + FRAME.keyBytes);
    to[at + FRAME.kind] = fields.kind;
    to.writeDoubleLE(fields.version, at + FRAME.version);
    to.writeDoubleLE(fields.expiresMs, at + FRAME.expiresMs);
    to.writeDoubleLE(fields.writtenMs, at + FRAME.writtenMs);
    to.set(keyBytes === key.length ? key : key.subarray(0, keyBytes), at + FRAME.headerBytes);
    to.set(body, at + FRAME.headerBytes + keyBytes);
    this.frameBytes += bytes;
    this.frames++;
    return at;
  }

  markDead(at: number): void {
    this.#frames[at + FRAME.state] = STATE_DEAD;
  }

  /** The parts to write, valid until the next `reset` or `finish`. */
  finish(salt: number, fields: { seq: number; writtenMs: number; channelHash: number; flags: number; droppedThroughMs: number }): Buffer[] {
    for (let at = 0; at < this.frameBytes; ) {
      const keyBytes = this.#frames.readUInt16LE(at + FRAME.keyBytes);
      const bodyBytes = this.#frames.readUInt32LE(at + FRAME.bodyBytes);
      const covered = this.#frames.subarray(at + FRAME.bodyCrc, at + FRAME.headerBytes + keyBytes);
      this.#frames.writeUInt32LE(crc32(covered, salt) >>> 0, at + FRAME.headerCrc);
      at += FRAME.headerBytes + keyBytes + bodyBytes;
    }
    const head = this.#head;
    head.writeUInt32LE(BATCH.magic, 0);
    head.writeUInt32LE(this.#eventBytes, BATCH.eventBytes);
    head.writeUInt32LE(this.frameBytes, BATCH.frameBytes);
    head.writeUInt32LE(this.frames, BATCH.frames);
    head.writeUInt32LE(this.#events, BATCH.events);
    head.writeDoubleLE(fields.seq, BATCH.seq);
    head.writeDoubleLE(fields.writtenMs, BATCH.writtenMs);
    head.writeUInt32LE(fields.channelHash, BATCH.channelHash);
    head.writeUInt32LE(fields.flags, BATCH.flags);
    head.writeDoubleLE(fields.droppedThroughMs, BATCH.droppedThroughMs);
    head.writeUInt32LE(crc32(head.subarray(BATCH.eventBytes, this.headBytes), salt) >>> 0, BATCH.crc);
    const parts = [head.subarray(0, this.headBytes)];
    if (this.frameBytes > 0) parts.push(this.#frames.subarray(0, this.frameBytes));
    return parts;
  }
}

function withRoom(buffer: Buffer, used: number, more: number): Buffer {
  if (used + more <= buffer.length) return buffer;
  const grown = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, used + more));
  buffer.copy(grown, 0, 0, used);
  return grown;
}
