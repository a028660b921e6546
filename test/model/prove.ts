/**
 * `npm run prove -- [--runs 1000000] [--seed n] [--weather name [--path p]]`: the model of load, write and channel code under as many
 * schedules as wanted, then the seeded bugs. Ends with 1 when a promise was broken or a bug not found.
 */
import { parseArgs } from 'node:util';
import { MUTANTS } from './mutants.ts';
import { runWeather, runsOf, WEATHER_NAMES, type WeatherName } from './runs.ts';

const MUTANT_RUNS = 10_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' }, weather: { type: 'string' }, path: { type: 'string' } } });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const chosen = WEATHER_NAMES.filter((name) => values.weather === undefined || name === values.weather);
  if (chosen.length === 0) throw new Error(`--weather is one of: ${WEATHER_NAMES.join('; ')}`);
  const total = Number(values.runs ?? 1_000_000);
  const runsFor = (name: WeatherName) => (values.path !== undefined ? 1 : values.weather === undefined ? runsOf(name, total) : total);
  console.log(`seed ${seed}, Node ${process.version}, ${total} schedules`);
  let broken = 0;
  let runs = 0;
  for (const name of chosen as WeatherName[]) {
    const outcome = await runWeather(name, { runs: runsFor(name), seed, path: values.path });
    runs += outcome.runs;
    if (outcome.breach !== undefined) broken++;
    console.log(`${String(outcome.runs).padStart(9)}  ${outcome.breach === undefined ? 'kept  ' : 'BROKEN'}  ${name}`);
    if (outcome.breach !== undefined) console.log(outcome.breach);
  }
  console.log(`${runs} schedules, ${broken} weathers with a breach${broken === 0 ? `; 95 % upper bound ${(3 / runs).toExponential(1)} a schedule` : ''}`);
  if (values.weather === undefined) {
    for (const { name, weather, sabotage } of MUTANTS) {
      const { runs: taken, breach } = await runWeather(weather, { runs: MUTANT_RUNS, seed, sabotage });
      if (breach === undefined) broken++;
      console.log(`${breach === undefined ? 'NOT FOUND' : String(taken).padStart(9)}  ${name}`);
    }
  }
  process.exitCode = broken === 0 ? 0 : 1;
}

await main();
