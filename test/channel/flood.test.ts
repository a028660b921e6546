/** More messages than can be read: bounded work, and L1 is checked instead. */
import { expect, test, vi } from 'vitest';
import { BURST_EVENTS, EVENTS_PER_SECOND } from '../../src/channel/event-budget.ts';
import { formatHeartbeat } from '../../src/channel/heartbeat.ts';
import { formatEvent } from '../../src/channel/update-event.ts';
import { UpdateChannel } from '../../src/channel/update-channel.ts';
import { COUNTER } from '../../src/stats/metrics.ts';

async function open(isLossy: boolean) {
  const counts = new Map<number, number>();
  const at = { nowMs: 0 };
  const count = (counter: number): number => counts.get(counter) ?? 0;
  const row = { count: (counter: number, by = 1) => void counts.set(counter, count(counter) + by) };
  const heard = { events: 0, gaps: [] as string[] };
  let say!: (text: string) => void;
  const source = { isLossy, isListening: true, renew: () => {}, close: async () => {}, start: async (listener: { onMessage(text: string): void }) => void (say = listener.onMessage) };
  const channel = new UpdateChannel(source, 'me', row as never, { monotonicMs: () => at.nowMs, wallMs: () => at.nowMs });
  await channel.start({ onEvent: () => heard.events++, onGap: (reason) => heard.gaps.push(reason), onMet: () => {} });
  return { at, count, heard, say, channel };
}

test('a flood is read up to the budget, told of every 500 ms, and over when it is over', async () => {
  const { at, count, heard, say } = await open(false);
  const text = (publisher: string) => formatEvent({ type: 'updated', wallet: 'w', timestamp: new Date(0).toISOString(), publisher, seq: 1, version: 1 });
  const [other, own] = [text('you'), text('me')];
  // Two seconds of 100,000 a second, a tenth of them malformed.
  for (let i = 0; i < 200_000; i++) {
    if (i % 100 === 0) at.nowMs++;
    say(i % 10 === 0 ? '{"wallet":}' : other);
  }
  const read = heard.events + count(COUNTER.eventsMalformed);
  // One in ten is malformed, and counts four times.
  const most = Math.ceil((BURST_EVENTS + 2 * EVENTS_PER_SECOND) / 1.3) + 1;
  expect(read).toBeGreaterThan(0.95 * most);
  expect(read).toBeLessThanOrEqual(most);
  expect(read + count(COUNTER.eventsUnread)).toBe(200_000);
  expect(heard.gaps.length).toBeGreaterThanOrEqual(3);
  expect(heard.gaps.length).toBeLessThanOrEqual(5);
  // Own ones take nothing of the budget.
  for (let i = 0; i < 100_000; i++) say(own);
  expect(count(COUNTER.eventsIgnored)).toBe(100_000);
  at.nowMs += 1_000;
  const before = heard.events;
  for (let i = 0; i < 1_000; i++) say(other);
  expect(heard.events - before).toBe(1_000);
});

test.each([
  // Tokens: 1 for 512 characters, 1 for each 48 that JSON.parse has to look at, 3 if that throws.
  ['brackets', '['.repeat(8_000), 16],
  ['brackets in braces', `{"a":${'['.repeat(4_000)}${']'.repeat(4_000)}}`, 16 + 161],
  ['braces around nonsense', `{${'['.repeat(8_000)}}`, 16 + 161 + 3],
])('long messages take more of the budget: %s', async (_, text, tokens) => {
  const { at, count, say } = await open(false);
  for (let i = 0; i < 20_000; i++) {
    if (i % 20 === 0) at.nowMs++;
    say(text);
  }
  const most = Math.ceil((BURST_EVENTS + EVENTS_PER_SECOND) / tokens) + 1;
  expect(count(COUNTER.eventsMalformed)).toBeLessThanOrEqual(most);
  expect(count(COUNTER.eventsMalformed)).toBeGreaterThan(0.95 * most);
  expect(count(COUNTER.eventsMalformed) + count(COUNTER.eventsUnread)).toBe(20_000);
});

test('losses of made-up publishers are told of together, twice a second at the most; the first at once', async () => {
  vi.useFakeTimers();
  const { at, heard, say, channel } = await open(true);
  try {
    const pass = async (ms: number) => {
      for (; ms > 0; ms -= 50) {
        at.nowMs += 50;
        await vi.advanceTimersByTimeAsync(50);
      }
    };
    // Past the time in which whoever is met may have spoken before.
    await pass(2_500);
    const beat = (publisher: string) => say(formatHeartbeat({ publisher, settled: 5, sent: 5, beat: 1 }, new Date(0).toISOString()));
    beat('one');
    await pass(600);
    expect(heard.gaps).toEqual(['5 events of publisher one did not come']);
    await pass(600);
    for (let i = 0; i < 100; i++) {
      for (let k = 0; k < 20; k++) beat(`made-up ${i * 20 + k}`);
      await pass(50);
    }
    // Five seconds.
    expect(heard.gaps.length).toBeGreaterThanOrEqual(6);
    expect(heard.gaps.length).toBeLessThanOrEqual(13);
    expect(heard.gaps[3]).toMatch(/ events of publisher made-up \d+ did not come, and \d+ more such losses$/);
  } finally {
    await channel.close();
    vi.useRealTimers();
  }
});
