/**
 * What a worker thread does with one task: L2 verbs, packing and unpacking, the answer into the inbox. Knows no threads, so
 * that tests run it in their own. `run` never rejects: a task that fails is an answer.
 */
import { ProfileCacheError, type WireError } from '../errors.ts';
import { EnvelopeReader } from '../codec/envelope-reader.ts';
import { EnvelopeRoom } from '../codec/envelope.ts';
import { CompressionGauge, envelopeOverheadBytes, packRecord, packTombstone } from '../codec/transcode.ts';
import type { Clock } from '../clock.ts';
import type { DeleteRequest, L2Store, LeaseAnswer, SetOutcome, SetRequest } from '../l2/store.ts';
import { ChunkFiller } from './chunk-filler.ts';
import type { Answer } from './protocol.ts';
import type { InboxView } from './inbox.ts';
import { SET_NUMBERS } from './protocol.ts';
import type { CallTask, CallValue, DeleteTask, GetTask, Reply, SetTask, Task, WorkerData } from './protocol.ts';
import type { StoreSlot } from './store-slot.ts';
import { ErrorTable, asTyped } from './typed-error.ts';

export type RunnerSettings = Pick<WorkerData, 'compression' | 'maxProfileBytes' | 'rememberedMs' | 'graceMs' | 'maxSpillBytes'>;


export class TaskRunner {
  readonly #slot: StoreSlot;
  readonly #inbox: InboxView;
  readonly #settings: RunnerSettings;
  readonly #clock: Clock;
  readonly #reader: EnvelopeReader;
  readonly #gauge = new CompressionGauge();

  constructor(slot: StoreSlot, inbox: InboxView, settings: RunnerSettings, clock: Clock) {
    this.#slot = slot;
    this.#inbox = inbox;
    this.#settings = settings;
    this.#clock = clock;
    this.#reader = new EnvelopeReader(settings.maxProfileBytes);
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
    const filler = new ChunkFiller(task, store, this.#inbox, this.#reader, this.#settings.maxSpillBytes, this.#clock);
    if (store.readMany) {
      await store.readMany(task.wallets, filler, task.deadlineMs);
    } else {
      const outcomes = await store.getMany(task.wallets, task.deadlineMs);
      // The owner has given up: unpacking would only keep this thread from tasks that are still awaited.
      if (this.#late(task)) return answer({ is: 'late' });
      outcomes.forEach((outcome, i) => filler.take(i, outcome));
    }
    return this.#late(task) ? answer({ is: 'late' }) : filler.finish();
  }

  async #set(store: L2Store, task: SetTask): Promise<Reply> {
    const { wallets, numbers, bytes, events } = task;
    const { compression, graceMs } = this.#settings;
    const createdAtMs = store.nowMs();
    const requests: SetRequest[] = [];
    const room = new EnvelopeRoom(wallets.reduce((sum, wallet) => sum + envelopeOverheadBytes(wallet), bytes.length));
    for (let i = 0, from = 0; i < wallets.length; i++) {
      const at = i * SET_NUMBERS;
      const [schemaId, version, ttlMs, rawBytes] = [numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]];
      const wallet = wallets[i];
      const raw = bytes.subarray(from, (from += rawBytes));
      const envelope = packRecord({ wallet, raw, schemaId, version, createdAtMs, expiresAtMs: createdAtMs + ttlMs }, compression, this.#gauge, room);
      requests.push({ wallet, envelope, version, ttlMs: ttlMs + graceMs, event: events?.[i] });
    }
    // A write that was reported as too late must not take effect: packing took time.
    if (this.#late(task)) return { is: 'late' };
    return written(await store.setMany(requests, task.deadlineMs, task.knows));
  }

  async #delete(store: L2Store, task: DeleteTask): Promise<Reply> {
    const { wallets, versions, events } = task;
    const { rememberedMs: tombstoneTtlMs } = this.#settings;
    const nowMs = store.nowMs();
    const room = new EnvelopeRoom(wallets.reduce((sum, wallet) => sum + envelopeOverheadBytes(wallet), 0));
    const requests = wallets.map((wallet, i): DeleteRequest => {
      const version = versions[i];
      return { wallet, version, tombstone: packTombstone(wallet, version, nowMs, nowMs + tombstoneTtlMs, room), tombstoneTtlMs, event: events?.[i] };
    });
    return written(await store.deleteMany(requests, task.deadlineMs, task.knows));
  }
}

const answer = (reply: Reply): Answer => ({ reply, transfer: [] });

function written(outcomes: readonly SetOutcome[]): Reply {
  const older: number[] = [];
  const cleared: number[] = [];
  const failed: number[] = [];
  const errors = new ErrorTable();
  outcomes.forEach((outcome, i) => {
    if (outcome.status === 'older') (outcome.cleared === true ? cleared : older).push(i, outcome.storedVersion);
    else if (outcome.status === 'failed') failed.push(i, errors.add(outcome.error satisfies ProfileCacheError, 'ERR_L2_UNAVAILABLE'));
  });
  const reply: Reply = { is: 'written' };
  if (older.length > 0) reply.older = older;
  if (cleared.length > 0) reply.cleared = cleared;
  if (failed.length > 0) Object.assign(reply, { failed, errors: errors.list });
  return reply;
}

function call(store: L2Store, task: CallTask): Promise<CallValue> {
  const { deadlineMs } = task;
  switch (task.op) {
    case 'clear':
      return store.clear(task.version, task.event, deadlineMs);
    case 'clearFloor':
      return store.clearFloor(deadlineMs);
    case 'publish':
      return store.publish(task.event, deadlineMs).then(() => undefined);
    case 'getBlob':
      return store.getBlob(task.name, deadlineMs).then(own);
    case 'putBlob':
      return store.putBlobIfAbsent(task.name, task.bytes, deadlineMs).then(own);
    case 'leases':
      return Promise.all(task.wallets.map((wallet, i) => lease(store, wallet, task.tokens[i], task.ttlsMs[i], deadlineMs, task.waited[i])));
    case 'health':
      return store.health(deadlineMs);
    case 'open':
      return Promise.resolve(undefined);
    case 'close':
      throw new Error('close is answered before');
  }
}

/** A view of a pooled buffer would take its whole backing store along through structured clone. */
const own = <B extends Uint8Array | undefined>(bytes: B): B => (bytes === undefined ? bytes : (new Uint8Array(bytes) as B));

/** One lease of a batch: an error is its own, and no other's. */
async function lease(store: L2Store, wallet: string, token: string, ttlMs: number, deadlineMs: number, waited: boolean): Promise<LeaseAnswer | WireError> {
  try {
    if (ttlMs > 0) return await store.acquireLease(wallet, token, ttlMs, deadlineMs, waited);
    await store.releaseLease(wallet, token, deadlineMs);
    return true;
  } catch (error) {
    return ProfileCacheError.from(error, 'ERR_L2_UNAVAILABLE', { wallet }).toWire();
  }
}
