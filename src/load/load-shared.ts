/**
 * The loads under way in this thread, by wallet: who asks for a wallet that is being loaded joins its load.
 * (Threads and processes share theirs through the owner: load-turns.ts.)
 */
import { deferred } from './deferred.ts';
import { notLoaded } from './load-errors.ts';

export interface Loaded {
  /** Undefined only of a background load that had nothing to do: who joined it looks for himself. */
  profile: object | undefined;
  /** Something newer came while it was loaded: who asked later than that must not have it. */
  overtaken: boolean;
}

export interface Shared {
  done: Promise<Loaded>;
  /** It is known that the profile has to be loaded. Never settles when it need not be. */
  begun: Promise<void>;
}

/** Ends a load that was announced: with what came, or (`loaded` undefined) with an error for all who joined it. */
export type Settle = (loaded: Loaded | undefined, error?: unknown) => void;

export class SharedLoads {
  private readonly underWay = new Map<string, Shared>();

  of(wallet: string): Shared | undefined {
    return this.underWay.get(wallet);
  }

  /** `run` calls its argument once it is known that the profile has to be loaded. */
  share(wallet: string, run: (begun: () => void) => Promise<Loaded>): Shared {
    const begun = deferred<void>();
    const shared: Shared = { done: run(() => begun.resolve()), begun: begun.promise };
    this.underWay.set(wallet, shared);
    const forget = () => void (this.underWay.get(wallet) === shared && this.underWay.delete(wallet));
    shared.done.then(forget, forget);
    return shared;
  }

  /** The wallet is loaded as one of many: who asks for it alone joins. */
  announce(wallet: string): Settle {
    const { promise, resolve, reject } = deferred<Loaded>();
    this.share(wallet, (begun) => (begun(), promise)).done.catch(() => {});
    return (loaded, error) => (loaded === undefined ? reject(error ?? notLoaded(wallet)) : resolve(loaded));
  }
}
