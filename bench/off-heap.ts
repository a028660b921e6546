/**
 * What do many resident profiles cost the heap, the garbage collector and the slowest hits?
 * 60,000 profiles with the others; `PROFILECACHE_OFF_HEAP=200000,1000000 npm run bench -- off-heap` for the figures of native-notes/memory-layout.md
 * (a million: lru-cache and the Map take 2.6 GB of heap each, some minutes in all).
 */
import { fork } from 'node:child_process';
import { totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { bench, type Findings } from './support/bench.ts';
import { must } from './support/check.ts';
import type { Contender, OffHeapResult, OffHeapTask, Quantiles } from './support/off-heap-child.ts';
import type { SummaryLine, Table } from './support/report.ts';
import { median, pairRatios, percent, three } from './support/stats.ts';

const USUAL_PROFILES = '60000';
const NEAR_PROFILES = 1_024;
const ROUNDS = Number(process.env.PROFILECACHE_OFF_HEAP_ROUNDS ?? 3);
const CHILD_DEADLINE_MS = 600_000;
/** Of one profile on the heap as an object, generously; what the peers are given. */
const HEAP_BYTES_A_PROFILE = 5_000;
const CONTENDERS: readonly [Contender, string][] = [['ours', 'ProfileCache (nearProfiles 1,024)'], ['lru', 'lru-cache with ttl'], ['map', 'bare Map']];

function runChild(task: OffHeapTask): Promise<OffHeapResult> {
  return new Promise((resolve, reject) => {
    const heapMb = 1_000 + Math.ceil((task.profiles * HEAP_BYTES_A_PROFILE) / 1e6);
    must(heapMb * 1e6 < totalmem() * 0.8, `${task.profiles} profiles as objects do not fit into this machine's memory`);
    const child = fork(fileURLToPath(new URL('./support/off-heap-child.ts', import.meta.url)), { execArgv: ['--import', 'tsx', `--max-old-space-size=${heapMb}`] });
    const deadline = setTimeout(() => child.kill('SIGKILL'), CHILD_DEADLINE_MS);
    let result: OffHeapResult | undefined;
    child.on('message', (message) => (result = message as OffHeapResult));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(deadline);
      if (result !== undefined) resolve(result);
      else reject(new Error(`${task.contender} with ${task.profiles} profiles ended with ${signal ?? `code ${code}`}`));
    });
    child.send(task);
  });
}

const mb = (bytes: number) => three(bytes / 1e6);
const us = (ns: number) => three(ns / 1e3);

async function size(profiles: number): Promise<{ table: Table; summary: SummaryLine[] }> {
  const results = new Map<Contender, OffHeapResult[]>(CONTENDERS.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let k = 0; k < CONTENDERS.length; k++) {
      const [contender] = CONTENDERS[(k + round) % CONTENDERS.length];
      results.get(contender)!.push(await runChild({ contender, profiles, reads: 400_000, pacedRate: 5_000, pacedReads: 20_000, nearProfiles: NEAR_PROFILES }));
    }
  }
  const of = (contender: Contender, pick: (result: OffHeapResult) => number) => results.get(contender)!.map(pick);
  const middle = (contender: Contender, pick: (result: OffHeapResult) => number) => median(of(contender, pick));
  const row = (contender: Contender, name: string) => {
    const quantiles = (pick: (result: OffHeapResult) => Quantiles, unit: (value: number) => string) =>
      (['p50', 'p99', 'p999'] as const).map((q) => unit(middle(contender, (result) => pick(result)[q]))).join(' / ');
    return [
      name, mb(middle(contender, (r) => r.heapBytes)), percent(middle(contender, (r) => r.heapBytes) / middle('lru', (r) => r.heapBytes)), mb(middle(contender, (r) => r.heapAfterRunBytes)),
      mb(middle(contender, (r) => r.rssBytes)), quantiles((r) => r.hit, us), quantiles((r) => r.paced, three), quantiles((r) => r.update, us),
      three(middle(contender, (r) => r.gcLongestMs)), three(middle(contender, (r) => r.gcTotalMs)), three(middle(contender, (r) => r.longestBatchMs)),
    ];
  };
  const against = (pick: (result: OffHeapResult) => number) => three(median(pairRatios(of('lru', pick), of('ours', pick))));
  const line = (what: string, pick: (result: OffHeapResult) => number, text: (value: number) => string): SummaryLine =>
    ({ what: `${what}, ${profiles.toLocaleString('en-US')} profiles`, ours: text(middle('ours', pick)), peer: `lru-cache ${text(middle('lru', pick))}`, ratio: against(pick) });
  return {
    table: {
      title: `${profiles.toLocaleString('en-US')} resident profiles of 1.8 KB JSON; Zipf 0.99, one operation in 20 is an update; medians of ${ROUNDS} processes each`,
      columns: ['', 'heap MB after fill', 'of lru-cache', 'heap MB after run', 'RSS MB', 'hit us p50 / p99 / p99.9', 'due to done us p50 / p99 / p99.9', 'update us p50 / p99 / p99.9', 'longest GC ms', 'GC ms in all', 'longest stall ms'],
      rows: CONTENDERS.map(([contender, name]) => row(contender, name)),
      notes: [
        `Each hit is timed alone; reading the clock twice costs ${three(middle('ours', (r) => r.timerNs))} ns, which is in every figure. ${percent(middle('ours', (r) => r.nearShare))} of our hits were near ones, the others copied and decoded.`,
        '"Due to done": 5,000 requests a second by the clock; one that falls due while the thread is held waits, as those behind it do.',
        'Longest stall: 100 operations and what the collector did meanwhile. Making the new profiles of the updates is in it, and in the garbage, of all alike.',
        'Checked before: 500 profiles at random, field by field. Every hit was one, of the wallet asked for.',
      ],
    },
    summary: [
      line('heap, after the fill', (r) => r.heapBytes, (v) => `${mb(v)} MB`),
      line('p99.9 of a hit under 5 % updates', (r) => r.hit.p999, (v) => `${us(v)} us`),
      line('longest GC pause', (r) => r.gcLongestMs, (v) => `${three(v)} ms`),
    ],
  };
}

async function run(): Promise<Findings> {
  const parts = [];
  for (const profiles of (process.env.PROFILECACHE_OFF_HEAP ?? USUAL_PROFILES).split(',').map(Number)) parts.push(await size(profiles));
  return { tables: parts.map(({ table }) => table), summary: parts.flatMap(({ summary }) => summary) };
}

await bench('off-heap', 'What do many resident profiles cost the heap, the garbage collector and the slowest hits?', run);
