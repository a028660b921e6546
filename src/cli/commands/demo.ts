import type { Command } from 'commander';
import { join } from 'node:path';
import { DEMO_DEFAULTS, runDemo, type DemoOptions } from '../demo-run.ts';
import { l2TimeoutOption, numberFrom, wholeNumber } from '../option-values.ts';
import type { Shell } from '../shell.ts';

interface DemoCommandOptions extends Omit<DemoOptions, 'l2'> {
  l2?: string;
}

export function addDemoCommand(program: Command, shell: Shell): void {
  program
    .command('demo')
    .summary('profile sample trades and show where each answer came from; run it twice')
    .description(
      'Makes sample trades if they are not there yet, profiles all their wallets through the cache, then reads them again as a scanner\n' +
      'would, and shows what near cache, L1, L2 and profiler answered. The second time everything comes from L2. This is `npm start`.',
    )
    .option('--folder <path>', 'where sample trades and, without --l2, the profiles are kept', '.profilecache')
    .option('--l2 <url>', 'another L2 than the folder, such as redis://127.0.0.1:16379')
    .option('--ttl <seconds>', 'how long L2 keeps the profiles', numberFrom(1, 366 * 86_400), DEMO_DEFAULTS.ttl)
    .option('--wallets <n>', 'wallets that trade', wholeNumber(1, 1_000_000), DEMO_DEFAULTS.wallets)
    .option('--trades <n>', 'trades in all', wholeNumber(1, 10_000_000), DEMO_DEFAULTS.trades)
    .option('--seed <n>', 'seed of the sample trades', wholeNumber(0, Number.MAX_SAFE_INTEGER), DEMO_DEFAULTS.seed)
    .addOption(l2TimeoutOption())
    .addHelpText('after', `
Examples:
  $ profilecache demo
  $ profilecache demo --l2 redis://127.0.0.1:16379`)
    .action((options: DemoCommandOptions) => runDemo(shell, { ...options, l2: options.l2 ?? `file:${options.folder === '' ? '.' : join(options.folder)}` }));
}
