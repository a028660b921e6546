/** One run of the command: parse, do, report what went wrong, leave with the exit code. */
import { CommanderError } from 'commander';
import { ProfileCacheError } from '../errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { makeProgram } from './program.ts';
import { oneLine, Shell } from './shell.ts';

/** What still holds the process this long after its work is done does not keep the person waiting. */
const EXIT_GRACE_MS = 2_000;
const KEEP_ALIVE_MS = 60_000;

export async function runCommand(args: string[]): Promise<void> {
  const shell = new Shell(args);
  shell.stop.listen((reason) => shell.note(`${reason === 'SIGINT' ? 'Ctrl-C' : reason}: finishing what is in flight; ${reason === 'SIGINT' ? 'Ctrl-C again' : 'a second one'} ends at once`));
  // What a command waits for may not hold the process by itself (a watched store, a worker): the command does.
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
  try {
    const program = await makeProgram(shell, args);
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    shell.progress.endStage();
    shell.exitCode = await report(shell, error);
  } finally {
    clearInterval(alive);
  }
  if (shell.stop.bySignal) shell.exitCode = EXIT.stopped;
  process.exitCode = shell.exitCode;
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}

async function report(shell: Shell, error: unknown): Promise<number> {
  if (error instanceof CommanderError) {
    // Help and version come as "errors" too; their text has been written.
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code === 'commander.help') return EXIT.usage;
    return report(shell, new ProfileCacheError('ERR_USAGE', usageMessage(error), { cause: error }));
  }
  const typed = error instanceof ProfileCacheError ? error : undefined;
  const code = typed?.code ?? (error as NodeJS.ErrnoException | undefined)?.code ?? 'ERR_UNEXPECTED';
  const message = oneLine(error instanceof Error ? error.message : String(error));
  const exitCode = typed === undefined ? EXIT.failure : exitCodeOf(typed.code);
  // The reader of our output has gone: whatever followed from that is no news.
  if (shell.stop.reason === 'EPIPE' && typed?.code === 'ERR_ABORTED') return EXIT.ok;
  if (shell.json) await shell.object({ error: { ...typed?.toWire(), code, message, exitCode } }).catch(() => undefined);
  else shell.progress.line(shell.redactor.clean(`error: ${message} (${code})`));
  if (process.env.PROFILECACHE_DEBUG === '1') shell.progress.line(shell.redactor.clean(stackOf(error)));
  return exitCode;
}

function usageMessage(error: CommanderError): string {
  const text = oneLine(error.message.replace(/^error: /, '').replace(/\n\(/, ' ('));
  return `${text}; see profilecache --help`;
}

/** With its causes: that is where the reason usually is. */
function stackOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error) || depth > 8) return '';
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause, depth + 1) || String(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
