/**
 * `npm run bench [-- name ...] [-- --markdown file]`: each benchmark in a process of its own, one after the other, one cluster for all.
 * `--markdown` writes the tables to a file; where the file has the lines `<!-- bench: summary -->` or `<!-- bench: all -->`, each with its
 * `<!-- /bench -->`, only what is between them is replaced, and only by a run of all benchmarks.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BENCH_CLUSTER_PORT, CLUSTER_RUNS_ENV } from './support/bench.ts';
import { built } from './support/built.ts';
import { environmentText } from './support/environment.ts';
import { reportText, summaryText, type Report } from './support/report.ts';

const here = new URL('./', import.meta.url);
/** Quick and quiet ones first; those that need the cluster together. */
const ORDER = ['l1-hit', 'l1-cold', 'codec', 'threads', 'attach', 'l2-hit', 'bulk-prefetch', 'cold', 'update', 'bytes', 'embedded'];
const ON_CLUSTER = new Set(['l2-hit', 'bulk-prefetch', 'cold', 'update', 'bytes']);
/** Long past anything that is not stuck. */
const BENCH_DEADLINE_MS = 180_000;

/** Runs of their own, minutes long: `npm run model`, `torture`, `soak`, `chaos`, `fuzz`, `off-heap`, and the table of native-notes/eviction.md. */
const NO_QUESTIONS = ['run.ts', 'model.ts', 'torture.ts', 'soak.ts', 'eviction-table.ts', 'chaos.ts', 'fuzz.ts', 'off-heap.ts'];
const known = readdirSync(here).filter((file) => file.endsWith('.ts') && !NO_QUESTIONS.includes(file)).map((file) => file.slice(0, -3));
const names = [...ORDER.filter((name) => known.includes(name)), ...known.filter((name) => !ORDER.includes(name))];

let running: ChildProcess | undefined;

function runOne(name: string): Promise<Report> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL(`${name}.ts`, here)), { execArgv: ['--import', 'tsx'], env: process.env });
    running = child;
    let report: Report | undefined;
    const deadline = setTimeout(() => child.kill('SIGKILL'), BENCH_DEADLINE_MS);
    child.on('message', (message) => (report = message as Report));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(deadline);
      running = undefined;
      if (report !== undefined && code === 0) resolve(report);
      else reject(new Error(`${name} ended with ${signal ?? `code ${code}`}`));
    });
  });
}

function markdown(reports: readonly Report[], environment: string): { summary: string; all: string } {
  const machine = environment.split('\n').map((line) => `- ${line}`).join('\n');
  const summary = [summaryText(reports), machine].filter((part) => part !== '').join('\n\n');
  return { summary, all: [summary, ...reports.map(reportText)].join('\n\n') };
}

const MARKED = /(<!-- bench: (summary|all) -->\n)[^]*?(<!-- \/bench -->)/g;

/** Before anything runs: a file that would be refused after four minutes is refused now. */
function checkTarget(file: string, whole: boolean): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (before === '') return;
  if (before.search(MARKED) < 0) throw new Error(`${file} has no <!-- bench: ... --> lines; name a file that does not exist yet`);
  if (!whole) throw new Error(`${file} holds the figures of all benchmarks: a run of some does not replace them`);
}

function writeMarkdown(file: string, texts: { summary: string; all: string }): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (before === '') writeFileSync(file, `# Benchmarks\n\n${texts.all}\n`);
  else writeFileSync(file, before.replace(MARKED, (_, start: string, which: 'summary' | 'all', end: string) => `${start}\n${texts[which]}\n\n${end}`));
}

const { values, positionals } = parseArgs({ options: { markdown: { type: 'string', multiple: true } }, allowPositionals: true });
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`there is no benchmark called ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  process.exit(2);
}
const chosen = positionals.length === 0 ? names : names.filter((name) => positionals.includes(name));
const targets = values.markdown ?? [];
try {
  for (const file of targets) checkTarget(file, chosen.length === names.length);
} catch (error) {
  console.error((error as Error).message);
  process.exit(2);
}
const environment = environmentText();
console.log(`${environment}\n`);

const { startLocalCluster } = await built<typeof import('../src/l2/local-cluster.ts')>('l2/local-cluster');
const cluster = chosen.some((name) => ON_CLUSTER.has(name)) ? await startLocalCluster({ basePort: BENCH_CLUSTER_PORT }) : undefined;
if (cluster !== undefined) process.env[CLUSTER_RUNS_ENV] = '1';
let interrupted = false;
process.once('SIGINT', () => {
  interrupted = true;
  running?.kill('SIGINT');
});

const reports: Report[] = [];
const failed: string[] = [];
try {
  for (const name of chosen) {
    if (interrupted) break;
    try {
      const report = await runOne(name);
      reports.push(report);
      console.log(`${reportText(report)}\n`);
    } catch (error) {
      failed.push(name);
      console.error(`## ${name}\n\nfailed: ${(error as Error).message}\n`);
    }
  }
} finally {
  await cluster?.stop();
}
if (reports.length > 1) console.log(`## Summary\n\n${summaryText(reports)}\n`);
if (reports.length === chosen.length) for (const file of targets) writeMarkdown(file, markdown(reports, environment));
else if (targets.length > 0) console.error('not everything ran: nothing is written to a file');
process.exitCode = failed.length > 0 || interrupted ? 1 : 0;
