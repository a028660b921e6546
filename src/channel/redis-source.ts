/**
 * Listens on the update channel of Redis. Pub/sub of a cluster reaches every node, so one connection to any node will do.
 *
 * Pub/sub forgets what it could not deliver, and a subscriber whose node hangs hears nothing, not even an error. Hence:
 * - the connection is asked PING every `PING_INTERVAL_MS`; without an answer for `SILENCE_MS` its socket is destroyed;
 * - a connection that ended is replaced by one to the next node of the list, for ever;
 * - every replacement is reported as a gap, after the new subscription stands: what was published before it may be lost.
 */
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCacheError } from '../errors.ts';
import { connectionOptions } from '../l2/redis-connection.ts';
import { isAuthError, parseAddress, replyError, safeText } from '../l2/redis-errors.ts';
import { NoAnswer, withTimeout } from '../l2/redis-topology.ts';
import type { RedisL2Options } from '../options.ts';
import type { ChannelListener, ChannelSource } from './source.ts';
import { Subscription } from './subscription.ts';

const PING_INTERVAL_MS = 250;
/** With the interval and a reconnect this keeps deafness under 1.5 s. */
const SILENCE_MS = 750;
/** Connection, login and SUBSCRIBE together; short, because the next node is waiting. */
const SUBSCRIBE_TIMEOUT_MS = 500;
const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 500;
/** The other nodes are looked up again after this time. */
const NODES_REFRESH_MS = 10_000;

export interface RedisSourceContext {
  channelName: string;
  connectTimeoutMs: number;
}

interface Address {
  host: string;
  port: number;
}

export class RedisSource implements ChannelSource {
  readonly isLossy = true;
  readonly #options: RedisL2Options;
  readonly #context: RedisSourceContext;
  #listener: ChannelListener | undefined;
  #nodes: Address[];
  #turn: number;
  #redis: Redis | undefined;
  #current: Address | undefined;
  #pingTimer: NodeJS.Timeout | undefined;
  #nodesReadMs = -Infinity;
  #closed = false;
  readonly #stop = new AbortController();

  constructor(options: RedisL2Options, context: RedisSourceContext) {
    this.#options = options;
    this.#context = context;
    this.#nodes = options.nodes.map(({ host, port }) => ({ host, port }));
    // Processes spread over the nodes.
    this.#turn = Math.floor(Math.random() * this.#nodes.length);
  }

  /** `host:port` of the node it listens at, for health and tests. */
  get node(): string | undefined {
    return this.#current && `${this.#current.host}:${this.#current.port}`;
  }

  get isListening(): boolean {
    return this.#redis !== undefined;
  }

  renew(reason: string): void {
    if (this.#redis !== undefined) this.#lost(this.#redis, reason);
  }

  /** Rejects with ERR_L2_AUTH, or with ERR_L2_CONNECT when no node took the subscription within connectTimeoutMs. */
  async start(listener: ChannelListener): Promise<void> {
    if (this.#closed) throw new ProfileCacheError('ERR_CLOSED', 'the channel source is closed; make a new one');
    this.#listener = listener;
    const deadlineMs = performance.now() + this.#context.connectTimeoutMs;
    for (let attempt = 0; ; attempt++) {
      const problem = await this.#subscribe();
      if (problem === undefined) return;
      const at = this.#options.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
      if (isAuthError(problem)) throw replyError(problem.message, at);
      if (this.#closed || performance.now() > deadlineMs) {
        throw new ProfileCacheError('ERR_L2_CONNECT', `no redis node took the subscription to ${this.#context.channelName} (${safeText(problem)}); nodes: ${at}; start a local one with: profilecache cluster up`, { option: 'l2.nodes', node: at });
      }
      await this.#pause(attempt);
    }
  }

  /** One attempt at the next node; gives back what went wrong. */
  async #subscribe(): Promise<Error | undefined> {
    const address = this.#nodes[this.#turn++ % this.#nodes.length];
    const redis = new Redis({
      ...connectionOptions(address.host, address.port, this.#options),
      lazyConnect: true,
      // A lost connection is not mended but replaced, by one to the next node.
      retryStrategy: () => null,
      connectTimeout: SUBSCRIBE_TIMEOUT_MS,
    });
    let problem: Error | undefined;
    let subscription: Subscription;
    redis.on('error', (error) => (problem ??= error));
    try {
      await withTimeout(redis.connect(), SUBSCRIBE_TIMEOUT_MS);
      await this.#readNodes(redis);
      // Its answer is the last that ioredis has to read, that of its own AUTH included.
      await withTimeout(redis.ping(), SUBSCRIBE_TIMEOUT_MS);
      const { channelName } = this.#context;
      subscription = new Subscription(redis, channelName, (text) => {
        if (redis === this.#redis) this.#listener?.onMessage(text);
      });
      await withTimeout(subscription.subscribe(channelName), SUBSCRIBE_TIMEOUT_MS);
      if (this.#closed) throw new Error('closed');
    } catch (error) {
      end(redis);
      return problem ?? (error as Error);
    }
    this.#redis = redis;
    this.#current = address;
    redis.once('end', () => this.#lost(redis, problem === undefined ? 'connection closed' : safeText(problem)));
    if (redis.status === 'end') this.#lost(redis, 'connection closed');
    else this.#watch(redis, subscription);
    return undefined;
  }

  /** Before SUBSCRIBE, while the connection still takes commands. */
  async #readNodes(redis: Redis): Promise<void> {
    if (this.#options.mode === 'standalone' || performance.now() - this.#nodesReadMs < NODES_REFRESH_MS) return;
    try {
      const reply = await withTimeout(redis.cluster('SLOTS'), SUBSCRIBE_TIMEOUT_MS);
      const found = new Map<string, Address>();
      for (const { host, port } of this.#options.nodes) found.set(`${host}:${port}`, { host, port });
      for (const range of reply as unknown as Array<[number, number, ...Array<[string, number]>]>) {
        for (const [host, port] of range.slice(2) as Array<[string, number]>) {
          const address = parseAddress(`${host}:${port}`, `${redis.options.host}:${redis.options.port}`);
          if (address) found.set(`${address.host}:${address.port}`, address);
        }
      }
      this.#nodes = [...found.values()];
      this.#nodesReadMs = performance.now();
    } catch (error) {
      if (error instanceof NoAnswer) throw error;
      // No cluster, or not allowed to ask: the given nodes have to do.
      this.#nodesReadMs = performance.now();
    }
  }

  #watch(redis: Redis, subscription: Subscription): void {
    let turnMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      // When our own thread stood still, the answers lie unread in the socket: give them this turn to come in.
      const stoodStill = nowMs - turnMs > 2 * PING_INTERVAL_MS;
      turnMs = nowMs;
      if (stoodStill) subscription.answeredMs = Math.max(subscription.answeredMs, nowMs - PING_INTERVAL_MS);
      const silentMs = nowMs - subscription.answeredMs;
      if (silentMs > SILENCE_MS) return this.#lost(redis, `${this.node} did not answer for ${Math.round(silentMs)} ms`);
      subscription.ping();
    }, PING_INTERVAL_MS);
    this.#pingTimer = timer;
  }

  #lost(redis: Redis, reason: string): void {
    if (redis !== this.#redis) return;
    this.#redis = undefined;
    this.#current = undefined;
    clearInterval(this.#pingTimer);
    end(redis);
    if (!this.#closed) void this.#resume(reason);
  }

  async #resume(reason: string): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt++) {
      const problem = await this.#subscribe();
      if (problem === undefined) {
        this.#listener?.onGap(reason);
        return;
      }
      await this.#pause(attempt);
    }
  }

  async #pause(attempt: number): Promise<void> {
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt, 10));
    await sleep(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined); // close() ends the pause.
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#stop.abort();
    clearInterval(this.#pingTimer);
    const redis = this.#redis;
    this.#redis = undefined;
    this.#current = undefined;
    if (redis) end(redis);
    return Promise.resolve();
  }
}

/** Without a goodbye: a stopped process would not answer it. */
function end(redis: Redis): void {
  redis.disconnect();
  redis.stream?.destroy();
}
