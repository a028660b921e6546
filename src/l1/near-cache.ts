/**
 * The near cache of one thread: decoded, frozen profiles, each good for as long as the content of its slot stands. A thread that does not
 * write L1 compares the slot's version at every hit; the owner, who writes it, is told of every change (`slotChanged`) and need not look.
 * Bounded by count. Eviction is second chance (CLOCK): a hit is one store, and the hand passes over what was hit since.
 *
 * An entry is a place: a number, by which columns hold what belongs to it. From the wallet to its profile a hit follows one reference less
 * than it would through an object for each entry, and what it checks on the way stands together in 16 bytes.
 *
 * The owner changes slots by the thousand, and each costs it only what ends the entry: the profile and its time. The wallet goes on naming its place
 * until that is given to another, or somebody asks and finds it outdated.
 */
import { NearAdmission } from './near-admission.ts';
import { PlaceChains } from './place-chains.ts';

const TICK_MS = 64;
const MAX_TICK = 2 ** 30;

/** A coarse time that is a small integer for two years of uptime. */
export const tickOf = (monotonicMs: number): number => Math.min(MAX_TICK, Math.floor(monotonicMs / TICK_MS));

export interface SlotVersions {
  readonly words: Uint32Array;
  /** Index of the slot's version among the words. */
  at(slot: number): number;
}

/** The words of a place. `lastWholeTick`: ticks (`tickOf`) that are over before the entry expires. `version`: of the slot, when the profile was read. */
const WORD = { slot: 0, version: 1, lastWholeTick: 2, hit: 3 } as const;
const WORD_BITS = 2;
const FIRST_PLACES = 64;
const NOWHERE = -1;
/** A time before all others. */
const OVER = -1;

export class NearCache {
  private readonly places = new Map<string, number>();
  private readonly profiles: (object | undefined)[] = [];
  private readonly wallets: (string | undefined)[] = [];
  private words = new Int32Array(FIRST_PLACES << WORD_BITS);
  /** On the monotonic clock. */
  private expiry = new Float64Array(FIRST_PLACES);
  private readonly maxEntries: number;
  private hand = 0;
  private readonly freePlaces: number[] = [];
  private readonly admission: NearAdmission;
  private readonly versions: SlotVersions | undefined;
  /** Of the owner: who has to go when a slot changes. */
  private readonly bySlot: PlaceChains | undefined;

  /** @param versions where the versions of the slots stand; undefined for the owner, who calls `slotChanged`. */
  constructor(maxEntries: number, versions?: SlotVersions) {
    this.maxEntries = maxEntries;
    this.admission = new NearAdmission(maxEntries);
    this.versions = versions;
    this.bySlot = versions === undefined ? new PlaceChains(maxEntries, FIRST_PLACES) : undefined;
  }

  get size(): number {
    return this.profiles.length - this.freePlaces.length;
  }

  /** The place of the entry, whether it still stands or not (the owner's does); -1 without one. */
  find(wallet: string): number {
    const place = this.places.get(wallet);
    return place === undefined || this.profiles[place] === undefined ? NOWHERE : place;
  }

  /**
   * The place of the entry, marked as hit, if the content of its slot still is what was decoded; one that is outdated is forgotten. For the owner an
   * entry that was ended by a change is one that has expired long ago.
   */
  hit(wallet: string): number {
    const place = this.places.get(wallet);
    if (place === undefined) return NOWHERE;
    const { words, versions } = this;
    const at = place << WORD_BITS;
    if (versions === undefined || Atomics.load(versions.words, versions.at(words[at + WORD.slot])) === words[at + WORD.version] >>> 0) {
      words[at + WORD.hit] = 1;
      return place;
    }
    this.delete(place);
    return NOWHERE;
  }

  profileAt(place: number): object {
    return this.profiles[place] as object;
  }

  slotAt(place: number): number {
    return this.words[(place << WORD_BITS) + WORD.slot];
  }

  slotVersionAt(place: number): number {
    return this.words[(place << WORD_BITS) + WORD.version] >>> 0;
  }

  expiresAtMs(place: number): number {
    return this.expiry[place];
  }

  /** At any time of `tick` the entry has not expired. False says nothing: compare `expiresAtMs` with the time. */
  outlasts(place: number, tick: number): boolean {
    return this.words[(place << WORD_BITS) + WORD.lastWholeTick] >= tick;
  }

  /** Whether a profile that was just decoded is worth a `set`: while there is room, always; then, when its slot comes again. */
  admits(slot: number): boolean {
    return this.size < this.maxEntries || (this.maxEntries > 0 && this.admission.seenBefore(slot));
  }

  /** The owner has changed the content of `slot`, or doubts it. */
  slotChanged(slot: number): void {
    const place = this.bySlot === undefined ? NOWHERE : this.bySlot.take(slot);
    if (place === NOWHERE) return;
    this.profiles[place] = undefined;
    this.words[(place << WORD_BITS) + WORD.lastWholeTick] = OVER;
    this.expiry[place] = OVER;
    this.freePlaces.push(place);
  }

  set(wallet: string, profile: object, slot: number, slotVersion: number, expiresAtMs: number): void {
    if (this.maxEntries === 0) return;
    const place = this.placeFor(wallet);
    const { words } = this;
    const at = place << WORD_BITS;
    words[at + WORD.slot] = slot;
    words[at + WORD.version] = slotVersion;
    words[at + WORD.lastWholeTick] = tickOf(expiresAtMs) - 1;
    words[at + WORD.hit] = 0;
    this.expiry[place] = expiresAtMs;
    this.profiles[place] = profile;
    this.wallets[place] = wallet;
    this.places.set(wallet, place);
    this.bySlot?.add(slot, place);
  }

  /** What a read found outdated. */
  delete(place: number): void {
    const isFree = this.profiles[place] === undefined;
    this.forget(place);
    if (!isFree) this.freePlaces.push(place);
  }

  clear(): void {
    this.places.clear();
    this.bySlot?.clear();
    this.profiles.length = 0;
    this.wallets.length = 0;
    this.freePlaces.length = 0;
    this.hand = 0;
  }

  private forget(place: number): void {
    this.places.delete(this.wallets[place] as string);
    if (this.profiles[place] !== undefined) this.bySlot?.take(this.slotAt(place));
    this.wallets[place] = undefined;
    this.profiles[place] = undefined;
  }

  /** A place in no chain, whose profile may be overwritten. */
  private placeFor(wallet: string): number {
    const known = this.places.get(wallet);
    if (known === undefined) return this.takePlace();
    if (this.profiles[known] !== undefined) {
      this.bySlot?.take(this.slotAt(known));
      return known;
    }
    // Among the free ones, where it need not be the next.
    this.wallets[known] = undefined;
    return this.takePlace();
  }

  private takePlace(): number {
    const free = this.freePlaces.pop();
    if (free !== undefined) {
      const before = this.wallets[free];
      if (before !== undefined) this.places.delete(before);
      return free;
    }
    if (this.profiles.length < this.maxEntries) return this.addPlace();
    for (;;) {
      const place = this.hand;
      this.hand = (place + 1) % this.maxEntries;
      if (this.wallets[place] === undefined) continue;
      const hitAt = (place << WORD_BITS) + WORD.hit;
      if (this.words[hitAt] === 0) {
        this.forget(place);
        return place;
      }
      this.words[hitAt] = 0;
    }
  }

  private addPlace(): number {
    const place = this.profiles.push(undefined) - 1;
    this.wallets.push(undefined);
    if (place === this.expiry.length) {
      const { words, expiry } = this;
      const places = Math.min(this.maxEntries, 2 * place);
      this.words = new Int32Array(places << WORD_BITS);
      this.words.set(words);
      this.expiry = new Float64Array(places);
      this.expiry.set(expiry);
      this.bySlot?.grow(places);
    }
    return place;
  }
}
