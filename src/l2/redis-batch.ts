/**
 * Sends the keys of one batch to the nodes that own them, follows redirects, and settles every key by itself: one dead node
 * costs its own keys. Keys of one slot travel in one command; all commands of all nodes leave in the same tick.
 *
 * A command is sent again only when the answer proves that it took no effect (MOVED, ASK, TRYAGAIN, NOSCRIPT, LOADING, …) or
 * when it is a read. A write whose connection was lost is neither repeated nor reported before the deadline that it carries is
 * past. At the deadline whatever is not settled is settled as failed, and late answers are ignored.
 */
import { ProfileCacheError } from '../errors.ts';
import type { Arg, RedisNode } from './redis-node.ts';
import { timeoutError, unavailableError, verdictOf } from './redis-errors.ts';
import type { RedisTopology } from './redis-topology.ts';
import type { ValuesSink } from './resp-reader.ts';

/** Redirects and waits that one key may go through. */
const MAX_ATTEMPTS = 16;
const FIRST_PAUSE_MS = 5;
const MAX_PAUSE_MS = 50;

/** A command whose reply is taken whole. */
export interface CommandPlan {
  /** The command for these keys on this node; undefined when there is no time left to take effect. */
  command(indices: readonly number[], node: RedisNode, remainingMs: number, wholeScript: boolean): { name: string; args: Arg[] } | undefined;
  /** Settles the keys from the reply; gives back those that may be sent again. */
  take(indices: readonly number[], reply: unknown, node: RedisNode): { again: number[]; pause: boolean } | undefined;
}

/** A read: each value is taken, and its key settled, as it comes out of the socket. */
export interface ValuesPlan {
  /** The MGET of these keys, encoded. */
  mget(indices: readonly number[]): { text: string; ascii: boolean };
  /** As in ValuesSink, with the index of the key. Must not throw. */
  value(index: number, bytes: Buffer, start: number, end: number): void;
  nil(index: number): void;
  tooLarge(index: number, valueBytes: number): void;
}

export interface BatchPlan {
  count: number;
  slotOf(index: number): number;
  /** Keys of one command at the most, and bytes (as `bytesOf` counts them). */
  maxKeys: number;
  maxBytes: number;
  bytesOf?(index: number): number;
  /** Where the keys of a slot go now; undefined where nobody serves it. */
  pick(slot: number): RedisNode | undefined;
  how: CommandPlan | ValuesPlan;
  fail(index: number, error: ProfileCacheError): void;
  /** Whether a command may be repeated although it may have taken effect. */
  idempotent: boolean;
}

export class BatchRun {
  readonly #topology: RedisTopology;
  readonly #plan: BatchPlan;
  readonly #timeoutMs: number;
  readonly #endMs: number;
  readonly #settled: Uint8Array;
  /** Keys whose fate is known and not yet told. */
  readonly #doomed = new Map<number, ProfileCacheError>();
  #open: number;
  #timer: NodeJS.Timeout | undefined;
  #finish: () => void = () => undefined;

  constructor(topology: RedisTopology, plan: BatchPlan, timeoutMs: number) {
    this.#topology = topology;
    this.#plan = plan;
    this.#timeoutMs = timeoutMs;
    this.#endMs = performance.now() + timeoutMs;
    this.#settled = new Uint8Array(plan.count);
    this.#open = plan.count;
  }

  run(): Promise<void> {
    if (this.#plan.count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#finish = resolve;
      // A thread that was blocked past the deadline runs its timers before it reads its sockets: the answers may lie there.
      this.#timer = setTimeout(() => setImmediate(() => this.#failRest()), this.#timeoutMs);
      this.#dispatch(Array.from({ length: this.#plan.count }, (_, i) => i), 0);
    });
  }

  #failRest(): void {
    if (this.#open === 0) return;
    // One error for all: making thousands of stacks would cost more than the reads.
    const error = timeoutError(this.#timeoutMs);
    for (const index of this.#settled.keys()) if (!this.#settled[index]) this.#fail([index], this.#doomed.get(index) ?? error);
  }

  #doom(indices: readonly number[], error: ProfileCacheError): void {
    for (const index of indices) this.#doomed.set(index, error);
  }

  #settle(indices: readonly number[]): void {
    for (const index of indices) {
      if (this.#settled[index]) continue;
      this.#settled[index] = 1;
      this.#open--;
    }
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (this.#open > 0) return;
    clearTimeout(this.#timer);
    this.#finish();
  }

  #fail(indices: readonly number[], error: ProfileCacheError): void {
    for (const index of indices) if (!this.#settled[index]) this.#plan.fail(index, error);
    this.#settle(indices);
  }

  #dispatch(indices: readonly number[], attempt: number, single = false): void {
    for (const [slot, group] of this.#bySlot(indices)) this.#dispatchGroup(slot, group, attempt, single);
  }

  /** What is still open of them. A function of its own, for it alone gets hot: with the sending in it the compiler takes five times as long. */
  #bySlot(indices: readonly number[]): Map<number, number[]> {
    const bySlot = new Map<number, number[]>();
    for (const index of indices) {
      if (this.#settled[index]) continue;
      const slot = this.#topology.standalone ? 0 : this.#plan.slotOf(index);
      const group = bySlot.get(slot);
      if (group) group.push(index);
      else bySlot.set(slot, [index]);
    }
    return bySlot;
  }

  #dispatchGroup(slot: number, group: number[], attempt: number, single: boolean): void {
    const node = this.#plan.pick(slot);
    if (!node) this.#fail(group, this.#nobody(slot));
    else if (!node.usable && node.starting) this.#later(group, attempt + 1, FIRST_PAUSE_MS);
    else if (!node.usable) this.#fail(group, unavailableError(node.name, node.lastError?.message || 'not connected'));
    else if (group.length === 1) this.#send(group, node, attempt, false, false);
    else for (const chunk of this.#chunks(group, single)) this.#send(chunk, node, attempt, false, false);
  }

  #nobody(slot: number): ProfileCacheError {
    if (this.#topology.closed) return new ProfileCacheError('ERR_CLOSED', 'the store is closed; open a new one');
    this.#topology.refreshSoon();
    return new ProfileCacheError('ERR_L2_UNAVAILABLE', `no redis node serves hash slot ${slot} now; health() shows which part of the cluster is away`);
  }

  *#chunks(group: number[], single: boolean): Generator<number[]> {
    const { maxKeys, maxBytes, bytesOf } = this.#plan;
    if (single) {
      for (const index of group) yield [index];
      return;
    }
    if (group.length <= maxKeys && !bytesOf) return yield group;
    let chunk: number[] = [];
    let bytes = 0;
    for (const index of group) {
      const size = bytesOf?.(index) ?? 0;
      if (chunk.length > 0 && (chunk.length >= maxKeys || bytes + size > maxBytes)) {
        yield chunk;
        chunk = [];
        bytes = 0;
      }
      chunk.push(index);
      bytes += size;
    }
    if (chunk.length > 0) yield chunk;
  }

  #send(indices: readonly number[], node: RedisNode, attempt: number, asking: boolean, wholeScript: boolean): void {
    const { how } = this.#plan;
    const command = 'mget' in how ? undefined : how.command(indices, node, this.#endMs - performance.now(), wholeScript);
    if (!command && !('mget' in how)) return this.#fail(indices, timeoutError(this.#timeoutMs, node.name));
    // ASKING holds for the next command of the connection, and nothing comes between two writes of one tick.
    if (asking) node.send('asking', []).catch(() => undefined); // The command behind it tells the same.
    const onError = (error: unknown) => this.#answerError(error, indices, node, attempt, asking, wholeScript);
    if ('mget' in how) {
      const { text, ascii } = how.mget(indices);
      node.readValues(text, ascii, this.#valuesSink(how, indices, node, onError));
    } else node.dispatch(command!.name, command!.args, (reply) => this.#takeReply(how, indices, reply, node, attempt), onError);
  }

  #takeReply(how: CommandPlan, indices: readonly number[], reply: unknown, node: RedisNode, attempt: number): void {
    // Late: the caller has its outcomes, and they stay as they are.
    if (this.#open === 0) return;
    let rest: ReturnType<CommandPlan['take']>;
    try {
      rest = how.take(indices, reply, node);
    } catch (cause) {
      // A reply of a shape that Redis does not send: a proxy, or another server altogether.
      return this.#fail(indices, ProfileCacheError.from(cause, 'ERR_L2_CORRUPT', { node: node.name }));
    }
    if (!rest) return this.#settle(indices);
    const again = new Set(rest.again);
    this.#settle(indices.filter((index) => !again.has(index)));
    this.#later(rest.again, attempt + 1, rest.pause ? pauseMs(attempt) : 0);
  }

  #valuesSink(how: ValuesPlan, indices: readonly number[], node: RedisNode, error: (error: unknown) => void): ValuesSink {
    // False for what comes late: the caller has its outcomes, and they stay as they are.
    const settles = (k: number): boolean => {
      const index = indices[k];
      if (k >= indices.length || this.#settled[index]) return false;
      this.#settled[index] = 1;
      this.#open--;
      return true;
    };
    return {
      value: (k, bytes, start, end) => void (settles(k) && how.value(indices[k], bytes, start, end)),
      nil: (k) => void (settles(k) && how.nil(indices[k])),
      tooLarge: (k, valueBytes) => void (settles(k) && how.tooLarge(indices[k], valueBytes)),
      done: () => {
        const unanswered = indices.filter((index) => !this.#settled[index]);
        if (unanswered.length > 0) this.#fail(unanswered, new ProfileCacheError('ERR_L2_CORRUPT', `redis node ${node.name} answered with too few values`, { node: node.name }));
        else this.#finishIfDone();
      },
      error,
    };
  }

  #answerError(error: unknown, of: readonly number[], node: RedisNode, attempt: number, asking: boolean, wholeScript: boolean): void {
    if (this.#open === 0) return;
    // A connection that broke in the middle of a reply: what was handed over is settled.
    const indices = 'mget' in this.#plan.how ? of.filter((index) => !this.#settled[index]) : of;
    if (indices.length === 0) return this.#finishIfDone();
    const verdict = verdictOf(error, node.name);
    switch (verdict.kind) {
      case 'moved':
        this.#topology.moved(verdict.slot, verdict.host, verdict.port);
        return this.#later(indices, attempt + 1, attempt < 2 ? 0 : pauseMs(attempt));
      case 'ask': {
        if (indices.length > 1) return this.#single(indices, attempt + 1);
        const target = this.#topology.nodeFor(verdict.host, verdict.port);
        if (attempt >= MAX_ATTEMPTS || !target.usable) return this.#later(indices, attempt + 1, FIRST_PAUSE_MS);
        return this.#send(indices, target, attempt + 1, true, wholeScript);
      }
      case 'split':
        if (indices.length > 1) return this.#single(indices, attempt + 1);
        return this.#later(indices, attempt + 1, pauseMs(attempt));
      case 'noscript':
        if (wholeScript || !node.usable) return this.#later(indices, attempt + 1, pauseMs(attempt));
        return this.#send(indices, node, attempt + 1, asking, true);
      case 'later':
        this.#topology.refreshSoon();
        return this.#later(indices, attempt + 1, pauseMs(attempt));
      case 'lost':
        this.#topology.refreshSoon();
        if (this.#plan.idempotent && attempt < 3) return this.#later(indices, attempt + 1, pauseMs(attempt));
        // The node may carry it out as long as its deadline is not past, and a write that is reported as failed must not
        // take effect later: the report waits for the deadline.
        if (!this.#plan.idempotent) return this.#doom(indices, unavailableError(node.name, node.lastError?.message || 'connection lost'));
        return this.#fail(indices, unavailableError(node.name, node.lastError?.message || 'connection lost'));
      case 'fatal':
        if (verdict.error.message.includes('CLUSTERDOWN')) this.#topology.refreshSoon();
        return this.#fail(indices, verdict.error);
    }
  }

  #single(indices: readonly number[], attempt: number): void {
    if (attempt > MAX_ATTEMPTS) return this.#giveUp(indices);
    this.#dispatch(indices, attempt, true);
  }

  #later(indices: readonly number[], attempt: number, delayMs: number): void {
    if (indices.length === 0) return;
    if (attempt > MAX_ATTEMPTS) return this.#giveUp(indices);
    if (delayMs === 0) return this.#dispatch(indices, attempt);
    // A change of the nodes (a connection came up, a new master is known) may be what it waits for.
    void this.#topology.waitForChange(delayMs).then(() => this.#dispatch(indices, attempt));
  }

  #giveUp(indices: readonly number[]): void {
    this.#fail(indices, new ProfileCacheError('ERR_L2_UNAVAILABLE', `redis sent the command on ${MAX_ATTEMPTS} times; the cluster is changing, try again`));
  }
}

const pauseMs = (attempt: number): number => Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
