/** A model that finds nothing proves nothing: each seeded bug must be found. */
import { expect, test } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { runWeather, TEST_SEED } from './runs.ts';

const MOST_RUNS = 10_000;

test.each(MUTANTS)('found: $name', { timeout: 300_000 }, async ({ weather, sabotage }) => {
  const { breach } = await runWeather(weather, { runs: MOST_RUNS, seed: TEST_SEED, sabotage });
  expect(breach).toBeDefined();
});
