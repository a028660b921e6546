/** The command line as a whole: global options, help, and the list of commands. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { ProfileCacheError } from '../errors.ts';
import { addClusterCommand } from './commands/cluster.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addGetCommand } from './commands/get.ts';
import { addInvalidateCommand } from './commands/invalidate.ts';
import { addProfileCommand } from './commands/profile.ts';
import { addSampleTradesCommand } from './commands/sample-trades.ts';
import { addStatsCommand } from './commands/stats.ts';
import { addWatchCommand } from './commands/watch.ts';
import { EXIT_HELP } from './exit-codes.ts';
import type { Shell } from './shell.ts';
import { registerSimulate } from './simulate.ts';

const EXAMPLES = `Examples:
  $ profilecache demo                                            see it work, on sample trades
  $ profilecache profile trades.csv.gz --out profiles.ndjson     a profile for every wallet of the trades
  $ profilecache profile trades.csv.gz --l2 redis://10.0.0.1:6379,10.0.0.2:6379 --ttl 3600
  $ profilecache get 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU
  $ profilecache cluster up                                      six local Redis nodes to try it with
  $ PROFILECACHE_L2=redis://app:secret@10.0.0.1 profilecache stats   (ps shows options to everybody, but not the environment)

The L2, where profiles are kept and shared:
  file:./folder                        a folder of this machine; the default is file:.profilecache
  redis://user:password@host:port,...  Redis or Redis Cluster; rediss:// with TLS
  none:                                nothing is kept (profile and demo)`;

export function makeProgram(shell: Shell): Command {
  const program = new Command('profilecache');
  program
    .description('Wallet profiles from trades, kept in a two-tier cache: near cache and L1 in memory, L2 in Redis or in a folder.')
    .version(version(), '-V, --version', 'print the version')
    .option('--json', 'one JSON object on stdout, errors included; no progress')
    .option('-q, --quiet', 'no progress and no notes: only what was asked for, and errors')
    .helpOption('-h, --help', 'print this help, or that of a command')
    // Commander's own answers an unknown name with the general help, as if nothing were wrong.
    .helpCommand(false)
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .addHelpText('after', `\n${EXAMPLES}\n\n${EXIT_HELP}`)
    // Mistakes are reported by run.ts, in one form for all errors.
    .configureOutput({ writeOut: (text) => process.stdout.write(text), outputError: () => undefined })
    .exitOverride();
  addProfileCommand(program, shell);
  addGetCommand(program, shell);
  addInvalidateCommand(program, shell);
  addStatsCommand(program, shell);
  addWatchCommand(program, shell);
  addSampleTradesCommand(program, shell);
  registerSimulate(program, shell);
  addClusterCommand(program, shell);
  addDemoCommand(program, shell);
  addHelpCommand(program);
  return program;
}

function addHelpCommand(program: Command): void {
  program
    .command('help')
    .summary('print the help of a command')
    .argument('[command...]')
    .action((names: string[]) => {
      let command = program;
      for (const name of names) {
        const found = command.commands.find((candidate) => candidate.name() === name);
        if (found === undefined) throw new ProfileCacheError('ERR_USAGE', `unknown command '${names.join(' ')}'; see profilecache --help`);
        command = found;
      }
      command.outputHelp();
    });
}

function version(): string {
  const file = fileURLToPath(import.meta.resolve('profilecache/package.json'));
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
