/** Progress on stderr: a bar on a terminal, an occasional line in a pipe, nothing when told to be quiet. */
import type * as CliProgress from 'cli-progress';
import { onDemand } from '../on-demand.ts';
import { bytes, count, duration } from './format.ts';

const cliProgress = onDemand<typeof CliProgress>('cli-progress');

export type ProgressMode = 'bar' | 'lines' | 'off';

/** In a pipe a stage says something when it ends, and at most this often before. */
const LINE_EVERY_MS = 2_000;
const BAR_CHARS_MAX = 24;
const BAR_CHARS_MIN = 10;
/** Of a line, for what is not the bar. */
const TEXT_CHARS = 68;
const NAME_CHARS = 18;
const FRAMES_PER_SECOND = 12;

export interface StageOptions {
  name: string;
  /** Null where the end is not known. */
  total: number | null;
  unit?: 'count' | 'bytes';
}

export interface Stage {
  update(done: number, detail?: string, total?: number | null): void;
  /** Idempotent. `detail` stands at the end of the line that stays. */
  end(detail?: string): void;
}

const SILENT: Stage = { update() {}, end() {} };

export class Progress {
  readonly #mode: ProgressMode;
  readonly #stream: NodeJS.WritableStream;
  #current: Stage | undefined;

  constructor(mode: ProgressMode, stream: NodeJS.WritableStream = process.stderr) {
    this.#mode = mode;
    this.#stream = stream;
  }

  stage(options: StageOptions): Stage {
    if (this.#mode === 'off') return SILENT;
    this.endStage();
    const stage = this.#mode === 'bar' ? barStage(options, this.#stream) : lineStage(options, this.#stream);
    this.#current = stage;
    return stage;
  }

  /** Before anything else is written to the terminal, and when a command fails in the middle of a stage. */
  endStage(): void {
    this.#current?.end('stopped');
    this.#current = undefined;
  }

  /** After bars, results look better with a blank line before them; a pipe gets none. */
  gap(): void {
    if (this.#mode === 'bar') this.#stream.write('\n');
  }

  /** A line of its own that does not tear a bar: the bar draws itself anew below it. */
  line(text: string): void {
    if (this.#mode === 'bar') this.#stream.write('\r\u001b[K');
    this.#stream.write(`${text}\n`);
  }
}

const amount = (value: number, unit: StageOptions['unit']): string => (unit === 'bytes' ? bytes(value) : count(value));

function barStage({ name, total, unit }: StageOptions, stream: NodeJS.WritableStream): Stage {
  const startedMs = performance.now();
  const unicode = /utf-?8/i.test(process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || '');
  let detail = '';
  let known = total !== null;
  let ended = false;
  // A terminal that does not know its width says 0.
  const columns = (stream as Partial<NodeJS.WriteStream>).columns || 80;
  const chars = Math.max(BAR_CHARS_MIN, Math.min(BAR_CHARS_MAX, columns - TEXT_CHARS));
  const bar = new (cliProgress().SingleBar)({
    stream,
    fps: FRAMES_PER_SECOND,
    hideCursor: true,
    // Ctrl-C is ours to answer.
    gracefulExit: false,
    // A line that is wider than the terminal would leave its ends behind at every frame.
    linewrap: false,
    barCompleteChar: unicode ? '\u2588' : '#',
    barIncompleteChar: unicode ? '\u2591' : '-',
    format: (options, params) => {
      const filled = Math.round((known ? params.progress : ended ? 1 : 0) * chars);
      const drawn = (options.barCompleteChar ?? '#').repeat(filled) + (options.barIncompleteChar ?? '-').repeat(chars - filled);
      const share = known ? `${Math.floor(params.progress * 100)}%`.padStart(4) : '    ';
      const value = amount(params.value, unit);
      const whole = ended && params.value === params.total;
      // The size of what has been read says less than what was in it.
      const of = whole && unit === 'bytes' ? '' : known && !whole ? `${value} / ${amount(params.total, unit)}  ` : params.value > 0 ? `${value}  ` : '';
      return `  ${name.padEnd(NAME_CHARS)} ${drawn} ${share}  ${of}${detail}`;
    },
  });
  bar.start(total ?? 1, 0);
  let last = 0;
  return {
    update(done, text, newTotal) {
      if (ended) return;
      if (newTotal !== undefined && newTotal !== null) {
        known = true;
        bar.setTotal(newTotal);
      }
      if (text !== undefined) detail = text;
      last = done;
      bar.update(done);
    },
    end(text) {
      if (ended) return;
      ended = true;
      detail = `${text ?? detail}${(text ?? detail) === '' ? '' : '  '}${duration(performance.now() - startedMs)}`;
      bar.update(last);
      bar.stop();
    },
  };
}

function lineStage({ name, total, unit }: StageOptions, stream: NodeJS.WritableStream): Stage {
  const startedMs = performance.now();
  let lastMs = startedMs;
  let known = total;
  let last = 0;
  let detail = '';
  let ended = false;
  const say = (suffix: string) => {
    const of = known === null || known === last ? '' : ` of ${amount(known, unit)}`;
    const facts = [known === null && last === 0 ? '' : `${amount(last, unit)}${of}`, detail].filter((fact) => fact !== '');
    stream.write(`${name}: ${facts.join(', ')}${suffix}\n`);
  };
  return {
    update(done, text, newTotal) {
      if (ended) return;
      last = done;
      detail = text ?? detail;
      known = newTotal ?? known;
      if (performance.now() - lastMs < LINE_EVERY_MS) return;
      lastMs = performance.now();
      say('');
    },
    end(text) {
      if (ended) return;
      ended = true;
      detail = text ?? detail;
      say(` (${duration(performance.now() - startedMs)})`);
    },
  };
}
