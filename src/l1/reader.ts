/** Reads L1 from any thread: no lock, no message, nothing held. It has no way to write an entry. */
import { MAX_READ_TRIES, closeRead, openRead } from './seqlock.ts';
import { probe } from './index-cells.ts';
import { HEADER, RECORD, SLOT, SUSPECT } from './layout.ts';
import { recordAtOffset, recordCreatedAtMs, recordExpiresAtMs, recordHasKey, recordKeyBytes, recordPayloadBytes, recordSchemaId, recordVersion } from './record.ts';
import type { Region } from './region.ts';
import type { WalletKey } from './wallet-key.ts';

/** `suspect`: L1 holds it, but may have missed a change of it; a miss to whoever reads. */
export type ReadResult = 'hit' | 'miss' | 'expired' | 'suspect' | 'contended';

/** Looks again this often when the owner was shifting index cells while nothing was found. */
const MAX_PROBE_TRIES = 32;
/** It grows with the largest payload that was read. */
const FIRST_SCRATCH_BYTES = 8 * 1024;

/** Where the region has the version of `slot`, what a near cache compares; an index into its words. */
export const versionWord = (region: Region, slot: number): number => region.slotsStart / 4 + slot * SLOT.words + SLOT.version;

export class L1Reader {
  /** Of the last hit: valid until the next read. The payload is scratch[payloadStart..payloadEnd). */
  scratch: Uint8Array = new Uint8Array(FIRST_SCRATCH_BYTES);
  payloadStart = 0;
  payloadEnd = 0;
  slot = -1;
  /** The slot's version when the payload was copied; what a near cache compares later. */
  slotVersion = 0;
  schemaId = 0;
  version = 0;
  expiresAtMs = 0;
  createdAtMs = 0;

  private readonly region: Region;
  private key!: WalletKey;
  private nowMs = 0;
  private result: ReadResult = 'miss';

  constructor(region: Region) {
    this.region = region;
  }

  /** On 'hit' the fields above hold the entry; the payload is in private memory, copied whole and re-checked. */
  read(key: WalletKey, nowMs: number): ReadResult {
    this.key = key;
    this.nowMs = nowMs;
    this.result = 'miss';
    if (probe(this.region, key.hash, this.tryCandidate) >= 0) return this.result;
    return this.probeAgain(key);
  }

  get closed(): boolean {
    return Atomics.load(this.region.u32, HEADER.closed) === 1;
  }

  /** Nothing was found: true unless the owner moved cells meanwhile. */
  private probeAgain(key: WalletKey): ReadResult {
    const { region } = this;
    for (let tries = 0; tries < MAX_PROBE_TRIES; tries++) {
      const shift = Atomics.load(region.i32, HEADER.indexShift);
      if (probe(region, key.hash, this.tryCandidate) >= 0) return this.result;
      if ((shift & 1) === 0 && closeRead(region.i32, HEADER.indexShift, shift)) return 'miss';
    }
    return 'contended';
  }

  /** True when `slot` settles the read one way or another; false when it holds another wallet. */
  private readonly tryCandidate = (slot: number): boolean => {
    const { region, key } = this;
    if (slot >= region.slotCount) return false;
    const words = region.slotsStart / 4 + slot * SLOT.words;
    for (let tries = 0; tries < MAX_READ_TRIES; tries++) {
      const seq = openRead(region.i32, words);
      if ((seq & 1) !== 0) continue;
      const offset = region.u32[words + SLOT.offset];
      const slotVersion = region.u32[words + SLOT.version];
      if (offset === 0) {
        if (closeRead(region.i32, words, seq)) return false;
        continue;
      }
      const at = recordAtOffset(region, offset);
      if (at + RECORD.headerBytes > region.regionBytes) continue;
      const keyBytes = recordKeyBytes(region, at);
      const payloadBytes = recordPayloadBytes(region, at);
      // Lengths are shared bytes too: nothing is copied before they are known to lie inside.
      const payloadAt = at + RECORD.headerBytes + keyBytes;
      if (payloadBytes > region.segmentBytes || payloadAt + payloadBytes > region.regionBytes) continue;
      if (!recordHasKey(region, at, key)) {
        if (closeRead(region.i32, words, seq)) return false;
        continue;
      }
      const expiresAtMs = recordExpiresAtMs(region, at);
      const expired = expiresAtMs <= this.nowMs;
      if (!expired) {
        this.copyPayload(payloadAt, payloadBytes);
        this.schemaId = recordSchemaId(region, at);
        this.version = recordVersion(region, at);
        this.createdAtMs = recordCreatedAtMs(region, at);
      }
      if (!closeRead(region.i32, words, seq)) continue;
      this.slot = slot;
      this.slotVersion = slotVersion;
      this.expiresAtMs = expiresAtMs;
      this.result = expired ? 'expired' : slotVersion < SUSPECT ? 'hit' : 'suspect';
      return true;
    }
    this.result = 'contended';
    return true;
  };

  /** From and to the same place modulo 8: V8 copies out of shared memory by words then, else byte by byte (`Relaxed_Memcpy` in src/base/atomicops.h). */
  private copyPayload(at: number, bytes: number): void {
    const start = at & 7;
    if (start + bytes > this.scratch.length) this.scratch = new Uint8Array(2 ** Math.ceil(Math.log2(start + bytes)));
    this.scratch.set(this.region.bytesAt(at, bytes), start);
    this.payloadStart = start;
    this.payloadEnd = start + bytes;
  }
}
