/**
 * Takes writes to L2: those of one tick in one batch, updates and invalidations each on their own, every write with the text of its event, and
 * the structure tables of the records before them. What became of each is its caller's business (write-path.ts); what it says about L2
 * goes to the breaker, and about the event's number to the channel.
 */
import type { Outgoing } from '../channel/outgoing.ts';
import type { Clock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { StoreWrite, WriteOutcome } from '../workers-pool/l2-client.ts';
import type { Breaker } from './breaker.ts';
import { deferred, type Deferred } from './deferred.ts';
import type { StructureSync } from './structure-sync.ts';
import type { PendingWrite } from './write-queue.ts';

export interface RecordSink {
  /** `knows`: the newest clear that is known of; L2 refuses who does not know of its newest. */
  setMany(writes: readonly StoreWrite[], knows?: number): Promise<WriteOutcome[]>;
  deleteMany(deletes: readonly { wallet: string; version: number; event?: string }[], knows?: number): Promise<WriteOutcome[]>;
  /** Resolves with the highest version that it left. */
  clear(version: number, event?: string): Promise<number>;
  clearFloor(): Promise<number>;
}

/** What one call has to send. */
interface WriteGroup {
  writes: readonly PendingWrite[];
  sent: Deferred<WriteOutcome[]>;
}

export interface WriteSenderParts {
  sink: RecordSink;
  structures: StructureSync | undefined;
  breaker: Breaker | undefined;
  /** Undefined: this process tells nobody. */
  outgoing: Outgoing | undefined;
  clock: Clock;
  row: ThreadRow;
  graceMs: number;
}

const typeOf = (write: PendingWrite) => (write.record === undefined ? 'invalidated' : 'updated');

export class WriteSender {
  private readonly parts: WriteSenderParts;
  private batch: WriteGroup[] = [];

  constructor(parts: WriteSenderParts) {
    this.parts = parts;
  }

  /** Writes of one tick go out in one batch. All of `writes` are updates, or all are invalidations; all know of the same clear. */
  send(writes: readonly PendingWrite[]): Promise<WriteOutcome[]> {
    const sent = deferred<WriteOutcome[]>();
    this.batch.push({ writes, sent });
    if (this.batch.length === 1) setImmediate(() => void this.flush());
    return sent.promise;
  }

  private async flush(): Promise<void> {
    const batch = this.batch;
    this.batch = [];
    // Nearly always one.
    const known = new Set(batch.map(({ writes }) => writes[0].knows));
    await Promise.all(Array.from(known, (knows) => this.flushKnowing(knows, known.size === 1 ? batch : batch.filter(({ writes }) => writes[0].knows === knows))));
  }

  private async flushKnowing(knows: number, batch: readonly WriteGroup[]): Promise<void> {
    const { sink } = this.parts;
    await Promise.all([
      this.run(batch.filter(({ writes }) => writes[0].record !== undefined), async (writes, seqs) => {
        await this.tablesOf(writes);
        return sink.setMany(writes.map((write, i) => this.storeWrite(write, seqs, i)), knows);
      }),
      this.run(batch.filter(({ writes }) => writes[0].record === undefined), (writes, seqs) =>
        sink.deleteMany(writes.map((write, i) => ({ wallet: write.wallet, version: write.version, event: this.eventText(write, seqs, i) })), knows),
      ),
    ]);
  }

  private async run(groups: readonly WriteGroup[], work: (writes: readonly PendingWrite[], seqs: number[]) => Promise<WriteOutcome[]>): Promise<void> {
    if (groups.length === 0) return;
    const writes = groups.length === 1 ? groups[0].writes : groups.flatMap((group) => group.writes);
    /** The number of each write's event; 0 before it has one. */
    const seqs = new Array<number>(writes.length).fill(0);
    let outcomes: WriteOutcome[];
    try {
      outcomes = await work(writes, seqs);
    } catch (error) {
      const failed = ProfileCacheError.from(error, 'ERR_L2_UNAVAILABLE');
      outcomes = writes.map(() => ({ status: 'failed', error: failed }));
    }
    const failures = outcomes.filter((outcome) => outcome.status === 'failed');
    // A full L2 refuses writes and answers reads: nobody who reads must be told that it is down.
    const isAway = failures.length === outcomes.length && failures.some(({ error }) => error.code !== 'ERR_L2_STORAGE');
    if (isAway) this.parts.breaker?.failed(failures[0].error, writes.map(({ wallet }) => wallet));
    else this.parts.breaker?.succeeded();
    if (this.parts.outgoing !== undefined) {
      this.parts.row.count(COUNTER.eventsPublished, outcomes.filter((outcome) => outcome.status === 'stored').length);
      writes.forEach((write, i) => this.settleNumber(write, seqs[i], outcomes[i]));
    }
    let from = 0;
    for (const group of groups) group.sent.resolve(outcomes.slice(from, (from += group.writes.length)));
  }

  private async tablesOf(writes: readonly PendingWrite[]): Promise<void> {
    const ids = new Set(writes.map((write) => write.record?.schemaId ?? 0));
    await Promise.all([...ids].map((id) => this.parts.structures?.ensureStored(id)));
  }

  private storeWrite(write: PendingWrite, seqs: number[], i: number): StoreWrite {
    const { raw, schemaId } = write.record as { raw: Uint8Array; schemaId: number };
    return {
      wallet: write.wallet, raw, schemaId, version: write.version,
      // Negative in its grace; a record lives `graceMs` longer.
      ttlMs: Math.max(1 - this.parts.graceMs, write.expiresAtMs - this.parts.clock.monotonicMs()),
      event: this.eventText(write, seqs, i),
    };
  }

  private eventText(write: PendingWrite, seqs: number[], i: number): string | undefined {
    const event = this.parts.outgoing?.event(typeOf(write), write.wallet, write.version);
    seqs[i] = event?.seq ?? 0;
    return event?.text;
  }

  private settleNumber(write: PendingWrite, seq: number, outcome: WriteOutcome): void {
    if (seq === 0) return;
    if (outcome.status === 'failed') this.parts.outgoing?.inDoubt(seq, typeOf(write), write.wallet);
    else this.parts.outgoing?.decided(seq, outcome.status === 'stored');
  }
}
