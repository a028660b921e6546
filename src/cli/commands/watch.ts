import type { Command } from 'commander';
import { plural, toJson } from '../format.ts';
import { openCache } from '../open-cache.ts';
import { l2Option, l2TimeoutOption, l2Url, requireL2, wholeNumber, type L2CommandOptions } from '../option-values.ts';
import type { Shell } from '../shell.ts';

interface WatchOptions extends L2CommandOptions {
  count?: number;
}

export function addWatchCommand(program: Command, shell: Shell): void {
  program
    .command('watch')
    .summary('show updates and invalidations as they happen')
    .description('Listens to the update channel of the L2 and prints one line an event until Ctrl-C. With --json each line is an object.')
    .addOption(l2Option())
    .addOption(l2TimeoutOption())
    .option('-n, --count <events>', 'end after so many events', wholeNumber(1, 1_000_000_000))
    .addHelpText('after', `
Example:
  $ profilecache watch --l2 redis://127.0.0.1:16379`)
    .action(async (options: WatchOptions) => {
      const { cache, l2, close } = await openCache(shell, { l2: requireL2(l2Url(options.l2), 'watch'), l2TimeoutMs: options.l2Timeout, workers: 1 });
      let seen = 0;
      try {
        cache.on('channelGap', (reason) => shell.warn(`events may have been missed: ${reason}`));
        const events = cache.updates({ signal: shell.stop.signal });
        // The generator listens from its first `next` on: only then is it true to say so.
        let next = events.next();
        shell.note(`watching ${l2}; Ctrl-C ends`);
        for (let step = await next; !step.done; step = await next) {
          const { type, wallet, timestamp, version } = step.value;
          seen++;
          if (shell.json) await shell.write(`${toJson({ type: wallet === '' ? 'cleared' : type, wallet, timestamp, version })}\n`);
          else await shell.result(`${timestamp}  ${wallet === '' ? 'cleared      all wallets' : `${type.padEnd(11)}  ${wallet}`}`);
          if (seen === options.count) break;
          next = events.next();
        }
        await events.return();
      } finally {
        await close();
      }
      shell.note(`${plural(seen, 'event')} seen`);
    });
}
