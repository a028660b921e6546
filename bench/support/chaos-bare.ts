/**
 * What a bare ioredis Cluster sees of the same fault, at the same time and on the same machine: loops that SET, and loops that GET. A row that
 * ought to be invisible is compared with it, so that neither Redis' own pauses nor a busy machine are taken for a fault of ours.
 */
import { Cluster } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHAOS_PASSWORD } from './chaos-cluster.ts';

const READERS = 6;
const WRITERS = 6;
const KEYS = 48;
const PAUSE_MS = 6;
const STOP_DEADLINE_MS = 2_000;

interface BareFigures {
  operations: number;
  failed: number;
  longestMs: number;
  /** Operations that took longer than the deadline ours have. */
  late: number;
}

export class BareClient {
  readonly reads: BareFigures = { operations: 0, failed: 0, longestMs: 0, late: 0 };
  readonly writes: BareFigures = { operations: 0, failed: 0, longestMs: 0, late: 0 };
  readonly #cluster: Cluster;
  readonly #lateMs: number;
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(nodes: readonly { host: string; port: number }[], keyPrefix: string, lateMs: number) {
    this.#lateMs = lateMs;
    // Its defaults but for the password: what one gets who does nothing about faults.
    this.#cluster = new Cluster([...nodes], { redisOptions: { password: CHAOS_PASSWORD } });
    this.#cluster.on('error', () => undefined); // The command that fails says the same.
    const keyOf = (i: number) => `${keyPrefix}bare${i % KEYS}`;
    this.#loops = [
      ...Array.from({ length: WRITERS }, (_, i) => this.#loop(this.writes, (turn) => this.#cluster.set(keyOf(turn * WRITERS + i), turn, 'PX', 60_000))),
      ...Array.from({ length: READERS }, (_, i) => this.#loop(this.reads, (turn) => this.#cluster.get(keyOf(turn * READERS + i)))),
    ];
  }

  async #loop(figures: BareFigures, operation: (turn: number) => Promise<unknown>): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const startMs = performance.now();
      await operation(turn).catch(() => figures.failed++);
      const tookMs = performance.now() - startMs;
      figures.operations++;
      if (tookMs > this.#lateMs) figures.late++;
      figures.longestMs = Math.max(figures.longestMs, tookMs);
      await sleep(PAUSE_MS);
    }
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const ended = Promise.all(this.#loops);
    await Promise.race([ended, sleep(STOP_DEADLINE_MS)]);
    // What has not been answered by now fails with its connection.
    this.#cluster.disconnect();
    await ended;
  }

  get text(): string {
    const of = ({ operations, failed, late, longestMs }: BareFigures) => `${operations.toLocaleString('en')}, ${failed} failed, ${late} later than ${this.#lateMs} ms, longest ${Math.round(longestMs)} ms`;
    return `a bare ioredis Cluster beside it: reads ${of(this.reads)}; writes ${of(this.writes)}`;
  }
}
