/**
 * Names (wallets, mints) <-> ids, in shared memory: every thread looks names up in the same bytes, none keeps a Map of its own.
 *
 *   bytes    UTF-8 of all names, one after the other
 *   offsets  u32[count + 1]   name i = bytes[offsets[i] .. offsets[i + 1])
 *   slots    u32[2^k]         open addressing, id + 1, 0 = free, load at most 1/2, linear probing from hash & (2^k - 1)
 *
 * Written once by `freezeStrings`, before any other thread sees it; read-only from then on.
 */
export interface SharedStrings {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly slots: Uint32Array;
}

export const NO_ID = 0xffff_ffff;
const MAX_LOOKUP_BYTES = 4_096;

/** Throws RangeError when the names take more than 4 GiB together. */
export function freezeStrings(names: readonly string[]): SharedStrings {
  const count = names.length;
  const offsets = sharedUint32(count + 1);
  let total = 0;
  for (let id = 0; id < count; id++) {
    total += Buffer.byteLength(names[id]);
    offsets[id + 1] = total;
  }
  if (total > 0xffff_ffff) throw new RangeError('names take more than 4 GiB');
  const bytes = new Uint8Array(new SharedArrayBuffer(total));
  const view = Buffer.from(bytes.buffer);
  for (let id = 0; id < count; id++) view.write(names[id], offsets[id], 'utf8');

  const slots = sharedUint32(2 ** Math.ceil(Math.log2(Math.max(2, count * 2))));
  const mask = slots.length - 1;
  for (let id = 0; id < count; id++) {
    let slot = hashBytes(bytes, offsets[id], offsets[id + 1]) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = id + 1;
  }
  return { bytes, offsets, slots };
}

export class StringTable {
  readonly count: number;
  readonly #shared: SharedStrings;
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_LOOKUP_BYTES);

  constructor(shared: SharedStrings) {
    this.#shared = shared;
    this.count = shared.offsets.length - 1;
  }

  /** NO_ID when the name is not there. */
  find(name: string): number {
    const scratch = this.#scratch;
    if (name.length * 3 > MAX_LOOKUP_BYTES) return NO_ID;
    const { bytes, offsets, slots } = this.#shared;
    const length = scratch.write(name, 0, 'utf8');
    const mask = slots.length - 1;
    let slot = hashBytes(scratch, 0, length) & mask;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const id = slots[slot] - 1;
      const start = offsets[id];
      if (offsets[id + 1] - start !== length) continue;
      let i = 0;
      while (i < length && bytes[start + i] === scratch[i]) i++;
      if (i === length) return id;
    }
    return NO_ID;
  }

  at(id: number): string {
    const { bytes, offsets } = this.#shared;
    // Copied first: decoding text straight from shared memory is unsafe in Node 20 as a matter of principle.
    return Buffer.from(bytes.subarray(offsets[id], offsets[id + 1])).toString('utf8');
  }
}

/** FNV-1a over bytes, 32 bits. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export const sharedUint32 = (length: number): Uint32Array<SharedArrayBuffer> => new Uint32Array(new SharedArrayBuffer(length * 4));
export const sharedFloat64 = (length: number): Float64Array<SharedArrayBuffer> => new Float64Array(new SharedArrayBuffer(length * 8));
export const sharedUint8 = (length: number): Uint8Array<SharedArrayBuffer> => new Uint8Array(new SharedArrayBuffer(length));
