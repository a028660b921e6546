/**
 * One load of a wallet at a time: in this process by a table of turns, between processes by a lease in L2.
 * The lease ends by itself, so a holder that dies costs the others at most `leaseMs`; while the load runs it is renewed, MAX_LEASES times
 * `leaseMs` at the most: a loader that never ends must not keep a wallet for ever. Without L2, or when it fails, the process's own table is
 * all there is.
 *
 * L2 may lose a lease whose holder lives (FLUSHALL, a failover). Its next renewal makes it anew; who has waited for it gives it that time
 * before he takes it. Who had not asked before takes it at once: one load too many, and no more, for whoever comes then finds his lease.
 *
 *   |-------------- leaseMs -------------|
 *   |------ LIFE_SHARE, in L2 ----|-PATIENCE-|     a holder that died: gone, then waited for as if it were lost
 *   |-RENEW-|-RENEW-|-RENEW-|                      one that lives
 */
import { randomUUID } from 'node:crypto';
import { ProfileCacheError } from '../errors.ts';
import type { LoadAsk, LoadEnd, LoadTurn } from './backend.ts';
import { deferred, type Deferred } from './deferred.ts';
import type { LoadMemory, Memory } from './load-memory.ts';
import type { LeaseAnswer } from '../l2/store.ts';

export interface LeaseStore {
  /** As `L2Store.acquireLease`. */
  acquireLease(wallet: string, token: string, ttlMs: number, waited: boolean): Promise<LeaseAnswer>;
  releaseLease(wallet: string, token: string): Promise<void>;
}

interface Turn {
  ended: Deferred<LoadEnd>;
  token: string;
  leased: boolean;
  /** Since when the lease of another process is lost. */
  lostSinceMs?: number;
  /** Of the load that leads, once it does. */
  version?: number;
  /** Renews the lease of the load that leads, and ends its turn when it has had its time. */
  renewal?: NodeJS.Timeout;
  /** Under way: a lease is given back behind it, or it would be taken once more for nobody. */
  renewing?: Promise<unknown>;
  /** Another process loads, and this looks whether it is done. */
  look?: () => void;
}

/** What turns ask of their owner. */
export interface TurnParts {
  leases: LeaseStore | undefined;
  leaseMs: number;
  memory: LoadMemory;
  nowMs(): number;
  /** Looks into L1 and L2 once more; true when one of them has what is asked for. */
  lookAgain(wallet: string, ask: LoadAsk): Promise<boolean>;
  /** L1 holds a profile that expired less than `graceMs` ago. */
  hasStale(wallet: string, graceMs: number): boolean;
  nextVersion(): number;
}

/** Who waits for another process looks again when its update is heard of; this often where nothing is heard (its load failed, or it died). */
const FIRST_POLL_MS = 15;
const MAX_POLL_MS = 200;
/** Shares of `leaseMs`: what a lease lives in L2; after what it is renewed, so that two renewals may get lost; and for how long a lost one is left to its holder. */
const LIFE_SHARE = 0.7;
const RENEW_SHARE = 0.2;
const PATIENCE_SHARE = 0.3;
/** Leases' worth of time that one load may take before others may load too. */
export const MAX_LEASES = 20;

export class LoadTurns {
  private readonly turns = new Map<string, Turn>();
  private readonly asking = new Set<Promise<void>>();
  private readonly releases = new Set<Promise<void>>();
  private closed = false;
  private readonly parts: TurnParts;

  constructor(parts: TurnParts) {
    this.parts = parts;
  }

  /** Whose loader runs in another thread sees to it that the turn ends with that thread. Rejects with ERR_CLOSED once turns are drained. */
  async begin(wallet: string, ask: LoadAsk): Promise<LoadTurn> {
    const { parts } = this;
    const known = await this.known(wallet, ask);
    if (known !== undefined) return known;
    if (this.closed) throw closedError();
    const running = this.turns.get(wallet);
    if (running !== undefined) return { kind: 'busy', ended: running.ended.promise };
    const turn: Turn = { ended: deferred(), token: randomUUID(), leased: false };
    this.turns.set(wallet, turn);
    if (parts.leases !== undefined) await this.askLease(wallet, turn);
    try {
      // Someone else may have loaded it between the caller's read and this turn.
      if (await parts.lookAgain(wallet, ask)) {
        this.end(wallet, {});
        return { kind: 'found' };
      }
    } catch (error) {
      this.end(wallet, {});
      throw error;
    }
    if (this.turns.get(wallet) !== turn) throw closedError();
    if (parts.leases !== undefined && !turn.leased) {
      void this.waitForOther(wallet, turn, ask);
      return { kind: 'busy', ended: turn.ended.promise };
    }
    this.keep(wallet, turn);
    // Stamped now: whatever is updated or invalidated from here on, anywhere, is newer than what the loader brings.
    turn.version = parts.nextVersion();
    parts.memory.begin(wallet, turn.version);
    return { kind: 'lead', version: turn.version };
  }

  /** The wallet has changed somewhere: who waits for another process's load of it looks at once. */
  changed(wallet: string): void {
    this.turns.get(wallet)?.look?.();
  }

  /** `version` is that of the load that leads: one that has lost its turn (it was late, or had ended before) ends no other's. */
  end(wallet: string, end: LoadEnd, version?: number): void {
    const turn = this.turns.get(wallet);
    if (turn === undefined || (version !== undefined && turn.version !== version)) return;
    this.turns.delete(wallet);
    clearInterval(turn.renewal);
    if (turn.version !== undefined) this.parts.memory.end(wallet, turn.version, this.memoryOf(end));
    if (turn.leased) this.giveBack(wallet, turn);
    turn.ended.resolve(end);
  }

  /** The end. Resolves when every lease has been given back, those too that are still asked for: who comes next must not wait for one that nobody holds. */
  async drain(): Promise<void> {
    this.closed = true;
    for (const wallet of this.turns.keys()) this.end(wallet, {});
    await Promise.all(this.asking);
    await Promise.all(this.releases);
  }

  get count(): number {
    return this.turns.size;
  }

  /** What a load before this one has left. */
  private async known(wallet: string, ask: LoadAsk): Promise<LoadTurn | undefined> {
    const { memory, nowMs, hasStale, lookAgain } = this.parts;
    const left = memory.of(wallet, nowMs());
    if (left === undefined) return undefined;
    if (left.kind === 'absent') return { kind: 'absent', error: left.error };
    const resting = { kind: 'resting', error: left.error, restMs: left.untilMs - nowMs() } as const;
    if (ask.background || (ask.graceMs > 0 && hasStale(wallet, ask.graceMs))) return resting;
    if (ask.graceMs === 0) return undefined;
    if (await lookAgain(wallet, ask)) return { kind: 'found' };
    return hasStale(wallet, ask.graceMs) ? resting : undefined;
  }

  private memoryOf({ error, absentMs, restMs }: LoadEnd): Memory | undefined {
    const lastsMs = absentMs ?? restMs ?? 0;
    if (error === undefined || lastsMs <= 0) return undefined;
    return { kind: absentMs === undefined ? 'failed' : 'absent', untilMs: this.parts.nowMs() + lastsMs, error };
  }

  private giveBack(wallet: string, { token, renewing }: Turn): void {
    const leases = this.parts.leases as LeaseStore;
    const given = renewing === undefined ? leases.releaseLease(wallet, token) : renewing.then(() => leases.releaseLease(wallet, token));
    // A lease that cannot be given back ends by itself.
    const release = given.catch(() => {});
    this.releases.add(release);
    void release.finally(() => this.releases.delete(release));
  }

  /** As long as the load leads. */
  private keep(wallet: string, turn: Turn): void {
    const { leaseMs, nowMs } = this.parts;
    const endMs = nowMs() + leaseMs * MAX_LEASES;
    turn.renewal = setInterval(() => {
      // Who is late loses the turn, not the load: what it brings is still kept, unless something newer has come.
      if (nowMs() >= endMs) return this.end(wallet, {});
      // Refused: another process has taken it, while L2 or we stood still. Two loads then, as without a lease.
      if (turn.leased && this.parts.leases !== undefined) turn.renewing = this.tryLease(wallet, turn);
    }, leaseMs * RENEW_SHARE);
    turn.renewal.unref();
  }

  /** Sets `turn.leased`. `waited`: what is lost is left to its holder for now. */
  private askLease(wallet: string, turn: Turn, waited = false): Promise<void> {
    const asked = this.tryLease(wallet, turn, waited).then((answer) => {
      turn.leased = answer === true;
      turn.lostSinceMs = answer === 'lost' ? (turn.lostSinceMs ?? performance.now()) : undefined;
      // Ended meanwhile: nobody else will give it back.
      if (turn.leased && this.turns.get(wallet) !== turn) this.giveBack(wallet, turn);
    });
    this.asking.add(asked);
    return asked.finally(() => this.asking.delete(asked));
  }

  private async tryLease(wallet: string, turn: Turn, waited = false): Promise<LeaseAnswer> {
    try {
      return await (this.parts.leases as LeaseStore).acquireLease(wallet, turn.token, this.parts.leaseMs * LIFE_SHARE, waited);
    } catch {
      // L2 fails: rather a load too many than none. It is counted where L2 operations are.
      return true;
    }
  }

  /** Another process loads: the turn ends when its profile is there, or when its lease has gone. */
  private async waitForOther(wallet: string, turn: Turn, ask: LoadAsk): Promise<void> {
    const patienceMs = this.parts.leaseMs * PATIENCE_SHARE;
    const giveUpMs = performance.now() + this.parts.leaseMs;
    const waits = () => this.turns.get(wallet) === turn;
    // Whoever asks anew would take a lost lease at once.
    const isPatient = () => turn.lostSinceMs !== undefined && performance.now() < turn.lostSinceMs + patienceMs;
    try {
      for (let pollMs = FIRST_POLL_MS; waits() && (performance.now() < giveUpMs || isPatient()); pollMs = Math.min(pollMs * 1.5, MAX_POLL_MS)) {
        await this.untilChanged(turn, pollMs * (0.75 + Math.random() / 2));
        if (!waits() || (await this.parts.lookAgain(wallet, ask))) break;
        await this.askLease(wallet, turn, turn.lostSinceMs === undefined || isPatient());
        if (turn.leased) break;
      }
    } catch {
      // The cache has been closed meanwhile, which ends every turn.
    }
    if (waits()) this.end(wallet, {});
  }

  private untilChanged(turn: Turn, atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, atMostMs);
      turn.look = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const closedError = (): ProfileCacheError => new ProfileCacheError('ERR_CLOSED', 'the cache was closed before the load began; open a new one');
