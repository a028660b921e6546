/**
 * Whether LRU would do better: a bound on what a policy that believes more than LRU may lose by it.
 *
 * Beside the cache stands LRU's shadow (`lru-shadow.ts`). A request that misses where LRU would have hit is paid from an account; one that hits where LRU would have missed is
 * paid into it, and each of LRU's own misses earns a two-hundredth.
 * 1. LRU decides as soon as what is owed is what it would cost to become LRU: the keys that only the shadow holds, which are still to be read again. Neither a change too early nor one
 *    too late then costs more than twice what hindsight would pay (the ski rental of A. Karlin, M. Manasse, L. Rudolph, D. Sleator, "Competitive Snoopy Caching", Algorithmica 1988).
 * 2. It does so for as many of its misses as it has entries, and twice as long after each trial that fails: what is lost grows with the logarithm of time. And until the policy has won
 *    more duels than it has lost (`duels.ts`): a trial that would fail again is not paid for.
 * 3. A policy that has filled its account has won back its trust: the next doubt is a short one again.
 */
import { Duels } from './duels.ts';
import { LruShadow } from './lru-shadow.ts';

/** One miss. The account counts in parts of it, and so stays with whole numbers. */
const MISS = 200;
const EARNED_A_MISS = 1;
/** What a trial begins with, for each entry of the shadow: a fiftieth of a miss; one miss at the least. */
const STAKE_AN_ENTRY = MISS / 50;
/** What is saved at most, for each entry: past gains do not pay for any loss. */
const SAVED_AN_ENTRY = MISS / 2;
const WAIT_GROWTH = 2;
const MAX_WAIT_AN_ENTRY = 32;

export class LruRegret {
  /** LRU should decide. */
  isBehind = false;
  /** Between LRU's choices, which are followed, and those of the policy, while LRU decides. */
  readonly duels = new Duels();
  private readonly shadow: LruShadow;
  private account = 0;
  /** Misses of LRU until the next trial. */
  private wait = 0;
  private nextWait = 0;

  /** @param entries How many the cache holds, and LRU in its place would. */
  constructor(entries: number) {
    this.shadow = new LruShadow(entries);
    this.clear();
  }

  get bytes(): number {
    return this.shadow.bytes + this.duels.bytes;
  }

  /** Whether to tell of this key: of a large cache only some are followed. */
  follows(hash: number): boolean {
    return this.shadow.follows(hash);
  }

  /** A key that is followed was asked for, and the cache had it, or missed it and has it now. */
  used(hash: number, missed: boolean): void {
    const { shadow } = this;
    const wasFull = shadow.isFull;
    const lruMissed = !shadow.used(hash);
    if (this.isBehind) {
      if (lruMissed) this.wait--;
      if (this.wait <= 0 && this.duels.isWon) this.tryAgain();
      return;
    }
    if (lruMissed) {
      if (!missed) this.account += MISS;
      if (wasFull) this.account += EARNED_A_MISS;
      if (this.account <= SAVED_AN_ENTRY * shadow.room) return;
      this.account = SAVED_AN_ENTRY * shadow.room;
      this.nextWait = shadow.room;
    } else if (missed) {
      this.account -= MISS;
      if (this.account < -MISS * shadow.apart) this.giveIn();
    }
  }

  evicted(hash: number): void {
    this.shadow.evicted(hash);
  }

  /** The key is gone from every cache: invalidated or expired, not evicted. */
  forget(hash: number): void {
    this.shadow.forget(hash);
  }

  clear(): void {
    this.shadow.clear();
    this.nextWait = this.shadow.room;
    this.tryAgain();
  }

  private giveIn(): void {
    this.isBehind = true;
    this.duels.clear();
    this.wait = this.nextWait;
    this.nextWait = Math.min(MAX_WAIT_AN_ENTRY * this.shadow.room, WAIT_GROWTH * this.nextWait);
  }

  private tryAgain(): void {
    this.isBehind = false;
    this.account = Math.max(MISS, STAKE_AN_ENTRY * this.shadow.room);
  }
}
