/**
 * The near cache of one thread: decoded, frozen profiles, each good for as long as the content of its slot stands. A thread that does not
 * write L1 compares the slot's version at every hit; the owner, who writes it, is told of every change (`slotChanged`) and need not look.
 * Bounded by count. Eviction is second chance (CLOCK): a hit is one store, and the hand passes over what was hit since.
 */
import { NearAdmission } from './near-admission.ts';

export interface NearEntry {
  // What a hit looks at stands first and together, and is small integers: a double would be another object to follow.
  readonly profile: object;
  /** Where the region has the slot's version word, and what it said when the profile was read. */
  readonly versionAt: number;
  readonly slotVersion: number;
  /** Ticks (`tickOf`) that are over before the entry expires. */
  readonly lastWholeTick: number;
  readonly slot: number;
  hit: boolean;
  readonly wallet: string;
  /** Place on the clock. */
  readonly place: number;
  /** On the monotonic clock. */
  readonly expiresAtMs: number;
}

const TICK_MS = 64;
const MAX_TICK = 2 ** 30;

/** A coarse time that is a small integer for two years of uptime. */
export const tickOf = (monotonicMs: number): number => Math.min(MAX_TICK, Math.floor(monotonicMs / TICK_MS));

export interface SlotVersions {
  readonly words: Uint32Array;
  /** Index of the slot's version among the words. */
  at(slot: number): number;
}

export class NearCache {
  private readonly entries = new Map<string, NearEntry>();
  private readonly clock: (NearEntry | undefined)[] = [];
  private readonly maxEntries: number;
  private hand = 0;
  private readonly freePlaces: number[] = [];
  private readonly admission: NearAdmission;

  private readonly versions: SlotVersions | undefined;
  /** Of the owner: who has to go when a slot changes. */
  private readonly bySlot: Map<number, NearEntry> | undefined;

  /** @param versions where the versions of the slots stand; undefined for the owner, who calls `slotChanged`. */
  constructor(maxEntries: number, versions?: SlotVersions) {
    this.maxEntries = maxEntries;
    this.admission = new NearAdmission(maxEntries);
    this.versions = versions;
    this.bySlot = versions === undefined ? new Map() : undefined;
  }

  get size(): number {
    return this.entries.size;
  }

  /** The entry, whether it still stands or not. */
  get(wallet: string): NearEntry | undefined {
    return this.entries.get(wallet);
  }

  /** The entry, marked as hit, if the content of its slot still is what was decoded; one that is outdated is forgotten. */
  hit(wallet: string): NearEntry | undefined {
    const entry = this.entries.get(wallet);
    if (entry === undefined) return undefined;
    const { versions } = this;
    if (versions === undefined || Atomics.load(versions.words, entry.versionAt) === entry.slotVersion) {
      if (!entry.hit) entry.hit = true;
      return entry;
    }
    this.delete(entry);
    return undefined;
  }

  /** Whether a profile that was just decoded is worth a `set`: while there is room, always; then, when its slot comes again. */
  admits(slot: number): boolean {
    return this.entries.size < this.maxEntries || (this.maxEntries > 0 && this.admission.seenBefore(slot));
  }

  /** The owner has changed the content of `slot`, or doubts it. */
  slotChanged(slot: number): void {
    const entry = this.bySlot?.get(slot);
    if (entry !== undefined) this.delete(entry);
  }

  set(wallet: string, profile: object, slot: number, slotVersion: number, expiresAtMs: number): void {
    if (this.maxEntries === 0) return;
    const old = this.entries.get(wallet);
    const place = old ? old.place : this.takePlace();
    const entry: NearEntry = {
      profile, versionAt: this.versions?.at(slot) ?? 0, slotVersion, lastWholeTick: tickOf(expiresAtMs) - 1, slot, hit: false, wallet, place, expiresAtMs,
    };
    if (old !== undefined) this.bySlot?.delete(old.slot);
    this.clock[place] = entry;
    this.entries.set(wallet, entry);
    this.bySlot?.set(slot, entry);
  }

  /** What a read found outdated. */
  delete(entry: NearEntry): void {
    if (this.entries.get(entry.wallet) !== entry) return;
    this.entries.delete(entry.wallet);
    this.bySlot?.delete(entry.slot);
    this.clock[entry.place] = undefined;
    this.freePlaces.push(entry.place);
  }

  clear(): void {
    this.entries.clear();
    this.bySlot?.clear();
    this.clock.length = 0;
    this.freePlaces.length = 0;
    this.hand = 0;
  }

  private takePlace(): number {
    const free = this.freePlaces.pop();
    if (free !== undefined) return free;
    if (this.clock.length < this.maxEntries) return this.clock.push(undefined) - 1;
    for (;;) {
      const place = this.hand;
      this.hand = (place + 1) % this.maxEntries;
      const entry = this.clock[place];
      if (entry === undefined) continue;
      if (entry.hit) {
        entry.hit = false;
        continue;
      }
      this.entries.delete(entry.wallet);
      this.bySlot?.delete(entry.slot);
      return place;
    }
  }
}
