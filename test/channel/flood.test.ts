/** More messages than can be read: bounded work, and L1 is checked instead. */
import { expect, test } from 'vitest';
import { formatEvent } from '../../src/channel/update-event.ts';
import { UpdateChannel } from '../../src/channel/update-channel.ts';
import { COUNTER } from '../../src/stats/metrics.ts';

test('a flood is read up to the budget, told of every 500 ms, and over when it is over', async () => {
  let nowMs = 0;
  const counts = new Map<number, number>();
  const count = (counter: number): number => counts.get(counter) ?? 0;
  const row = { count: (counter: number, by = 1) => void counts.set(counter, count(counter) + by) };
  let say!: (text: string) => void;
  const source = { isLossy: false, isListening: true, renew: () => {}, close: async () => {}, start: async (listener: { onMessage(text: string): void }) => void (say = listener.onMessage) };
  const channel = new UpdateChannel(source, 'me', row as never, { monotonicMs: () => nowMs, wallMs: () => nowMs });
  let events = 0;
  const gaps: string[] = [];
  await channel.start({ onEvent: () => events++, onGap: (reason) => gaps.push(reason), onMet: () => {} });
  const text = (publisher: string) => formatEvent({ type: 'updated', wallet: 'w', timestamp: new Date(0).toISOString(), publisher, seq: 1, version: 1 });
  const [other, own] = [text('you'), text('me')];
  // Two seconds of 100,000 a second, a tenth of them malformed.
  for (let i = 0; i < 200_000; i++) {
    if (i % 100 === 0) nowMs++;
    say(i % 10 === 0 ? '{"wallet":' : other);
  }
  const read = events + count(COUNTER.eventsMalformed);
  expect(read).toBeGreaterThan(40_000);
  expect(read).toBeLessThanOrEqual(40_000 + 2 * 20_000 + 1);
  expect(read + count(COUNTER.eventsUnread)).toBe(200_000);
  expect(gaps.length).toBeGreaterThanOrEqual(3);
  expect(gaps.length).toBeLessThanOrEqual(5);
  // Own ones take nothing of the budget.
  for (let i = 0; i < 100_000; i++) say(own);
  expect(count(COUNTER.eventsIgnored)).toBe(100_000);
  nowMs += 1_000;
  const before = events;
  for (let i = 0; i < 1_000; i++) say(other);
  expect(events - before).toBe(1_000);
});
