/** `profilecache simulate`: which eviction policy suits a trace of keys, and how far it is from the optimum. */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ProfileCacheError } from '../errors.ts';
import { GdsfPolicy } from '../eviction/gdsf.ts';
import { POLICIES } from '../eviction/index.ts';
import type { PolicyFactory } from '../eviction/policy.ts';
import { bytes, count, percent, plural, table } from './format.ts';
import type { Shell } from './shell.ts';
import { nextUses, optimum } from './simulate-optimum.ts';
import { plotSvg } from './simulate-plot.ts';
import { replay, type Bounds, type ReplayResult, type Trace } from './simulate-replay.ts';
import { readTrace, TRACE_FORMATS, type TraceFormat } from './simulate-trace.ts';

interface SimulateOptions {
  format?: TraceFormat;
  column?: string;
  sizes?: string;
  sizeColumn?: string;
  capacities: Capacity[];
  bytes?: boolean;
  policies?: string[];
  plot?: string;
}

/** A share of the unique keys (or of their bytes), or a number of entries (or bytes). */
export type Capacity = { share: number } | { amount: number };

export interface CellResult {
  label: string;
  bounds: Bounds;
  optimum: { misses: number; missRatio: number };
  policies: ({ policy: string; missRatio: number; byteMissRatio?: number; vsLru: number; gapClosed: number | null } & ReplayResult)[];
}

const DEFAULT_CAPACITIES = '0.1%,1%,5%,10%,25%,5000';
const MIN_ENTRIES = 1;
/** All that a policy may be asked for by name: those of the engine, and a yardstick. */
const FACTORIES: Record<string, PolicyFactory> = { ...POLICIES, gdsf: (slotCount) => new GdsfPolicy(slotCount) };
/** A gap smaller than this share of the misses of LRU says nothing. */
const MIN_GAP = 0.002;

export function registerSimulate(program: Command, shell: Shell): void {
  program
    .command('simulate')
    .summary('replay a trace of keys through every eviction policy and the optimum')
    .description(
      'Replays a trace of keys through the eviction policies of L1 and Belady\'s optimum at several cache sizes, and prints miss ratios and which\n' +
      'share of the distance from LRU to the optimum each closes. With --bytes caches are bounded in bytes; the optimum is then a bound (PFOO-L).',
    )
    .argument('<trace>', 'file of keys, one a request, plain or gzip; - for stdin')
    .addOption(new Option('--format <format>', 'text: one key a line; csv: a column; u32: little-endian numbers (default: by name, .u32 and .csv, else text)').choices(TRACE_FORMATS))
    .option('--column <n|name>', 'column of the key in a CSV, by number from 1 or by name (default: 1)')
    .option('--sizes <file>', 'bytes of each request: u32 (named .u32 or .u32.gz) or one number a line')
    .option('--size-column <n|name>', 'column of a CSV with the bytes of each request')
    .option('--capacities <list>', 'cache sizes: shares of the unique keys such as 5%, or entries (with --bytes: of their bytes, or bytes)', capacities, capacities(DEFAULT_CAPACITIES))
    .option('--bytes', 'bound caches in bytes and not in entries; needs sizes')
    .option('--policies <list>', `of ${Object.keys(FACTORIES).join(', ')} (default: those of the engine; with --bytes all)`, policyNames)
    .option('--plot <file>', 'write the miss ratios as a plot, SVG')
    .addHelpText('after', `
Examples:
  $ profilecache simulate keys.txt.gz
  $ profilecache simulate access.csv --column wallet --capacities 1%,10%,5000 --plot misses.svg
  $ profilecache simulate blocks.u32.gz --sizes blocks.sz.u32.gz --bytes --policies lru,adaptive,gdsf`)
    .action((trace: string, options: SimulateOptions) => simulate(shell, trace, options));
}

async function simulate(shell: Shell, path: string, options: SimulateOptions): Promise<void> {
  const trace = await readTrace({ path, format: options.format, column: options.column, sizesPath: options.sizes, sizeColumn: options.sizeColumn, signal: shell.stop.signal });
  if (options.bytes && trace.sizes === undefined) throw new ProfileCacheError('ERR_USAGE', '--bytes needs the sizes: give --sizes or --size-column');
  if (!options.bytes) trace.sizes = undefined;
  const totalBytes = trace.sizes === undefined ? undefined : uniqueBytes(trace);
  // LRU is one end of the gap, whether asked for or not.
  const names = [...new Set(['lru', ...(options.policies ?? Object.keys(options.bytes ? FACTORIES : POLICIES))])];
  const cells: CellResult[] = [];
  const next = nextUses(trace);
  const wanted = options.capacities.map((capacity) => ({ capacity, bounds: boundsOf(capacity, trace, totalBytes) }));
  const stage = shell.progress.stage({ name: 'Replaying', total: wanted.length * (names.length + 1) });
  let done = 0;
  for (const { capacity, bounds } of wanted) {
    const label = 'share' in capacity ? `${Number((capacity.share * 100).toPrecision(6))}%` : count(capacity.amount);
    const best = optimum(trace, next, bounds);
    stage.update(++done, label);
    const results: [string, ReplayResult][] = [];
    for (const name of names) {
      // A replay is one piece of work: signals are heard between two.
      await setImmediate();
      if (shell.stop.requested) throw new ProfileCacheError('ERR_ABORTED', 'stopped before the simulation was done');
      results.push([name, replay(trace, FACTORIES[name], bounds)]);
      stage.update(++done, label);
    }
    cells.push(cellOf(label, bounds, best.misses, trace, results));
  }
  stage.end();
  const plotted = options.plot;
  if (plotted !== undefined) await writePlot(plotted, basename(path), cells, options.bytes === true);
  await shell.object({ trace: path, requests: trace.ids.length, uniqueKeys: trace.uniqueKeys, ...(totalBytes === undefined ? {} : { uniqueBytes: totalBytes }), bound: totalBytes === undefined ? 'belady' : 'pfoo-l', cells, summary: summaryOf(cells) });
  if (shell.json) return;
  await shell.result(textOf(path, trace, totalBytes, cells));
  if (plotted !== undefined) shell.note(`\n${plotted}: the plot`);
}

function cellOf(label: string, bounds: Bounds, best: number, trace: Trace, results: [string, ReplayResult][]): CellResult {
  const lru = results[0][1].misses;
  const requests = trace.ids.length;
  const requestedBytes = trace.sizes?.reduce((sum, size) => sum + size, 0);
  return {
    label, bounds, optimum: { misses: best, missRatio: best / requests },
    policies: results.map(([policy, result]) => ({
      policy, missRatio: result.misses / requests, ...(requestedBytes === undefined ? {} : { byteMissRatio: result.missedBytes / requestedBytes }),
      vsLru: result.misses / lru - 1, gapClosed: lru - best < MIN_GAP * lru ? null : (lru - result.misses) / (lru - best), ...result,
    })),
  };
}

function textOf(path: string, trace: Trace, totalBytes: number | undefined, cells: readonly CellResult[]): string {
  const size = totalBytes === undefined ? '' : `, ${bytes(totalBytes)} if each were kept`;
  const blocks = [`${path}: ${plural(trace.ids.length, 'request')} for ${plural(trace.uniqueKeys, 'key')}${size}`];
  for (const cell of cells) {
    const holds = cell.bounds.bytes === undefined ? plural(cell.bounds.entries, 'entry', 'entries') : bytes(cell.bounds.bytes);
    const withBytes = totalBytes !== undefined;
    const rows = cell.policies.map((row) => [
      row.policy, row.missRatio.toFixed(4), ...(withBytes ? [(row.byteMissRatio as number).toFixed(4)] : []),
      signed(row.vsLru), row.gapClosed === null ? '-' : percent(row.gapClosed), `${Math.round(row.nsPerRequest)} ns`,
    ]);
    rows.push([withBytes ? 'bound (PFOO-L)' : 'optimum (Belady)', cell.optimum.missRatio.toFixed(4), ...(withBytes ? ['-'] : []), signed(cell.optimum.misses / cell.policies[0].misses - 1), '100.0 %', '-']);
    blocks.push(`Cache of ${cell.label === count(cell.bounds.entries) ? holds : `${cell.label} (${holds})`}\n${table(['policy', 'miss ratio', ...(withBytes ? ['bytes missed'] : []), 'misses vs LRU', 'gap closed', 'a request'], rows)}`);
  }
  const rows = summaryOf(cells).map((row) => [row.policy, row.meanGapClosed === null ? '-' : percent(row.meanGapClosed), signed(row.worstVsLru), `${Math.round(row.nsPerRequest)} ns`]);
  blocks.push(`All ${plural(cells.length, 'size')}\n${table(['policy', 'gap closed, mean', 'worst vs LRU', 'a request'], rows)}`);
  return blocks.join('\n\n');
}

interface PolicySummary {
  policy: string;
  meanGapClosed: number | null;
  worstVsLru: number;
  nsPerRequest: number;
}

function summaryOf(cells: readonly CellResult[]): PolicySummary[] {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return cells[0].policies.map(({ policy }, at) => {
    const rows = cells.map((cell) => cell.policies[at]);
    const gaps = rows.flatMap((row) => (row.gapClosed === null ? [] : [row.gapClosed]));
    return { policy, meanGapClosed: gaps.length === 0 ? null : mean(gaps), worstVsLru: Math.max(...rows.map((row) => row.vsLru)), nsPerRequest: mean(rows.map((row) => row.nsPerRequest)) };
  });
}

async function writePlot(path: string, title: string, cells: readonly CellResult[], inBytes: boolean): Promise<void> {
  const point = (cell: CellResult, missRatio: number) => ({ size: cell.bounds.bytes ?? cell.bounds.entries, label: cell.label, missRatio });
  const lines = cells[0].policies.map(({ policy }, at) => ({ name: policy, points: cells.map((cell) => point(cell, cell.policies[at].missRatio)) }));
  lines.push({ name: inBytes ? 'bound (PFOO-L)' : 'optimum (Belady)', points: cells.map((cell) => point(cell, cell.optimum.missRatio)) });
  try {
    await writeFile(path, plotSvg(title, inBytes ? 'bytes' : 'entries', lines));
  } catch (error) {
    throw new ProfileCacheError('ERR_OUTPUT', `--plot ${path} cannot be written: ${(error as Error).message}; choose another file`, { cause: error });
  }
}

function boundsOf(capacity: Capacity, trace: Trace, totalBytes: number | undefined): Bounds {
  if (totalBytes !== undefined) return { entries: trace.uniqueKeys, bytes: Math.max(1, Math.floor('share' in capacity ? capacity.share * totalBytes : capacity.amount)) };
  return { entries: Math.max(MIN_ENTRIES, Math.floor('share' in capacity ? capacity.share * trace.uniqueKeys : capacity.amount)) };
}

function uniqueBytes({ ids, sizes, uniqueKeys }: Trace): number {
  const seen = new Uint8Array(uniqueKeys);
  let sum = 0;
  for (let at = 0; at < ids.length; at++) {
    if (seen[ids[at]]) continue;
    seen[ids[at]] = 1;
    sum += (sizes as Uint32Array)[at];
  }
  return sum;
}

export function capacities(text: string): Capacity[] {
  return text.split(',').map((item) => {
    const part = item.trim();
    const share = /^\d+(\.\d+)?%$/.test(part) ? Number(part.slice(0, -1)) / 100 : undefined;
    const amount = /^\d+$/.test(part) ? Number(part) : undefined;
    if (share !== undefined && share > 0 && share <= 1) return { share };
    if (amount !== undefined && amount >= 1 && Number.isSafeInteger(amount)) return { amount };
    throw new InvalidArgumentError(`It is a list such as ${DEFAULT_CAPACITIES}.`);
  });
}

function policyNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) if (!Object.hasOwn(FACTORIES, name)) throw new InvalidArgumentError(`There is no policy ${name}; there are ${Object.keys(FACTORIES).join(', ')}.`);
  return names;
}

const signed = (share: number): string => `${share > 0 ? '+' : ''}${percent(share)}`;
