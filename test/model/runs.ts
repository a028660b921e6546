/** One weather, run under many schedules; used by the tests (a fixed number, a fixed seed) and by `npm run prove` (any). */
import fc, { type Scheduler } from 'fast-check';
import { brief, carryOut, plans, type Plan, type RunOptions, type Weather } from '../support/world-plan.ts';
import { WEATHERS } from './weathers.ts';

export type WeatherName = keyof typeof WEATHERS;
export const WEATHER_NAMES = Object.keys(WEATHERS) as WeatherName[];

/** Runs of `npm test`, all weathers together. */
export const TEST_RUNS = 100_000;
export const TEST_SEED = 20_261_122;
const WHOLE_SHARES = WEATHER_NAMES.filter((name) => (WEATHERS[name] as Weather).share === undefined).length;
export const runsOf = (name: WeatherName, total: number): number => Math.ceil((total * ((WEATHERS[name] as Weather).share ?? 1)) / WHOLE_SHARES);

export interface Outcome {
  runs: number;
  /** Of a breach: the promises, the plan and its schedule, and how to see it again. */
  breach?: string;
}

export async function runWeather(name: WeatherName, options: RunOptions & { runs: number; seed: number; path?: string }): Promise<Outcome> {
  let runs = 0;
  const property = fc.asyncProperty(plans(WEATHERS[name]), fc.scheduler(), async (plan, scheduler) => {
    runs++;
    const breaches = await carryOut(plan, scheduler, { sabotage: options.sabotage });
    if (breaches.length > 0) throw new Error(breaches.join('\n'));
  });
  const seen = await fc.check(property, { numRuns: options.runs, seed: options.seed, path: options.path, endOnFailure: options.sabotage !== undefined });
  if (!seen.failed) return { runs };
  const [plan, scheduler] = seen.counterexample as [Plan, Scheduler];
  const again = `npm run prove -- --weather '${name}' --seed ${seen.seed} --path ${seen.counterexamplePath}`;
  return { runs, breach: `${String((seen.errorInstance as Error).message)}\n${brief(plan)}\n${steps(scheduler)}\n${again}` };
}

const MOST_STEPS = 120;

/** The schedule, without the steps of the clock. */
function steps(scheduler: Scheduler): string {
  const labels = scheduler.report().map(({ label }) => label).filter((label) => label !== 'clock');
  return labels.slice(0, MOST_STEPS).join(' | ') + (labels.length > MOST_STEPS ? ` | and ${labels.length - MOST_STEPS} more` : '');
}
