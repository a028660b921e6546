/** The command line as a whole: global options, help, and the list of commands. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { ProfileCacheError } from '../errors.ts';
import { EXIT_HELP } from './exit-codes.ts';
import type { Shell } from './shell.ts';

/** In the order of the help. Each is loaded when it is needed: who asks for one profile does not load the simulator. */
const COMMANDS: Record<string, () => Promise<(program: Command, shell: Shell) => void>> = {
  profile: async () => (await import('./commands/profile.ts')).addProfileCommand,
  get: async () => (await import('./commands/get.ts')).addGetCommand,
  invalidate: async () => (await import('./commands/invalidate.ts')).addInvalidateCommand,
  stats: async () => (await import('./commands/stats.ts')).addStatsCommand,
  watch: async () => (await import('./commands/watch.ts')).addWatchCommand,
  'sample-trades': async () => (await import('./commands/sample-trades.ts')).addSampleTradesCommand,
  simulate: async () => (await import('./simulate.ts')).registerSimulate,
  cluster: async () => (await import('./commands/cluster.ts')).addClusterCommand,
  demo: async () => (await import('./commands/demo.ts')).addDemoCommand,
};

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

/** Knows the command that `args` name; all of them where they name none, as help and mistakes speak of all. */
export async function makeProgram(shell: Shell, args: readonly string[]): Promise<Command> {
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
  // No option of the program itself takes a value, so this is the command.
  const named = args.find((arg) => !arg.startsWith('-')) ?? '';
  const load = Object.hasOwn(COMMANDS, named) ? [COMMANDS[named]] : Object.values(COMMANDS);
  for (const add of await Promise.all(load.map((command) => command()))) add(program, shell);
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
