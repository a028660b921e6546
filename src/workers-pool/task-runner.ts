/**
 * What a worker thread does with one task: L2 verbs, packing and unpacking, the answer into the inbox. Knows no threads, so
 * that tests run it in their own. `run` never rejects: a task that fails is an answer.
 */
import { ProfileCacheError, type WireError } from '../errors.ts';
import { packRecord, packTombstone, unpackRecord } from '../codec/transcode.ts';
import type { Clock } from '../clock.ts';
import type { DeleteRequest, L2Store, SetOutcome, SetRequest } from '../l2/store.ts';
import { ChunkWriter, InboxView } from './inbox.ts';
import type { InboxRecord } from './inbox.ts';
import { SET_NUMBERS } from './protocol.ts';
import type { CallTask, CallValue, DeleteTask, GetTask, Reply, SetTask, Task, WorkerData } from './protocol.ts';
import type { StoreSlot } from './store-slot.ts';
import { ErrorTable, asTyped } from './typed-error.ts';

export type RunnerSettings = Pick<WorkerData, 'compression' | 'maxProfileBytes' | 'tombstoneTtlMs' | 'graceMs' | 'maxSpillBytes'>;

export interface Answer {
  reply: Reply;
  /** Buffers of the reply to move instead of copying. */
  transfer: ArrayBuffer[];
}

export class TaskRunner {
  readonly #slot: StoreSlot;
  readonly #inbox: InboxView;
  readonly #settings: RunnerSettings;
  readonly #clock: Clock;

  constructor(slot: StoreSlot, inbox: InboxView, settings: RunnerSettings, clock: Clock) {
    this.#slot = slot;
    this.#inbox = inbox;
    this.#settings = settings;
    this.#clock = clock;
  }

  async run(task: Task): Promise<Answer> {
    try {
      if (task.op === 'close') {
        await this.#slot.close();
        return answer({ is: 'value', value: undefined });
      }
      if (this.#late(task)) return answer({ is: 'late' });
      const store = this.#slot.current ?? (await this.#slot.get(task.deadlineMs));
      // Opening may have taken long.
      if (this.#late(task)) return answer({ is: 'late' });
      switch (task.op) {
        case 'get':
          return await this.#get(store, task);
        case 'set':
          return answer(await this.#set(store, task));
        case 'delete':
          return answer(await this.#delete(store, task));
        default:
          return answer({ is: 'value', value: await call(store, task) });
      }
    } catch (error) {
      return answer({ is: 'failed', error: asTyped(error, 'ERR_L2_UNAVAILABLE').toWire() });
    }
  }

  #late(task: Task): boolean {
    return this.#clock.monotonicMs() >= task.deadlineMs;
  }

  async #get(store: L2Store, task: GetTask): Promise<Answer> {
    const { wallets } = task;
    const outcomes = await store.getMany(wallets);
    // The owner has given up: unpacking would only keep this thread from tasks that are still awaited.
    if (this.#late(task)) return answer({ is: 'late' });
    const writer = new ChunkWriter(this.#inbox, task.chunk, wallets.length);
    const errors = new ErrorTable();
    const spill = new Spill(this.#settings.maxSpillBytes);
    // Time to live is told by the store's clock, and handed on as a deadline on the clock that all threads share.
    const toMonotonicMs = this.#clock.monotonicMs() - store.nowMs();
    const nowMs = this.#clock.monotonicMs();
    for (let i = 0; i < wallets.length; i++) {
      const outcome = outcomes[i];
      if (outcome.status === 'miss') writer.miss(i, outcome.floor);
      else if (outcome.status === 'failed') writer.failed(i, errors.add(outcome.error, 'ERR_L2_UNAVAILABLE'));
      else this.#unpack(writer, i, outcome.envelope, wallets[i], toMonotonicMs, nowMs - task.graceMs, spill);
    }
    writer.finish(task.seq);
    const reply: Reply = { is: 'read' };
    if (errors.list.length > 0) reply.errors = errors.list;
    if (spill.records.length > 0) reply.spill = spill.records;
    return { reply, transfer: spill.records.map((record) => record.buffer as ArrayBuffer) };
  }

  #unpack(writer: ChunkWriter, i: number, envelope: Uint8Array, wallet: string, toMonotonicMs: number, deadMs: number, spill: Spill): void {
    let record: InboxRecord;
    try {
      const unpacked = unpackRecord(envelope, wallet, this.#settings.maxProfileBytes);
      if ('tombstone' in unpacked) return writer.miss(i, unpacked.version);
      const { raw, schemaId, version, createdAtMs, expiresAtMs } = unpacked;
      record = { raw, schemaId, version, createdAtMs, deadlineMs: expiresAtMs === 0 ? Infinity : expiresAtMs + toMonotonicMs };
    } catch {
      // Whatever is wrong with the bytes, and however the decoder says so, it is this record's matter alone.
      return writer.corrupt(i);
    }
    // Nobody may serve it, yet nothing older than it may be believed either.
    if (record.deadlineMs <= deadMs) writer.miss(i, record.version);
    else if (!writer.hit(i, record)) {
      const index = spill.add(record.raw);
      if (index === undefined) writer.again(i);
      else writer.spilled(i, record, index);
    }
  }

  async #set(store: L2Store, task: SetTask): Promise<Reply> {
    const { wallets, numbers, bytes, events } = task;
    const { compression, graceMs } = this.#settings;
    const createdAtMs = store.nowMs();
    const requests: SetRequest[] = [];
    for (let i = 0, from = 0; i < wallets.length; i++) {
      const [schemaId, version, ttlMs, rawBytes] = numbers.subarray(i * SET_NUMBERS, (i + 1) * SET_NUMBERS);
      const wallet = wallets[i];
      const raw = bytes.subarray(from, (from += rawBytes));
      const envelope = packRecord({ wallet, raw, schemaId, version, createdAtMs, expiresAtMs: createdAtMs + ttlMs }, compression);
      requests.push({ wallet, envelope, version, ttlMs: ttlMs + graceMs, event: events?.[i] });
    }
    // A write that was reported as too late must not take effect: packing took time.
    if (this.#late(task)) return { is: 'late' };
    return written(await store.setMany(requests));
  }

  async #delete(store: L2Store, task: DeleteTask): Promise<Reply> {
    const { wallets, versions, events } = task;
    const { tombstoneTtlMs } = this.#settings;
    const nowMs = store.nowMs();
    const requests = wallets.map((wallet, i): DeleteRequest => {
      const version = versions[i];
      return { wallet, version, tombstone: packTombstone(wallet, version, nowMs, nowMs + tombstoneTtlMs), tombstoneTtlMs, event: events?.[i] };
    });
    return written(await store.deleteMany(requests));
  }
}

const answer = (reply: Reply): Answer => ({ reply, transfer: [] });

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

function written(outcomes: readonly SetOutcome[]): Reply {
  const older: number[] = [];
  const failed: number[] = [];
  const errors = new ErrorTable();
  outcomes.forEach((outcome, i) => {
    if (outcome.status === 'older') older.push(i, outcome.storedVersion);
    else if (outcome.status === 'failed') failed.push(i, errors.add(outcome.error satisfies ProfileCacheError, 'ERR_L2_UNAVAILABLE'));
  });
  const reply: Reply = { is: 'written' };
  if (older.length > 0) reply.older = older;
  if (failed.length > 0) Object.assign(reply, { failed, errors: errors.list });
  return reply;
}

function call(store: L2Store, task: CallTask): Promise<CallValue> {
  switch (task.op) {
    case 'clear':
      return store.clear(task.version, task.event).then(() => undefined);
    case 'publish':
      return store.publish(task.event).then(() => undefined);
    case 'getBlob':
      return store.getBlob(task.name).then(own);
    case 'putBlob':
      return store.putBlobIfAbsent(task.name, task.bytes).then(own);
    case 'leases':
      return Promise.all(task.wallets.map((wallet, i) => lease(store, wallet, task.tokens[i], task.ttlsMs[i])));
    case 'health':
      return store.health();
    case 'open':
      return Promise.resolve(undefined);
    case 'close':
      throw new Error('close is answered before');
  }
}

/** A view of a pooled buffer would take its whole backing store along through structured clone. */
const own = <B extends Uint8Array | undefined>(bytes: B): B => (bytes === undefined ? bytes : (new Uint8Array(bytes) as B));

/** One lease of a batch: an error is its own, and no other's. */
async function lease(store: L2Store, wallet: string, token: string, ttlMs: number): Promise<boolean | WireError> {
  try {
    if (ttlMs > 0) return await store.acquireLease(wallet, token, ttlMs);
    await store.releaseLease(wallet, token);
    return true;
  } catch (error) {
    return ProfileCacheError.from(error, 'ERR_L2_UNAVAILABLE', { wallet }).toWire();
  }
}
