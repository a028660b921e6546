/**
 * `npm run torture -- [--minutes N] [--readers R] [--seed S] [--rounds of litmus]`: reads by real threads, each judged, against an owner that changes everything
 * all the time; then reader threads, attached threads and owners that are terminated anywhere, readers that are wrong on purpose, and litmus shapes. Exit code 1 on any fault,
 * and when a canary is not caught.
 */
import { parseArgs } from 'node:util';
import { torture, tortureWithKills, type TortureOptions, type TortureReport } from '../test/support/l1-torture.ts';
import { tortureAttached, tortureOwners } from '../test/support/attached-torture.ts';
import { environmentText } from './support/environment.ts';
import { litmus, SHAPES } from './support/litmus.ts';
import { tableText } from './support/report.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '3' }, readers: { type: 'string', default: '2' }, seed: { type: 'string' }, rounds: { type: 'string', default: '10000000' } } });
const minutes = Number(values.minutes);
const readers = Number(values.readers);
const litmusRounds = Number(values.rounds);
const seed = Number(values.seed ?? (Date.now() % 1_000_000) + 1);
if (!(minutes > 0) || !(readers >= 1 && readers <= 64) || !Number.isInteger(seed) || !(litmusRounds >= 1)) {
  throw new Error('--minutes is above 0, --readers 1 to 64, --seed an integer, --rounds 1 or more');
}

/** Shares of the time; litmus and canaries take what they take. */
const READ_SHARE = 0.6;
const KILL_SHARE = 0.1;
const ATTACHED_SHARE = 0.15;
const SLICE_MS = 10_000;
const CANARY_MS = 20_000;

const small: TortureOptions = { runMs: 0, readers, wallets: 400, maxProfiles: 120, maxBytes: 128 * 1024, seed };
const large: TortureOptions = { ...small, wallets: 4_000, maxProfiles: 3_000, maxBytes: 4 * 1024 * 1024 };
const number = (value: number) => value.toLocaleString('en');
let failed = false;

console.log(environmentText());
console.log(`seed ${seed}, ${readers} readers`);

const reports: TortureReport[] = [];
const policies = ['lru', 's3-fifo', 'w-tinylfu', 'adaptive'] as const;
const readMs = minutes * 60_000 * READ_SHARE;
for (let spentMs = 0, slice = 0; spentMs < readMs && !failed; slice++) {
  const runMs = Math.min(SLICE_MS, readMs - spentMs);
  const report = await torture({ ...(slice % 3 === 2 ? large : small), runMs, seed: seed + slice * 1_000, policy: policies[slice % policies.length] });
  spentMs += runMs;
  reports.push(report);
  for (const fault of report.faults) {
    failed = true;
    console.log(`FAULT with seed ${seed + slice * 1_000}: ${fault}`);
  }
}
const total = (pick: (report: TortureReport) => number) => reports.reduce((sum, report) => sum + pick(report), 0);
const judged = total(({ readers: r }) => r.hits + r.nearHits + r.cacheHits);
console.log(`\n**Judged reads**\n\n${tableText(['what', 'count'], ([
  ['puts', (r) => r.puts], ['removes', (r) => r.removes], ['evictions', (r) => r.evictions], ['expirations', (r) => r.expirations], ['clears', (r) => r.clears],
  ['bytes moved by compaction', (r) => r.movedBytes], ['reads of shared memory', (r) => r.readers.reads], ['of them hits', (r) => r.readers.hits],
  ['misses', (r) => r.readers.misses], ['expired, so not served', (r) => r.readers.expired], ['contended, so not served', (r) => r.readers.contended], ['near-cache hits', (r) => r.readers.nearHits],
  ['hits by the whole read path (near cache, shared clock reading)', (r) => r.readers.cacheHits], ['of them after the deadline, within the run of 65 reads that shares a reading', (r) => r.readers.lateHits],
] satisfies [string, (report: TortureReport) => number][]).map(([what, pick]) => [what, number(total(pick))]))}`);
console.log(`\n${tableText(['fault', 'found', '95 % upper bound (3/n) of a profile served'], ([
  ['wrong wallet', total((r) => r.kinds.foreign)], ['torn', total((r) => r.kinds.torn)], ['stale', total((r) => r.kinds.stale)], ['expired', total((r) => r.kinds.expired)],
] as const).map(([what, found]) => [what, String(found), found === 0 ? `${(3 / judged).toExponential(1)} (n = ${number(judged)})` : 'none: it happens']))}`);
console.log(`slowest read ${Math.max(...reports.map((r) => r.readers.maxReadMs)).toFixed(1)} ms, time away from the CPU included`);

const kills = await tortureWithKills({ ...small, runMs: minutes * 60_000 * KILL_SHARE, seed });
console.log(`\n**Reader threads terminated anywhere**\n\n${tableText(['what', 'count'], [
  ['threads terminated', number(kills.kills)], ['slots left odd', number(kills.oddSlots)], ['reads right after an end', number(kills.reads)],
  ['slowest of them, and how long of that the thread was ready to run and had no core', `${kills.times.slowestMs.toFixed(2)} ms, ${kills.times.slowestWaitedMs.toFixed(2)} ms`],
  ['slowest when each is taken without that', `${kills.times.longestOwnMs.toFixed(2)} ms`],
  ['puts meanwhile', number(kills.puts)], ['bytes or slots leaked (whole region walked after each end)', '0'],
  ['thread rows lost', number(kills.rowsKept)],
])}`);
for (const fault of kills.faults) {
  failed = true;
  console.log(`FAULT: ${fault}`);
}

const share = minutes * 60_000 * ATTACHED_SHARE;
for (const [title, report] of [
  ['Attached threads of an open cache terminated anywhere', await tortureAttached(share)],
  ['Owner threads terminated while another thread reads', await tortureOwners(share)],
] as const) {
  console.log(`\n**${title}**\n\n${tableText(['what', ''], report.rows)}`);
  for (const fault of report.faults) {
    failed = true;
    console.log(`FAULT: ${fault}`);
  }
}

console.log('\n**Canaries: must be caught**\n');
for (const [broken, options] of [['no-close', small], ['no-key', large], ['near-blind', small], ['late-clock', small]] as const) {
  const started = performance.now();
  const { faults } = await torture({ ...options, runMs: CANARY_MS, broken });
  if (faults.length === 0) failed = true;
  console.log(`- ${broken}: ${faults.length === 0 ? 'NOT CAUGHT' : `caught after ${(performance.now() - started).toFixed(0)} ms: ${faults[0]}`}`);
}

const rows: string[][] = [];
for (const shape of SHAPES) {
  for (const { outcome, count, forbidden } of (await litmus(shape, litmusRounds)).outcomes) {
    if (forbidden) failed = true;
    rows.push([`${shape.name} (${shape.reads})`, outcome, number(count), forbidden ? 'FORBIDDEN' : 'acceptable']);
  }
  if (shape.forbidden.length > 0) rows.push(['', shape.forbidden.join(' '), 'forbidden', shape.why]);
}
console.log(`\n**Litmus, ${number(litmusRounds)} rounds a shape**\n\n${tableText(['shape', 'outcome', 'count', ''], rows)}`);
console.log(failed ? '\nFAILED' : '\nNo fault.');
process.exitCode = failed ? 1 : 0;
