/** Worker side: puts what L2 brings for one read task into its chunk of the inbox, record by record, as it comes. */
import { EnvelopeReader } from '../codec/envelope-reader.ts';
import type { Clock } from '../clock.ts';
import type { ProfileCacheError } from '../errors.ts';
import type { GetOutcome, L2Store, ReadVisitor } from '../l2/store.ts';
import { ChunkWriter, type InboxRecord, type InboxView } from './inbox.ts';
import type { Answer, GetTask, Reply } from './protocol.ts';
import { ErrorTable } from './typed-error.ts';

const NOTHING = new Uint8Array(0);

export class ChunkFiller implements ReadVisitor {
  readonly #task: GetTask;
  readonly #writer: ChunkWriter;
  readonly #reader: EnvelopeReader;
  readonly #errors = new ErrorTable();
  readonly #spill: Spill;
  /** Time to live is told by the store's clock, and handed on as a deadline on the clock that all threads share. */
  readonly #toMonotonicMs: number;
  /** What has expired longer ago than the task's grace is of no use to anybody. */
  readonly #deadMs: number;
  /** One for all records: the writer copies it. */
  readonly #record: InboxRecord = { key: NOTHING, keyStart: 0, keyBytes: 0, raw: NOTHING, rawStart: 0, rawBytes: 0, schemaId: 0, version: 0, createdAtMs: 0, deadlineMs: 0 };

  constructor(task: GetTask, store: L2Store, inbox: InboxView, reader: EnvelopeReader, maxSpillBytes: number, clock: Clock) {
    this.#task = task;
    this.#writer = new ChunkWriter(inbox, task.chunk, task.wallets.length);
    this.#reader = reader;
    this.#spill = new Spill(maxSpillBytes);
    const nowMs = clock.monotonicMs();
    this.#deadMs = nowMs - task.graceMs;
    this.#toMonotonicMs = nowMs - store.nowMs();
  }

  take(i: number, outcome: GetOutcome): void {
    if (outcome.status === 'miss') this.#writer.miss(i, outcome.floor);
    else if (outcome.status === 'failed') this.failed(i, outcome.error);
    else this.found(i, outcome.envelope, 0, outcome.envelope.length);
  }

  missing(i: number): void {
    this.#writer.miss(i);
  }

  tooLarge(i: number): void {
    this.#writer.corrupt(i);
  }

  failed(i: number, error: ProfileCacheError): void {
    this.#writer.failed(i, this.#errors.add(error, 'ERR_L2_UNAVAILABLE'));
  }

  found(i: number, bytes: Uint8Array, start: number, end: number): void {
    const reader = this.#reader;
    // Whatever is wrong with the bytes, it is this record's matter alone.
    if (!reader.open(bytes, start, end, this.#task.wallets[i])) return this.#writer.corrupt(i);
    if (reader.tombstone) return this.#writer.miss(i, reader.version);
    const record = this.#record;
    record.key = bytes;
    record.keyStart = reader.keyStart;
    record.keyBytes = reader.keyBytes;
    record.raw = reader.raw;
    record.rawStart = reader.rawStart;
    record.rawBytes = reader.rawBytes;
    record.schemaId = reader.schemaId;
    record.version = reader.version;
    record.createdAtMs = reader.createdAtMs;
    record.deadlineMs = reader.expiresAtMs === 0 ? Infinity : reader.expiresAtMs + this.#toMonotonicMs;
    // Nobody may serve it, yet nothing older than it may be believed either.
    if (record.deadlineMs <= this.#deadMs) return this.#writer.miss(i, record.version);
    if (this.#writer.hit(i, record)) return;
    const index = this.#spill.add(record.raw.subarray(record.rawStart, record.rawStart + record.rawBytes));
    if (index === undefined) this.#writer.again(i);
    else this.#writer.spilled(i, record, index);
  }

  finish(): Answer {
    this.#writer.finish(this.#task.seq);
    const reply: Reply = { is: 'read' };
    if (this.#errors.list.length > 0) reply.errors = this.#errors.list;
    const { records } = this.#spill;
    if (records.length > 0) reply.spill = records;
    return { reply, transfer: records.map((record) => record.buffer as ArrayBuffer) };
  }
}

/** Raw records that go with the reply, each in a buffer of its own that can be moved. */
class Spill {
  readonly records: Uint8Array[] = [];
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Index, or undefined when the spill is full. The first record always goes: progress is certain. */
  add(raw: Uint8Array): number | undefined {
    if (this.#bytes > 0 && this.#bytes + raw.length > this.#maxBytes) return undefined;
    this.#bytes += raw.length;
    // A copy: `raw` may be a view of a pool or of the envelope, and moving takes the whole backing store.
    return this.records.push(new Uint8Array(raw)) - 1;
  }
}
