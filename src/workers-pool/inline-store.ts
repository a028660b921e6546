/**
 * The short way to L2 for a few wallets: a connection of the owner thread's own. Waking a worker and being woken by it costs a lone
 * read or write more than that itself; packing and unpacking a few records here costs less. Opened behind the first small one, which goes
 * through a worker as all do while this one is not open, or has failed. Deadlines, redirects and checks are those of the store: it is the same code.
 *
 * Which way it goes is measured: the mean time of either way, of reads and of writes on their own; the slower one is tried now and then.
 */
import { EnvelopeReader } from '../codec/envelope-reader.ts';
import { CompressionGauge, packRecord } from '../codec/transcode.ts';
import type { Clock } from '../clock.ts';
import type { ProfileCacheError } from '../errors.ts';
import type { L2Store } from '../l2/store.ts';
import type { FetchResult, FetchedRecord } from './fetch.ts';
import type { StoreWrite, WriteOutcome } from './store-writes.ts';

/** More are a worker's: this thread has better things to do than to unpack. */
export const MAX_INLINE_WALLETS = 4;
/** And so are more bytes than these, to be written: there LZ4 may pay. */
const MAX_INLINE_BYTES = 4 * 1024;
/** At once, reads and writes; more mean that this thread is busy. */
const MAX_UNDER_WAY = 4;
const TRY_OTHER_WAY_EVERY = 64;
/** At first the ways take turns, until each has been timed so often; the first few of these, by code that nobody has compiled yet, say nothing. */
const FIRST_LOOKS = 16;
const COLD_LOOKS = 8;
const MEAN_MEMORY = 16;
/** After a failure the workers answer for so long. */
const PAUSE_AFTER_FAILURE_MS = 1_000;

export type Way = 'inline' | 'worker';
export type Verb = 'read' | 'write';

export interface InlineStoreParts {
  make(): Promise<L2Store>;
  clock: Clock;
  maxProfileBytes: number;
  compression: 'lz4' | 'none';
  graceMs: number;
}

export class InlineStore {
  readonly #parts: InlineStoreParts;
  readonly #reader: EnvelopeReader;
  readonly #gauge = new CompressionGauge();
  readonly #meanMs: Record<Verb, Record<Way, number>> = { read: { inline: 0, worker: 0 }, write: { inline: 0, worker: 0 } };
  /** How often it was timed. */
  readonly #looks: Record<Verb, Record<Way, number>> = { read: { inline: 0, worker: 0 }, write: { inline: 0, worker: 0 } };
  readonly #times: Record<Verb, number> = { read: 0, write: 0 };
  #store: L2Store | undefined;
  #opening: Promise<void> | undefined;
  /** While it opens. */
  #candidate: L2Store | undefined;
  #closed = false;
  #underWay = 0;
  #notBeforeMs = 0;

  constructor(parts: InlineStoreParts) {
    this.#parts = parts;
    this.#reader = new EnvelopeReader(parts.maxProfileBytes);
  }

  /** Which way the next one of so many wallets goes. */
  choose(verb: Verb, wallets: number, bytes = 0): Way {
    if (wallets > MAX_INLINE_WALLETS || bytes > MAX_INLINE_BYTES || this.#closed) return 'worker';
    if (this.#store === undefined) {
      if (this.#parts.clock.monotonicMs() >= this.#notBeforeMs) this.#opening ??= this.#open();
      return 'worker';
    }
    if (this.#underWay >= MAX_UNDER_WAY || this.#parts.clock.monotonicMs() < this.#notBeforeMs) return 'worker';
    const looks = this.#looks[verb];
    if (looks.inline < FIRST_LOOKS || looks.worker < FIRST_LOOKS) return looks.inline <= looks.worker ? 'inline' : 'worker';
    const meanMs = this.#meanMs[verb];
    const better: Way = meanMs.inline <= meanMs.worker ? 'inline' : 'worker';
    if (++this.#times[verb] % TRY_OTHER_WAY_EVERY !== 0) return better;
    return better === 'inline' ? 'worker' : 'inline';
  }

  /** One of a single wallet took so long. */
  took(verb: Verb, way: Way, ms: number): void {
    if (++this.#looks[verb][way] <= COLD_LOOKS) return;
    const mean = this.#meanMs[verb][way];
    this.#meanMs[verb][way] = mean === 0 ? ms : mean + (ms - mean) / MEAN_MEMORY;
  }

  async #open(): Promise<void> {
    let store: L2Store | undefined;
    try {
      store = this.#candidate = await this.#parts.make();
      await store.open();
      if (this.#closed) await store.close();
      else this.#store = store;
    } catch {
      // Whether L2 is away is for the workers to tell; this way is only shorter.
      this.#notBeforeMs = this.#parts.clock.monotonicMs() + PAUSE_AFTER_FAILURE_MS;
      await store?.close().catch(() => undefined); // It has told what is wrong when it failed to open.
    } finally {
      this.#opening = this.#candidate = undefined;
    }
  }

  /** As `L2Client.fetchMany`: the store keeps the deadline (monotonic), and what comes after it is not visited. */
  async read(wallets: readonly string[], visit: (record: FetchedRecord) => void, graceMs: number, deadlineMs: number): Promise<FetchResult> {
    const result: FetchResult = { found: 0, missing: [], floors: new Map(), failed: new Map(), corrupt: [] };
    const store = this.#store as L2Store;
    let problem: { error: unknown } | undefined;
    const toMonotonicMs = this.#parts.clock.monotonicMs() - store.nowMs();
    const damaged = (i: number) => void (result.corrupt.push(wallets[i]), result.missing.push(wallets[i]));
    this.#underWay++;
    try {
      await store.readMany!(wallets, {
        found: (i, bytes, start, end) => {
          const record = this.#unpack(wallets[i], bytes, start, end, toMonotonicMs);
          if (record === undefined) return damaged(i);
          if (record.raw.length === 0 || record.ttlMs <= -graceMs) {
            // Nobody may serve it, yet nothing older than it may be believed either.
            result.missing.push(record.wallet);
            result.floors.set(record.wallet, record.version);
            return;
          }
          if (record.ttlMs <= 0) result.missing.push(record.wallet);
          else result.found++;
          try {
            if (problem === undefined) visit(record);
          } catch (error) {
            problem = { error };
          }
        },
        missing: (i) => void result.missing.push(wallets[i]),
        tooLarge: damaged,
        failed: (i, error: ProfileCacheError) => void result.failed.set(wallets[i], error),
      }, deadlineMs);
    } finally {
      this.#underWay--;
    }
    if (problem !== undefined) throw problem.error;
    if (result.failed.size > 0) this.#notBeforeMs = this.#parts.clock.monotonicMs() + PAUSE_AFTER_FAILURE_MS;
    return result;
  }

  /** As `L2Client.setMany`. */
  async write(writes: readonly StoreWrite[], deadlineMs: number, knows: number | undefined): Promise<WriteOutcome[]> {
    const store = this.#store as L2Store;
    const { compression, graceMs } = this.#parts;
    const createdAtMs = store.nowMs();
    const requests = writes.map(({ wallet, raw, schemaId, version, ttlMs, event }) => {
      const envelope = packRecord({ wallet, raw, schemaId, version, createdAtMs, expiresAtMs: createdAtMs + ttlMs }, compression, this.#gauge);
      return { wallet, envelope, version, ttlMs: ttlMs + graceMs, event };
    });
    this.#underWay++;
    try {
      const outcomes = await store.setMany(requests, deadlineMs, knows);
      if (outcomes.some(({ status }) => status === 'failed')) this.#notBeforeMs = this.#parts.clock.monotonicMs() + PAUSE_AFTER_FAILURE_MS;
      return outcomes;
    } finally {
      this.#underWay--;
    }
  }

  /** A tombstone has no bytes. */
  #unpack(wallet: string, bytes: Uint8Array, start: number, end: number, toMonotonicMs: number): FetchedRecord | undefined {
    const reader = this.#reader;
    if (!reader.open(bytes, start, end, wallet)) return undefined;
    const { schemaId, version, createdAtMs, expiresAtMs, tombstone } = reader;
    const raw = reader.raw.subarray(reader.rawStart, reader.rawStart + (tombstone ? 0 : reader.rawBytes));
    const ttlMs = expiresAtMs === 0 ? Infinity : expiresAtMs + toMonotonicMs - this.#parts.clock.monotonicMs();
    return { wallet, raw, schemaId, version, createdAtMs, ttlMs };
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Ends the attempt as well: an L2 that does not answer must not hold up the end.
    await this.#candidate?.close();
    await this.#opening;
    await this.#store?.close();
    this.#store = undefined;
  }
}
