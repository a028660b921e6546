/** An L1 in this thread for tests: writer, reader and key over one region, verified on demand. */
import { POLICIES } from '../../src/eviction/index.ts';
import { L1Reader, versionWord, type ReadResult } from '../../src/l1/reader.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { verifyRegion } from '../../src/l1/verify.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer, type PutResult } from '../../src/l1/writer.ts';

/** What a near cache asks: the content of `slot` is still what it was when its version was `slotVersion`. */
export const stands = (region: Region, slot: number, slotVersion: number): boolean => Atomics.load(region.u32, versionWord(region, slot)) === slotVersion;

export class TestL1 {
  readonly region: Region;
  readonly writer: L1Writer;
  readonly reader: L1Reader;
  private readonly key: WalletKey;
  nowMs = 1_000;

  constructor(maxProfiles: number, maxBytes: number) {
    this.region = createRegion(maxProfiles, maxBytes);
    this.writer = new L1Writer(this.region, POLICIES.lru);
    this.reader = new L1Reader(this.region);
    this.key = new WalletKey(this.region.hashKey0, this.region.hashKey1);
  }

  put(wallet: string, payload: Uint8Array, version: number, ttlMs = 1e9): PutResult {
    return this.writer.put(this.key.set(wallet), payload, { schemaId: 1, version, expiresAtMs: this.nowMs + ttlMs, createdAtMs: 0 });
  }

  /** Reads and, as the owner does, touches. */
  get(wallet: string): Buffer | undefined {
    if (this.read(wallet) !== 'hit') return undefined;
    this.writer.policy.touched(this.reader.slot);
    return payloadOf(this.reader);
  }

  read(wallet: string): ReadResult {
    return this.reader.read(this.key.set(wallet), this.nowMs);
  }

  has(wallet: string): boolean {
    return this.writer.find(this.key.set(wallet)) >= 0;
  }

  remove(wallet: string): boolean {
    return this.writer.remove(this.key.set(wallet));
  }

  verify(): void {
    verifyRegion(this.region, this.writer);
  }
}

/** A copy of what the last read of `reader` found. */
export const payloadOf = ({ scratch, payloadStart, payloadEnd }: L1Reader): Buffer => Buffer.from(scratch.subarray(payloadStart, payloadEnd));

/** Bytes that tell of which wallet and version they are, in every word. */
export function payloadFor(wallet: string, version: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  const seed = `${wallet}#${version};`;
  for (let i = 0; i < bytes; i++) out[i] = seed.charCodeAt(i % seed.length);
  return out;
}
