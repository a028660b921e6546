/** Writes and deletes many wallets: the jobs of one `setMany` or `deleteMany`. */
import { ProfileCacheError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { Dispatcher, Job } from './dispatcher.ts';
import { Operation, timeoutError } from './operation.ts';
import { SET_NUMBERS } from './protocol.ts';
import type { Reply, Task } from './protocol.ts';
import { pick } from './split.ts';

export interface StoreWrite {
  wallet: string;
  /** Encoded, uncompressed. Private memory; copied, not transferred. Must stay unchanged until the outcome is there. */
  raw: Uint8Array;
  schemaId: number;
  version: number;
  ttlMs: number;
  /** Published with the write, if it takes effect. */
  event?: string;
}

export interface StoreDelete {
  wallet: string;
  version: number;
  event?: string;
}

export type WriteOutcome =
  | { status: 'stored' }
  /** Refused: what is stored is as new or newer; `cleared`: that is a clear that the writer did not know of. */
  | { status: 'older'; storedVersion: number; cleared?: true }
  | { status: 'failed'; error: ProfileCacheError };

export interface WriteParts {
  dispatcher: Dispatcher;
  clock: Clock;
  timeoutMs: number;
  counts: { timeouts: number };
}

type Message = { task: Task; transfer?: ArrayBuffer[] };
type BuildTask<W> = (writes: readonly W[], seq: number, deadlineMs: number, knows: number | undefined) => Message;

const STORED: WriteOutcome = Object.freeze({ status: 'stored' });

export class WriteMany<W extends StoreDelete> {
  readonly operation: Operation<WriteOutcome[]>;
  readonly outcomes: WriteOutcome[];
  readonly writes: readonly W[];
  readonly build: BuildTask<W>;
  readonly timeoutMs: number;
  readonly knows: number | undefined;
  #open = 0;

  constructor(parts: WriteParts, writes: readonly W[], build: BuildTask<W>, knows: number | undefined) {
    this.knows = knows;
    this.writes = writes;
    this.build = build;
    this.timeoutMs = parts.timeoutMs;
    this.outcomes = Array.from<WriteOutcome>({ length: writes.length });
    this.operation = new Operation(parts.dispatcher, parts.clock, parts.timeoutMs, () => {
      parts.counts.timeouts++;
      const error = timeoutError('writing to L2', parts.timeoutMs);
      for (const job of this.operation.jobs) (job as WriteJob<W>).failAll(error);
      this.operation.resolve(this.outcomes);
    });
  }

  /** `lists` hold indices of `writes`, each exactly once. */
  start(lists: readonly Uint32Array[]): Promise<WriteOutcome[]> {
    this.#open = lists.length;
    for (const list of lists) this.operation.start(new WriteJob(this, list));
    return this.operation.promise;
  }

  jobDone(job: Job): void {
    this.operation.finish(job);
    if (--this.#open === 0) this.operation.resolve(this.outcomes);
  }
}

class WriteJob<W extends StoreDelete> implements Job {
  readonly needsChunk = false;
  readonly #of: WriteMany<W>;
  readonly #indices: Uint32Array;

  constructor(of: WriteMany<W>, indices: Uint32Array) {
    this.#of = of;
    this.#indices = indices;
  }

  get deadlineMs(): number {
    return this.#of.operation.deadlineMs;
  }
  get settled(): boolean {
    return this.#of.operation.settled;
  }

  build(seq: number): Message {
    return this.#of.build(pick(this.#of.writes, this.#indices), seq, this.deadlineMs, this.#of.knows);
  }

  answered(reply: Reply, { retried, release }: { retried: boolean; release: () => void }): void {
    release();
    const { outcomes, writes } = this.#of;
    if (reply.is === 'written') {
      for (const i of this.#indices) outcomes[i] = STORED;
      const { older = [], cleared = [], failed = [] } = reply;
      for (let k = 0; k < older.length; k += 2) {
        const i = this.#indices[older[k]];
        const storedVersion = older[k + 1];
        // The attempt that died with its thread had taken effect: what refuses the write is the write itself.
        outcomes[i] = retried && storedVersion === writes[i].version ? STORED : { status: 'older', storedVersion };
      }
      for (let k = 0; k < cleared.length; k += 2) outcomes[this.#indices[cleared[k]]] = { status: 'older', storedVersion: cleared[k + 1], cleared: true };
      const errors = (reply.errors ?? []).map((wire) => ProfileCacheError.fromWire(wire));
      for (let k = 0; k < failed.length; k += 2) outcomes[this.#indices[failed[k]]] = { status: 'failed', error: errors[failed[k + 1]] };
    } else if (reply.is === 'late') {
      this.failAll(timeoutError('writing to L2', this.#of.timeoutMs));
    } else if (reply.is === 'failed') {
      this.failAll(ProfileCacheError.fromWire(reply.error));
    } else {
      this.failAll(new ProfileCacheError('ERR_WORKER', 'an I/O worker answered a task that it was not given'));
    }
    this.#of.jobDone(this);
  }

  failed(error: ProfileCacheError): void {
    this.failAll(error);
    this.#of.jobDone(this);
  }

  failAll(error: ProfileCacheError): void {
    const outcome: WriteOutcome = { status: 'failed', error };
    for (const i of this.#indices) this.#of.outcomes[i] = outcome;
  }
}

export const buildSet: BuildTask<StoreWrite> = (writes, seq, deadlineMs, knows) => {
  const numbers = new Float64Array(writes.length * SET_NUMBERS);
  // A buffer of its own: moving a pooled one would clone, or detach, what others live in.
  const bytes = new Uint8Array(writes.reduce((sum, { raw }) => sum + raw.length, 0));
  let at = 0;
  writes.forEach(({ raw, schemaId, version, ttlMs }, i) => {
    numbers.set([schemaId, version, ttlMs, raw.length], i * SET_NUMBERS);
    bytes.set(raw, at);
    at += raw.length;
  });
  return { task: { op: 'set', seq, deadlineMs, knows, wallets: writes.map(({ wallet }) => wallet), numbers, bytes, events: eventsOf(writes) }, transfer: [bytes.buffer] };
};

export const buildDelete: BuildTask<StoreDelete> = (deletes, seq, deadlineMs, knows) => ({
  task: { op: 'delete', seq, deadlineMs, knows, wallets: deletes.map(({ wallet }) => wallet), versions: Float64Array.from(deletes, ({ version }) => version), events: eventsOf(deletes) },
});

const eventsOf = (writes: readonly StoreDelete[]) => (writes.some(({ event }) => event !== undefined) ? writes.map(({ event }) => event) : undefined);
