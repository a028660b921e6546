/**
 * What this process knows about each wallet beyond L1: the lowest version it may accept, and which loads are outdated.
 *
 * floor  an update or an invalidation with version v sets it: nothing older is promoted later, whether it comes from a slow load,
 *        a lagging replica, or an old master that came back. Bounded: past the bound the oldest floors are forgotten.
 * fence  an update or an invalidation also voids the loads of that wallet that are under way, whatever version they bring
 *        (another process's clock may run ahead of ours). Needed only while such a load lasts.
 */
export class Floors {
  private readonly floors = new Map<string, number>();
  private readonly fences = new Map<string, number>();
  private readonly maxFloors: number;
  private everything = 0;
  private sequence = 0;
  private fenceOfAll = 0;
  private loadsUnderWay = 0;

  constructor(maxFloors: number) {
    this.maxFloors = maxFloors;
  }

  /** The lowest version of `wallet` that may be accepted. */
  of(wallet: string): number {
    return Math.max(this.floors.get(wallet) ?? 0, this.everything);
  }

  raise(wallet: string, version: number): void {
    if (version <= this.of(wallet)) return;
    // Re-inserted at the end: the order of the Map is the order of age.
    this.floors.delete(wallet);
    this.floors.set(wallet, version);
    if (this.floors.size > this.maxFloors) this.floors.delete(this.floors.keys().next().value as string);
  }

  /** Voids the loads of `wallet` that are under way. */
  fence(wallet: string): void {
    if (this.loadsUnderWay > 0) this.fences.set(wallet, ++this.sequence);
  }

  raiseAll(version: number): void {
    this.everything = Math.max(this.everything, version);
    for (const [wallet, floor] of this.floors) if (floor <= version) this.floors.delete(wallet);
    this.fenceOfAll = ++this.sequence;
  }

  /** A load starts: the token tells later whether it was voided. Every token must be given back. */
  beginLoad(): number {
    this.loadsUnderWay++;
    return this.sequence;
  }

  voided(wallet: string, token: number): boolean {
    return (this.fences.get(wallet) ?? 0) > token || this.fenceOfAll > token;
  }

  endLoad(): void {
    if (--this.loadsUnderWay === 0) this.fences.clear();
  }
}
