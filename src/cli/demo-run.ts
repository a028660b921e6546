/** What `npm start` does: cold or warm, every tier of the cache is seen at work, and what it saved. */
import { access, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProfileCacheError } from '../errors.ts';
import type { ProfileCache, WalletProfile } from '../index.ts';
import { count, duration, percent, plural, table } from './format.ts';
import { openCache } from './open-cache.ts';
import { profileWallets, SEVERITIES, type RunTally } from './profile-run.ts';
import { RunProgress } from './run-progress.ts';
import { recallRun, rememberRun, type ColdRun } from './run-memory.ts';
import { profilerCost, type ProfilerCost } from './savings.ts';
import { readAgain, type Rereads } from './scanner-reads.ts';
import type { Shell } from './shell.ts';
import { TradesProfiler } from './trades-profiler.ts';
import { readWallets } from './wallet-list.ts';

/** A few seconds of work on a small machine. */
export const DEMO_DEFAULTS = { wallets: 4_000, trades: 80_000, seed: 1, ttl: 3_600 } as const;
const WALLETS_PER_TOKEN = 20;
const MIN_L1_PROFILES = 5_000;
const NEAR_SHARE = 0.25;

export interface DemoOptions {
  folder: string;
  l2: string;
  ttl: number;
  wallets: number;
  trades: number;
  seed: number;
  l2Timeout: number;
}

interface Outcome {
  wallets: number;
  l2: string;
  tally: RunTally;
  again: Rereads;
  /** Until every wallet had its answer, from the start of the process, without making the sample trades. */
  answeredMs: number;
  threads: number | undefined;
  cost: ProfilerCost | undefined;
  firstRun: ColdRun | undefined;
}

/** @throws what its parts throw; ERR_OUTPUT when the folder cannot be written */
export async function runDemo(shell: Shell, options: DemoOptions): Promise<void> {
  shell.note('ProfileCache: near cache > L1 (shared memory) > L2 > profiler\n');
  const sample = await sampleTrades(shell, options);
  if (shell.stop.requested) return;
  const trades = new TradesProfiler(shell, sample.trades, {}, {});
  try {
    await showTiers(shell, options, sample, trades);
  } finally {
    await trades.close();
  }
}

async function showTiers(shell: Shell, options: DemoOptions, sample: Sample, trades: TradesProfiler): Promise<void> {
  const memory = join(options.folder, 'demo', 'runs.json');
  const memoryKey = `${sample.name} ${options.l2.startsWith('file:') ? 'file' : 'other'}`;
  const wallets = await walletsOf(sample, trades, shell);
  const l1Profiles = Math.max(MIN_L1_PROFILES, wallets.length);
  const { cache, l2, close } = await openCache<WalletProfile>(shell, {
    l2: options.l2, l2TimeoutMs: options.l2Timeout, l2TtlSeconds: options.ttl,
    // Some wallets only near: so that both tiers in memory have something to answer.
    l1: { maxProfiles: l1Profiles, nearProfiles: Math.ceil(wallets.length * NEAR_SHARE) },
  });
  let tally: RunTally;
  let again: Rereads = { near: 0, l1: 0, other: 0, nearMs: 0, l1Ms: 0 };
  let answeredMs: number;
  let unsaved: number;
  try {
    const progress = new RunProgress(shell, wallets.length);
    tally = await profileWallets({
      cache, wallets,
      openProfiler: () => progress.whilePreparing(() => trades.open()),
      onProgress: (now) => progress.update(now),
      stopRequested: () => shell.stop.requested,
    });
    progress.end(tally);
    answeredMs = performance.now() - sample.makingMs;
    if (tally.done === wallets.length) again = await secondPass(shell, cache, wallets, options.seed);
  } finally {
    unsaved = await close();
  }
  const firstRun = await recallRun(memory, memoryKey);
  const cost = shell.stop.requested ? undefined : await profilerCost(tally, firstRun, (most) => trades.measure(most));
  if (shell.stop.requested) {
    if (shell.stop.bySignal) shell.note(`\nStopped. ${plural(tally.done - unsaved, 'profile')} of ${count(wallets.length)} are in ${l2}: the same command goes on from there`);
    return;
  }
  if (unsaved > 0) shell.warn(`${plural(unsaved, 'profile')} did not reach L2`);
  if (cost?.source === 'this run' && tally.profiler === wallets.length) {
    await rememberRun(memory, memoryKey, { at: new Date().toISOString(), wallets: wallets.length, totalMs: answeredMs, msPerWallet: cost.msPerWallet, prepareMs: tally.prepareMs, threads: trades.threads ?? 1 });
  }
  const outcome: Outcome = { wallets: wallets.length, l2, tally, again, answeredMs, threads: trades.threads, cost, firstRun };
  await shell.object(outcomeObject(outcome, options));
  shell.progress.gap();
  await shell.report(outcomeText(outcome, options));
}

interface Sample {
  name: string;
  trades: string;
  wallets: string;
  /** 0 when they were there. */
  makingMs: number;
}

async function sampleTrades(shell: Shell, { folder, wallets, trades, seed }: DemoOptions): Promise<Sample> {
  const tokens = Math.max(1, Math.round(wallets / WALLETS_PER_TOKEN));
  const name = `trades-${seed}-${wallets}-${trades}`;
  const sample = { name, trades: join(folder, 'demo', `${name}.csv`), wallets: join(folder, 'demo', `${name}.wallets.txt`), makingMs: 0 };
  if (await exists(sample.trades)) return sample;
  try {
    await mkdir(join(folder, 'demo'), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ProfileCacheError('ERR_OUTPUT', `${folder} cannot be made: ${(error as Error).message}; choose another with --folder`, { cause: error });
  }
  const startedMs = performance.now();
  const stage = shell.progress.stage({ name: 'Making trades', total: trades });
  const { writeSampleTrades } = await import('../profiler/sample-write.ts');
  await writeSampleTrades(sample.trades, { seed, wallets, trades, tokens, signal: shell.stop.signal, onProgress: ({ rows }) => stage.update(rows) });
  stage.update(trades);
  stage.end();
  return { ...sample, makingMs: performance.now() - startedMs };
}

/** Listed beside the trades by the first run, so that a run that the cache answers does not have to read the trades. */
async function walletsOf(sample: Sample, trades: TradesProfiler, shell: Shell): Promise<string[]> {
  if (await exists(sample.wallets)) return readWallets(sample.wallets, shell.stop.signal);
  const wallets = (await trades.read()).wallets();
  const partial = `${sample.wallets}.${process.pid}.partial`;
  await writeFile(partial, `${wallets.join('\n')}\n`);
  await rename(partial, sample.wallets);
  return wallets;
}

async function secondPass(shell: Shell, cache: ProfileCache<WalletProfile>, wallets: readonly string[], seed: number): Promise<Rereads> {
  const total = wallets.length * 10;
  const stage = shell.progress.stage({ name: 'Reading them again', total });
  const again = await readAgain(cache, wallets, { reads: total, seed, stopRequested: () => shell.stop.requested, onProgress: (done) => stage.update(done) });
  stage.update(again.near + again.l1 + again.other);
  stage.end('hot wallets more often');
  return again;
}

function outcomeText({ wallets, l2, tally, again, answeredMs, threads, cost, firstRun }: Outcome, { ttl }: DemoOptions): string {
  const reads = tally.done + again.near + again.l1 + again.other;
  const row = (name: string, answers: number, eachMs: number | undefined) => [
    name, count(answers), percent(answers / reads), answers === 0 || eachMs === undefined ? '-' : duration(eachMs),
    answers === 0 || eachMs === undefined || cost === undefined ? '-' : duration(answers * (cost.msPerWallet - eachMs)),
  ];
  const near = tally.near + again.near;
  const l1 = tally.l1 + again.l1;
  const lines = [
    table(['answered by', 'reads', 'share', 'time a wallet', 'saved'], [
      row('near cache', near, near === 0 ? undefined : again.nearMs / Math.max(1, again.near)),
      row('L1', l1, l1 === 0 ? undefined : again.l1Ms / Math.max(1, again.l1)),
      row('L2', tally.l2, tally.l2 === 0 ? undefined : tally.lookupMs / tally.l2),
      [...row('profiler', tally.profiler, cost?.msPerWallet).slice(0, 4), '-'],
    ]),
    '',
    `  ${SEVERITIES.map((severity) => `${severity} ${count(tally.severities[severity])}`).join('   ')}`,
    '',
  ];
  if (cost !== undefined) lines.push(`  Saved is against the profiler at ${duration(cost.msPerWallet)} a wallet${threads === undefined ? '' : ` on ${plural(threads, 'thread')}`}, measured in ${cost.source === 'this run' ? 'this run' : 'the first run'}.`);
  if (tally.profiler === 0 && firstRun !== undefined) {
    lines.push(`  All ${count(wallets)} wallets were in L2: answered in ${duration(answeredMs)}, ${(firstRun.totalMs / answeredMs).toFixed(1)} times as fast as the first run (${duration(firstRun.totalMs)}).`);
  } else if (tally.profiler > 0 && l2 !== 'none') {
    lines.push(`  ${plural(wallets, 'wallet')} answered in ${duration(answeredMs)} and kept in ${l2} for ${duration(ttl * 1000)}.`, '  Run this again: everything will come from L2.');
  }
  return lines.join('\n');
}

function outcomeObject({ wallets, l2, tally, again, answeredMs, threads, cost, firstRun }: Outcome, { ttl }: DemoOptions): object {
  return {
    wallets, l2, ttlSeconds: ttl,
    answeredBy: { near: tally.near + again.near, l1: tally.l1 + again.l1, l2: tally.l2, profiler: tally.profiler },
    firstPass: { near: tally.near, l1: tally.l1, l2: tally.l2, profiler: tally.profiler, lookupMs: tally.lookupMs, profilerMs: tally.profilerMs },
    secondPass: again,
    severities: tally.severities,
    answeredMs, threads: threads ?? null,
    profilerMsPerWallet: cost?.msPerWallet ?? null,
    firstRun: firstRun ?? null,
    timesAsFast: tally.profiler === 0 && firstRun !== undefined ? firstRun.totalMs / answeredMs : null,
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}
