/**
 * The inbox: shared memory in which worker threads leave what they read from L2. One SharedArrayBuffer, cut in equal chunks.
 * The owner hands a chunk out with a read task; until that task has settled only its worker writes there, afterwards only the
 * owner reads there. The reply message of the task is the hand-over, so no cell needs Atomics.
 *
 *   chunk k, at k * chunkBytes
 *   0        16         16 + 40                16 + 40 * n                       chunkBytes
 *   +--------+----------+---- ... -+-----------+------------------- ... --------+
 *   | header | entry 0  |          | entry n-1 | payloads              (unused) |
 *   +--------+----------+---- ... -+-----------+------------------- ... --------+
 *
 *   header   0 u32 stamp (number of the task, written last)   4 u32 n   8 u32 first free byte of the chunk   12 -
 *   entry    0 u32 status   4 u32 schemaId   8 f64 version   16 f64 createdAtMs   24 f64 deadline (monotonic ms)
 *            32 u32 where   36 u32 rawBytes
 *
 *   `where`  HIT: image of the record (l1/record-image.ts), from the start of the chunk.  SPILLED: index in the reply's `spill`.  FAILED: index in its `errors`.
 *   `version` of MISS_FLOOR is that of the tombstone.
 */
import { RECORD, recordBytes } from '../l1/layout.ts';
import { ImageWriter, imageKeyBytes, type ImageParts } from '../l1/record-image.ts';

export const HEADER_BYTES = 16;
export const ENTRY_BYTES = 40;

const HEADER = { stamp: 0, entries: 4, end: 8 } as const;
const ENTRY = { status: 0, schemaId: 4, version: 8, createdAtMs: 16, deadlineMs: 24, where: 32, rawBytes: 36 } as const;

if (ENTRY.rawBytes + 4 !== ENTRY_BYTES || ENTRY_BYTES % 8 !== 0 || HEADER_BYTES % 8 !== 0 || HEADER.end + 4 > HEADER_BYTES) {
  throw new Error('inbox layout: offsets and sizes disagree');
}

export const STATUS = {
  hit: 1,
  miss: 2,
  /** Deleted: `version` is the tombstone's. */
  missFloor: 3,
  /** Damaged or foreign bytes: a miss that is counted. */
  corrupt: 4,
  failed: 5,
  /** A hit that did not fit into the chunk: its bytes came with the reply. */
  spilled: 6,
  /** Fetched, but neither chunk nor spill had room: ask for it again in a smaller task. */
  again: 7,
} as const;
export type Status = (typeof STATUS)[keyof typeof STATUS];

/** What a thread needs to see the same inbox; structured-cloneable. */
export interface InboxShape {
  buffer: SharedArrayBuffer;
  chunkBytes: number;
  chunks: number;
  /** Of the region that the records are for; without them the hashes in the images mean nothing. */
  hashKeys?: HashKeys;
}

export type HashKeys = readonly [number, number];

const NO_KEYS: HashKeys = [0, 0];

export interface InboxRecord extends ImageParts {
  schemaId: number;
}

export function makeInbox(chunks: number, chunkBytes: number, hashKeys?: HashKeys): InboxShape {
  if (chunkBytes % 8 !== 0 || chunkBytes < HEADER_BYTES + ENTRY_BYTES) throw new RangeError(`chunkBytes ${chunkBytes} holds no entry, or is no multiple of 8`);
  return { buffer: new SharedArrayBuffer(chunks * chunkBytes), chunkBytes, chunks, hashKeys };
}

/** Most wallets that one task may ask for, when half of the chunk is to be left for payloads. */
export const maxEntries = (chunkBytes: number): number => Math.max(1, Math.floor((chunkBytes / 2 - HEADER_BYTES) / ENTRY_BYTES));

/** One thread's typed arrays over the inbox, made once. */
export class InboxView {
  readonly shape: InboxShape;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly images: ImageWriter;

  constructor(shape: InboxShape) {
    this.shape = shape;
    this.u8 = new Uint8Array(shape.buffer);
    this.u32 = new Uint32Array(shape.buffer);
    this.f64 = new Float64Array(shape.buffer);
    this.images = new ImageWriter(...(shape.hashKeys ?? NO_KEYS));
  }
}

/** Worker side: fills one chunk. Every entry must be given a status exactly once before `finish`. */
export class ChunkWriter {
  readonly #view: InboxView;
  readonly #base: number;
  readonly #entries: number;
  #end: number;

  constructor(view: InboxView, chunk: number, entries: number) {
    const { chunkBytes, chunks } = view.shape;
    this.#view = view;
    this.#base = chunk * chunkBytes;
    this.#entries = entries;
    this.#end = HEADER_BYTES + entries * ENTRY_BYTES;
    if (!(chunk >= 0 && chunk < chunks)) throw new RangeError(`chunk ${chunk} of ${chunks}`);
    if (this.#end > chunkBytes) throw new RangeError(`${entries} entries do not fit into a chunk of ${chunkBytes} bytes`);
    // Whatever a former task left here must not pass for an answer.
    view.u32[(this.#base + HEADER.stamp) >> 2] = 0;
    for (let i = 0; i < entries; i++) view.u32[(this.#at(i) + ENTRY.status) >> 2] = 0;
  }

  #at(i: number): number {
    return this.#base + HEADER_BYTES + i * ENTRY_BYTES;
  }

  /** False when the record does not fit; the entry is then still without a status. */
  hit(i: number, record: InboxRecord): boolean {
    const { u8, shape, images } = this.#view;
    const start = this.#end;
    const end = start + recordBytes(record.keyBytes, record.rawBytes);
    if (end > shape.chunkBytes) return false;
    images.write(u8, this.#base + start, record);
    this.#end = (end + 7) & ~7;
    this.#fill(i, STATUS.hit, record, start);
    return true;
  }

  spilled(i: number, record: InboxRecord, spillIndex: number): void {
    this.#fill(i, STATUS.spilled, record, spillIndex);
  }

  #fill(i: number, status: Status, record: InboxRecord, where: number): void {
    const { u32, f64 } = this.#view;
    const at = this.#at(i);
    u32[(at + ENTRY.schemaId) >> 2] = record.schemaId;
    f64[(at + ENTRY.version) >> 3] = record.version;
    f64[(at + ENTRY.createdAtMs) >> 3] = record.createdAtMs;
    f64[(at + ENTRY.deadlineMs) >> 3] = record.deadlineMs;
    u32[(at + ENTRY.where) >> 2] = where;
    u32[(at + ENTRY.rawBytes) >> 2] = record.rawBytes;
    u32[(at + ENTRY.status) >> 2] = status;
  }

  miss(i: number, floor?: number): void {
    const at = this.#at(i);
    if (floor !== undefined) this.#view.f64[(at + ENTRY.version) >> 3] = floor;
    this.#view.u32[(at + ENTRY.status) >> 2] = floor === undefined ? STATUS.miss : STATUS.missFloor;
  }

  failed(i: number, errorIndex: number): void {
    const at = this.#at(i);
    this.#view.u32[(at + ENTRY.where) >> 2] = errorIndex;
    this.#view.u32[(at + ENTRY.status) >> 2] = STATUS.failed;
  }

  corrupt(i: number): void {
    this.#view.u32[(this.#at(i) + ENTRY.status) >> 2] = STATUS.corrupt;
  }

  again(i: number): void {
    this.#view.u32[(this.#at(i) + ENTRY.status) >> 2] = STATUS.again;
  }

  /** The stamp goes in last: without it the chunk is no answer. */
  finish(stamp: number): void {
    const { u32 } = this.#view;
    u32[(this.#base + HEADER.entries) >> 2] = this.#entries;
    u32[(this.#base + HEADER.end) >> 2] = this.#end;
    u32[(this.#base + HEADER.stamp) >> 2] = stamp;
  }
}

/** Owner side: reads one chunk whose task has settled. */
export class ChunkReader {
  readonly #view: InboxView;
  readonly #base: number;

  constructor(view: InboxView, chunk: number) {
    this.#view = view;
    this.#base = chunk * view.shape.chunkBytes;
  }

  /** The other half of `finish`: is this the answer to that task, of that many wallets? */
  answers(stamp: number, entries: number): boolean {
    const { u32, shape } = this.#view;
    const end = u32[(this.#base + HEADER.end) >> 2];
    return u32[(this.#base + HEADER.stamp) >> 2] === stamp && u32[(this.#base + HEADER.entries) >> 2] === entries && end <= shape.chunkBytes;
  }

  #at(i: number): number {
    return this.#base + HEADER_BYTES + i * ENTRY_BYTES;
  }

  status(i: number): number {
    return this.#view.u32[(this.#at(i) + ENTRY.status) >> 2];
  }
  schemaId(i: number): number {
    return this.#view.u32[(this.#at(i) + ENTRY.schemaId) >> 2];
  }
  version(i: number): number {
    return this.#view.f64[(this.#at(i) + ENTRY.version) >> 3];
  }
  createdAtMs(i: number): number {
    return this.#view.f64[(this.#at(i) + ENTRY.createdAtMs) >> 3];
  }
  deadlineMs(i: number): number {
    return this.#view.f64[(this.#at(i) + ENTRY.deadlineMs) >> 3];
  }
  where(i: number): number {
    return this.#view.u32[(this.#at(i) + ENTRY.where) >> 2];
  }
  /** Of a hit: where its image begins, in words of the inbox. */
  imageAt(i: number): number {
    return (this.#base + this.#view.u32[(this.#at(i) + ENTRY.where) >> 2]) >> 2;
  }
  rawBytes(i: number): number {
    return this.#view.u32[(this.#at(i) + ENTRY.rawBytes) >> 2];
  }
  /** Payload of a hit, as a view of shared memory. */
  raw(i: number): Uint8Array {
    const at = this.imageAt(i);
    const keyBytes = imageKeyBytes({ words: this.#view.u32, at });
    return new Uint8Array(this.#view.shape.buffer, at * 4 + RECORD.headerBytes + keyBytes, this.rawBytes(i));
  }
}

/** Owner side: which chunks are handed out. */
export class ChunkLedger {
  readonly #free: number[];
  readonly #out = new Set<number>();

  constructor(chunks: number) {
    this.#free = Array.from({ length: chunks }, (_, i) => chunks - 1 - i);
  }

  get free(): number {
    return this.#free.length;
  }
  get out(): number {
    return this.#out.size;
  }

  /** The chunk used last comes first: its pages are warm. */
  lease(): number | undefined {
    const chunk = this.#free.pop();
    if (chunk !== undefined) this.#out.add(chunk);
    return chunk;
  }

  giveBack(chunk: number): void {
    if (!this.#out.delete(chunk)) throw new Error(`chunk ${chunk} was given back twice`);
    this.#free.push(chunk);
  }
}
