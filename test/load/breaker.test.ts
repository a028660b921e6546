/** What opens the breaker: most of L2 away, not three reads of one shard. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Breaker } from '../../src/load/breaker.ts';
import { walletHash } from '../../src/l2/slots.ts';

const BUCKETS = 256;
const CAUSE = new Error('no answer');
const wallets = Array.from({ length: 5_000 }, (_, i) => `w${i}`);

describe('Breaker', () => {
  let breaker: Breaker;
  let reachable: boolean;
  let probes: number;
  let nowMs: number;
  let heard: string[];
  const make = (buckets = BUCKETS) => new Breaker({
    probe: () => (probes++, Promise.resolve(reachable)),
    onChange: (up) => heard.push(up ? 'up' : 'down'),
    buckets, nowMs: () => nowMs,
  });
  const settle = () => vi.advanceTimersByTimeAsync(0);
  beforeEach(() => {
    vi.useFakeTimers();
    [reachable, probes, nowMs, heard] = [true, 0, 0, []];
    breaker = make();
  });
  afterEach(() => {
    breaker.close();
    vi.useRealTimers();
  });

  test('lone failures in a row only raise the doubt: where most of L2 answers, it stays closed', async () => {
    for (let i = 0; i < 30; i++) {
      breaker.failed(CAUSE, [wallets[i]]);
      await settle();
      expect(breaker.open).toBe(false);
    }
    // And the rest is not asked at each of them.
    expect(probes).toBe(1);
    nowMs += 250;
    for (let i = 0; i < 3; i++) breaker.failed(CAUSE, [wallets[i]]);
    expect(probes).toBe(2);
  });

  test('where most of L2 does not answer, the third opens it, and the first probe that succeeds closes it', async () => {
    reachable = false;
    for (let i = 0; i < 2; i++) breaker.failed(CAUSE, ['w']);
    await settle();
    expect([breaker.open, probes]).toEqual([false, 0]);
    breaker.failed(CAUSE, ['w']);
    await settle();
    expect([breaker.open, heard]).toEqual([true, ['down']]);
    await vi.advanceTimersByTimeAsync(600);
    expect(breaker.open).toBe(true);
    reachable = true;
    await vi.advanceTimersByTimeAsync(250);
    expect([breaker.open, heard]).toEqual([false, ['down', 'up']]);
  });

  test('a success in between takes the doubt away', async () => {
    for (let i = 0; i < 20; i++) {
      breaker.failed(CAUSE, ['w']);
      breaker.failed(CAUSE, ['w']);
      breaker.succeeded();
    }
    await settle();
    expect(probes).toBe(0);
  });

  test('a batch spread over all of L2 decides at once', () => {
    breaker.failed(CAUSE, wallets.slice(0, 64));
    expect([breaker.open, probes]).toEqual([true, 0]);
  });

  test('one of a few buckets, or of one shard alone, raises the doubt, however large it is', async () => {
    const ofBuckets = (from: number, to: number) => wallets.filter((wallet) => walletHash(wallet) % BUCKETS >= from && walletHash(wallet) % BUCKETS < to);
    for (const some of [ofBuckets(0, 5), ofBuckets(85, 171), ofBuckets(128, 256)]) {
      expect(some.length).toBeGreaterThan(64);
      breaker.failed(CAUSE, some);
      await settle();
      expect(breaker.open).toBe(false);
      nowMs += 250;
    }
    expect(probes).toBe(3);
  });

  test('without buckets nobody knows what a batch has met: it is asked at once', async () => {
    breaker = make(0);
    reachable = false;
    breaker.failed(CAUSE, wallets.slice(0, 64));
    expect([breaker.open, probes]).toEqual([false, 1]);
    await settle();
    expect(breaker.open).toBe(true);
  });

  test('closed for good while it asks, it tells nobody', async () => {
    vi.useRealTimers();
    let answer: (up: boolean) => void = () => {};
    breaker = new Breaker({ probe: () => new Promise((resolve) => (answer = resolve)), onChange: () => heard.push('told'), buckets: 0, nowMs: () => 0 });
    for (let i = 0; i < 3; i++) breaker.failed(CAUSE, ['w']);
    breaker.close();
    answer(false);
    await sleep(1);
    expect([breaker.open, heard]).toEqual([false, []]);
  });
});
