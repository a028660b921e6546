/**
 * Whose a thread row is, and whether that thread lives. Only proof of death frees a row: a thread that is merely busy keeps it.
 *
 * A thread that holds a row has asynchronous waiters (Atomics.waitAsync) on the row's claim word. V8 takes a thread's waiters off the list
 * when it disposes of the thread's isolate, however the thread ended, and Atomics.notify says how many it woke:
 *   1   the thread lives, its event loop blocked or not; once its loop turns, it waits again
 *   0   nobody waits: the thread is dead, provided it must have had a waiter
 * A blocked thread cannot renew its waiters, so it has SIGNS of them, `signs` counts what is left, and the next probe waits twice as
 * long as the last one: together 27 minutes without one turn of its loop. Past that, and dying then, it leaves its row taken.
 *
 *   claim   0        free
 *           epoch    held; an epoch is given out once, so nobody takes a later claim for his own
 *           -epoch   the owner is looking whether its thread lives. Only the owner frees the row of another, so it alone sets and ends this
 *   signs   of which epoch, and how many: a living holder has at least one waiter more. Those of another epoch are none of his, so nobody
 *           needs to set them back, and nobody late can spoil those of the next holder
 *
 *   holder                                              owner, of a row that may be dead
 *   1. claim: 0 -> epoch                                1. claim: epoch -> -epoch
 *   2. wait for a change of claim, if it is epoch       2. signs - 1; below zero: nothing can be learned now, back to epoch
 *      still; if not, the row is lost: take another     3. notify: 1 -> back to epoch; 0 -> claim = 0
 *   3. only now write counters and ring
 *   4. more waiters, signs + 1 for each
 *   5. woken: wait again, then signs + 1
 *   6. done: wake the own waiters, claim: epoch -> 0; if the owner is looking, signs + 1, and the owner will find nobody
 *
 * Step 2 of the holder compares and joins the list in one step (ECMAScript: WaiterListRecord's critical section), so whoever dies or sleeps between 1
 * and 2 is found without a waiter and loses a row that he has not written to; and nobody joins while the owner looks.
 */
import { systemClock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import { HEADER, ROW, THREAD_ROWS } from './layout.ts';
import type { Region } from './region.ts';

/** `unknown`: its signs are used up, or it is too early to use another. */
export type Life = 'alive' | 'dead' | 'unknown';

/** The owner claims first, before anybody else knows the region. */
export const OWNER_ROW = 0;
const OWNER_EPOCH = 1;

const SIGNS = 16;
/** Until the second probe of a thread that has not answered the first; twice that until the third. */
const FIRST_DOUBT_MS = 50;
/** Between two tries to wait again on a row that the owner is just looking at. */
const REARM_MS = 5;
const MAX_REARMS = 200;
/** With the signs it makes one word. */
const MAX_EPOCH = 0x3f_ffff;

const wordsOf = (region: Region, row: number) => (region.rowsStart + row * ROW.bytes + ROW.claim) / 4;
const signsOf = (word: number, epoch: number) => (word >>> 8 === epoch ? (word & 0xff) - 1 : 0);
const signWord = (epoch: number, signs: number) => (epoch << 8) | (signs + 1);
/** Epochs go round; 0 is older than all. */
const isLater = (other: number, epoch: number) => other !== 0 && other !== epoch && ((other - epoch) & MAX_EPOCH) < MAX_EPOCH / 2;
const [SIGNS_AT, PROBED_AT] = [(ROW.signs - ROW.claim) / 4, (ROW.probedAtMs - ROW.claim) / 4];

export class RowClaim {
  readonly row: number;
  readonly epoch: number;
  private readonly i32: Int32Array;
  private readonly at: number;
  private freed = false;

  private constructor(region: Region, row: number, epoch: number) {
    this.i32 = region.i32;
    this.row = row;
    this.epoch = epoch;
    this.at = wordsOf(region, row);
  }

  /** @throws ERR_OVERLOADED when no row is free. */
  static take(region: Region): RowClaim {
    const { i32 } = region;
    for (let row = 0; row < THREAD_ROWS; row++) {
      if (Atomics.load(i32, wordsOf(region, row)) !== 0) continue;
      // Before the claim, so that nobody can die with a row that is looked at by none.
      for (let used = Atomics.load(i32, HEADER.rowsUsed); used <= row; ) used = Atomics.compareExchange(i32, HEADER.rowsUsed, used, row + 1);
      const claim = new RowClaim(region, row, ((Atomics.add(i32, HEADER.rowEpochs, 1) >>> 0) % MAX_EPOCH) + 1);
      if (Atomics.compareExchange(i32, claim.at, 0, claim.epoch) === 0 && claim.wait()) {
        claim.waitMore();
        return claim;
      }
    }
    throw new ProfileCacheError('ERR_OVERLOADED', `${THREAD_ROWS} threads are attached to this cache; close() the attached caches of threads that are done. Rows of threads that have died come back within seconds, unless the owner's event loop is blocked`);
  }

  /** From now on another thread may have the row. */
  free(): void {
    if (this.freed) return;
    this.freed = true;
    const { i32, at, epoch } = this;
    // All of them are this thread's: nobody else waits here before the row is free.
    Atomics.notify(i32, at);
    // When the owner is just looking, it finds no waiter, now or the next time, and frees the row.
    if (Atomics.compareExchange(i32, at, epoch, 0) !== epoch) this.sign();
  }

  /** False when the row is not this thread's, or the owner is just looking at it. */
  private wait(): boolean {
    const waiting = Atomics.waitAsync(this.i32, this.at, this.epoch);
    if (!waiting.async) return false;
    void waiting.value.then(this.woken);
    return true;
  }

  /** The rest of them at once: who dies on the way has no signs, and is found out without delay. */
  private waitMore(): void {
    let more = 0;
    for (let sign = 1; sign < SIGNS; sign++) {
      if (this.wait()) more++;
      else this.waitAgain();
    }
    this.sign(more);
  }

  private waitAgain(tries = 0): void {
    if (this.freed) return;
    if (this.wait()) this.sign();
    // An owner that died while it looked leaves the row for good; one waiter fewer, and signs know it.
    else if (tries < MAX_REARMS) setTimeout(() => this.waitAgain(tries + 1), REARM_MS).unref();
  }

  /** So many more may be used up; not when a later holder has signs there. */
  private sign(more = 1): void {
    const at = this.at + SIGNS_AT;
    for (;;) {
      const word = Atomics.load(this.i32, at);
      if (isLater(word >>> 8, this.epoch)) return;
      if (Atomics.compareExchange(this.i32, at, word, signWord(this.epoch, signsOf(word, this.epoch) + more)) === word) return;
    }
  }

  private readonly woken = (): void => this.waitAgain();
}

/** Uses one sign of the row's thread, if it has one to spare. */
function probe(i32: Int32Array, at: number, epoch: number): Life {
  const nowMs = Math.round(systemClock.monotonicMs()) | 0;
  const word = Atomics.load(i32, at + SIGNS_AT);
  const signs = signsOf(word, epoch);
  const unanswered = word >>> 8 === epoch ? SIGNS - 1 - signs : 0;
  if (unanswered > 0 && ((nowMs - Atomics.load(i32, at + PROBED_AT)) >>> 0) < FIRST_DOUBT_MS * 2 ** (unanswered - 1)) return 'unknown';
  if (signs < 0 || Atomics.compareExchange(i32, at + SIGNS_AT, word, signWord(epoch, signs - 1)) !== word) return 'unknown';
  Atomics.store(i32, at + PROBED_AT, nowMs);
  return Atomics.notify(i32, at, 1) > 0 ? 'alive' : 'dead';
}

/** Whether the owner's thread lives; asked by any other. */
export function ownerLife(region: Region): Life {
  const at = wordsOf(region, OWNER_ROW);
  if (Atomics.load(region.u32, HEADER.closed) !== 0 || Atomics.load(region.i32, at) !== OWNER_EPOCH) return 'dead';
  return probe(region.i32, at, OWNER_EPOCH);
}

/** Any thread may say so once it has seen it: reads then no longer wait for a change that nobody will end. */
export function declareOwnerGone(region: Region): void {
  Atomics.store(region.u32, HEADER.closed, 1);
}

export function holdsRow(region: Region, row: number, epoch: number): boolean {
  return row >= 0 && row < THREAD_ROWS && Math.abs(Atomics.load(region.i32, wordsOf(region, row))) === epoch;
}

export function claimedRows(region: Region): number {
  let claimed = 0;
  const rows = Atomics.load(region.i32, HEADER.rowsUsed);
  for (let row = 0; row < rows; row++) if (Atomics.load(region.i32, wordsOf(region, row)) !== 0) claimed++;
  return claimed;
}

/** An idle thread is woken no more often than this; one that hits is not woken at all. */
const QUIET_MS = 1_000;
/** Past so many rows nobody is spared. */
const CROWDED_ROWS = THREAD_ROWS / 2;

/** The owner's: gives rows of dead threads back. Their counts stay, and the next thread goes on from them. */
export class RowReaper {
  private readonly region: Region;
  private readonly lookedAtMs = new Float64Array(THREAD_ROWS);
  private readonly positions = new Uint32Array(THREAD_ROWS);

  constructor(region: Region) {
    this.region = region;
  }

  /** One look at every row but the owner's. @returns rows that came back. */
  pass(): number {
    const { region, lookedAtMs, positions } = this;
    const nowMs = systemClock.monotonicMs();
    const rows = Atomics.load(region.i32, HEADER.rowsUsed);
    const crowded = claimedRows(region) > CROWDED_ROWS;
    let freed = 0;
    for (let row = OWNER_ROW + 1; row < rows; row++) {
      if (!crowded && nowMs - lookedAtMs[row] < QUIET_MS) continue;
      const at = wordsOf(region, row);
      const epoch = Atomics.load(region.i32, at);
      if (epoch <= 0) continue;
      lookedAtMs[row] = nowMs;
      const position = Atomics.load(region.u32, at + (ROW.ringPosition - ROW.claim) / 4);
      const moved = position !== positions[row];
      positions[row] = position;
      if (!moved && this.reap(at, epoch)) freed++;
    }
    return freed;
  }

  private reap(at: number, epoch: number): boolean {
    const { i32 } = this.region;
    if (Atomics.compareExchange(i32, at, epoch, -epoch) !== epoch) return false;
    const dead = probe(i32, at, epoch) === 'dead';
    Atomics.store(i32, at, dead ? 0 : epoch);
    return dead;
  }
}
