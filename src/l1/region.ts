/** The shared region and the typed views that every part of L1 uses. Made once by the owner, opened by any thread. */
import { randomInt } from 'node:crypto';
import { ProfileCacheError } from '../errors.ts';
import { HEADER, LAYOUT_MAGIC, LAYOUT_VERSION, placeParts, planLayout, type Layout } from './layout.ts';

export interface Region extends Layout {
  readonly buffer: SharedArrayBuffer;
  /** Views over the whole region; index them with the layout's offsets. */
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  /** A view of `bytes` bytes from `at` on: half the time of subarray(), which asks what class the view shall be of. */
  readonly bytesAt: (at: number, bytes: number) => Uint8Array;
  readonly hashKey0: number;
  readonly hashKey1: number;
}

export function createRegion(maxProfiles: number, maxBytes: number): Region {
  const layout = planLayout(maxProfiles, maxBytes);
  let buffer: SharedArrayBuffer;
  try {
    buffer = new SharedArrayBuffer(layout.regionBytes);
    // Some versions of Node give the memory but no view over all of it (20: 4 GiB).
    void new Uint8Array(buffer);
  } catch (cause) {
    throw new ProfileCacheError('ERR_OPTION', `l1.maxBytes: this machine gives no shared memory of ${layout.regionBytes} bytes; ask for less`, { option: 'l1.maxBytes', cause });
  }
  const header = new Uint32Array(buffer, 0, 32);
  header[HEADER.layoutVersion] = LAYOUT_VERSION;
  header[HEADER.slotCount] = layout.slotCount;
  header[HEADER.indexCells] = layout.indexCells;
  header[HEADER.segmentCount] = layout.segmentCount;
  header[HEADER.segmentBytes] = layout.segmentBytes;
  header[HEADER.hashKey0] = randomInt(2 ** 32);
  header[HEADER.hashKey1] = randomInt(2 ** 32);
  // The magic goes last: who sees it may trust the rest.
  Atomics.store(header, HEADER.magic, LAYOUT_MAGIC);
  return openRegion(buffer);
}

/** Throws ERR_HANDLE when the buffer is no region of this layout version. */
export function openRegion(buffer: SharedArrayBuffer): Region {
  if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < 128) throw badRegion('it holds no shared region');
  const header = new Uint32Array(buffer, 0, 32);
  if (Atomics.load(header, HEADER.magic) !== LAYOUT_MAGIC) throw badRegion('its region has no magic');
  if (header[HEADER.layoutVersion] !== LAYOUT_VERSION) throw badRegion(`its layout version is ${header[HEADER.layoutVersion]}, this is ${LAYOUT_VERSION}: two versions of the package are in one process`);
  const layout = placeParts(header[HEADER.slotCount], header[HEADER.segmentBytes], header[HEADER.segmentCount]);
  if (layout.regionBytes !== buffer.byteLength || layout.indexCells !== header[HEADER.indexCells]) throw badRegion('its region has another size than its header says');
  const wholeWords = Math.floor(buffer.byteLength / 8) * 8;
  return {
    ...layout,
    buffer,
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer, 0, wholeWords / 2),
    i32: new Int32Array(buffer, 0, wholeWords / 4),
    u32: new Uint32Array(buffer, 0, wholeWords / 4),
    f64: new Float64Array(buffer, 0, wholeWords / 8),
    bytesAt: (at, bytes) => new Uint8Array(buffer, at, bytes),
    hashKey0: header[HEADER.hashKey0] | 0,
    hashKey1: header[HEADER.hashKey1] | 0,
  };
}

function badRegion(why: string): ProfileCacheError {
  return new ProfileCacheError('ERR_HANDLE', `the handle cannot be attached: ${why}; pass cache.handle of an open cache of this process`);
}
