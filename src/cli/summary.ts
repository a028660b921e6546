/** What a run of `profile` says at its end, for people and as an object. */
import type { TradeReport } from '../index.ts';
import { count, duration, facts, percent, plural, table } from './format.ts';
import { SEVERITIES, type RunTally } from './profile-run.ts';
import type { ColdRun } from './run-memory.ts';
import { savingsText, type Savings } from './savings.ts';
import type { StopReason } from './stop.ts';

const SHOWN_MALFORMED = 3;
const MIN_FASTER = 1.1;

export interface RunSummary {
  wallets: number;
  tally: RunTally;
  trades: TradeReport | undefined;
  readMs: number;
  openMs: number;
  totalMs: number;
  threads: number | undefined;
  l2: string;
  ttlSeconds: number;
  l2Failures: number;
  unsavedWrites: number;
  savings: Savings | undefined;
  coldRun: ColdRun | undefined;
  out: { path: string; lines: number; bytes: number } | undefined;
  stopped: StopReason | undefined;
}

export function summaryText(run: RunSummary): string {
  const { tally } = run;
  const sections = [answeredTable(tally), facts(factRows(run)), `  ${SEVERITIES.map((severity) => `${severity} ${count(tally.severities[severity])}`).join('   ')}`];
  const malformed = malformedText(run.trades);
  if (malformed !== '') sections.push(malformed);
  return `${headline(run)}\n\n${sections.join('\n\n')}`;
}

function headline({ wallets, tally, totalMs, stopped }: RunSummary): string {
  if (stopped !== undefined) return `Stopped: ${count(tally.done)} of ${plural(wallets, 'wallet')} done in ${duration(totalMs)}`;
  return `${plural(wallets, 'profile')} in ${duration(totalMs)}`;
}

export function answeredTable(tally: RunTally): string {
  const { near, l1, l2, profiler, done } = tally;
  const cached = near + l1 + l2;
  const share = (part: number) => (done === 0 ? '-' : percent(part / done));
  const each = (ms: number, part: number) => (part === 0 ? '-' : duration(ms / part));
  return table(['answered by', 'wallets', 'share', 'time a wallet'], [
    ['near cache', count(near), share(near), '-'],
    ['L1', count(l1), share(l1), '-'],
    ['L2', count(l2), share(l2), cached === l2 ? each(tally.lookupMs, l2) : '-'],
    ['profiler', count(profiler), share(profiler), each(tally.profilerMs, profiler)],
  ]);
}

function factRows(run: RunSummary): [string, string][] {
  const { tally, trades, out } = run;
  const rows: [string, string][] = titled('saved', savingsText(tally, run.savings).filter((text) => text !== undefined));
  const faster = run.coldRun === undefined || run.stopped !== undefined || tally.profiler > 0 ? 0 : run.coldRun.totalMs / run.totalMs;
  if (faster >= MIN_FASTER && run.coldRun?.wallets === run.wallets) rows.push(['compared', `${faster.toFixed(1)} times as fast as the run that profiled them (${duration(run.coldRun.totalMs)})`]);
  rows.push(...titled('time', timesText(run)));
  rows.push(['kept', run.l2 === 'none' ? 'nowhere (--l2 none:)' : `in ${run.l2} for ${duration(run.ttlSeconds * 1000)} (--ttl)`]);
  if (out !== undefined) rows.push(['written', `${plural(out.lines, 'line')} to ${out.path === '-' ? 'stdout' : out.path}`]);
  if (trades === undefined) rows.push(['trades', 'not read: the cache had every wallet']);
  else {
    const odd = [trades.duplicates > 0 ? plural(trades.duplicates, 'duplicate') : '', trades.malformed > 0 ? `${count(trades.malformed)} malformed` : ''].filter((text) => text !== '');
    rows.push(['trades', `${plural(trades.rows, 'row')}${odd.length > 0 ? `, of which ${odd.join(' and ')}` : ''}; ${plural(trades.tokens, 'token')}`]);
    if (trades.lastLineUnterminated) rows.push(['', 'the last line has no line break: a file that was cut there would look the same']);
  }
  if (run.l2Failures > 0) rows.push(['L2 failed', `for ${plural(run.l2Failures, 'operation')}; what it did not answer was profiled`]);
  if (run.unsavedWrites > 0) rows.push(['not kept', `${plural(run.unsavedWrites, 'profile')}: L2 did not take them`]);
  return rows;
}

const STAGES_A_LINE = 3;

/** One title for several lines. */
const titled = (title: string, texts: readonly string[]): [string, string][] => texts.map((text, at) => [at === 0 ? title : '', text]);

function timesText({ tally, readMs, openMs, threads }: RunSummary): string[] {
  const stages: [string, number][] = [
    ['trades', readMs],
    ['open cache', openMs],
    ['ask cache', tally.lookupMs],
    ['start profiler', tally.prepareMs],
    [`profile and keep${threads === undefined ? '' : ` (${plural(threads, 'thread')})`}`, tally.profileMs],
    ['write', tally.outputMs],
  ];
  const taken = stages.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name} ${duration(ms)}`);
  return Array.from({ length: Math.ceil(taken.length / STAGES_A_LINE) }, (_, line) => taken.slice(line * STAGES_A_LINE, (line + 1) * STAGES_A_LINE).join(', '));
}

function malformedText(trades: TradeReport | undefined): string {
  if (trades === undefined || trades.malformed === 0) return '';
  const shown = trades.malformedRows.slice(0, SHOWN_MALFORMED).map(({ line, reason }) => `    line ${count(line)}: ${reason}`);
  const more = trades.malformed - shown.length;
  return ['  Malformed rows, not used:', ...shown, ...(more > 0 ? [`    and ${count(more)} more`] : [])].join('\n');
}

export function summaryObject(run: RunSummary): object {
  const { tally, trades, stopped, threads, savings } = run;
  return {
    wallets: run.wallets,
    done: tally.done,
    complete: tally.done === run.wallets,
    stopped: stopped ?? null,
    answeredBy: { near: tally.near, l1: tally.l1, l2: tally.l2, profiler: tally.profiler },
    severities: tally.severities,
    timesMs: {
      trades: run.readMs, openCache: run.openMs, askCache: tally.lookupMs, startProfiler: tally.prepareMs,
      profileAndKeep: tally.profileMs, profiler: tally.profilerMs, write: tally.outputMs, total: run.totalMs,
    },
    saved: savings === undefined ? null : { ms: savings.savedMs, wallets: savings.wallets, profilerMsPerWallet: savings.msPerWallet, measuredIn: savings.source },
    threads: threads ?? null,
    l2: { url: run.l2, ttlSeconds: run.ttlSeconds, failures: run.l2Failures, unsavedWrites: run.unsavedWrites },
    out: run.out ?? null,
    trades: trades === undefined ? null : { ...trades, malformedRows: trades.malformedRows },
  };
}
