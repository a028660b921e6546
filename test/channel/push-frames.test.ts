/** The bytes of a subscription, cut wherever the network likes, and a flood of them that leaves the event loop its turns. */
import fc from 'fast-check';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PushFrames } from '../../src/channel/push-frames.ts';
import { Subscription } from '../../src/channel/subscription.ts';

const MAX_MESSAGE_BYTES = 1_000;
const NAME = 'chännel';
const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const message = (text: string, name = NAME) => `*3\r\n$7\r\nmessage\r\n${bulk(name)}${bulk(text)}`;
const PONG = '*2\r\n$4\r\npong\r\n$0\r\n\r\n';
const SUBSCRIBED = `*3\r\n$9\r\nsubscribe\r\n${bulk(NAME)}:1\r\n`;

function listen() {
  const heard: string[] = [];
  const frames = new PushFrames(NAME, MAX_MESSAGE_BYTES, {
    onMessage: (text) => heard.push(`message ${text}`), onAnswer: (kind) => heard.push(kind), onRefusal: (reason) => heard.push(`refused ${reason}`),
  });
  return { heard, frames };
}

const never = () => false;

describe('frames', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '\r\n', message('inner'), 'x'.repeat(MAX_MESSAGE_BYTES), 'x'.repeat(3 * MAX_MESSAGE_BYTES), 'é'.repeat(MAX_MESSAGE_BYTES / 2)));
  const frame = fc.oneof(
    { weight: 4, arbitrary: text.map((body) => ({ bytes: message(body), heard: `message ${Buffer.from(body).toString('utf8', 0, MAX_MESSAGE_BYTES)}` })) },
    { weight: 1, arbitrary: fc.constantFrom({ bytes: PONG, heard: 'pong' }, { bytes: SUBSCRIBED, heard: 'subscribe' }, { bytes: '-NOPERM no\r\n', heard: 'refused NOPERM no' }) },
  );

  test('are told apart wherever they are cut', () => {
    fc.assert(fc.property(fc.array(frame, { maxLength: 12 }), fc.infiniteStream(fc.integer({ min: 1, max: 700 })), (sent, cuts) => {
      const { heard, frames } = listen();
      const bytes = Buffer.from(sent.map((one) => one.bytes).join(''));
      for (let at = 0; at < bytes.length; ) {
        const end = at + (cuts.next().value as number);
        frames.add(bytes.subarray(at, end));
        expect(frames.read(never)).toBe(true);
        at = end;
      }
      expect(heard).toEqual(sent.map((one) => one.heard));
    }), { numRuns: 500 });
  });

  test('byte by byte, too', () => {
    const { heard, frames } = listen();
    for (const byte of Buffer.from(SUBSCRIBED + message('one') + PONG + message('x'.repeat(MAX_MESSAGE_BYTES + 1)) + message('two'))) {
      frames.add(Buffer.of(byte));
      frames.read(never);
    }
    expect(heard).toEqual(['subscribe', 'message one', 'pong', `message ${'x'.repeat(MAX_MESSAGE_BYTES)}`, 'message two']);
  });

  test('of a message that is too long, no more is kept than is told', () => {
    const { heard, frames } = listen();
    frames.add(Buffer.from(`*3\r\n$7\r\nmessage\r\n${bulk(NAME)}$500000000\r\n`));
    for (let i = 0; i < 1_000; i++) {
      frames.add(Buffer.alloc(700, 'x'));
      frames.read(never);
      expect((frames as unknown as { bytes: Buffer }).bytes.length).toBeLessThan(3 * MAX_MESSAGE_BYTES);
    }
    expect(heard).toEqual([`message ${'x'.repeat(MAX_MESSAGE_BYTES)}`]);
  });

  test.each(['+OK\r\n', 'x', '*0\r\n', '*99\r\n', '*2\r\n!4\r\n', '*1\r\n$-1\r\n', '*1\r\n$99999\r\n', `*3\r\n$7\r\nmessage\r\n${bulk(NAME)}$x\r\n`, `*2\r\n$4\r\npong\r\n$${'9'.repeat(70_000)}`])('nonsense ends it: %j', (bytes) => {
    const { frames } = listen();
    frames.add(Buffer.from(bytes));
    expect(() => frames.read(never)).toThrow();
  });

  test('reading stops when it is over, and goes on behind that', () => {
    const { heard, frames } = listen();
    frames.add(Buffer.from(Array.from({ length: 100 }, (_, i) => message(`${i}`)).join('')));
    let turns = 1;
    while (!frames.read(() => true)) turns++;
    expect(turns).toBeGreaterThan(5);
    expect(heard).toEqual(Array.from({ length: 100 }, (_, i) => `message ${i}`));
  });
});

describe('a subscription', () => {
  const closers: Array<() => unknown> = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  async function open(onMessage: (text: string) => void): Promise<{ subscription: Subscription; peer: Socket; stream: Socket }> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const stream = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
    const peer = await accepted;
    closers.push(() => stream.destroy(), () => peer.destroy(), () => server.close());
    return { subscription: new Subscription({ stream } as unknown as Redis, NAME, onMessage), peer, stream };
  }

  test('leaves the event loop its turns in a flood', async () => {
    const perTurn = [0];
    let heard = 0;
    const { peer } = await open(() => {
      perTurn[perTurn.length - 1]++;
      heard++;
      for (const untilMs = performance.now() + 1; performance.now() < untilMs; );
    });
    peer.write(message('m').repeat(300));
    while (heard < 300) {
      await new Promise((resolve) => setImmediate(resolve));
      if (perTurn.at(-1)! > 0) perTurn.push(0);
    }
    // They take a millisecond each: a slice is over when the clock is looked at next.
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(16);
  });

  test('an error of who listens does not end it', async () => {
    const heard: string[] = [];
    const { peer, stream } = await open((text) => {
      heard.push(text);
      if (text === 'bad') throw new Error('of the listener');
    });
    const thrown: Array<() => void> = [];
    const { nextTick } = process;
    const spy = vi.spyOn(process, 'nextTick').mockImplementation((task, ...rest: unknown[]) => void (task.toString().includes('throw error') ? thrown.push(task as () => void) : nextTick(task, ...rest)));
    peer.write(message('bad') + message('good'));
    while (heard.length < 2) await sleep(1);
    spy.mockRestore();
    expect(heard).toEqual(['bad', 'good']);
    expect(stream.destroyed).toBe(false);
    expect(thrown).toHaveLength(1);
    expect(thrown[0]).toThrow('of the listener');
  });

  test('is refused with what Redis said, and when the connection ends', async () => {
    const refused = await open(() => {});
    refused.peer.write('-NOPERM this user has no permissions to access one of the channels\r\n');
    await expect(refused.subscription.subscribe(NAME)).rejects.toThrow(/^NOPERM/);
    const ended = await open(() => {});
    ended.peer.destroy();
    await expect(ended.subscription.subscribe(NAME)).rejects.toThrow('connection closed');
  });

  test('nonsense ends the connection, for another to be made', async () => {
    const { peer, stream } = await open(() => {});
    peer.write('HTTP/1.1 400 Bad Request\r\n');
    while (!stream.destroyed) await sleep(1);
  });
});
