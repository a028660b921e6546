/**
 * What this process knows about each wallet beyond L1: the lowest version it may accept, and which loads are outdated.
 *
 * floor  an update or an invalidation with version v sets it: nothing older is promoted later, whether it comes from a slow load,
 *        a lagging replica, or an old master that came back. Bounded: past the bound the oldest floors are forgotten.
 * fence  an update or an invalidation also voids the loads of that wallet that are under way, whatever version they bring
 *        (another process's clock may run ahead of ours). Needed only while such a load lasts. Bounded: past the bound all loads
 *        under way are void.
 * clear  is a floor of all wallets. Which loads it voids is not told by its version alone: the calendar of who cleared may be behind. A load
 *        that was stamped before the clear was heard of is void.
 * hold   while the newest update or invalidation of a wallet by this process has no answer from L2, what L2 has of that wallet is
 *        not taken: by its stamp it may be newer (a clock ahead of ours), yet it was there before.
 */
import { FloorTable } from './floor-table.ts';
import type { PendingWrite } from './write-queue.ts';

const MAX_FENCES = 10_000;

export class Floors {
  private readonly floors: FloorTable;
  private readonly fences = new Map<string, number>();
  /** The newest write of this process that L2 has not answered, by wallet. As many as there are writes under way or queued. */
  private readonly holds = new Map<string, PendingWrite>();
  private everything = 0;
  /** Own stamp of the moment when the newest clear began here, or was heard of. */
  private everythingSince = 0;
  /** Version of the newest clear that L2 is known to have begun, 0 without one. */
  knownClear = 0;
  private sequence = 0;
  private fenceOfAll = 0;
  private loadsUnderWay = 0;

  constructor(maxFloors: number) {
    this.floors = new FloorTable(maxFloors);
  }

  /** The lowest version of `wallet` that may be accepted. */
  of(wallet: string): number {
    return Math.max(this.floors.get(wallet), this.everything);
  }

  /** Something newer is known than a load that was stamped with `version` when it began. */
  overtake(wallet: string, version: number): boolean {
    return version < this.everythingSince || version < this.of(wallet);
  }

  raise(wallet: string, version: number): void {
    if (version > this.everything) this.floors.raise(wallet, version);
  }

  /** The write that raised it is given up. */
  retract(wallet: string, version: number): void {
    this.floors.forget(wallet, version);
  }

  /** Voids the loads of `wallet` that are under way. */
  fence(wallet: string): void {
    if (this.loadsUnderWay === 0) return;
    if (this.fences.size >= MAX_FENCES) this.fenceAll();
    this.fences.set(wallet, ++this.sequence);
  }

  /** Voids every load that is under way. */
  fenceAll(): void {
    this.fenceOfAll = ++this.sequence;
    this.fences.clear();
  }

  hold(wallet: string, write: PendingWrite): void {
    this.holds.set(wallet, write);
  }

  heldBy(wallet: string): PendingWrite | undefined {
    return this.holds.get(wallet);
  }

  /** False once a later call of this process has taken over. */
  isHeldBy(wallet: string, write: PendingWrite): boolean {
    return this.holds.get(wallet) === write;
  }

  isHeld(wallet: string): boolean {
    return this.holds.size > 0 && this.holds.has(wallet);
  }

  heldWallets(): Iterable<string> {
    return this.holds.keys();
  }

  release(wallet: string, write: PendingWrite): void {
    if (this.holds.get(wallet) === write) this.holds.delete(wallet);
  }

  /** A clear. @param now a stamp of this process */
  raiseAll(version: number, now: number): void {
    this.everything = Math.max(this.everything, version);
    this.everythingSince = now;
    // One of a later version is of a write that the clear has kept out, or of one that has come after it and is there.
    this.floors.clear();
    this.fenceAll();
  }

  /** A load starts: the token tells later whether it was voided. Every token must be given back. */
  beginLoad(): number {
    this.loadsUnderWay++;
    return this.sequence;
  }

  voided(wallet: string, token: number): boolean {
    return this.fenceOfAll > token || (this.fences.size > 0 && (this.fences.get(wallet) ?? 0) > token);
  }

  endLoad(): void {
    if (--this.loadsUnderWay === 0) this.fences.clear();
  }
}
