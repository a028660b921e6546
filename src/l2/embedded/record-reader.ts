/** One record from disk, checked whole: header, key and body, before a byte of it is handed on. */
import { FRAME, frameBodyIsWhole, frameHeaderIsWhole, isDead, KIND_FLOOR, readFrameLengths } from './layout.ts';
import type { LogState } from './log-state.ts';

const KEEP_BYTES = 1024 * 1024;
let scratch: Buffer = Buffer.allocUnsafeSlow(16 * 1024);

/**
 * The envelope in memory of its own. What is damaged marks its segment for salvage; it, and what was overtaken by a record that has been
 * removed since, leave the version behind, which goes on refusing older records.
 */
export function readRecord(state: LogState, slot: number, key: Buffer, keyBytes: number): Uint8Array | 'damaged' | 'overtaken' | 'other key' {
  const { index } = state;
  const segment = state.segments.get(index.segment[slot])!;
  const bytes = index.bytes[slot];
  let into = scratch;
  if (into.length < bytes) {
    into = Buffer.allocUnsafeSlow(bytes);
    if (bytes <= KEEP_BYTES) scratch = into;
  }
  const read = segment.read(into, bytes, index.offset[slot]);
  const lengths = read === bytes ? readFrameLengths(into, 0) : undefined;
  const isWhole =
    lengths !== undefined &&
    FRAME.headerBytes + lengths.keyBytes + lengths.bodyBytes === bytes &&
    frameHeaderIsWhole(into, 0, lengths.keyBytes, segment.salt) &&
    frameBodyIsWhole(into, 0, lengths.keyBytes, lengths.bodyBytes);
  if (!isWhole) {
    segment.damaged = true;
    index.kind[slot] = KIND_FLOOR;
    return 'damaged';
  }
  if (isDead(into[FRAME.state])) {
    index.kind[slot] = KIND_FLOOR;
    return 'overtaken';
  }
  const bodyAt = FRAME.headerBytes + lengths.keyBytes;
  if (lengths.keyBytes !== keyBytes || key.compare(into, FRAME.headerBytes, bodyAt, 0, keyBytes) !== 0) return 'other key';
  return new Uint8Array(into.subarray(bodyAt, bytes));
}
