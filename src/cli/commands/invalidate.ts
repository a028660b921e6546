import type { Command } from 'commander';
import { ProfileCacheError } from '../../errors.ts';
import { plural } from '../format.ts';
import { openCache } from '../open-cache.ts';
import { l2Option, l2TimeoutOption, l2Url, requireL2, type L2CommandOptions } from '../option-values.ts';
import type { Shell } from '../shell.ts';

export function addInvalidateCommand(program: Command, shell: Shell): void {
  program
    .command('invalidate')
    .summary('remove wallets from L2 and from every running process')
    .description('Removes the profiles of wallets from L2 and tells every process on the update channel to drop them.')
    .argument('<wallet...>', 'the wallets; put -- before one that begins with a dash')
    .addOption(l2Option())
    .addOption(l2TimeoutOption())
    .addHelpText('after', `
Example:
  $ profilecache invalidate 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU`)
    .action(async (given: string[], options: L2CommandOptions) => {
      const wallets = [...new Set(given)];
      const { cache, l2, lastError, close } = await openCache(shell, { l2: requireL2(l2Url(options.l2), 'invalidate'), l2TimeoutMs: options.l2Timeout, workers: 1 });
      let unsaved: number;
      try {
        await cache.invalidateMany(wallets);
      } finally {
        unsaved = await close();
      }
      if (unsaved > 0) {
        const why = lastError();
        throw new ProfileCacheError('ERR_L2_UNAVAILABLE', `${unsaved} of ${plural(wallets.length, 'wallet')} could not be invalidated in ${l2}${why ? ` (${why.message})` : ''}; run this again when L2 answers`, { cause: why });
      }
      await shell.object({ invalidated: wallets.length, l2 });
      await shell.report(`${plural(wallets.length, 'wallet')} invalidated in ${l2}`);
    });
}
