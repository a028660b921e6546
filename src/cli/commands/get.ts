import type { Command } from 'commander';
import { ProfileCacheError } from '../../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { bytes, duration, toJson } from '../format.ts';
import { openCache } from '../open-cache.ts';
import { l2Option, l2TimeoutOption, l2Url, requireL2, type L2CommandOptions } from '../option-values.ts';
import type { Shell } from '../shell.ts';

export function addGetCommand(program: Command, shell: Shell): void {
  program
    .command('get')
    .summary('print the profile of one wallet')
    .description('Prints the profile that L2 holds of a wallet, as JSON. Exit code 1 when it holds none.')
    .argument('<wallet>', 'the wallet; put -- before one that begins with a dash')
    .addOption(l2Option())
    .addOption(l2TimeoutOption())
    .addHelpText('after', `
Examples:
  $ profilecache get 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU
  $ profilecache get 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU --json | jq .profile.severity`)
    .action(async (wallet: string, options: L2CommandOptions) => {
      const { cache, l2, lastError, close } = await openCache(shell, { l2: requireL2(l2Url(options.l2), 'get'), l2TimeoutMs: options.l2Timeout, workers: 1 });
      try {
        const profile = await cache.getProfile(wallet, { signal: shell.stop.signal });
        const stats = cache.getStats();
        if (profile === undefined && stats.l2Failures > 0) {
          throw lastError() ?? new ProfileCacheError('ERR_L2_UNAVAILABLE', `L2 ${l2} did not answer; look at it with: profilecache stats`);
        }
        if (profile === undefined) {
          shell.exitCode = EXIT.failure;
          const damaged = stats.corrupt > 0 ? '; what L2 holds of it is damaged' : '';
          if (shell.json) await shell.object({ wallet, found: false, l2, damaged: stats.corrupt > 0 });
          else shell.note(`no profile of ${wallet} in ${l2}${damaged}; make one with: profilecache profile <trades>`);
          return;
        }
        const entry = cache.getEntry(wallet);
        if (shell.json) {
          await shell.object({ wallet, found: true, l2, ageMs: entry?.ageMs, ttlMs: entry?.ttlMs, bytes: entry?.bytes, version: entry?.version, profile });
          return;
        }
        await shell.write(`${toJson(profile, 2)}\n`);
        if (entry !== undefined) shell.note(`${l2}: ${bytes(entry.bytes)}, ${duration(entry.ageMs)} old, expires in ${duration(Math.max(0, entry.ttlMs))}`);
      } finally {
        await close();
      }
    });
}
