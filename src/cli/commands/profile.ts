import { realpath } from 'node:fs/promises';
import type { Command } from 'commander';
import { ProfileCacheError } from '../../errors.ts';
import type { WalletProfile } from '../../index.ts';
import { count, plural } from '../format.ts';
import { openCache } from '../open-cache.ts';
import { l2Option, l2TimeoutOption, l2Url, numberFrom, wholeNumber, type L2CommandOptions } from '../option-values.ts';
import { profileWallets, type RunTally } from '../profile-run.ts';
import { openSink, type ProfileSink } from '../profile-sink.ts';
import { recallRun, rememberRun, userMemoryFile } from '../run-memory.ts';
import { RunProgress } from '../run-progress.ts';
import { profilerCost, savingsOf } from '../savings.ts';
import type { Shell } from '../shell.ts';
import { summaryObject, summaryText, type RunSummary } from '../summary.ts';
import { TradesProfiler } from '../trades-profiler.ts';
import { readWallets } from '../wallet-list.ts';

interface ProfileOptions extends L2CommandOptions {
  wallets?: string;
  out?: string;
  ttl: number;
  concurrency?: number;
  threads?: number;
  workers: number;
  refresh?: boolean;
  insiders?: string;
  exchanges?: string;
  maxMalformed: number;
}

const DEFAULT_TTL_SECONDS = 300;
const MAX_TTL_SECONDS = 366 * 86_400;

export function addProfileCommand(program: Command, shell: Shell): void {
  program
    .command('profile')
    .summary('profile the wallets of a file of trades through the cache')
    .description(
      'Reads trades (CSV with a header, or NDJSON; plain or gzip), asks the cache for all wallets at once, has the profiler do only what is\n' +
      'missing, and keeps that in L2: the next run, of this or another process, finds it there until its time to live is over.\n' +
      'What the cache holds of a wallet is taken as it is, whichever trades it was made from; --refresh profiles anew.',
    )
    .argument('<trades>', 'file of trades; - for stdin')
    .option('--wallets <file>', 'profile these wallets (one a line, # comments) and not all of the trades; - for stdin')
    .option('--out <file>', 'write the profiles as NDJSON in the order of the wallets; - for stdout. The file is whole or not there')
    .addOption(l2Option())
    .option('--ttl <seconds>', 'how long L2 keeps what is profiled', numberFrom(0.001, MAX_TTL_SECONDS), DEFAULT_TTL_SECONDS)
    .option('--refresh', 'profile every wallet anew and overwrite what the cache holds')
    .option('--threads <n>', 'threads of the profiler (default: one a core)', wholeNumber(1, 64))
    .option('--concurrency <n>', 'batches of 64 wallets under way at once (default: two a thread)', wholeNumber(1, 1_024))
    .option('--workers <n>', 'threads for L2', wholeNumber(1, 64), 2)
    .addOption(l2TimeoutOption())
    .option('--insiders <file>', 'wallets that are known insiders, one a line')
    .option('--exchanges <file>', 'wallets of exchanges, one a line: they join nobody')
    .option('--max-malformed <share>', 'share of malformed rows that stops the run', numberFrom(0, 1), 0.05)
    .addHelpText('after', `
Examples:
  $ profilecache profile trades.csv.gz --out profiles.ndjson
  $ profilecache profile trades.csv.gz --wallets hot.txt --out - | jq .severity
  $ profilecache profile trades.csv.gz --l2 redis://127.0.0.1:16379 --ttl 3600 --json`)
    .action((trades: string, options: ProfileOptions) => profile(shell, trades, options));
}

async function profile(shell: Shell, tradesArgument: string, options: ProfileOptions): Promise<void> {
  if (options.out === '-' && shell.json) throw new ProfileCacheError('ERR_USAGE', '--out - and --json both want stdout; give --out a file');
  if (tradesArgument === '-' && options.wallets === '-') throw new ProfileCacheError('ERR_USAGE', 'trades and --wallets cannot both be read from stdin');
  const path = tradesArgument === '-' ? '/dev/stdin' : tradesArgument;
  const { signal } = shell.stop;
  const list = async (file: string | undefined) => (file === undefined ? undefined : readWallets(file, signal));
  const [knownInsiders, exchangeWallets] = [await list(options.insiders), await list(options.exchanges)];
  const trades = new TradesProfiler(shell, path, { maxMalformedShare: options.maxMalformed }, {
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(knownInsiders === undefined ? {} : { knownInsiders }),
    ...(exchangeWallets === undefined ? {} : { exchangeWallets }),
  });
  const sink = options.out === undefined ? undefined : await openSink(options.out, shell);
  try {
    const summary = await run(shell, trades, sink, options);
    if (shell.stop.reason === 'EPIPE') return;
    await shell.object(summaryObject(summary));
    shell.progress.gap();
    if (options.out === '-') shell.note(summaryText(summary));
    else await shell.report(summaryText(summary));
    if (summary.stopped !== undefined) shell.note(stoppedText(summary));
  } finally {
    await sink?.discard();
    await trades.close();
  }
}

async function run(shell: Shell, trades: TradesProfiler, sink: ProfileSink | undefined, options: ProfileOptions): Promise<RunSummary> {
  // With a list of wallets the trades may turn out not to be needed.
  if (options.wallets !== undefined) await trades.requireFile();
  const wallets = options.wallets === undefined ? (await trades.read()).wallets() : await readWallets(options.wallets, shell.stop.signal);
  // What came through a pipe has no name to be remembered by.
  const memoryKey = await realpath(trades.path).catch(() => undefined);
  const coldRun = memoryKey === undefined ? undefined : await recallRun(userMemoryFile(), memoryKey);
  const openStartedMs = performance.now();
  const { cache, l2, close } = await openCache<WalletProfile>(shell, { l2: l2Url(options.l2), l2TimeoutMs: options.l2Timeout, l2TtlSeconds: options.ttl, workers: options.workers });
  const openMs = performance.now() - openStartedMs;
  let tally: RunTally;
  let unsavedWrites = 0;
  const progress = new RunProgress(shell, wallets.length);
  try {
    tally = await profileWallets({
      cache, wallets,
      concurrency: options.concurrency,
      refresh: options.refresh,
      openProfiler: () => progress.whilePreparing(() => trades.open()),
      onProfiles: sink && ((profiles) => sink.write(profiles)),
      onProgress: (now) => progress.update(now),
      stopRequested: () => shell.stop.requested,
    });
    progress.end(tally);
  } finally {
    unsavedWrites = await close();
  }
  const complete = tally.done === wallets.length;
  if (complete) await sink?.finish();
  const totalMs = performance.now();
  const cost = shell.stop.requested ? undefined : await profilerCost(tally, coldRun, (most) => trades.measure(most));
  if (memoryKey !== undefined && complete && cost?.source === 'this run' && tally.profiler === wallets.length) {
    await rememberRun(userMemoryFile(), memoryKey, { at: new Date().toISOString(), wallets: wallets.length, totalMs, msPerWallet: cost.msPerWallet, prepareMs: tally.prepareMs, threads: trades.threads ?? 1 });
  }
  return {
    wallets: wallets.length, tally, trades: trades.report, readMs: trades.readMs, openMs, totalMs, threads: trades.threads,
    l2, ttlSeconds: options.ttl, l2Failures: cache.getStats().l2Failures, unsavedWrites, savings: savingsOf(tally, cost), coldRun,
    out: sink === undefined || !complete ? undefined : { path: options.out as string, lines: sink.lines, bytes: sink.bytesWritten },
    stopped: complete ? undefined : shell.stop.reason,
  };
}

function stoppedText({ wallets, tally, out, l2, unsavedWrites }: RunSummary): string {
  const kept = l2 === 'none' ? 'nothing of it is kept (--l2 none:)' : `${plural(tally.done - unsavedWrites, 'profile')} of ${count(wallets)} are in ${l2}: the same command goes on from there`;
  return `\n${kept}${out === undefined ? '' : '; --out was not written'}`;
}
