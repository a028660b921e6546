/**
 * What a read may answer. A profile names its wallet and its version, and the rest follows from the two: another wallet's profile,
 * a torn one and an old one are told by looking at it.
 *
 * In the process that writes, an acknowledged update binds every later read (promise 2 of the cache). In another process it binds once
 * it has been in L2 for `STALE_AFTER_MS`: that is the bound on staleness after any fault of the channel. Everywhere a process must not go back.
 *
 * Two rows take less, each because no more is promised:
 * - `L2 away` (C13): an update whose event died with its node is not seen by others before L2 can be asked. What would have bound them during the
 *   outage binds them at its end; such answers are counted (`excused`).
 * - `L2 may forget` (C7F): a forced failover loses acknowledged writes, as Redis says. Others are bound by what they have seen themselves.
 */

/** Staleness that a lost event may cause. */
export const STALE_AFTER_MS = 1_500;
/** Stands in every profile: the run's output is searched for it. */
export const PROFILE_MARK = 'balance-9c1f77e04b';
const MAX_NOTED = 3;

export interface ChaosProfile extends Record<string, unknown> {
  wallet: string;
  version: number;
  mark: string;
  text: string;
}

const textOf = (wallet: string, version: number): string => `${wallet}|${version}|`.repeat(20 + (version % 40));

export const makeChaosProfile = (wallet: string, version: number): ChaosProfile => ({ wallet, version, mark: `${PROFILE_MARK}${version}`, text: textOf(wallet, version) });

export const isWhole = (profile: ChaosProfile, wallet: string): boolean =>
  profile.wallet === wallet && profile.mark === `${PROFILE_MARK}${profile.version}` && profile.text === textOf(wallet, profile.version);

interface Acknowledged {
  version: number;
  atMs: number;
}

interface Wallet {
  /** Every read of the writing process that begins now brings at least this. */
  least: number;
  /** Stored in L2, oldest first; what is older than the bound is folded into one. */
  stored: Acknowledged[];
  /** Newest version seen by each reader, with the time its read ended. */
  seen: Map<string, Acknowledged>;
}

export type Reader = 'writer' | 'other';

export class Oracle {
  stale = 0;
  wrong = 0;
  /** By how much the oldest of the stale answers was late. */
  longestStaleMs = 0;
  /** Answers that would have been stale, if L2 had not been away. */
  excused = 0;
  readonly notes: string[] = [];
  #outage = { fromMs: Infinity, toMs: Infinity };
  readonly #wallets = new Map<string, Wallet>();
  readonly #staleAfterMs: number;

  constructor(staleAfterMs: number = STALE_AFTER_MS) {
    this.#staleAfterMs = staleAfterMs;
  }

  updated(wallet: string, version: number, inL2: boolean, atMs: number): void {
    const known = this.#of(wallet);
    known.least = Math.max(known.least, version);
    if (inL2) known.stored.push({ version, atMs });
  }

  invalidated(wallet: string, lastVersion: number): void {
    const known = this.#of(wallet);
    known.least = Math.max(known.least, lastVersion + 1);
  }

  /** What the reader may not be older than, if its read begins now. */
  bound(wallet: string, reader: Reader, nowMs: number): number {
    const known = this.#of(wallet);
    let bound = known.seen.get(reader)?.version ?? 0;
    if (reader === 'writer') return Math.max(bound, known.least);
    while (known.stored.length > 1 && this.#binds(known.stored[1], nowMs)) known.stored.shift();
    const oldest = known.stored[0];
    if (oldest !== undefined && this.#binds(oldest, nowMs)) bound = Math.max(bound, oldest.version);
    return bound;
  }

  l2GoesAway(nowMs: number): void {
    this.#outage = { fromMs: nowMs, toMs: Infinity };
  }

  /** From `atMs` on it can be asked again. */
  l2IsBack(atMs: number): void {
    this.#outage.toMs = atMs;
  }

  #binds({ atMs }: Acknowledged, nowMs: number): boolean {
    const dueMs = atMs + this.#staleAfterMs;
    const { fromMs, toMs } = this.#outage;
    return dueMs <= nowMs && (dueMs < fromMs || nowMs >= toMs);
  }

  judge(profile: ChaosProfile | undefined, wallet: string, reader: Reader, bound: number, nowMs: number): void {
    if (profile === undefined) return;
    if (!isWhole(profile, wallet)) {
      this.wrong++;
      this.#note(`wrong: asked ${wallet}, got ${profile.wallet} version ${profile.version}`);
      return;
    }
    const known = this.#of(wallet);
    if (profile.version < bound) {
      this.stale++;
      const next = known.stored.find(({ version }) => version > profile.version);
      if (next !== undefined) this.longestStaleMs = Math.max(this.longestStaleMs, nowMs - next.atMs);
      this.#note(`stale in the ${reader === 'writer' ? 'writing' : 'other'} process: ${wallet} version ${profile.version}, at least ${bound} was due`);
    }
    if (reader === 'other' && profile.version >= bound && known.stored.some(({ version, atMs }) => version > profile.version && atMs + this.#staleAfterMs <= nowMs)) this.excused++;
    const seen = known.seen.get(reader);
    if (seen === undefined || seen.version < profile.version) known.seen.set(reader, { version: profile.version, atMs: nowMs });
  }

  #of(wallet: string): Wallet {
    let known = this.#wallets.get(wallet);
    if (known === undefined) this.#wallets.set(wallet, (known = { least: 0, stored: [], seen: new Map() }));
    return known;
  }

  #note(text: string): void {
    if (this.notes.length < MAX_NOTED) this.notes.push(text);
  }
}
