/**
 * The near cache of one thread: decoded, frozen profiles, each good for as long as the version of its slot stands.
 * Bounded by count. Eviction is second chance (CLOCK): a hit is one store, and the hand passes over what was hit since.
 */
export interface NearEntry {
  readonly wallet: string;
  readonly profile: object;
  readonly slot: number;
  readonly slotVersion: number;
  readonly expiresAtMs: number;
  hit: boolean;
  /** Place on the clock. */
  readonly place: number;
}

export class NearCache {
  private readonly entries = new Map<string, NearEntry>();
  private readonly clock: (NearEntry | undefined)[] = [];
  private readonly maxEntries: number;
  private hand = 0;
  private readonly freePlaces: number[] = [];

  constructor(maxEntries: number) {
    this.maxEntries = maxEntries;
  }

  get size(): number {
    return this.entries.size;
  }

  get(wallet: string): NearEntry | undefined {
    return this.entries.get(wallet);
  }

  set(wallet: string, profile: object, slot: number, slotVersion: number, expiresAtMs: number): void {
    if (this.maxEntries === 0) return;
    const old = this.entries.get(wallet);
    const place = old ? old.place : this.takePlace();
    const entry: NearEntry = { wallet, profile, slot, slotVersion, expiresAtMs, hit: false, place };
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
