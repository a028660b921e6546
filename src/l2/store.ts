/**
 * What every L2 is: bytes in, bytes out, one outcome for each wallet. A store knows nothing of profiles, L1 or threads.
 * It lives in an I/O worker thread (src/workers-pool); the contract suite in test/contract runs it on its own.
 *
 * Rules for every implementation
 * 1. A record is an envelope (src/codec/envelope.ts), stored and returned byte for byte. The store may read only its version
 *    (`ENVELOPE.version`) and its flags.
 * 2. Every write is a compare-and-set on the version: it takes effect only when the stored version is lower, or nothing is
 *    stored. (Redis also overwrites what damage stamped with a version from beyond tomorrow: redis-scripts.ts.) A delete is a write
 *    too: it leaves a tombstone envelope with its version for `tombstoneTtlMs`.
 * 3. Batch verbs never reject as a whole: each wallet has its own outcome, so that one dead node costs only its own keys.
 * 4. A write that was reported as failed must not take effect later.
 *    `deadlineMs` (monotonic, clock.ts) is when the caller stops waiting: by then every verb has answered, or failed with ERR_L2_TIMEOUT,
 *    and a write that has not begun to take effect never does. Where absent, and at the latest, the store's own limit holds.
 * 5. A clear is remembered for a while (`clearFloor`). Until then writes of its version and older ones are refused, and all writes by who does
 *    not know of it: `knows` is the version of the newest clear that the writer had heard of, Infinity where absent. Versions alone
 *    would let through what was written before the clear by a calendar that is ahead of that of who clears.
 * 6. Expired means absent. Time to live is relative; `nowMs()` is the store's own clock, the one envelopes are stamped with.
 */
import type { ProfileCacheError } from '../errors.ts';

export type GetOutcome =
  /** `envelope` is private to the caller: no view of a buffer that the store goes on using. */
  | { status: 'hit'; envelope: Uint8Array }
  /** `floor` is the version of the tombstone, where there is one. */
  | { status: 'miss'; floor?: number }
  | { status: 'failed'; error: ProfileCacheError };

/** Takes what `readMany` brings: one call for each wallet, by index, in any order, none after the promise has resolved. Must not throw. */
export interface ReadVisitor {
  /** The envelope is `bytes[start..end)`: private memory of this thread, valid during the call. */
  found(index: number, bytes: Uint8Array, start: number, end: number): void;
  missing(index: number): void;
  /** A value that is there and larger than any record may be: it was not taken in. */
  tooLarge(index: number): void;
  failed(index: number, error: ProfileCacheError): void;
}

export interface SetRequest {
  wallet: string;
  /** Complete envelope, its version equal to `version`. */
  envelope: Uint8Array;
  version: number;
  ttlMs: number;
  /** Text to publish on the update channel, atomically with the write and only if it takes effect. */
  event?: string;
}

export interface DeleteRequest {
  wallet: string;
  version: number;
  /** Complete tombstone envelope, its version equal to `version`. */
  tombstone: Uint8Array;
  tombstoneTtlMs: number;
  event?: string;
}

export type SetOutcome =
  | { status: 'stored' }
  /** Refused: what is stored is as new or newer; `cleared`: that is a clear that the writer did not know of. */
  | { status: 'older'; storedVersion: number; cleared?: true }
  | { status: 'failed'; error: ProfileCacheError };

export interface NodeHealth {
  /** `host:port`, or the path of the embedded store. */
  node: string;
  reachable: boolean;
  role: 'master' | 'replica' | 'standalone' | 'embedded' | 'unknown';
  /** Round trip of a PING (or of one read) in milliseconds; undefined when unreachable. */
  latencyMs?: number;
  /** Hash slots this node serves as a master; 0 for a replica, 16384 for a store that has no slots. */
  slotsCovered: number;
  /** Why it is not reachable. */
  error?: string;
}

export interface StoreHealth {
  kind: 'redis' | 'embedded';
  reachable: boolean;
  /** Of 16384. */
  slotsCovered: number;
  nodes: NodeHealth[];
  /** Bytes held, where the store knows it cheaply. */
  bytes?: number;
  /** Files set aside because they were damaged (embedded store). */
  quarantined?: number;
  /** Of the embedded store's index, at open: records taken from its snapshot, and snapshots that were damaged and passed over. */
  indexSnapshot?: { restored: number; damaged: number };
  /** Why nothing at all could be learnt. */
  error?: string;
}

export type LeaseAnswer = boolean | 'lost';

export interface L2Store {
  readonly kind: 'redis' | 'embedded';
  /** Connects within the store's connect deadline, or rejects with ERR_L2_CONNECT / ERR_L2_AUTH / ERR_L2_STORAGE. */
  open(): Promise<void>;
  /** Epoch milliseconds by the store's own clock (Redis server time; for the embedded store the wall clock of the machine). */
  nowMs(): number;
  getMany(wallets: readonly string[], deadlineMs?: number): Promise<GetOutcome[]>;
  /** The same without a copy and an object for each record, where the store can do that. */
  readMany?(wallets: readonly string[], visitor: ReadVisitor, deadlineMs?: number): Promise<void>;
  setMany(requests: readonly SetRequest[], deadlineMs?: number, knows?: number): Promise<SetOutcome[]>;
  deleteMany(requests: readonly DeleteRequest[], deadlineMs?: number, knows?: number): Promise<SetOutcome[]>;
  /**
   * Removes every profile under this store's prefix whose version is at most `version`, then publishes `event`. Resolves with the highest
   * version of a profile that it left, or of another clear that it met where that is newer; 0 where there was neither. What was there when it
   * began is gone, or not newer than that.
   */
  clear(version: number, event?: string, deadlineMs?: number): Promise<number>;
  /** Version of the newest clear that is remembered, 0 without one. */
  clearFloor(deadlineMs?: number): Promise<number>;
  /** Publishes without a write. */
  publish(event: string, deadlineMs?: number): Promise<void>;
  /** Small named blobs (structure tables, dictionaries) that live as long as the store. First writer wins; returns what is stored. */
  getBlob(name: string, deadlineMs?: number): Promise<Uint8Array | undefined>;
  putBlobIfAbsent(name: string, bytes: Uint8Array, deadlineMs?: number): Promise<Uint8Array>;
  /**
   * A lease on loading one wallet: true when `token` holds it now, for `ttlMs` from now at the most. Who holds it already renews it so.
   * `waited`: the caller has seen another hold it. Where a lease can be lost (FLUSHALL, a failover), one that is gone and was not given back
   * lately is not taken then, but told of as 'lost': its holder may live, and renew it.
   */
  acquireLease(wallet: string, token: string, ttlMs: number, deadlineMs?: number, waited?: boolean): Promise<LeaseAnswer>;
  /** Frees the lease if `token` still holds it. */
  releaseLease(wallet: string, token: string, deadlineMs?: number): Promise<void>;
  health(deadlineMs?: number): Promise<StoreHealth>;
  /** Finishes what is under way, then frees everything; idempotent. */
  close(): Promise<void>;
}
