/** What every command works with: where results go, where notes go, how it is stopped. */
import { ProfileCacheError } from '../errors.ts';
import { toJson } from './format.ts';
import { Progress } from './progress.ts';
import { Redactor } from './redact.ts';
import { Stop } from './stop.ts';

export class Shell {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly stop = new Stop();
  readonly redactor = new Redactor();
  readonly progress: Progress;
  /** Set by a command whose answer is "no" without being an error. */
  exitCode = 0;
  #outputError: Error | undefined;

  /** Decided before the command line is parsed: a mistake in it is to be reported in the form that was asked for. */
  constructor(args: readonly string[]) {
    const end = args.indexOf('--');
    const flags = new Set(end < 0 ? args : args.slice(0, end));
    this.json = flags.has('--json');
    this.quiet = flags.has('--quiet') || flags.has('-q');
    const bars = process.stderr.isTTY && process.env.TERM !== 'dumb';
    this.progress = new Progress(this.json || this.quiet ? 'off' : bars ? 'bar' : 'lines');
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      // `| head` has seen enough: no error of ours.
      if (error.code !== 'EPIPE') this.#outputError ??= error;
      this.stop.request('EPIPE');
    });
    // Nobody is left to be told.
    process.stderr.on('error', () => undefined);
  }

  /** Resolves when stdout has taken the text; after the reader has gone, at once. @throws ERR_OUTPUT (a full disk) */
  async write(text: string): Promise<void> {
    if (this.stop.reason === 'EPIPE') return this.#throwOutputError();
    await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
    this.#throwOutputError();
  }

  /** The answer that was asked for. */
  async result(text: string): Promise<void> {
    await this.write(`${this.redactor.clean(text)}\n`);
  }

  /** What a person likes to know: not with --quiet, not with --json. */
  async report(text: string): Promise<void> {
    if (!this.quiet && !this.json) await this.result(text);
  }

  /** The one object of --json. */
  async object(value: unknown): Promise<void> {
    if (this.json) await this.write(`${this.redactor.clean(toJson(value))}\n`);
  }

  /** On stderr, also while a bar is shown. */
  note(text: string): void {
    if (!this.quiet && !this.json) this.progress.line(this.redactor.clean(text));
  }

  /** Something is wrong, but the command goes on: shown with --quiet and --json too. */
  warn(text: string): void {
    this.progress.line(this.redactor.clean(`warning: ${oneLine(text)}`));
  }

  #throwOutputError(): void {
    if (this.#outputError !== undefined) throw new ProfileCacheError('ERR_OUTPUT', `standard output cannot be written: ${this.#outputError.message}`, { cause: this.#outputError });
  }
}

export const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' | ');
