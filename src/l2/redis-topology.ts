/**
 * Which node serves which slot. Asked from the cluster (CLUSTER SLOTS) at start, every few seconds, and when an answer shows
 * that we are behind: MOVED, READONLY, a lost connection. Nodes reconnect by themselves; the seeds come back into play when
 * nothing that the cluster last named can be reached, such as after it moved to new addresses.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCacheError } from '../errors.ts';
import type { RedisL2Options } from '../options.ts';
import { isAuthError, replyError, safeText, unavailableError } from './redis-errors.ts';
import { RedisNode } from './redis-node.ts';
import { SLOT_COUNT } from './slots.ts';

const REFRESH_INTERVAL_MS = 5_000;
/** However many answers call for it, the topology is not asked for more often (redis #203: refresh storms). */
const REFRESH_SPACING_MS = 200;
const REFRESH_TIMEOUT_MS = 1_000;
/** How long `open` waits for the connections to the other nodes. */
const FIRST_CONNECT_MS = 500;
const CHECK_INTERVAL_MS = 100;
/** Every seed refused so many times: nobody is there, and waiting longer would not help a person at a terminal. */
const REFUSALS_BEFORE_GIVING_UP = 3;

export interface SlotOwners {
  master: RedisNode;
  replicas: RedisNode[];
}

export interface TopologyOptions {
  redis: RedisL2Options;
  connectTimeoutMs: number;
  commandTimeoutMs: number;
  /** A larger value is not taken in. */
  maxValueBytes: number;
}

export class RedisTopology extends EventEmitter<{ changed: [] }> {
  readonly #options: TopologyOptions;
  readonly #nodes = new Map<string, RedisNode>();
  #owners: Array<SlotOwners | undefined> = [];
  /** Of `#owners`, until those change. */
  #masters: readonly RedisNode[] | undefined;
  #standalone = false;
  #opened = false;
  #closed = false;
  #refreshing: Promise<void> | undefined;
  #lastRefreshMs = -Infinity;
  #refreshTimer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;

  constructor(options: TopologyOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
  }

  get standalone(): boolean {
    return this.#standalone;
  }

  get closed(): boolean {
    return this.#closed;
  }

  nodes(): RedisNode[] {
    return [...this.#nodes.values()];
  }

  ownersOf(slot: number): SlotOwners | undefined {
    return this.#owners[slot];
  }

  /** Masters that serve at least one slot. */
  masters(): readonly RedisNode[] {
    this.#masters ??= [...new Set(runs(this.#owners).map(({ master }) => master))];
    return this.#masters;
  }

  /** Resolves once the slots are known. Rejects with ERR_L2_AUTH, or ERR_L2_CONNECT when nothing was reached in time. */
  async open(): Promise<void> {
    const deadlineMs = performance.now() + this.#options.connectTimeoutMs;
    this.#checkTimer = setInterval(() => this.#check(), CHECK_INTERVAL_MS);
    this.#addSeeds();
    let problem: Error | undefined;
    while (!this.#closed) {
      const all = this.nodes();
      const refused = all.find((node) => isAuthError(node.lastError));
      if (refused) throw replyError(refused.lastError!.message, refused.name);
      if (all.some((node) => node.usable)) {
        try {
          await this.#refresh();
          this.#opened = true;
          // So that the first batch meets connections that are up, or known not to be.
          const leftMs = Math.max(0, deadlineMs - performance.now());
          await Promise.all(this.nodes().map((node) => node.whenSettled(Math.min(leftMs, FIRST_CONNECT_MS))));
          this.#refreshTimer = setInterval(() => this.refreshSoon(), REFRESH_INTERVAL_MS);
          return;
        } catch (error) {
          if (error instanceof ProfileCacheError && error.code !== 'ERR_L2_UNAVAILABLE') throw error;
          problem = error as Error;
        }
      }
      const nobody = all.every((node) => node.failures >= REFUSALS_BEFORE_GIVING_UP);
      if (nobody || performance.now() > deadlineMs) throw this.#connectError(problem ?? all.find((node) => node.lastError)?.lastError);
      await sleep(10);
    }
    throw new ProfileCacheError('ERR_CLOSED', 'the store was closed while it connected');
  }

  #connectError(cause: Error | undefined): ProfileCacheError {
    const nodes = this.#options.redis.nodes.map((node) => `${node.host}:${node.port}`).join(', ');
    const why = cause === undefined ? `no answer within ${this.#options.connectTimeoutMs} ms` : safeText(cause);
    return new ProfileCacheError('ERR_L2_CONNECT', `no redis node could be reached at ${nodes} (${why}); start a local one with: profilecache cluster up, or correct l2.nodes`, { option: 'l2.nodes', node: nodes });
  }

  #addSeeds(): void {
    for (const { host, port } of this.#options.redis.nodes) this.#nodeAt(host, port);
  }

  #nodeAt(host: string, port: number): RedisNode {
    const name = `${host}:${port}`;
    const known = this.#nodes.get(name);
    if (known) return known;
    const { redis, commandTimeoutMs, maxValueBytes } = this.#options;
    const node = new RedisNode(host, port, { redis, commandTimeoutMs, maxValueBytes, readOnly: redis.readMode !== 'master' && redis.mode !== 'standalone' && !this.#standalone });
    node.on('usable', () => this.emit('changed'));
    node.on('down', () => {
      this.emit('changed');
      this.refreshSoon();
    });
    this.#nodes.set(name, node);
    return node;
  }

  /** A MOVED answer is believed at once, and makes us ask for the rest. */
  moved(slot: number, host: string, port: number): void {
    if (this.#closed || this.#standalone) return;
    const master = this.#nodeAt(host, port);
    this.#masters = undefined;
    this.#owners[slot] = { master, replicas: (this.#owners[slot]?.replicas ?? []).filter((node) => node !== master) };
    this.refreshSoon();
  }

  /** The node that an ASK or CLUSTER NODES names; connects to it if it is new. */
  nodeFor(host: string, port: number): RedisNode {
    return this.#nodeAt(host, port);
  }

  refreshSoon(): void {
    if (this.#closed || this.#standalone || !this.#opened || this.#refreshing) return;
    const waitMs = Math.max(0, this.#lastRefreshMs + REFRESH_SPACING_MS - performance.now());
    this.#refreshing = sleep(waitMs, undefined, { ref: false })
      .then(() => this.#refresh())
      .catch(() => undefined) // Nobody could be asked: the check timer asks again as soon as somebody is usable.
      .finally(() => {
        this.#refreshing = undefined;
      });
  }

  async #refresh(): Promise<void> {
    this.#lastRefreshMs = performance.now();
    if (this.#closed) return;
    const { mode } = this.#options.redis;
    const usable = this.nodes().filter((node) => node.usable);
    if (mode === 'standalone') return this.#becomeStandalone(usable[0]);
    let problem: Error | undefined;
    // From a random one on: a node that is cut off has an old view, and must not be the one that is always asked.
    const start = Math.floor(Math.random() * usable.length);
    for (let i = 0; i < usable.length; i++) {
      const node = usable[(start + i) % usable.length];
      try {
        const reply = await withTimeout(node.ask('cluster', ['slots']), REFRESH_TIMEOUT_MS);
        const owners = this.#parse(reply, node);
        if (owners) return this.#apply(owners);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (isAuthError(error)) throw replyError(message, node.name);
        if (/cluster support disabled|unknown command/i.test(message)) {
          if (mode === 'auto') return this.#becomeStandalone(node);
          throw new ProfileCacheError('ERR_L2_CONNECT', `redis node ${node.name} is not part of a cluster; set l2.mode to standalone or auto`, { node: node.name, option: 'l2.mode' });
        }
        problem = error as Error;
      }
    }
    throw unavailableError(usable[0]?.name ?? 'any', problem === undefined ? 'no slots are assigned yet' : safeText(problem));
  }

  #becomeStandalone(node: RedisNode | undefined): void {
    if (!node) throw unavailableError('any', 'not connected');
    this.#standalone = true;
    const owners: SlotOwners = { master: node, replicas: [] };
    this.#masters = undefined;
    this.#owners = new Array<SlotOwners>(SLOT_COUNT).fill(owners);
    for (const other of this.nodes()) if (other !== node) this.#drop(other);
    this.emit('changed');
  }

  #parse(reply: unknown, from: RedisNode): Array<SlotOwners | undefined> | undefined {
    if (!Array.isArray(reply) || reply.length === 0) return undefined;
    const owners = new Array<SlotOwners | undefined>(SLOT_COUNT).fill(undefined);
    for (const range of reply as unknown[]) {
      if (!Array.isArray(range)) return undefined;
      const [first, last, ...members] = range as [unknown, unknown, ...unknown[]];
      const nodes = members.flatMap((member) => {
        if (!Array.isArray(member)) return [];
        const host = typeof member[0] === 'string' && member[0] !== '' && member[0] !== '?' ? member[0] : from.host;
        const port = Number(member[1]);
        return Number.isInteger(port) && port > 0 ? [this.#nodeAt(host, port)] : [];
      });
      if (nodes.length === 0) continue;
      const owner: SlotOwners = { master: nodes[0], replicas: nodes.slice(1) };
      for (let slot = Math.max(0, Number(first)); slot <= Math.min(SLOT_COUNT - 1, Number(last)); slot++) owners[slot] = owner;
    }
    return owners;
  }

  #apply(owners: Array<SlotOwners | undefined>): void {
    if (this.#closed) return;
    this.#masters = undefined;
    this.#owners = owners;
    const named = new Set<RedisNode>();
    for (const { master, replicas } of runs(owners)) for (const node of [master, ...replicas]) named.add(node);
    // A node that the cluster no longer names holds nothing for us; named again, it gets a new connection.
    for (const node of this.nodes()) if (!named.has(node)) this.#drop(node);
    this.emit('changed');
  }

  #drop(node: RedisNode): void {
    if (this.#nodes.get(node.name) === node) this.#nodes.delete(node.name);
    node.removeAllListeners('usable').removeAllListeners('down');
    node.close();
  }

  #check(): void {
    for (const node of this.#nodes.values()) node.check();
    if (!this.#opened || this.#standalone) return;
    const anyUsable = this.nodes().some((node) => node.usable);
    if (!anyUsable) this.#addSeeds();
    else if (this.masters().some((master) => !master.usable) && performance.now() - this.#lastRefreshMs > 2 * REFRESH_SPACING_MS) this.refreshSoon();
  }

  /** Until something about the nodes changes, or the time is up. */
  waitForChange(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.off('changed', done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.on('changed', done);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#checkTimer);
    clearInterval(this.#refreshTimer);
    for (const node of this.nodes()) this.#drop(node);
    this.emit('changed');
  }
}

/** The owners of each run of slots. */
function runs(owners: readonly (SlotOwners | undefined)[]): SlotOwners[] {
  const found: SlotOwners[] = [];
  let last: SlotOwners | undefined;
  for (const one of owners) {
    if (one !== undefined && one !== last) found.push(one);
    last = one;
  }
  return found;
}

/** What `withTimeout` rejects with: a time that ran out is not an answer of Redis. */
export class NoAnswer extends Error {}

export async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
