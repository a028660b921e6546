/** Keys whose hashes collide as much as is wanted: what is left of a good hash when only `mask` of it is kept. */
import { POLICIES } from '../../src/eviction/index.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer } from '../../src/l1/writer.ts';
import { payloadFor, payloadOf } from './l1.ts';

export class CrowdedKey extends WalletKey {
  private readonly crowd: (hash: number) => number;

  constructor(region: Region, crowd: (hash: number) => number) {
    super(region.hashKey0, region.hashKey1);
    this.crowd = crowd;
  }

  override set(wallet: string): this {
    super.set(wallet);
    this.hash = this.crowd(this.hash);
    return this;
  }
}

/** An L1 whose keys collide. */
export class CrowdedL1 {
  readonly region: Region;
  readonly writer: L1Writer;
  readonly reader: L1Reader;
  readonly key: CrowdedKey;

  constructor(maxProfiles: number, maxBytes: number, crowd: (hash: number) => number) {
    this.region = createRegion(maxProfiles, maxBytes);
    this.writer = new L1Writer(this.region, POLICIES.lru);
    this.reader = new L1Reader(this.region);
    this.key = new CrowdedKey(this.region, crowd);
  }

  put(wallet: string, version: number): void {
    this.writer.put(this.key.set(wallet), payloadFor(wallet, version, 40), { schemaId: 1, version, expiresAtMs: 1e9, createdAtMs: 0 });
  }

  /** The version read, checked against the payload; undefined for a miss. */
  read(wallet: string): number | undefined {
    const { reader } = this;
    if (reader.read(this.key.set(wallet), 0) !== 'hit') return undefined;
    const payload = payloadOf(reader);
    if (!payload.equals(payloadFor(wallet, reader.version, 40))) throw new Error(`${wallet} reads as ${payload}`);
    return reader.version;
  }

  /** verifyRegion works hashes out by itself; with these keys the index is checked here. */
  verify(): void {
    const { region, writer } = this;
    const used = writer.slotsInUse();
    const seen = new Set<number>();
    for (const cell of region.u32.subarray(region.indexStart / 4, region.indexStart / 4 + region.indexCells)) {
      if (cell === 0) continue;
      const slot = (cell & 0xff_ffff) - 1;
      if (!used.has(slot) || seen.has(slot)) throw new Error(`a cell names slot ${slot}, which is empty or has one already`);
      seen.add(slot);
    }
    if (seen.size !== used.size || writer.size !== used.size) throw new Error(`${seen.size} cells, ${used.size} slots in use, size ${writer.size}`);
    writer.policy.verify(used);
  }
}
