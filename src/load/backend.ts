/**
 * What a thread's cache asks of whoever owns L1 and L2. In the owner's thread that is the owner itself (owner.ts), in an attached
 * thread a link to it (attached.ts). The public class knows only this.
 */
import type { ProfileCacheError } from '../errors.ts';
import type { StoreHealth } from '../l2/store.ts';
import type { L2ClientStats } from '../workers-pool/l2-client.ts';
import type { EncodedUpdate, UpdateResult } from './write-path.ts';

export interface FetchReport {
  /** Found in L2 and handed on. */
  found: number;
  failed: Map<string, ProfileCacheError>;
}

/** `profile` is decoded and frozen, or undefined where its bytes could not be decoded. */
export type Deliver = (wallet: string, profile: object | undefined) => void;

/** For long lists, which go in parts. */
export interface FetchWatch {
  /** So many more wallets have been asked for and answered. */
  onPart?(wallets: number): void;
  /** True: no further part is begun. */
  stopped?(): boolean;
  /** What expired less than this ago is brought into L1 as well, for `ThreadCache.stale`; it does not count as found. */
  graceMs?: number;
}

/** What a load wants to know of its wallet before it begins. */
export interface LoadAsk {
  /** Only a profile newer than this version will do; 0 where any will. */
  beyond: number;
  /** What expired less than this ago may be served instead. */
  graceMs: number;
  /** It does without: somebody else's load is not worth waiting for, and neither is one that has just failed. */
  background: boolean;
}

/**
 * Whose turn it is to load a wallet. `busy`: somebody loads it; `ended` tells when that is over, and how it failed. `absent`: its loader
 * had no profile a while ago. `resting`: its loader failed a while ago, and what has expired is there to be served.
 */
export type LoadTurn =
  | { kind: 'lead'; version: number }
  | { kind: 'found' }
  | { kind: 'busy'; ended: Promise<LoadEnd> }
  | { kind: 'absent'; error: ProfileCacheError }
  | { kind: 'resting'; error: ProfileCacheError; restMs: number };

export interface LoadEnd {
  error?: ProfileCacheError;
  /** The error says that there is no profile: to be remembered for so long. */
  absentMs?: number;
  /** Not to be tried again for so long while an expired profile can be served. */
  restMs?: number;
}

export interface CacheHealth {
  l1: { profiles: number; maxProfiles: number; bytes: number; maxBytes: number; threads: number };
  /** Undefined for `none:`. `up` is false while the breaker is open. */
  l2?: StoreHealth & { up: boolean; queuedWrites: number };
  /** The I/O worker threads; undefined for `none:`. */
  workers?: L2ClientStats;
  channel: { enabled: boolean; listening: boolean };
}

export interface Backend {
  /** Brings what L2 has of `wallets` into L1; without `deliver` nothing is decoded. Rejects only when closed. */
  fetch(wallets: readonly string[], deliver: Deliver | undefined, watch?: FetchWatch): Promise<FetchReport>;
  update(updates: readonly EncodedUpdate[]): Promise<UpdateResult[]>;
  invalidate(wallets: readonly string[]): Promise<void>;
  clear(): Promise<void>;
  beginLoad(wallet: string, ask: LoadAsk): Promise<LoadTurn>;
  /** `version` as `beginLoad` gave it. */
  endLoad(wallet: string, version: number, end: LoadEnd): void;
  health(): Promise<CacheHealth>;
  close(): Promise<void>;
}
