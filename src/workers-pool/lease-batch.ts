/** Leases asked for or given back in one turn of the event loop travel together: a task for each would cost more than the lease. */
import { ProfileCacheError, type WireError } from '../errors.ts';
import type { LeaseAnswer } from '../l2/store.ts';
import type { CallRequest } from './call.ts';
import type { CallValue } from './protocol.ts';

/** Leases of one task: the embedded store makes a file for each, and other tasks of its thread wait meanwhile. */
const MAX_LEASES_PER_TASK = 64;

interface Wanted {
  wallet: string;
  token: string;
  /** 0 gives the lease back. */
  ttlMs: number;
  waited: boolean;
  resolve(held: LeaseAnswer): void;
  reject(error: unknown): void;
}

export class LeaseBatch {
  readonly #call: (request: CallRequest) => Promise<CallValue>;
  #wanted: Wanted[] = [];

  constructor(call: (request: CallRequest) => Promise<CallValue>) {
    this.#call = call;
  }

  /** As `L2Store.acquireLease`. */
  acquire(wallet: string, token: string, ttlMs: number, waited: boolean): Promise<LeaseAnswer> {
    return this.#add(wallet, token, ttlMs, waited);
  }

  async release(wallet: string, token: string): Promise<void> {
    await this.#add(wallet, token, 0, false);
  }

  #add(wallet: string, token: string, ttlMs: number, waited: boolean): Promise<LeaseAnswer> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ wallet, token, ttlMs, waited, resolve, reject });
      if (this.#wanted.length === 1) setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    const all = this.#wanted;
    this.#wanted = [];
    for (let from = 0; from < all.length; from += MAX_LEASES_PER_TASK) void this.#send(all.slice(from, from + MAX_LEASES_PER_TASK));
  }

  async #send(part: Wanted[]): Promise<void> {
    try {
      const answers = (await this.#call({
        op: 'leases',
        wallets: part.map(({ wallet }) => wallet),
        tokens: part.map(({ token }) => token),
        ttlsMs: part.map(({ ttlMs }) => ttlMs),
        waited: part.map(({ waited }) => waited),
      })) as (LeaseAnswer | WireError)[];
      part.forEach(({ resolve, reject }, i) => {
        const answer = answers[i];
        if (typeof answer === 'object') reject(ProfileCacheError.fromWire(answer));
        else resolve(answer);
      });
    } catch (error) {
      for (const { reject } of part) reject(error);
    }
  }
}
