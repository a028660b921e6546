/**
 * The near cache of one thread: decoded, frozen profiles, each good for as long as the version of its slot stands.
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

export class NearCache {
  private readonly entries = new Map<string, NearEntry>();
  private readonly clock: (NearEntry | undefined)[] = [];
  private readonly maxEntries: number;
  private hand = 0;
  private readonly freePlaces: number[] = [];
  private readonly admission: NearAdmission;

  private readonly words: Uint32Array;
  private readonly versionAt: (slot: number) => number;
  private readonly isOwner: boolean;

  /** @param versionAt where the region's words have a slot's version. */
  constructor(maxEntries: number, words: Uint32Array = new Uint32Array(0), versionAt = (slot: number) => slot, isOwner = false) {
    this.maxEntries = maxEntries;
    this.admission = new NearAdmission(maxEntries);
    this.words = words;
    this.versionAt = versionAt;
    this.isOwner = isOwner;
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
    // The owner reads its own writes; every other thread must see them in order.
    const slotVersion = this.isOwner ? this.words[entry.versionAt] : Atomics.load(this.words, entry.versionAt);
    if (slotVersion === entry.slotVersion) {
      if (!entry.hit) entry.hit = true;
      return entry;
    }
    this.delete(entry);
    return undefined;
  }

  /** Whether a profile that was just decoded is worth a `set`: while there is room, always; then, when its slot comes again. */
  admits(slot: number): boolean {
    return this.entries.size < this.maxEntries || this.admission.seenBefore(slot);
  }

  set(wallet: string, profile: object, slot: number, slotVersion: number, expiresAtMs: number): void {
    if (this.maxEntries === 0) return;
    const old = this.entries.get(wallet);
    const place = old ? old.place : this.takePlace();
    const entry: NearEntry = {
      profile, versionAt: this.versionAt(slot), slotVersion, lastWholeTick: tickOf(expiresAtMs) - 1, slot, hit: false, wallet, place, expiresAtMs,
    };
    this.clock[place] = entry;
    this.entries.set(wallet, entry);
  }

  /** What a read found outdated. */
  delete(entry: NearEntry): void {
    if (this.entries.get(entry.wallet) !== entry) return;
    this.entries.delete(entry.wallet);
    this.clock[entry.place] = undefined;
    this.freePlaces.push(entry.place);
  }

  clear(): void {
    this.entries.clear();
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
      return place;
    }
  }
}
