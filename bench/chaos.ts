/**
 * `npm run chaos [-- --rows C1,C5] [-- --seed N] [-- --json] [-- --markdown file]`: faults on a real six-node cluster, under load through the
 * public API, every answer judged. `--markdown` replaces what is between `<!-- chaos -->` and `<!-- /chaos -->` in the file: rows that ran replace
 * their own lines alone, so that a row may be run again on a quieter machine. Exit code 1 when a row misses its mark.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { stopChaosCluster } from './support/chaos-cluster.ts';
import { runRows, type RowReport } from './support/chaos-run.ts';
import { chaosRows } from './support/chaos-rows.ts';
import { chaosTable, mergeChaos } from './support/chaos-table.ts';
import { environmentText } from './support/environment.ts';

const { values } = parseArgs({ options: { rows: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean', default: false }, markdown: { type: 'string' } } });
const asked = values.rows?.split(',').map((id) => id.trim().toUpperCase());
const unknown = asked?.filter((id) => !chaosRows.some((row) => row.id === id)) ?? [];
const seed = Number(values.seed ?? Date.now() % 100_000);
if (unknown.length > 0 || !Number.isInteger(seed)) {
  console.error(`--rows takes ${chaosRows.map(({ id }) => id).join(',')}; --seed an integer`);
  process.exit(2);
}
if (values.markdown !== undefined && (!existsSync(values.markdown) || !readFileSync(values.markdown, 'utf8').includes('<!-- chaos -->'))) {
  console.error(`${values.markdown} has no <!-- chaos --> line`);
  process.exit(2);
}
const rows = asked === undefined ? chaosRows : chaosRows.filter(({ id }) => asked.includes(id));
const environment = environmentText();
if (!values.json) console.log(`${environment}\nseed ${seed}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopChaosCluster().finally(() => process.exit(1)));
}

const reports: RowReport[] = [];
for await (const report of runRows(rows, seed)) {
  reports.push(report);
  // After each row: a run that is broken off keeps what it has seen.
  if (values.markdown !== undefined) writeFileSync(values.markdown, mergeChaos(readFileSync(values.markdown, 'utf8'), [report], chaosRows.map(({ id }) => id)));
  if (values.json) continue;
  const missed = report.checks.filter(({ ok }) => !ok).map(({ text }) => text);
  console.log(`${report.id.padEnd(4)} ${report.verdict.padEnd(6)} ${report.fault}${missed.length > 0 ? `\n     missed: ${missed.join('; ')}` : ''}\n     ${report.notes.join('; ')}`);
}
if (values.json) console.log(JSON.stringify({ seed, environment, rows: reports }, undefined, 2));
else console.log(`\n${chaosTable(reports)}`);
process.exitCode = reports.every(({ verdict }) => verdict === 'pass') ? 0 : 1;
