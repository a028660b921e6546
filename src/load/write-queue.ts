/**
 * Writes that L2 has not acknowledged: the newest of each wallet, at most `maxWrites`, replayed when L2 is back. Replaying is
 * harmless: every write is a compare-and-set on its version.
 */
import { unshared } from '../codec/record-room.ts';

export interface PendingWrite {
  wallet: string;
  /** Undefined for an invalidation. */
  record?: { raw: Uint8Array; schemaId: number };
  version: number;
  /** Monotonic; a profile that has expired meanwhile is not written any more. */
  expiresAtMs: number;
  event?: string;
  /** What a loader brought: never stamped anew. */
  loaded?: boolean;
  /** Version of the newest clear that was known when it was last stamped. */
  knows: number;
  /** Monotonic: when it came into the queue. */
  queuedAtMs?: number;
  /** What has refused an earlier update of this process that yielded to this one: L2 had it before this one was given up, so it is no newer. */
  beyond?: number;
  /** It is on its way to L2: nobody else sends it meanwhile. */
  sending?: boolean;
  /** L2 has taken it. */
  stored?: boolean;
  /** The newest invalidation by this process that came before this write and that L2 had not answered then. */
  after?: PendingWrite;
}

/**
 * `later` stands in for `earlier` from now on. What has refused that one is not newer than this one either. An invalidation is carried out whatever L2 has; a write whose stamp loses is given up, and with
 * it nobody would remember the invalidation before it: so it takes that over.
 */
export function standIn(later: PendingWrite, earlier: PendingWrite): void {
  if (isInvalidation(later)) return;
  yieldTo(later, earlier.beyond ?? 0);
  const invalidation = isInvalidation(earlier) ? earlier : earlier.after;
  if (invalidation !== undefined && invalidation.version > (later.after?.version ?? 0)) later.after = invalidation;
}

/** L2 refused an update in favour of `version`; it is not stamped past that, because `later` is to take its place. */
export function yieldTo(later: PendingWrite, version: number): void {
  if (later.loaded !== true && version > (later.beyond ?? 0)) later.beyond = version;
}

/** By a caller: what a load that finds nothing removes may be newer than it. */
const isInvalidation = ({ record, loaded }: PendingWrite): boolean => record === undefined && loaded !== true;

/** Given up, it would take an invalidation with it. */
export const owesInvalidation = ({ after }: PendingWrite): boolean => after !== undefined && after.stored !== true;

export type EnqueueResult = 'queued' | 'superseded' | 'full';

export class WriteQueue {
  private readonly writes = new Map<string, PendingWrite>();
  private readonly maxWrites: number;

  constructor(maxWrites: number) {
    this.maxWrites = maxWrites;
  }

  get size(): number {
    return this.writes.size;
  }

  add(write: PendingWrite): EnqueueResult {
    const waiting = this.writes.get(write.wallet);
    if (waiting !== undefined && waiting.version >= write.version) return 'superseded';
    if (waiting === undefined && this.writes.size >= this.maxWrites) return 'full';
    // It may wait for long.
    if (write.record !== undefined) write.record.raw = unshared(write.record.raw);
    this.writes.set(write.wallet, write);
    return 'queued';
  }

  waiting(wallet: string): PendingWrite | undefined {
    return this.writes.get(wallet);
  }

  /** A write of this wallet that is as new has reached L2. Returns what need not wait any more. */
  settle(wallet: string, version: number): PendingWrite | undefined {
    const waiting = this.writes.get(wallet);
    if (waiting === undefined || waiting.version > version) return undefined;
    this.writes.delete(wallet);
    return waiting;
  }

  /** Up to `count` of the oldest, still in the queue until settled. */
  oldest(count: number): PendingWrite[] {
    const out: PendingWrite[] = [];
    for (const write of this.writes.values()) {
      if (out.length === count) break;
      out.push(write);
    }
    return out;
  }

  /** Returns what need not wait any more. */
  dropUpTo(version: number): PendingWrite[] {
    const dropped = [...this.writes.values()].filter((write) => write.version <= version);
    for (const { wallet } of dropped) this.writes.delete(wallet);
    return dropped;
  }
}
