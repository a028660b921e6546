/**
 * One node and our connection to it. ioredis connects, does TLS and the login, and reconnects, for ever; from its `ready` on the
 * stream is ours: commands are written as they are, and replies go from the socket's chunk to who waits for them, without an
 * object, a Buffer and a promise for each key. A command is either on the wire once or reported as failed:
 * no offline queue (it outlives a timeout), no re-sending after a reconnect, no retry per request.
 *
 * A connection counts as usable once the node has answered TIME on it: that tells a listening socket from a living process,
 * and gives the offset of its clock, which the deadlines inside scripts need.
 *
 * Writes have a connection of their own, opened behind the first of them: a node that hands its slots over, or is told CLIENT PAUSE WRITE,
 * holds writes back, and with them whatever lies behind them on their connection. Reads then need not wait.
 */
import { Redis } from 'ioredis';
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { systemClock } from '../clock.ts';
import type { RedisL2Options } from '../options.ts';
import { connectionOptions } from './redis-connection.ts';
import { safeText } from './redis-errors.ts';
import { encodeCommand } from './resp-command.ts';
import type { Arg } from './resp-command.ts';
import { RespReader } from './resp-reader.ts';
import type { Sink, ValuesSink } from './resp-reader.ts';
import { ServerClock } from './server-clock.ts';

const RECONNECT_MIN_MS = 30;
const RECONNECT_MAX_MS = 1_000;
/** From the TCP connection to the first answer. */
const HANDSHAKE_MS = 1_000;
/** A clock sample serves this long; asking again is the liveness check of an idle connection as well. */
const CLOCK_REFRESH_MS = 5_000;

/** Refusals after which writes go the way of the reads again: a node may let us have one connection and no more. */
const LANE_REFUSALS = 3;

export type { Arg } from './resp-command.ts';

export interface NodeConnectOptions {
  redis: RedisL2Options;
  commandTimeoutMs: number;
  /** Send READONLY, so that a replica answers reads. */
  readOnly: boolean;
  /** A larger value is not taken in. */
  maxValueBytes: number;
}

export interface NodeEvents {
  usable: [];
  down: [];
  /** No longer `starting`. */
  settled: [];
}

export class RedisNode extends EventEmitter<NodeEvents> {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  /** Last thing that went wrong with the connection, kept until it is usable again; text alone, fit for people. */
  lastError: Error | undefined;
  /** Connections that were refused or lost since the last usable one. */
  failures = 0;
  readonly #options: NodeConnectOptions;
  readonly #redis: Redis;
  readonly #hungMs: number;
  #writeLane: RedisNode | undefined;
  #usable = false;
  #wasUsable = false;
  #closed = false;
  #epoch = 0;
  /** From `ready` to `close`. */
  #stream: Duplex | undefined;
  #reader: RespReader | undefined;
  readonly #maxValueBytes: number;
  /** What the node's own clock shows; each sample is a round trip. */
  readonly clock = new ServerClock(() => new Promise((resolve, reject) => this.#write(encodeCommand('TIME', []), { reply: (reply) => resolve(asText(reply)), error: reject })));
  /** Since when nothing has come back, while commands are on the wire. */
  #quietSinceMs = 0;
  #streamSinceMs = systemClock.monotonicMs();
  /** 0, 1, or 2 for more than one. */
  #sentInTick = 0;

  constructor(host: string, port: number, options: NodeConnectOptions) {
    super();
    this.setMaxListeners(0);
    this.host = host;
    this.port = port;
    this.name = `${host}:${port}`;
    this.#options = options;
    this.#hungMs = Math.max(500, 2 * options.commandTimeoutMs);
    this.#redis = new Redis({
      ...connectionOptions(host, port, options.redis),
      readOnly: options.readOnly,
      connectTimeout: HANDSHAKE_MS,
      // Never null: only close() ends the reconnecting.
      retryStrategy: (times) => Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(times, 10) * (0.5 + Math.random() / 2)),
    });
    this.#redis.on('error', (error) => {
      this.lastError = new Error(safeText(error));
    });
    this.#redis.on('connecting', () => {
      this.#streamSinceMs = systemClock.monotonicMs();
    });
    this.#maxValueBytes = options.maxValueBytes;
    this.#redis.on('ready', () => {
      this.#takeOver();
      void this.#becomeUsable();
    });
    this.#redis.on('close', () => {
      this.#epoch++;
      this.failures++;
      this.lastError ??= new Error('connection closed');
      const wasUsable = this.#usable;
      this.#usable = false;
      const reader = this.#reader;
      this.#reader = this.#stream = undefined;
      // After `usable` is false: who is told now must not find this connection again.
      reader?.fail(new Error('Connection lost'));
      if (wasUsable) this.emit('down');
      this.emit('settled');
    });
  }

  get usable(): boolean {
    return this.#usable;
  }

  /** The connection that writes go to: this one until the other is up, and when it cannot be had. */
  get forWrites(): RedisNode {
    if (this.#closed || !this.#usable) return this;
    const lane = (this.#writeLane ??= this.#openLane());
    // One that was up comes back at once, if this one is up: writes that are held back must not move over to the reads.
    return lane.usable || (lane.#wasUsable && lane.failures < LANE_REFUSALS) ? lane : this;
  }

  #openLane(): RedisNode {
    const lane = new RedisNode(this.host, this.port, { ...this.#options, readOnly: false });
    lane.on('usable', () => this.emit('usable')).on('down', () => this.emit('down'));
    return lane;
  }

  /** Fresh and not refused yet: worth waiting for. */
  get starting(): boolean {
    return !this.#usable && !this.#closed && this.failures === 0;
  }

  /** Until it is usable or has failed once, or the time is up. */
  whenSettled(timeoutMs: number): Promise<void> {
    if (!this.starting) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.off('settled', done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.on('settled', done);
    });
  }

  /** Its handshake is answered, and ioredis sends nothing by itself any more. */
  #takeOver(): void {
    const stream = this.#redis.stream as Duplex;
    const reader = new RespReader(this.#maxValueBytes);
    stream.removeAllListeners('data');
    stream.on('data', (chunk: Buffer) => {
      if (reader !== this.#reader) return;
      this.#quietSinceMs = systemClock.monotonicMs();
      try {
        reader.push(chunk);
      } catch (error) {
        this.reset(`not the answers of a redis: ${safeText(error)}`);
      }
    });
    this.#stream = stream;
    this.#reader = reader;
  }

  /**
   * One command, its reply by callback: thousands of them are sent at once, and each promise less is a microsecond.
   * Strings come as Buffers that are views of a socket chunk: copy what is kept.
   */
  dispatch(name: string, args: Arg[], onReply: (reply: unknown) => void, onError: (error: unknown) => void): void {
    this.#send(encodeCommand(name, args), { reply: onReply, error: onError });
  }

  /** An encoded command whose reply is a list of values (MGET). `ascii`: nothing in it takes more than one byte. */
  readValues(command: string, ascii: boolean, sink: ValuesSink): void {
    this.#send(command, sink, ascii ? 'latin1' : 'utf8');
  }

  /** One reply, strings as Buffers. */
  send(name: string, args: Arg[]): Promise<unknown> {
    return new Promise((resolve, reject) => this.dispatch(name, args, resolve, reject));
  }

  /** One reply, strings as text. */
  ask(name: string, args: Arg[]): Promise<unknown> {
    return this.send(name, args).then(asText);
  }

  #send(command: string | Buffer, sink: Sink, encoding: BufferEncoding = 'utf8'): void {
    if (this.#usable) this.#write(command, sink, encoding);
    else sink.error(new Error('Connection is not usable'));
  }

  #write(command: string | Buffer, sink: Sink, encoding: BufferEncoding = 'utf8'): void {
    const reader = this.#reader;
    const stream = this.#stream;
    if (!reader || !stream?.writable) return sink.error(new Error('Connection is not usable'));
    if (reader.pending === 0) this.#quietSinceMs = systemClock.monotonicMs();
    reader.expect(sink);
    this.#cork(stream);
    if (typeof command === 'string') stream.write(command, encoding);
    else stream.write(command);
  }

  /** The first command of a tick leaves at once, so that a lone one is not held up; the others leave in one system call. */
  #cork(stream: Duplex): void {
    if (this.#sentInTick === 2) return;
    if (this.#sentInTick++ === 0) {
      process.nextTick(() => {
        if (this.#sentInTick === 2) stream.uncork();
        this.#sentInTick = 0;
      });
    } else {
      stream.cork();
    }
  }

  async #becomeUsable(): Promise<void> {
    const epoch = this.#epoch;
    try {
      await this.clock.sample();
    } catch (error) {
      this.lastError = new Error(safeText(error));
      // NOPERM for TIME or a lost connection: the next round tries again.
      if (epoch === this.#epoch) this.#redis.stream?.destroy();
      return;
    }
    if (epoch !== this.#epoch || this.#closed) return;
    this.#usable = this.#wasUsable = true;
    this.failures = 0;
    this.lastError = undefined;
    this.emit('usable');
    this.emit('settled');
  }

  /** Called every so often by the topology: leaves a connection that has stopped answering, and asks idle ones for the time. */
  check(): void {
    if (this.#closed) return;
    this.#writeLane?.check();
    const nowMs = systemClock.monotonicMs();
    if (this.#usable) {
      if (this.#reader && this.#reader.pending > 0 && nowMs - this.#quietSinceMs > this.#hungMs) this.reset(`no answer for ${Math.round(nowMs - this.#quietSinceMs)} ms`);
      else if (nowMs - this.clock.sampledAtMs > CLOCK_REFRESH_MS) this.clock.sample().catch(() => undefined); // The lost connection reports itself.
    } else if (this.#redis.status !== 'reconnecting' && nowMs - this.#streamSinceMs > HANDSHAKE_MS) {
      this.#streamSinceMs = nowMs;
      this.reset('the connection was accepted and then not answered');
    }
  }

  /** Destroys the socket, without the goodbye that a stopped process would never answer; ioredis then connects anew. */
  reset(why: string): void {
    this.lastError = new Error(why);
    this.#redis.stream?.destroy();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#usable = false;
    this.#writeLane?.removeAllListeners().close();
    this.#redis.disconnect();
    this.#redis.stream?.destroy();
    this.emit('down');
    this.emit('settled');
  }
}

function asText(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString('utf8');
  return Array.isArray(reply) ? reply.map(asText) : reply;
}
