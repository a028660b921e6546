/** `w-tinylfu`'s window: the climber's steps, and a workload that a window of 1 % serves badly. */
import { describe, expect, test } from 'vitest';
import { replay, type Trace } from '../../src/cli/simulate-replay.ts';
import { HillClimber } from '../../src/eviction/hill-climber.ts';
import { WTinyLfuPolicy } from '../../src/eviction/w-tinylfu.ts';
import { seeded, traceOf, zipfTrace } from './support.ts';

/** One sample of a cache with ten entries: 100 requests, so many of them hits. */
function sample(climber: HillClimber, hits: number): number {
  for (let hit = 0; hit < hits; hit++) climber.hit(false);
  for (let miss = hits; miss < 100; miss++) climber.missed(10);
  return climber.share;
}

describe('the climber', () => {
  test('goes on while hits rise, turns when they fall, with shorter steps', () => {
    const climber = new HillClimber(0.01);
    expect(sample(climber, 50)).toBeCloseTo(0.0725, 6);
    expect(sample(climber, 52)).toBeCloseTo(0.135, 6);
    expect(sample(climber, 51)).toBeCloseTo(0.135 - 0.0625 * 0.995, 6);
    expect(sample(climber, 51)).toBeCloseTo(0.135 - 0.0625 * 0.995 - 0.0625 * 0.995 ** 2, 6);
  });

  test('a leap of the hit ratio makes steps long again; bounds hold', () => {
    const climber = new HillClimber(0.01);
    for (let at = 0; at < 60; at++) expect(sample(climber, 50)).toBeLessThanOrEqual(0.8);
    expect(climber.share).toBe(0.8);
    sample(climber, 40);
    const before = climber.share;
    expect(before - sample(climber, 41)).toBeCloseTo(0.0625, 6);
    for (let at = 0; at < 60; at++) expect(sample(climber, 41)).toBeGreaterThanOrEqual(0.01);
    expect(climber.share).toBe(0.01);
  });
});

describe('more than 4,096 entries', () => {
  const share = (windowHits: number, mainHits: number, samples: number) => {
    const climber = new HillClimber(0.01);
    for (let at = 0; at < samples; at++) {
      for (let hit = 0; hit < windowHits; hit++) climber.hit(true);
      for (let hit = 0; hit < mainHits; hit++) climber.hit(false);
      for (let miss = windowHits + mainHits; miss < 20_000; miss++) climber.missed(5_000);
    }
    return climber.share;
  };

  test('room goes to the part with more hits for each entry, in small steps', () => {
    // A hundredth of the room, a tenth of the hits: eleven times as dense.
    expect(share(1_000, 9_000, 1)).toBeCloseTo(0.01 + 0.0625, 2);
    expect(share(1_000, 9_000, 20)).toBeGreaterThan(0.09);
    expect(share(1_000, 9_000, 20)).toBeLessThan(0.12);
    expect(share(0, 9_000, 5)).toBe(0.01);
    expect(share(9_000, 100, 40)).toBe(0.8);
  });
});

/** Every key is used three times within a few hundred requests, and never again. */
function bursts(requests: number): Trace {
  const random = seeded(3);
  const keys: number[] = [];
  for (let at = 0; keys.length < requests; at++) keys.push(at, Math.max(0, at - Math.floor(random() * 200)), Math.max(0, at - Math.floor(random() * 200)));
  return traceOf(keys);
}

const missesOf = (trace: Trace, windowShare?: number) => replay(trace, (slots) => new WTinyLfuPolicy(slots, { windowShare }), { entries: 300 }).misses;

test('keys that are used thrice and never again: far fewer misses than with a window of 1 %', () => {
  const trace = bursts(120_000);
  const [fixed, wide, climbing] = [missesOf(trace, 0.01), missesOf(trace, 0.8), missesOf(trace)];
  expect(wide).toBeLessThan(0.8 * fixed);
  expect(fixed - climbing).toBeGreaterThan(0.7 * (fixed - wide));
});

test('where a small window is right it costs little', () => {
  const trace = zipfTrace(20_000, 120_000, 0.9, 4);
  expect(missesOf(trace)).toBeLessThan(1.03 * missesOf(trace, 0.01));
});
