/**
 * Which share of the gap between LRU and Belady's optimum does each policy close? The table of native-notes/eviction.md.
 *
 *   npx tsx bench/eviction-table.ts [most requests a trace] [start of the names of the policies]
 *
 * Rows in capitals are policies of others (support/peer-policies.ts), replayed with the key that is coming known. MADE are patterns from a seed, with no file.
 *
 * Needs the traces: PROFILECACHE_DATA, or ../shared/data beside the repository, with traces/NAME.u32.gz. What is left out is named.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nextUses, optimum } from '../src/cli/simulate-optimum.ts';
import { replay, type Trace } from '../src/cli/simulate-replay.ts';
import { readTrace } from '../src/cli/simulate-trace.ts';
import { GdsfPolicy } from '../src/eviction/gdsf.ts';
import { POLICIES } from '../src/eviction/index.ts';
import type { PolicyFactory } from '../src/eviction/policy.ts';
import { S3FifoPolicy } from '../src/eviction/s3-fifo.ts';
import { WTinyLfuPolicy } from '../src/eviction/w-tinylfu.ts';
import { MADE_TRACES, madeTrace } from './support/made-traces.ts';
import { PEERS } from './support/peer-policies.ts';

/**
 * Families on one side only: relatives of a trace say what it says. Neither side is unseen: the constants of `adaptive`'s curves were chosen by means over all of
 * these, and of the later choices HOLD_OUT refused some that TUNE would have made. The difference between the two is what to look at.
 */
const TUNE = ['lirs-cpp', 'lirs-gli', 'lirs-multi1', 'lirs-multi3', 'lirs-sprite', 'lirs-loop', 'lirs-2pools', 'c2k-web12', 'c2k-orm-busy', 'web-apache', 'adaptsize-req', 'cdn-tc0', 'syn-scan'];
const HOLD_OUT = ['corda-vault', 'arc-oltp', 'arc-p3', 'cp-io', 'tcb-1326', 'tcb-3300', 'tcb-6579', 'git-redisson', 'syn-zipf10', 'syn-drift', 'pumpfun'];
const SHARES = [0.001, 0.01, 0.05, 0.1, 0.25];
const FIXED_ENTRIES = 5_000;
const MIN_ENTRIES = 50;
/** Cells where LRU is this near to the optimum say nothing about gaps; they count for losses. */
const MIN_GAP = 0.002;

const wanted = process.argv[3] ?? '';
const policies: Record<string, PolicyFactory> = Object.fromEntries(Object.entries<PolicyFactory>({
  adaptive: POLICIES.adaptive,
  's3-fifo': POLICIES['s3-fifo'],
  's3-fifo, small 20 %': (slots) => new S3FifoPolicy(slots, { smallShare: 0.2 }),
  's3-fifo, ghosts 3': (slots) => new S3FifoPolicy(slots, { ghosts: 3 }),
  's3-fifo, one hit': (slots) => new S3FifoPolicy(slots, { promoteAt: 1 }),
  'clock, two bits': (slots) => new S3FifoPolicy(slots, { smallShare: 0 }),
  'w-tinylfu, climbing': POLICIES['w-tinylfu'],
  'w-tinylfu, window 1 %': (slots) => new WTinyLfuPolicy(slots, { windowShare: 0.01 }),
  'w-tinylfu, window 20 %': (slots) => new WTinyLfuPolicy(slots, { windowShare: 0.2 }),
  gdsf: (slots) => new GdsfPolicy(slots),
}).filter(([name]) => name.startsWith(wanted)));

const peers = Object.entries(PEERS).filter(([name]) => name.startsWith(wanted));

interface Row { cell: string; size: number; vsLru: number; gap: number | undefined; ns: number }

const data = process.env.PROFILECACHE_DATA ?? fileURLToPath(new URL('../../shared/data', import.meta.url));
const most = Number(process.argv[2] ?? Infinity);

async function load(name: string): Promise<Trace | undefined> {
  const path = name === 'pumpfun' ? join(data, 'pumpfun-wallet-access-2024-09-24.csv.gz') : join(data, 'traces', `${name}.u32.gz`);
  if (MADE_TRACES.includes(name)) return madeTrace(name);
  if (!existsSync(path)) return void console.log(`left out, not there: ${name}`);
  const trace = await readTrace({ path, ...(name === 'pumpfun' ? { format: 'csv', column: 'wallet' } : {}) });
  if (trace.ids.length <= most) return trace;
  const ids = trace.ids.subarray(0, most);
  return { ids, uniqueKeys: ids.reduce((max, id) => Math.max(max, id), 0) + 1 };
}

async function cellsOf(names: readonly string[]): Promise<Map<string, Row[]>> {
  const rows = new Map([...Object.keys(policies), ...peers.map(([name]) => name)].map((name) => [name, [] as Row[]]));
  for (const name of names) {
    const trace = await load(name);
    if (trace === undefined) continue;
    const next = nextUses(trace);
    for (const entries of new Set([...SHARES.map((share) => Math.floor(share * trace.uniqueKeys)), FIXED_ENTRIES])) {
      if (entries < MIN_ENTRIES || entries >= trace.uniqueKeys) continue;
      const lru = replay(trace, POLICIES.lru, { entries }).misses;
      const best = optimum(trace, next, { entries }).misses;
      const note = (policy: string, misses: number, ns: number) =>
        rows.get(policy)?.push({ cell: `${name}@${entries}`, size: entries, vsLru: misses / lru - 1, gap: lru - best < MIN_GAP * lru ? undefined : (lru - misses) / (lru - best), ns });
      for (const [policy, make] of Object.entries(policies)) {
        const { misses, nsPerRequest } = replay(trace, make, { entries });
        note(policy, misses, nsPerRequest);
      }
      for (const [policy, missesOf] of peers) note(policy, missesOf(trace, entries), NaN);
    }
  }
  return rows;
}

const percent = (share: number) => (share * 100).toFixed(1);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function print(title: string, rows: Map<string, Row[]>): void {
  console.log(`\n${title}\n| policy | cells | gap closed, mean | median | 10th percentile | > 1 % worse | > 5 % worse | worst cell | ns a request |\n|---|---|---|---|---|---|---|---|---|`);
  for (const [policy, cells] of rows) {
    const gaps = cells.flatMap(({ gap }) => (gap === undefined ? [] : [gap])).sort((a, b) => a - b);
    if (gaps.length === 0) continue;
    const worst = cells.reduce((a, b) => (a.vsLru > b.vsLru ? a : b));
    const over = (limit: number) => cells.filter(({ vsLru }) => vsLru > limit).length;
    console.log(`| ${policy} | ${cells.length} | ${percent(mean(gaps))} | ${percent(gaps[gaps.length >> 1])} | ${percent(gaps[Math.floor(gaps.length / 10)])} | ${over(0.01)} | ${over(0.05)} | ${worst.vsLru > 0 ? '+' : ''}${percent(worst.vsLru)} ${worst.cell} | ${mean(cells.map(({ ns }) => ns)).toFixed(0)} |`);
  }
}

const [tune, holdOut] = [await cellsOf(TUNE), await cellsOf(HOLD_OUT)];
const joined = new Map([...tune].map(([policy, rows]) => [policy, [...rows, ...(holdOut.get(policy) ?? [])]]));
const upTo = (rows: Map<string, Row[]>, from: number, to: number) => new Map([...rows].map(([policy, cells]) => [policy, cells.filter(({ size }) => size >= from && size < to)]));
print('TUNE', tune);
print('HOLD_OUT', holdOut);
print('All', joined);
const made = (wanted: boolean) => new Map([...joined].map(([policy, cells]) => [policy, cells.filter(({ cell }) => cell.startsWith('syn-') === wanted)]));
print('Real', made(false));
print('Generated', made(true));
print('500 entries and fewer', upTo(joined, 0, 501));
print('501 to 5,000 entries', upTo(joined, 501, FIXED_ENTRIES + 1));
print('More than 5,000 entries', upTo(joined, FIXED_ENTRIES + 1, Infinity));
print('MADE', await cellsOf(MADE_TRACES));
