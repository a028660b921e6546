import type { Command } from 'commander';
import { ProfileCacheError } from '../../errors.ts';
import { bytes, count } from '../format.ts';
import { wholeNumber } from '../option-values.ts';
import type { Shell } from '../shell.ts';

interface SampleOptions {
  seed: number;
  wallets: number;
  trades: number;
  tokens: number;
}

export function addSampleTradesCommand(program: Command, shell: Shell): void {
  program
    .command('sample-trades')
    .summary('write trades that look like those of pump.fun, from a seed')
    .description('Writes made-up trades: CSV, or NDJSON where the name says so; gzip when the name ends in .gz. The same seed gives the same file.')
    .argument('<out>', 'file to write, such as trades.csv.gz or trades.ndjson')
    .option('--seed <n>', 'seed', wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--wallets <n>', 'wallets that trade', wholeNumber(1, 5_000_000), 1_000)
    .option('--trades <n>', 'trades in all', wholeNumber(1, 50_000_000), 20_000)
    .option('--tokens <n>', 'tokens that are launched', wholeNumber(1, 1_000_000), 50)
    .addHelpText('after', `
Example:
  $ profilecache sample-trades trades.csv.gz --seed 7 --wallets 5000 --trades 100000`)
    .action(async (out: string, options: SampleOptions) => {
      const { seed, wallets, trades, tokens } = options;
      const stage = shell.progress.stage({ name: 'Writing trades', total: trades });
      try {
        const { writeSampleTrades } = await import('../../profiler/sample-write.ts');
        const written = await writeSampleTrades(out, { seed, wallets, trades, tokens, signal: shell.stop.signal, onProgress: ({ rows }) => stage.update(rows) });
        stage.update(written.rows);
        stage.end();
        await shell.object({ out, ...written, seed, wallets, tokens });
        await shell.report(`${out}: ${count(written.rows)} trades of ${count(Math.min(wallets, written.rows))} wallets, ${bytes(written.bytes)}`);
      } catch (error) {
        // To the library a file of trades is an input; here it is where results go.
        if (error instanceof ProfileCacheError && error.code === 'ERR_TRADES_FILE') throw new ProfileCacheError('ERR_OUTPUT', error.message, { cause: error });
        throw error;
      }
    });
}
