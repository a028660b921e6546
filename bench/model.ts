/**
 * `npm run model [part of a name]`: the reader/writer protocol of L1 as Promela models, checked by spin. Correct variants must have no
 * error, mutants must have the one that is named. Exit code 1 when any result is another.
 */
import { CORRECT, HARMLESS, MUTANTS, type Variant } from './support/model-variants.ts';
import { tableText } from './support/report.ts';
import { environmentText } from './support/environment.ts';
import { checkModel, missingTool, surprise, type Checked } from './support/spin.ts';

const wanted = process.argv[2];
const missing = missingTool();
if (missing !== undefined) {
  console.error(`npm run model: ${missing} is not installed (Debian and Ubuntu: apt install spin gcc)`);
  process.exit(1);
}

const resultText = ({ fault, exhaustive }: Checked) => fault ?? (exhaustive ? '0 errors, exhaustive' : '0 errors, NOT completed');

console.log(environmentText());
const startedMs = performance.now();
let wrong = 0;
for (const [title, variants] of [['Correct: no error', CORRECT], ['Changed, and harmless: no error', HARMLESS], ['Mutants: must fail', MUTANTS]] as const) {
  const rows: string[][] = [];
  const check = (variant: Variant) => {
    let checked: Checked = { states: NaN, depth: NaN, fault: undefined, assertion: '', exhaustive: false, seconds: NaN };
    let unexpected: string | undefined;
    try {
      checked = checkModel(variant);
      unexpected = surprise(variant, checked);
    } catch (error) {
      // One that gives no result does not take those of the others with it.
      unexpected = String(error);
    }
    if (unexpected !== undefined) wrong++;
    rows.push([
      `${variant.model}: ${variant.name}`, checked.states.toLocaleString('en'), String(checked.depth), unexpected === undefined ? resultText(checked) : `WRONG: ${unexpected}`,
      checked.seconds.toFixed(1), variant.why,
    ]);
    process.stderr.write(unexpected === undefined ? '.' : '!');
  };
  variants.filter((variant) => wanted === undefined || `${variant.model}: ${variant.name}`.includes(wanted)).forEach(check);
  process.stderr.write('\n');
  if (rows.length > 0) console.log(`\n**${title}**\n\n${tableText(['variant', 'states', 'depth', 'result', 'seconds', 'why'], rows)}`);
}
console.log(`\n${((performance.now() - startedMs) / 60_000).toFixed(1)} minutes.`);
console.log(wrong === 0 ? '\nEvery result is the expected one.' : `\n${wrong} results are not the expected ones.`);
process.exitCode = wrong === 0 ? 0 : 1;
