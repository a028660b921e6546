/**
 * Writes L1: the owner's side, the only writer of index, slots and arena. Nothing here waits or allocates per entry.
 *
 * Order of one put
 *   1. room: evict until the record fits into the bounds, then allocate in the arena (which may move other records)
 *   2. the record's bytes, where no slot points yet
 *   3. the slot: seq odd, version + 1 (near caches drop the old content), offset, seq even
 *   4. a new entry's index cell last: a reader that sees it may read the slot
 *   5. the old record's bytes are released: from now on they may be compacted away
 */
import type { EvictionPolicy, PolicyFactory } from '../eviction/policy.ts';
import { Arena } from './arena.ts';
import { clearCells, insertCell, probe, removeCell } from './index-cells.ts';
import { HEADER, SLOT, SUSPECT, recordBytes } from './layout.ts';
import { copyRecord, offsetOfRecord, recordExpiresAtMs, recordHasKey, recordOfSlot, recordSize, recordVersion, recordWallet, writeRecord, type RecordCopy, type RecordMeta } from './record.ts';
import { imagePayloadBytes, imageVersion, writeImage, type RecordImage } from './record-image.ts';
import type { Region } from './region.ts';
import { SchemaNumbers } from './schema-ids.ts';
import { beginChange, endChange } from './seqlock.ts';
import { SlotChain } from './slot-chain.ts';
import { Suspects } from './suspects.ts';
import { RingDrain } from './thread-row.ts';
import type { WalletKey } from './wallet-key.ts';

/** Written out as a power it is worked out anew at every use. */
const WORD = 2 ** 32;

/** `older`: L1 holds a version as new or newer. `too-large`: L1 cannot hold it; an older version of it has been removed. */
export type PutResult = 'stored' | 'older' | 'too-large';

export class L1Writer {
  readonly arena: Arena;
  readonly policy: EvictionPolicy;
  evictions = 0;
  expirations = 0;
  /** Told of every slot whose version changes; other threads compare it, the owner's own near cache does not. */
  onSlotChange: (slot: number) => void = () => {};

  readonly suspects: Suspects;
  private readonly region: Region;
  private readonly rings: RingDrain;
  private readonly schemas: SchemaNumbers;
  private readonly slots: SlotChain;
  private sweepHand = 0;
  /** Of the put under way, between `prepare` and `finish`. */
  private slot = -1;
  private isNew = false;
  private at = 0;
  private schemaNumber = 0;
  private key!: WalletKey;

  constructor(region: Region, makePolicy: PolicyFactory) {
    this.region = region;
    this.arena = new Arena(region);
    this.policy = makePolicy(region.slotCount, { words: region.u32, first: this.words(0) + SLOT.hash, step: SLOT.words });
    this.rings = new RingDrain(region);
    this.schemas = new SchemaNumbers(region);
    this.slots = new SlotChain(region);
    this.suspects = new Suspects(region, (slot) => this.onSlotChange(slot));
  }

  get size(): number {
    return this.slots.used;
  }

  /** The slot of the last record that was stored. */
  get lastPut(): number {
    return this.slot;
  }

  /** The slot that holds `key`, expired or not; -1 when none does. */
  find(key: WalletKey): number {
    this.key = key;
    return probe(this.region, key.hash, this.holdsKey);
  }

  versionOf(slot: number): number {
    return recordVersion(this.region, this.recordAt(slot));
  }

  put(key: WalletKey, payload: Uint8Array, meta: RecordMeta): PutResult {
    const bytes = recordBytes(key.length, payload.length);
    const problem = this.prepare(key, bytes, meta.schemaId, meta.version);
    if (problem !== undefined) return problem;
    writeRecord(this.region, this.at, this.slot, key, payload, meta, this.schemaNumber);
    this.finish(key, bytes);
    return 'stored';
  }

  /** A record that an I/O worker has laid out; `key` is its key. */
  putImage(key: WalletKey, image: RecordImage, schemaId: number): PutResult {
    const bytes = recordBytes(key.length, imagePayloadBytes(image));
    const problem = this.prepare(key, bytes, schemaId, imageVersion(image));
    if (problem !== undefined) return problem;
    writeImage(this.region, this.at, this.slot, image, this.schemaNumber);
    this.finish(key, bytes);
    return 'stored';
  }

  /** @returns whether there was an entry. */
  remove(key: WalletKey): boolean {
    const slot = this.find(key);
    if (slot < 0) return false;
    this.removeSlot(slot);
    return true;
  }

  /** Removes the entry in `slot` if it has expired. */
  removeExpired(slot: number, nowMs: number): boolean {
    if (!this.inUse(slot) || recordExpiresAtMs(this.region, this.recordAt(slot)) > nowMs) return false;
    this.removeSlot(slot);
    this.expirations++;
    return true;
  }

  /** Looks at the next `slots` slots in turn and frees what has expired. */
  sweep(slots: number, nowMs: number): number {
    let freed = 0;
    for (let i = Math.min(slots, this.region.slotCount); i > 0; i--) {
      if (this.removeExpired(this.sweepHand, nowMs)) freed++;
      this.sweepHand = this.sweepHand + 1 === this.region.slotCount ? 0 : this.sweepHand + 1;
    }
    return freed;
  }

  /** The wallet in `slot`; undefined when the slot is empty. */
  walletOf(slot: number): string | undefined {
    return this.inUse(slot) ? recordWallet(this.region, this.recordAt(slot)) : undefined;
  }

  /** The entry in private memory. */
  copyOf(slot: number): RecordCopy {
    return copyRecord(this.region, this.recordAt(slot));
  }

  get slotCount(): number {
    return this.region.slotCount;
  }

  clear(): void {
    const { region } = this;
    for (let slot = 0; slot < region.slotCount; slot++) if (this.inUse(slot)) this.emptySlot(slot);
    clearCells(region);
    this.slots.reset();
    this.policy.reset();
    this.arena.reset();
    this.publishSize();
  }

  /** From now on attached threads know that nobody writes any more. */
  close(): void {
    Atomics.store(this.region.u32, HEADER.closed, 1);
  }

  slotsInUse(): Set<number> {
    const used = new Set<number>();
    for (let slot = 0; slot < this.region.slotCount; slot++) if (this.inUse(slot)) used.add(slot);
    return used;
  }

  /** The chain of empty slots and the number of those never used, for verification. */
  emptySlots(): { chain: number[]; neverUsed: number } {
    return this.slots.empty();
  }

  /** Step 1: afterwards `slot`, `at` and `schemaNumber` are those of the record to be written. */
  private prepare(key: WalletKey, bytes: number, schemaId: number, version: number): 'older' | 'too-large' | undefined {
    let slot = this.find(key);
    if (slot >= 0 && this.versionOf(slot) >= version) return 'older';
    this.schemaNumber = this.schemas.of(schemaId);
    if (bytes > this.arena.maxRecordBytes || bytes > this.arena.usableBytes || this.schemaNumber < 0) {
      if (slot >= 0) this.removeSlot(slot);
      return 'too-large';
    }
    this.drainHits();
    if (slot >= 0) {
      this.policy.touched(slot);
      // Its old bytes may be what makes room: an update needs only the difference.
      if (this.arena.liveBytes - this.bytesOf(slot) + bytes > this.arena.usableBytes) slot = this.makeRoom(bytes, slot);
    } else {
      slot = this.makeRoom(bytes, slot);
    }
    let at = this.arena.allocate(bytes);
    while (at < 0) {
      const evictedBytes = this.evictOne();
      if (evictedBytes === 0) return 'too-large';
      // The entry itself may have been the victim.
      slot = this.find(key);
      at = this.arena.allocate(bytes, evictedBytes);
    }
    this.isNew = slot < 0;
    this.slot = this.isNew ? this.slots.take() : slot;
    this.at = at;
    return undefined;
  }

  /** Steps 3 to 5. */
  private finish(key: WalletKey, bytes: number): void {
    const { region, slot, at } = this;
    if (this.isNew) {
      region.u32[this.words(slot) + SLOT.hash] = key.hash;
      this.publish(slot, at);
      insertCell(region, key.hash, slot);
      this.policy.inserted(slot, key.hash, bytes);
    } else {
      // Allocation may have moved the old record: look where it is now.
      const oldAt = this.recordAt(slot);
      const oldBytes = recordSize(region, oldAt);
      this.publish(slot, at);
      this.arena.release(oldAt, oldBytes);
      this.policy.resized?.(slot, bytes);
    }
    this.publishSize();
  }

  private makeRoom(bytes: number, slot: number): number {
    const { arena } = this;
    let gone = slot < 0;
    while ((gone && this.slots.used === this.region.slotCount) || arena.liveBytes + bytes - (gone ? 0 : this.bytesOf(slot)) > arena.usableBytes) {
      const victim = this.policy.victim();
      if (victim < 0) break;
      if (victim === slot) gone = true;
      this.removeSlot(victim);
      this.evictions++;
    }
    return gone ? -1 : slot;
  }

  /** @returns the bytes of what went; 0 when there is nothing to evict. */
  private evictOne(): number {
    const victim = this.policy.victim();
    if (victim < 0) return 0;
    const bytes = this.bytesOf(victim);
    this.removeSlot(victim);
    this.evictions++;
    return bytes;
  }

  private publish(slot: number, at: number): void {
    const { region } = this;
    const words = this.words(slot);
    beginChange(region.i32, words);
    Atomics.store(region.u32, words + SLOT.version, (region.u32[words + SLOT.version] + 1) & ~SUSPECT);
    Atomics.store(region.u32, words + SLOT.offset, offsetOfRecord(region, at));
    endChange(region.i32, words);
    this.onSlotChange(slot);
  }

  private removeSlot(slot: number): void {
    removeCell(this.region, this.region.u32[this.words(slot) + SLOT.hash], slot);
    const at = this.recordAt(slot);
    const bytes = recordSize(this.region, at);
    this.emptySlot(slot);
    this.arena.release(at, bytes);
    this.policy.removed(slot);
    this.slots.give(slot);
    this.publishSize();
  }

  private emptySlot(slot: number): void {
    const { region } = this;
    const words = this.words(slot);
    beginChange(region.i32, words);
    Atomics.store(region.u32, words + SLOT.version, (region.u32[words + SLOT.version] + 1) & ~SUSPECT);
    Atomics.store(region.u32, words + SLOT.offset, 0);
    endChange(region.i32, words);
    this.onSlotChange(slot);
  }

  private drainHits(): void {
    this.rings.drain(this.touchIfUsed);
  }

  /** A ring may name a slot that has been emptied since. */
  private readonly touchIfUsed = (slot: number): void => {
    if (slot < this.region.slotCount && this.inUse(slot)) this.policy.touched(slot);
  };

  private publishSize(): void {
    const { u32 } = this.region;
    u32[HEADER.residentProfiles] = this.size;
    u32[HEADER.residentBytesLow] = this.arena.liveBytes >>> 0;
    u32[HEADER.residentBytesHigh] = Math.floor(this.arena.liveBytes / WORD);
  }

  private readonly holdsKey = (slot: number): boolean => recordHasKey(this.region, this.recordAt(slot), this.key);
  private words = (slot: number) => this.region.slotsStart / 4 + slot * SLOT.words;
  private inUse = (slot: number) => this.region.u32[this.words(slot) + SLOT.offset] !== 0;
  private recordAt = (slot: number) => recordOfSlot(this.region, slot);
  private bytesOf = (slot: number) => recordSize(this.region, this.recordAt(slot));
}
