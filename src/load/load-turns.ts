/**
 * One load of a wallet at a time: in this process by a table of turns, between processes by a lease in L2.
 * The lease ends by itself, so a holder that dies costs the others at most `leaseMs`. Without L2, or when it fails, the process's own
 * table is all there is.
 */
import { randomUUID } from 'node:crypto';
import type { LoadEnd, LoadTurn } from './backend.ts';
import { deferred, type Deferred } from './deferred.ts';

export interface LeaseStore {
  acquireLease(wallet: string, token: string, ttlMs: number): Promise<boolean>;
  releaseLease(wallet: string, token: string): Promise<void>;
}

interface Turn {
  ended: Deferred<LoadEnd>;
  token: string;
  leased: boolean;
  /** Of the load that leads, once it does. */
  version?: number;
  watchdog?: NodeJS.Timeout;
}

const FIRST_POLL_MS = 15;
const MAX_POLL_MS = 200;

export class LoadTurns {
  private readonly turns = new Map<string, Turn>();
  private readonly releases = new Set<Promise<void>>();
  private readonly leases: LeaseStore | undefined;
  private readonly leaseMs: number;
  /** Looks into L1 and L2 once more; true when the profile is in L1 afterwards. */
  private readonly lookAgain: (wallet: string) => Promise<boolean>;
  private readonly nextVersion: () => number;

  constructor(parts: { leases: LeaseStore | undefined; leaseMs: number; lookAgain: (wallet: string) => Promise<boolean>; nextVersion: () => number }) {
    this.leases = parts.leases;
    this.leaseMs = parts.leaseMs;
    this.lookAgain = parts.lookAgain;
    this.nextVersion = parts.nextVersion;
  }

  /** `remote`: the loader runs in another thread, which may die without a word. */
  async begin(wallet: string, remote: boolean): Promise<LoadTurn> {
    const running = this.turns.get(wallet);
    if (running !== undefined) return { kind: 'busy', ended: running.ended.promise };
    const turn: Turn = { ended: deferred(), token: randomUUID(), leased: false };
    this.turns.set(wallet, turn);
    if (this.leases !== undefined) turn.leased = await this.tryLease(wallet, turn);
    try {
      // Someone else may have loaded it between the caller's read and this turn.
      if (await this.lookAgain(wallet)) {
        this.end(wallet, {});
        return { kind: 'found' };
      }
    } catch (error) {
      this.end(wallet, {});
      throw error;
    }
    if (this.leases !== undefined && !turn.leased) {
      void this.waitForOther(wallet, turn);
      return { kind: 'busy', ended: turn.ended.promise };
    }
    if (remote) {
      turn.watchdog = setTimeout(() => this.end(wallet, {}), this.leaseMs);
      turn.watchdog.unref();
    }
    // Stamped now: whatever is updated or invalidated from here on, anywhere, is newer than what the loader brings.
    turn.version = this.nextVersion();
    return { kind: 'lead', version: turn.version };
  }

  /** `version` is that of the load that leads: one that has lost its turn (it was late, or had ended before) ends no other's. */
  end(wallet: string, end: LoadEnd, version?: number): void {
    const turn = this.turns.get(wallet);
    if (turn === undefined || (version !== undefined && turn.version !== version)) return;
    this.turns.delete(wallet);
    clearTimeout(turn.watchdog);
    if (turn.leased) this.giveBack(wallet, turn.token);
    turn.ended.resolve(end);
  }

  /** Resolves when every lease has been given back: who comes next must not wait for one that nobody holds. */
  async drain(): Promise<void> {
    for (const wallet of this.turns.keys()) this.end(wallet, {});
    await Promise.all(this.releases);
  }

  get count(): number {
    return this.turns.size;
  }

  private giveBack(wallet: string, token: string): void {
    // A lease that cannot be given back ends by itself.
    const release = (this.leases as LeaseStore).releaseLease(wallet, token).catch(() => {});
    this.releases.add(release);
    void release.finally(() => this.releases.delete(release));
  }

  private async tryLease(wallet: string, turn: Turn): Promise<boolean> {
    try {
      return await (this.leases as LeaseStore).acquireLease(wallet, turn.token, this.leaseMs);
    } catch {
      // L2 fails: rather a load too many than none. It is counted where L2 operations are.
      return true;
    }
  }

  /** Another process loads: the turn ends when its profile is there, or when its lease has gone. */
  private async waitForOther(wallet: string, turn: Turn): Promise<void> {
    const giveUpMs = performance.now() + this.leaseMs;
    for (let pollMs = FIRST_POLL_MS; performance.now() < giveUpMs; pollMs = Math.min(pollMs * 1.5, MAX_POLL_MS)) {
      await new Promise((resolve) => setTimeout(resolve, pollMs * (0.75 + Math.random() / 2)));
      if (await this.lookAgain(wallet)) break;
      if (await this.tryLease(wallet, turn)) {
        turn.leased = true;
        break;
      }
    }
    this.end(wallet, {});
  }
}
