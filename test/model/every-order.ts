/** The tests of some weathers; two files share them, so that two workers do. */
import { describe, expect, test } from 'vitest';
import { runWeather, runsOf, TEST_RUNS, TEST_SEED, WEATHER_NAMES } from './runs.ts';

const TIMEOUT_MS = 600_000;

export function everyOrder(half: 0 | 1): void {
  describe('the promises are kept under every order of events', () => {
    test.each(WEATHER_NAMES.filter((_, i) => i % 2 === half))('%s', { timeout: TIMEOUT_MS }, async (name) => {
      const { runs, breach } = await runWeather(name, { runs: runsOf(name, TEST_RUNS), seed: TEST_SEED });
      expect(breach).toBeUndefined();
      expect(runs).toBe(runsOf(name, TEST_RUNS));
    });
  });
}
