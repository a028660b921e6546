import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { UpdateChannel } from '../../src/channel/update-channel.ts';
import { MAX_EVENT_BYTES, eventOf, fieldsOf, formatEvent, parseEvent, parseUsual, type UpdateEvent } from '../../src/channel/update-event.ts';
import { COUNTER } from '../../src/stats/metrics.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/update-event-v1.json', import.meta.url), 'utf8')) as { event: UpdateEvent; text: string }[];

describe('update event', () => {
  test('is written as released', () => {
    for (const { event, text } of golden) expect(formatEvent(event)).toBe(text);
  });

  test('is read as released', () => {
    for (const { event, text } of golden) expect(parseEvent(text)).toEqual(event);
  });

  test('of a foreign publisher: wallet and timestamp are enough', () => {
    expect(parseEvent('{"wallet":"w","timestamp":"2026-11-22T00:00:00Z"}')).toEqual({ type: 'updated', wallet: 'w', timestamp: '2026-11-22T00:00:00Z' });
    expect(parseEvent('{"wallet":"w","timestamp":"2026-11-22T00:00:00Z","risk":5,"type":"invalidated"}')).toMatchObject({ type: 'invalidated', wallet: 'w' });
  });

  test('round trip of any wallet', () => {
    fc.assert(fc.property(fc.string({ minLength: 1, maxLength: 300, unit: 'binary' }), (wallet) => {
      const event: UpdateEvent = { type: 'updated', wallet, timestamp: new Date(0).toISOString(), publisher: 'p', seq: 1, version: 2 };
      const text = formatEvent(event);
      expect(text.length).toBeLessThanOrEqual(MAX_EVENT_BYTES);
      expect(parseEvent(text)).toEqual(event);
    }));
  });

  test('what is read without JSON is what JSON says', () => {
    const part = fc.oneof(fc.string({ minLength: 1, maxLength: 12 }), fc.constantFrom('w', 'wallet', 'a\\\"b', 'é💸', 'x'.repeat(1_024), 'x'.repeat(1_025), '\\u0041', '\u007f'));
    const number = fc.oneof(fc.nat().map(String), fc.constantFrom('9007199254740991', '9007199254740992', '00', '1e3', '-1', '12345678901234567'));
    const time = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('2026-11-22T00:00:00.000Z', '2026-13-22T00:00:00.000Z', 'soon', '2026') }, { weight: 1, arbitrary: fc.string({ maxLength: 8 }) });
    const text = fc.tuple(part, time, fc.constantFrom('updated', 'invalidated', 'cleared', 'heartbeat', 'other'), fc.option(part), fc.option(number), fc.option(number), fc.constantFrom('}', '}', '}', '} ', '', '}}', ',"x":1}'))
      .map(([wallet, timestamp, type, publisher, seq, version, end]) => `{"wallet":"${wallet}","timestamp":"${timestamp}","type":"${type}"${publisher === null ? '' : `,"publisher":"${publisher}"`}${seq === null ? '' : `,"seq":${seq}`}${version === null ? '' : `,"version":${version}`}${end}`);
    let usual = 0;
    fc.assert(fc.property(text, (message) => {
      const quick = parseUsual(message);
      if (quick === undefined) return;
      usual++;
      expect(quick).toEqual(eventOf(fieldsOf(message)));
    }), { numRuns: 5_000 });
    expect(usual).toBeGreaterThan(50);
    for (const { event, text: released } of golden) expect(parseUsual(released) !== undefined, released).toBe(event.type !== 'cleared' && !released.includes('\\'));
  });

  test('space around it does not matter, half a message is none', () => {
    const text = '{"wallet":"w","timestamp":"2026-11-22T00:00:00Z"}';
    expect(parseEvent(` \n${text}\r\n`)).toEqual(parseEvent(text));
    for (const bad of ['{"wallet":', '', ' ', '[]', 'null', '"{}"', `${text}x`, text.slice(1)]) expect(parseEvent(bad), bad).toBeUndefined();
  });

  test('never throws, and takes nothing that is none', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.jsonValue().map((value) => JSON.stringify(value))), (text) => {
      const event = parseEvent(text);
      if (event !== undefined) expect(typeof event.wallet).toBe('string');
    }), { numRuns: 2_000 });
    for (const bad of [
      '{"wallet":"w"}', '{"timestamp":"2026-01-01"}', '{"wallet":"","timestamp":"2026-01-01"}', '{"wallet":["w"],"timestamp":"2026-01-01"}', `{"wallet":"${'w'.repeat(1025)}","timestamp":"2026-01-01"}`,
      '{"wallet":"w","timestamp":"soon"}', '{"wallet":"w","timestamp":5}', '{"wallet":"w","timestamp":"2026-01-01","seq":0}', '{"wallet":"w","timestamp":"2026-01-01","version":1.5}',
      '{"wallet":"w","timestamp":"2026-01-01","version":9007199254740993}', '{"wallet":"w","timestamp":"2026-01-01","publisher":{}}', '{"wallet":"w","timestamp":"2026-01-01","type":"cleared","version":1}',
      '{"wallet":"","timestamp":"2026-01-01","type":"cleared"}', `${' '.repeat(MAX_EVENT_BYTES)}{}`,
    ]) expect(parseEvent(bad), bad.slice(0, 80)).toBeUndefined();
    expect(({} as { wallet?: string }).wallet).toBeUndefined();
  });
});

test('own messages are left out, others\' are not, whatever their wallets are called', async () => {
  const counts = new Map<number, number>();
  const row = { count: (counter: number) => void counts.set(counter, (counts.get(counter) ?? 0) + 1) };
  let say!: (text: string) => void;
  const channel = new UpdateChannel({ isLossy: false, isListening: true, renew: () => {}, start: async (listener) => void (say = listener.onMessage), close: async () => {} }, 'me', row as never);
  const heard: string[] = [];
  await channel.start({ onEvent: (event) => heard.push(event.wallet), onGap: () => {}, onMet: () => {} });
  const event = (wallet: string, publisher?: string) => formatEvent({ type: 'updated', wallet, timestamp: new Date(0).toISOString(), publisher, seq: 1, version: 1 });
  say(event('own', 'me'));
  say(event('other', 'you'));
  say(event('"publisher":"me"', 'you'));
  say(event('foreign'));
  say('nonsense');
  expect(heard).toEqual(['other', '"publisher":"me"', 'foreign']);
  expect(Object.fromEntries(counts)).toEqual({ [COUNTER.eventsIgnored]: 1, [COUNTER.eventsReceived]: 3, [COUNTER.eventsMalformed]: 1 });
});
