/** Reads many wallets: the jobs of one `fetchMany`, and the visits to what they brought. */
import { ProfileCacheError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { RecordImage } from '../l1/record-image.ts';
import type { Dispatcher, Job } from './dispatcher.ts';
import { ChunkReader, STATUS } from './inbox.ts';
import type { InboxView } from './inbox.ts';
import { Operation, timeoutError } from './operation.ts';
import type { Reply, Task } from './protocol.ts';
import type { SlicedWork, Slices } from './slices.ts';

/** Valid only inside the visitor's call: the next record may be the same object. */
export interface FetchedRecord {
  readonly wallet: string;
  /** Encoded, uncompressed. May be a view of SHARED inbox memory: copy it out. Made at each use. */
  readonly raw: Uint8Array;
  readonly schemaId: number;
  readonly version: number;
  /** Epoch milliseconds by the store's clock. */
  readonly createdAtMs: number;
  /** Life that is left now; 0 or less for what has expired and was asked for all the same; Infinity for a foreign record that never expires. */
  readonly ttlMs: number;
  /** The record as L1 wants it, where a worker has laid it out. */
  readonly image?: RecordImage;
}

export interface FetchResult {
  found: number;
  missing: string[];
  /** Versions of the tombstones of missing wallets: nothing older may be believed. */
  floors: Map<string, number>;
  failed: Map<string, ProfileCacheError>;
  /** Damaged or foreign bytes; counted as missing too. */
  corrupt: string[];
}

export interface FetchParts {
  dispatcher: Dispatcher;
  slices: Slices;
  inbox: InboxView;
  clock: Clock;
  timeoutMs: number;
  /** Told the raw bytes of each finished task, so that the next ones are cut to fit their chunks. */
  onTaskRead(records: number, rawBytes: number): void;
  counts: { corrupt: number; late: number; timeouts: number; spilled: number };
}

/** The records of one chunk, one after the other, without an object for each. */
class ChunkRecord implements FetchedRecord {
  wallet = '';
  ttlMs = 0;
  image: RecordImage | undefined;
  readonly #reader: ChunkReader;
  readonly #spill: readonly Uint8Array[];
  readonly #image: { words: Uint32Array; at: number };
  readonly #isForRegion: boolean;
  #i = 0;
  #isSpilled = false;

  constructor(reader: ChunkReader, { u32: words, shape }: InboxView, spill: readonly Uint8Array[]) {
    this.#reader = reader;
    this.#spill = spill;
    this.#image = { words, at: 0 };
    this.#isForRegion = shape.hashKeys !== undefined;
  }

  at(i: number, wallet: string, ttlMs: number, status: number): this {
    this.#i = i;
    this.wallet = wallet;
    this.ttlMs = ttlMs;
    this.#isSpilled = status === STATUS.spilled;
    this.image = this.#isSpilled || !this.#isForRegion ? undefined : this.#image;
    if (!this.#isSpilled) this.#image.at = this.#reader.imageAt(i);
    return this;
  }

  get raw(): Uint8Array {
    return this.#isSpilled ? this.#spill[this.#reader.where(this.#i)] : this.#reader.raw(this.#i);
  }
  get schemaId(): number {
    return this.#reader.schemaId(this.#i);
  }
  get version(): number {
    return this.#reader.version(this.#i);
  }
  get createdAtMs(): number {
    return this.#reader.createdAtMs(this.#i);
  }
}

/** Visits between two looks at the clock, unless they were large. */
const VISITS_PER_LOOK = 8;
const LARGE_VISIT_BYTES = 32 * 1024;

export class Fetch {
  readonly operation: Operation<FetchResult>;
  readonly parts: FetchParts;
  readonly visit: (record: FetchedRecord) => void;
  readonly graceMs: number;
  readonly result: FetchResult = { found: 0, missing: [], floors: new Map(), failed: new Map(), corrupt: [] };

  constructor(parts: FetchParts, visit: (record: FetchedRecord) => void, graceMs: number) {
    this.parts = parts;
    this.visit = visit;
    this.graceMs = graceMs;
    this.operation = new Operation(parts.dispatcher, parts.clock, parts.timeoutMs, () => this.#timeOut());
  }

  /** All lists must be started in one turn, or an early answer would settle the operation. */
  start(lists: readonly (readonly string[])[]): Promise<FetchResult> {
    const jobs = lists.map((wallets) => new FetchJob(this, wallets));
    this.#open += jobs.length;
    for (const job of jobs) this.operation.start(job);
    return this.operation.promise;
  }
  #open = 0;

  /** One job has said all it will say; `again` goes on with what it could not bring. */
  jobDone(job: FetchJob, again: readonly (readonly string[])[] = []): void {
    this.operation.finish(job);
    const more = again.map((wallets) => new FetchJob(this, wallets));
    this.#open += more.length - 1;
    for (const next of more) this.operation.start(next);
    if (this.#open === 0) this.operation.resolve(this.result);
  }

  #timeOut(): void {
    this.parts.counts.timeouts++;
    // One error for all: ten thousand stack traces would stall this thread.
    const error = timeoutError('reading from L2', this.parts.timeoutMs);
    for (const job of this.operation.jobs) (job as FetchJob).failRest(error);
    this.operation.resolve(this.result);
  }
}

class FetchJob implements Job, SlicedWork {
  readonly needsChunk = true;
  readonly #fetch: Fetch;
  readonly #wallets: readonly string[];
  #next = 0;
  #reader: ChunkReader | undefined;
  #record: ChunkRecord | undefined;
  #release: () => void = () => undefined;
  #errors: ProfileCacheError[] = [];
  #again: string[] = [];
  #rawBytes = 0;
  #records = 0;

  constructor(fetch: Fetch, wallets: readonly string[]) {
    this.#fetch = fetch;
    this.#wallets = wallets;
  }

  get deadlineMs(): number {
    return this.#fetch.operation.deadlineMs;
  }
  get settled(): boolean {
    return this.#fetch.operation.settled;
  }

  build(seq: number, chunk: number): { task: Task } {
    return { task: { op: 'get', seq, deadlineMs: this.deadlineMs, wallets: this.#wallets, chunk, graceMs: this.#fetch.graceMs } };
  }

  answered(reply: Reply, { seq, chunk, release }: { seq: number; chunk: number; release: () => void }): void {
    const { parts } = this.#fetch;
    const reader = new ChunkReader(parts.inbox, chunk);
    if (reply.is === 'read' && reader.answers(seq, this.#wallets.length)) {
      this.#reader = reader;
      this.#record = new ChunkRecord(reader, parts.inbox, reply.spill ?? []);
      this.#release = release;
      this.#errors = (reply.errors ?? []).map((wire) => ProfileCacheError.fromWire(wire));
      parts.slices.push(this);
      return;
    }
    release();
    if (reply.is === 'late') this.failed(timeoutError('reading from L2', parts.timeoutMs));
    else if (reply.is === 'failed') this.failed(ProfileCacheError.fromWire(reply.error));
    else this.failed(new ProfileCacheError('ERR_WORKER', 'an I/O worker answered a task that it was not given'));
  }

  failed(error: ProfileCacheError): void {
    this.failRest(error);
    this.#fetch.jobDone(this);
  }

  failRest(error: ProfileCacheError): void {
    const { failed } = this.#fetch.result;
    for (let i = this.#next; i < this.#wallets.length; i++) failed.set(this.#wallets[i], error);
    for (const wallet of this.#again) failed.set(wallet, error);
  }

  step(untilMs: number): boolean {
    const { operation, parts } = this.#fetch;
    if (operation.settled) {
      // Answered in time, but not visited in time: a visit now would come after the caller was told otherwise.
      parts.counts.late++;
      this.#release();
      return true;
    }
    try {
      if (!this.#visitUntil(untilMs)) return false;
    } catch (error) {
      this.#release();
      operation.reject(error);
      return true;
    }
    this.#release();
    parts.onTaskRead(this.#records, this.#rawBytes);
    this.#fetch.jobDone(this, this.#smaller());
    return true;
  }

  /** Only what comes out of the inbox may be read here, and only once: the chunk is ours until `release`. */
  #visitUntil(untilMs: number): boolean {
    const { result, visit, parts, graceMs } = this.#fetch;
    const reader = this.#reader!;
    const record = this.#record!;
    const wallets = this.#wallets;
    const nowMs = parts.clock.monotonicMs();
    let sinceLook = 0;
    while (this.#next < wallets.length) {
      const i = this.#next;
      const wallet = wallets[i];
      // Before the visit: a visitor that throws is not called again for this wallet.
      this.#next++;
      const status = reader.status(i);
      switch (status) {
        case STATUS.hit:
        case STATUS.spilled: {
          const ttlMs = reader.deadlineMs(i) - nowMs;
          const rawBytes = reader.rawBytes(i);
          this.#records++;
          this.#rawBytes += rawBytes;
          if (status === STATUS.spilled) parts.counts.spilled++;
          if (ttlMs <= 0) result.missing.push(wallet);
          else result.found++;
          if (ttlMs <= -graceMs) break;
          visit(record.at(i, wallet, ttlMs, status));
          if (++sinceLook < VISITS_PER_LOOK && rawBytes < LARGE_VISIT_BYTES) break;
          sinceLook = 0;
          if (performance.now() >= untilMs) return this.#next === wallets.length;
          break;
        }
        case STATUS.miss:
          result.missing.push(wallet);
          break;
        case STATUS.missFloor:
          result.missing.push(wallet);
          result.floors.set(wallet, reader.version(i));
          break;
        case STATUS.corrupt:
          parts.counts.corrupt++;
          result.corrupt.push(wallet);
          result.missing.push(wallet);
          break;
        case STATUS.failed:
          result.failed.set(wallet, this.#errors[reader.where(i)]);
          break;
        case STATUS.again:
          this.#records++;
          this.#again.push(wallet);
          break;
        default:
          throw new ProfileCacheError('ERR_WORKER', `an I/O worker left no outcome for a wallet (status ${status})`, { wallet });
      }
    }
    return true;
  }

  /** What did not fit, in tasks of the size that did. */
  #smaller(): string[][] {
    const again = this.#again;
    const fitted = Math.max(1, this.#wallets.length - again.length);
    const lists: string[][] = [];
    for (let i = 0; i < again.length; i += fitted) lists.push(again.slice(i, i + fitted));
    return lists;
  }
}
