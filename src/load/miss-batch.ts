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
    const settle = (wallet: string, profile: object | undefined) => {
      this.underWay.get(wallet)?.resolve(profile);
      this.underWay.delete(wallet);
    };
    try {
      await this.backend.fetch(wallets, settle);
      for (const wallet of wallets) settle(wallet, undefined);
    } catch (error) {
      for (const wallet of wallets) {
        this.underWay.get(wallet)?.reject(error);
        this.underWay.delete(wallet);
      }
    }
  }
}
