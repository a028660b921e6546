/**
 * Memory for the encoded records of a bulk update, many in one piece: an ArrayBuffer for each costs a microsecond to allocate, and its part of
 * the collector's work later. Who keeps one of them keeps its piece.
 */
const PIECE_BYTES = 64 * 1024;
/** Of a larger one a piece would have too much left over. */
const MAX_SHARED_BYTES = PIECE_BYTES / 8;

export class RecordRoom {
  private piece = new ArrayBuffer(0);
  private bytes = new Uint8Array(this.piece);
  private at = 0;

  /** A copy of `record`. */
  copy(record: Uint8Array): Uint8Array {
    const { length } = record;
    if (length > MAX_SHARED_BYTES) return new Uint8Array(record);
    if (this.at + length > this.bytes.length) {
      // Not zeroed: what is handed out has been written.
      this.piece = Buffer.allocUnsafeSlow(PIECE_BYTES).buffer as ArrayBuffer;
      this.bytes = new Uint8Array(this.piece);
      this.at = 0;
    }
    this.bytes.set(record, this.at);
    const copy = new Uint8Array(this.piece, this.at, length);
    this.at += length;
    return copy;
  }
}

/** `record` in memory of its own, if it shares a piece with others. */
export const unshared = (record: Uint8Array): Uint8Array => (record.buffer.byteLength > record.length ? new Uint8Array(record) : record);
