/**
 * Reads of L2: misses of one tick travel together, one fetch a wallet at a time, results go into L1 on their way.
 *
 * How a miss is answered
 *   1. the wallet joins the batch of this tick, or a fetch of it that is under way
 *   2. one `fetchMany` for the batch; workers leave raw records in shared memory
 *   3. each record passes the floors and goes into L1 (`promote`), then to whoever asked, who decodes it from L1
 *   4. a record whose structure table is unknown waits until the table has been fetched; then its wallet is fetched once more
 */
import type { ProfileCodec } from '../codec/profile-codec.ts';
import { ProfileCacheError } from '../errors.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { FetchResult, FetchedRecord } from '../workers-pool/l2-client.ts';
import type { FetchWatch } from './backend.ts';
import type { Breaker } from './breaker.ts';
import type { L1Owner, PromoteResult } from './l1-owner.ts';
import type { StructureSync } from './structure-sync.ts';
import type { VersionClock } from './version.ts';

export interface RecordSource {
  /** Cuts a long list so that what travels in one command stays together. */
  inParts(wallets: readonly string[], partWallets: number): readonly string[][];
  /** Visits what has expired too, if less than `graceMs` ago: `ttlMs` is 0 or less then. */
  fetchMany(wallets: readonly string[], visit: (record: FetchedRecord) => void, graceMs?: number): Promise<FetchResult>;
}

/** Called for each record found, while `record.raw` is valid. 'refused' means: ask L1, it knows better. */
export type RecordVisitor = (record: FetchedRecord, result: PromoteResult) => void;

export interface FetchSummary {
  /** Wallets that L2 could not answer for, and why; they count as misses for their readers. */
  failed: Map<string, ProfileCacheError>;
}

/** Wallets of one bulk part: large enough to fill every worker, small enough to be answered well within the deadline. */
const PART_WALLETS = 1_000;
const PARTS_IN_FLIGHT = 3;

export class ReadPath {
  private readonly source: RecordSource;
  private readonly l1: L1Owner;
  private readonly codec: ProfileCodec;
  private readonly structures: StructureSync;
  private readonly versions: VersionClock;
  private readonly breaker: Breaker;
  private readonly row: ThreadRow;
  private readonly onError: (error: ProfileCacheError) => void;
  /** Thousands of records have the same one. */
  private knownSchema = -1;

  constructor(parts: {
    source: RecordSource; l1: L1Owner; codec: ProfileCodec; structures: StructureSync; versions: VersionClock; breaker: Breaker; row: ThreadRow;
    onError: (error: ProfileCacheError) => void;
  }) {
    this.source = parts.source;
    this.l1 = parts.l1;
    this.codec = parts.codec;
    this.structures = parts.structures;
    this.versions = parts.versions;
    this.breaker = parts.breaker;
    this.row = parts.row;
    this.onError = parts.onError;
  }

  /** Never rejects for what L2 does: a wallet that could not be answered is in `failed`. */
  async fetch(wallets: readonly string[], visitor: RecordVisitor, watch?: FetchWatch): Promise<FetchSummary> {
    // Each part has its own deadline; as soon as L2 is known to be down, the parts that are left fail at once.
    const failed = new Map<string, ProfileCacheError>();
    const parts = wallets.length <= PART_WALLETS ? [wallets] : this.source.inParts(wallets, PART_WALLETS);
    let next = 0;
    const lane = async () => {
      while (next < parts.length && watch?.stopped?.() !== true) {
        const part = parts[next++];
        for (const [wallet, error] of (await this.fetchPart(part, visitor, watch?.graceMs)).failed) failed.set(wallet, error);
        watch?.onPart?.(part.length);
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARTS_IN_FLIGHT, parts.length) }, lane));
    return { failed };
  }

  private async fetchPart(wallets: readonly string[], visitor: RecordVisitor, graceMs = 0): Promise<FetchSummary> {
    if (wallets.length === 0) return { failed: new Map() };
    if (this.breaker.open) return this.allFailed(wallets);
    const token = this.l1.floors.beginLoad();
    try {
      const unknownTables = new Map<number, string[]>();
      const visit = (record: FetchedRecord) => this.visit(record, token, unknownTables, visitor);
      const result = await this.source.fetchMany(wallets, visit, graceMs);
      this.note(result, wallets, token);
      if (unknownTables.size > 0) await this.fetchAfterLearning(unknownTables, token, visitor, result.failed, graceMs);
      return { failed: result.failed };
    } finally {
      this.l1.floors.endLoad();
    }
  }

  private visit(record: FetchedRecord, token: number, unknownTables: Map<number, string[]>, visitor: RecordVisitor): void {
    if (!this.versions.observe(record.version)) {
      this.row.count(COUNTER.corrupt);
      return;
    }
    if (record.schemaId !== this.knownSchema && !this.knows(record.schemaId)) {
      const waiting = unknownTables.get(record.schemaId);
      if (waiting) waiting.push(record.wallet);
      else unknownTables.set(record.schemaId, [record.wallet]);
      return;
    }
    const result = this.l1.promote(record, token);
    // What has expired is in L1 for who may serve it; to readers it is not there.
    if (record.ttlMs > 0) visitor(record, result);
  }

  private knows(schemaId: number): boolean {
    if (!this.codec.canDecode(schemaId)) return false;
    this.knownSchema = schemaId;
    return true;
  }

  private async fetchAfterLearning(unknown: Map<number, string[]>, token: number, visitor: RecordVisitor, failed: Map<string, ProfileCacheError>, graceMs: number): Promise<void> {
    const again: string[] = [];
    for (const [schemaId, wallets] of unknown) {
      const known = await this.structures.learn(schemaId).catch((error: unknown) => {
        for (const wallet of wallets) failed.set(wallet, ProfileCacheError.from(error, 'ERR_L2_UNAVAILABLE'));
        return undefined;
      });
      if (known) again.push(...wallets);
      else if (known === false) this.row.count(COUNTER.corrupt, wallets.length);
    }
    if (again.length === 0) return;
    const stillUnknown = new Map<number, string[]>();
    const result = await this.source.fetchMany(again, (record) => this.visit(record, token, stillUnknown, visitor), graceMs);
    this.note(result, again, token);
    for (const [wallet, error] of result.failed) failed.set(wallet, error);
    for (const wallets of stillUnknown.values()) this.row.count(COUNTER.corrupt, wallets.length);
  }

  private note(result: FetchResult, asked: readonly string[], token: number): void {
    for (const wallet of result.missing) this.l1.absent(wallet, token, this.believed(result.floors.get(wallet)));
    for (const [wallet, floor] of result.floors) {
      // A tombstone: L2 says what the least acceptable version is.
      if (this.believed(floor) > 0) this.l1.floors.raise(wallet, floor);
    }
    if (result.corrupt.length > 0) this.row.count(COUNTER.corrupt, result.corrupt.length);
    if (result.failed.size === 0) {
      this.breaker.succeeded();
      return;
    }
    this.row.count(COUNTER.l2Failures, result.failed.size);
    const first = result.failed.values().next().value as ProfileCacheError;
    if (result.failed.size === asked.length) this.breaker.failed(first, asked);
    this.onError(first);
  }

  private believed(floor: number | undefined): number {
    return floor !== undefined && this.versions.observe(floor) ? floor : 0;
  }

  private allFailed(wallets: readonly string[]): FetchSummary {
    this.row.count(COUNTER.l2Failures, wallets.length);
    const error = new ProfileCacheError('ERR_L2_UNAVAILABLE', 'L2 is known to be down; it is probed in the background');
    return { failed: new Map(wallets.map((wallet) => [wallet, error])) };
  }
}
