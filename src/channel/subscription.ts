/**
 * A subscription on a connection that ioredis has opened and logged in, and whose socket is ours from then on: ioredis takes TLS, users
 * and passwords off our hands, `push-frames.ts` reads what comes.
 *
 * Messages are read for SLICE_MS at a time; then the event loop has its turn, while what comes waits in the socket. So a flood, which Node would
 * otherwise read for a quarter of a second at a stretch (32 chunks of 64 KB), delays timers and other sockets by one slice.
 */
import type { Redis } from 'ioredis';
import { PushFrames } from './push-frames.ts';

const SLICE_MS = 5;
/** Longer messages are not ours: only this much of one is made a text, for the reader to refuse and count. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

const PING = '*1\r\n$4\r\nPING\r\n';

export class Subscription {
  /** When PING was answered last, by `performance.now()`. */
  answeredMs = performance.now();
  private readonly stream: Redis['stream'];
  private readonly frames: PushFrames;
  private readonly onMessage: (text: string) => void;
  private sliceEndMs = 0;
  private continuing = false;
  private settle: { stands(): void; fails(error: Error): void } | undefined;

  /** @param redis connected, with no command under way: whatever comes now is for us. */
  constructor(redis: Redis, channelName: string, onMessage: (text: string) => void) {
    this.stream = redis.stream;
    this.onMessage = onMessage;
    this.frames = new PushFrames(channelName, MAX_MESSAGE_BYTES, {
      onMessage: (text) => this.tell(text),
      onAnswer: (kind) => {
        if (kind === 'pong') this.answeredMs = performance.now();
        else if (kind === 'subscribe') this.settle?.stands();
      },
      // Of PING too: then nobody answers, which is noticed.
      onRefusal: (reason) => this.settle?.fails(new Error(reason)),
    });
    this.stream.removeAllListeners('data');
    this.stream.on('data', (chunk: Buffer) => {
      this.frames.add(chunk);
      if (!this.continuing) this.read();
    });
  }

  /** Resolves when it stands; rejects with what Redis answered, or when the connection ends before that. */
  subscribe(channelName: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.settle = { stands: resolve, fails: reject };
      this.stream.once('close', () => reject(new Error('connection closed')));
      this.stream.write(`*2\r\n$9\r\nSUBSCRIBE\r\n$${Buffer.byteLength(channelName)}\r\n${channelName}\r\n`);
    });
  }

  ping(): void {
    this.stream.write(PING);
  }

  private tell(text: string): void {
    try {
      this.onMessage(text);
    } catch (error) {
      // Of whoever listens to events: nothing is wrong with the connection, and the messages behind this one are to be read.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  private read(): void {
    this.sliceEndMs = performance.now() + SLICE_MS;
    try {
      if (this.frames.read(this.isOver)) {
        if (this.continuing) this.stream.resume();
        this.continuing = false;
        return;
      }
    } catch (error) {
      // Nothing after it can be told apart: a new subscription has to.
      this.stream.destroy(error as Error);
      return;
    }
    this.continuing = true;
    this.stream.pause();
    setImmediate(() => this.read());
  }

  private readonly isOver = (): boolean => performance.now() >= this.sliceEndMs;
}
