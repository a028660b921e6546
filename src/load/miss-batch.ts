/** Misses of one tick travel together; a wallet that is being fetched is not fetched twice. */
import { deferred, type Deferred } from './deferred.ts';
import type { Backend } from './backend.ts';

export class MissBatch {
  private readonly backend: Backend;
  private readonly underWay = new Map<string, Deferred<object | undefined>>();
  private waiting: string[] = [];

  constructor(backend: Backend) {
    this.backend = backend;
  }

  fetch(wallet: string): Promise<object | undefined> {
    const joined = this.underWay.get(wallet);
    if (joined !== undefined) return joined.promise;
    const answer = deferred<object | undefined>();
    this.underWay.set(wallet, answer);
    this.waiting.push(wallet);
    if (this.waiting.length === 1) queueMicrotask(() => void this.flush());
    return answer.promise;
  }

  private async flush(): Promise<void> {
    const wallets = this.waiting;
    this.waiting = [];
    const asked = new Map(wallets.map((wallet) => [wallet, this.underWay.get(wallet) as Deferred<object | undefined>]));
    // A wallet that has been answered may be under way again, in a later batch, before this one ends.
    const leave = (wallet: string) => void (this.underWay.get(wallet) === asked.get(wallet) && this.underWay.delete(wallet));
    const settle = (wallet: string, profile: object | undefined) => {
      asked.get(wallet)?.resolve(profile);
      leave(wallet);
    };
    try {
      await this.backend.fetch(wallets, settle);
      for (const wallet of wallets) settle(wallet, undefined);
    } catch (error) {
      for (const wallet of wallets) {
        asked.get(wallet)?.reject(error);
        leave(wallet);
      }
    }
  }
}
