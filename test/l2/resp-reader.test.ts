import { describe, expect, test } from 'vitest';
import { encodeCommand } from '../../src/l2/resp-command.ts';
import { ProtocolError, RespReader } from '../../src/l2/resp-reader.ts';

const MAX_VALUE_BYTES = 20;

/** What the sinks were told, in order. */
function listen(reader: RespReader) {
  const told: unknown[] = [];
  return {
    told,
    reply: () => reader.expect({ reply: (value) => told.push(plain(value)), error: (error) => told.push(`error ${error.message}`) }),
    values: () => reader.expect({
      value: (index, bytes, start, end) => told.push([index, bytes.toString('latin1', start, end)]),
      nil: (index) => told.push([index, null]),
      tooLarge: (index, valueBytes) => told.push([index, valueBytes]),
      done: () => told.push('done'),
      error: (error) => told.push(`error ${error.message}`),
    }),
  };
}

const plain = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString('latin1') : Array.isArray(value) ? value.map(plain) : value instanceof Error ? `E ${value.message}` : value);

const large = 'x'.repeat(MAX_VALUE_BYTES + 1);
const wire = `*4\r\n$3\r\na\r\n\r\n$-1\r\n$21\r\n${large}\r\n$0\r\n\r\n:-12\r\n*3\r\n$1\r\nq\r\n*1\r\n+ok\r\n-ERR no\r\n-MOVED 1 h:2\r\n*0\r\n-LOADING\r\n`;
const expected = [[0, 'a\r\n'], [1, null], [2, 21], [3, ''], 'done', -12, ['q', ['ok'], 'E ERR no'], 'error MOVED 1 h:2', 'done', 'error LOADING'];

function ask(reader: RespReader) {
  const listener = listen(reader);
  listener.values();
  listener.reply();
  listener.reply();
  listener.reply();
  listener.values();
  listener.values();
  return listener.told;
}

describe('RespReader', () => {
  test('wherever the bytes are cut, the same replies come', () => {
    for (let cut = 0; cut <= wire.length; cut++) {
      const reader = new RespReader(MAX_VALUE_BYTES);
      const told = ask(reader);
      reader.push(Buffer.from(wire.slice(0, cut), 'latin1'));
      reader.push(Buffer.from(wire.slice(cut), 'latin1'));
      expect(told, `cut at ${cut}`).toEqual(expected);
      expect(reader.pending).toBe(0);
    }
  });

  test('byte by byte as well', () => {
    const reader = new RespReader(MAX_VALUE_BYTES);
    const told = ask(reader);
    for (const byte of Buffer.from(wire, 'latin1')) reader.push(Buffer.from([byte]));
    expect(told).toEqual(expected);
  });

  test('an oversized value passes through without being held', () => {
    const reader = new RespReader(MAX_VALUE_BYTES);
    const listener = listen(reader);
    listener.values();
    reader.push(Buffer.from('*2\r\n$300000000\r\n'));
    const part = Buffer.alloc(1_000_000);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 300; i++) reader.push(part);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    reader.push(Buffer.from('\r\n$1\r\nb\r\n'));
    expect(listener.told).toEqual([[0, 300_000_000], [1, 'b'], 'done']);
  });

  test('a lost connection fails what is pending, and a half reply with it', () => {
    const reader = new RespReader(MAX_VALUE_BYTES);
    const listener = listen(reader);
    listener.values();
    listener.reply();
    reader.push(Buffer.from('*2\r\n$1\r\na\r\n$5\r\nhal'));
    reader.fail(new Error('lost'));
    expect(listener.told).toEqual([[0, 'a'], 'error lost', 'error lost']);
    expect(reader.pending).toBe(0);
  });

  test.each([
    ['an answer to nothing', '+OK\r\n', 0],
    ['what is no RESP', 'HTTP/1.1 200\r\n', 1],
    ['a length that is no number', '$1x\r\n', 1],
    ['a blob larger than any of ours', '$999999999\r\n', 1],
    ['a reply nested without end', '*1\r\n'.repeat(50), 1],
  ])('%s is a ProtocolError', (_what, text, asked) => {
    const reader = new RespReader(MAX_VALUE_BYTES);
    if (asked) listen(reader).reply();
    expect(() => reader.push(Buffer.from(text))).toThrow(ProtocolError);
  });
});

test('commands: lengths are bytes, and what was written is what was meant', () => {
  expect(encodeCommand('GET', ['é', 7])).toBe('*3\r\n$3\r\nGET\r\n$2\r\né\r\n$1\r\n7\r\n');
  expect(encodeCommand('SET', ['é', Buffer.from([0, 255]), 7, '']).toString('latin1')).toBe('*5\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$2\r\n\x00\xff\r\n$1\r\n7\r\n$0\r\n\r\n');
});
