/**
 * What travels between the owner thread and an I/O worker. Few, flat messages: lists of strings and typed arrays, never an
 * object for each record (structured clone of one costs more than the record).
 */
import type { WireError } from '../errors.ts';
import type { EmbeddedL2Options, RedisL2Options } from '../options.ts';
import type { LeaseAnswer, StoreHealth } from '../l2/store.ts';
import type { InboxShape } from './inbox.ts';

interface TaskHead {
  /** Number of the task, never 0; stamped into the chunk that answers it. */
  seq: number;
  /** Monotonic milliseconds: from then on nobody waits for the answer, and the task is not begun any more. */
  deadlineMs: number;
}

export interface GetTask extends TaskHead {
  op: 'get';
  wallets: readonly string[];
  /** Chunk of the inbox to answer into. */
  chunk: number;
  /** What expired less than this ago is answered as well. */
  graceMs: number;
}

/** Numbers of one write in `SetTask.numbers`. */
export const SET_NUMBERS = 4;
interface WriteTaskHead extends TaskHead {
  /** Version of the newest clear that the writer knows of; none is asked for where absent. */
  knows?: number;
}

export interface SetTask extends WriteTaskHead {
  op: 'set';
  wallets: readonly string[];
  /** For each write: schemaId, version, ttlMs, rawBytes. */
  numbers: Float64Array;
  /** The raw records one after the other; transferred. */
  bytes: Uint8Array;
  /** By index, where any write has one. */
  events?: ReadonlyArray<string | undefined>;
}

export interface DeleteTask extends WriteTaskHead {
  op: 'delete';
  wallets: readonly string[];
  versions: Float64Array;
  events?: ReadonlyArray<string | undefined>;
}

export type CallTask = TaskHead &
  (
    | { op: 'clear'; version: number; event?: string }
    | { op: 'clearFloor' }
    | { op: 'publish'; event: string }
    | { op: 'getBlob'; name: string }
    | { op: 'putBlob'; name: string; bytes: Uint8Array }
    /** By index; a time to live of 0 gives the lease back. */
    | { op: 'leases'; wallets: readonly string[]; tokens: readonly string[]; ttlsMs: readonly number[]; waited: readonly boolean[] }
    | { op: 'health' }
    /** Resolves when the store of this thread is open. */
    | { op: 'open' }
    /** Closes the store of this thread. */
    | { op: 'close' }
  );

export type Task = GetTask | SetTask | DeleteTask | CallTask;

/** What a call may answer. */
export type CallValue = undefined | boolean | number | Uint8Array | StoreHealth | (LeaseAnswer | WireError)[];

export type Reply =
  /** The chunk is filled. `spill` holds raw records that did not fit, transferred. */
  | { is: 'read'; errors?: WireError[]; spill?: Uint8Array[] }
  /** All stored, except `older` and `cleared` (pairs: index, stored version, or that of a clear) and `failed` (pairs: index, index in `errors`). */
  | { is: 'written'; older?: number[]; cleared?: number[]; failed?: number[]; errors?: WireError[] }
  | { is: 'value'; value: CallValue }
  /** Begun too late; nothing was done. */
  | { is: 'late' }
  /** Nothing was done, or no part of it is known to have been done. */
  | { is: 'failed'; error: WireError };

/** What a worker hands back. */
export interface Answer {
  reply: Reply;
  /** Buffers of the reply to move instead of copying. */
  transfer: ArrayBuffer[];
}

/** Given to every worker as its `workerData`. */
export interface WorkerData {
  l2: RedisL2Options | EmbeddedL2Options;
  channelName: string;
  connectTimeoutMs: number;
  commandTimeoutMs: number;
  compression: 'lz4' | 'none';
  maxProfileBytes: number;
  /** How long tombstones and clears are kept in L2. */
  rememberedMs: number;
  /** How long beyond its life a record is kept in L2. */
  graceMs: number;
  /** Bytes of records that one reply may carry beside the inbox; one record always may. */
  maxSpillBytes: number;
  inbox: InboxShape;
  /** URL of a module whose `createStore(workerData)` takes the place of the built-in stores. Internal. */
  storeModule?: string;
  /** Handed on to that module. */
  storeData?: unknown;
}
