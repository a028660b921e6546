/** Any source of trades -> a TradeStore and the report of what was read. Streaming: only the columns stay in memory. */
import { setImmediate } from 'node:timers/promises';
import { ProfileCacheError } from '../errors.ts';
import { type LoadTradesOptions, parseLoadOptions, type ResolvedLoadOptions } from './options.ts';
import { CsvRecords } from './trades-csv.ts';
import { LineSplitter, MAX_LINE_CHARS } from './trades-lines.ts';
import { throwIfAborted, TradesText } from './trades-text.ts';
import { TradeBuilder } from './trade-builder.ts';
import { parseTradeRow, type RawRow } from './trade-row.ts';
import type { TradeStore } from './trade-store.ts';
import type { TradeInput, TradeReport } from './trade.ts';

/** From here on a load stops before its end once the malformed share is twice what is allowed. */
const EARLY_STOP_ROWS = 1_000;
/** An iterable is read this many rows at a time; in between, timers and aborts get their turn. */
const ROWS_PER_TURN = 4_096;

/**
 * Reads trades from a file (CSV with a header, or one JSON object a line; plain or gzip, told by content) or from an
 * iterable of `TradeInput`.
 *
 * A malformed row is never used: it is counted, and the first `maxReportedRows` are listed by line. Rows equal in every
 * field count once. Order of the rows matters for equal times alone.
 *
 * Errors: ERR_TRADES_FILE (missing, unreadable, cut in the middle, or the iterable failed), ERR_TRADES_FORMAT (no trades,
 * no such columns, more malformed rows than `maxMalformedShare`, more trades than `maxTrades`), ERR_ABORTED, ERR_OPTION.
 * A file cut exactly between two lines cannot be told from a whole one; one cut inside its last line can, unless what is
 * left is a whole row: `report.lastLineUnterminated` says that this may be so.
 */
export async function loadTrades(
  source: string | Iterable<TradeInput> | AsyncIterable<TradeInput>,
  options?: LoadTradesOptions,
): Promise<{ store: TradeStore; report: TradeReport }> {
  const resolved = parseLoadOptions(options);
  const intake = new Intake(typeof source === 'string' ? source : 'trades', resolved);
  if (typeof source === 'string') await readFile(source, intake, resolved);
  else await readIterable(source, intake, resolved);
  return intake.finish();
}

async function readFile(path: string, intake: Intake, options: ResolvedLoadOptions): Promise<void> {
  const text = new TradesText(path, options.signal);
  const reader = new FileRows(path, intake);
  const lines = new LineSplitter(reader);
  const tell = () => {
    throwIfAborted(options.signal);
    options.onProgress?.({ bytesRead: text.bytesRead, bytesTotal: text.bytesTotal, rows: intake.report.rows });
  };
  throwIfAborted(options.signal);
  for await (const chunk of text.chunks()) {
    lines.push(chunk);
    tell();
  }
  lines.end();
  reader.end();
  intake.report.gzip = text.gzip;
  intake.report.bytesRead = text.bytesRead;
  tell();
}

async function readIterable(source: Iterable<TradeInput> | AsyncIterable<TradeInput>, intake: Intake, options: ResolvedLoadOptions): Promise<void> {
  const rows = items(source);
  const report = intake.report;
  report.format = 'objects';
  throwIfAborted(options.signal);
  // A generator that is left early gets the chance to close what it holds; one that ended or failed has done so.
  let open = false;
  try {
    for (;;) {
      open = false;
      const next = await nextOf(rows);
      if (next.done) break;
      open = true;
      const item: unknown = next.value;
      const position = report.rows + 1;
      if (typeof item === 'object' && item !== null) intake.row(item as RawRow, position);
      else intake.malformed(position, 'is no object');
      if (report.rows % ROWS_PER_TURN === 0) {
        await setImmediate();
        throwIfAborted(options.signal);
        options.onProgress?.({ bytesRead: 0, bytesTotal: null, rows: report.rows });
      }
    }
  } finally {
    if (open) await rows.return?.();
  }
  options.onProgress?.({ bytesRead: 0, bytesTotal: null, rows: report.rows });
}

function items(source: Iterable<TradeInput> | AsyncIterable<TradeInput>): Iterator<TradeInput> | AsyncIterator<TradeInput> {
  if (typeof source === 'object' && source !== null) {
    if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
    if (Symbol.iterator in source) return source[Symbol.iterator]();
  }
  throw new ProfileCacheError('ERR_OPTION', 'trades: takes the path of a file, or an iterable of trades', { option: 'trades' });
}

function nextOf(rows: Iterator<TradeInput> | AsyncIterator<TradeInput>): IteratorResult<TradeInput> | Promise<IteratorResult<TradeInput>> {
  const failed = (error: unknown): never => {
    throw ProfileCacheError.from(error, 'ERR_TRADES_FILE');
  };
  try {
    const next = rows.next();
    return next instanceof Promise ? next.catch(failed) : next;
  } catch (error) {
    return failed(error);
  }
}

/** Lines of a file -> rows: the first line that is not blank decides between NDJSON and CSV. */
class FileRows {
  readonly #source: string;
  readonly #intake: Intake;
  #csv: CsvRecords | undefined;
  #ndjson = false;

  constructor(source: string, intake: Intake) {
    this.#source = source;
    this.#intake = intake;
  }

  line(text: string, number: number, terminated: boolean): void {
    this.#intake.report.lastLineUnterminated = !terminated;
    if (this.#csv) this.#csv.line(text, number, terminated);
    else if (text.trim() === '') return;
    else if (this.#ndjson || text.trimStart().startsWith('{')) this.#json(text, number, terminated);
    else if (text.trimStart().startsWith('[')) {
      throw new ProfileCacheError('ERR_TRADES_FORMAT', `${this.#source}: holds a JSON array; it takes one JSON object a line (NDJSON), or CSV`, { line: number });
    } else this.#csv = new CsvRecords(text, this.#source, this.#intake);
  }

  overlong(number: number): void {
    if (this.#csv === undefined && !this.#ndjson) {
      throw new ProfileCacheError('ERR_TRADES_FORMAT', `${this.#source}: its first line is longer than ${MAX_LINE_CHARS} characters; it takes CSV or NDJSON`, { line: number });
    }
    this.#intake.malformed(number, `is longer than ${MAX_LINE_CHARS} characters`);
  }

  end(): void {
    this.#csv?.end();
  }

  #json(text: string, number: number, terminated: boolean): void {
    this.#ndjson = true;
    this.#intake.report.format = 'ndjson';
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      if (!terminated) this.#intake.cut(number);
      else this.#intake.malformed(number, 'is no JSON');
      return;
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) this.#intake.row(value as RawRow, number);
    else this.#intake.malformed(number, 'is no JSON object');
  }
}

/** Counts and bounds: everything that becomes of a row. */
class Intake {
  readonly report: TradeReport = {
    format: 'csv', gzip: false, rows: 0, trades: 0, duplicates: 0, malformed: 0, malformedShare: 0, malformedRows: [],
    wallets: 0, tokens: 0, firstTs: 0, lastTs: 0, createdConflicts: 0, lastLineUnterminated: false, bytesRead: 0,
  };
  readonly #source: string;
  readonly #options: ResolvedLoadOptions;
  readonly #builder = new TradeBuilder();
  #firstMalformed: { line: number; reason: string } | undefined;

  constructor(source: string, options: ResolvedLoadOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** `terminated` is false for a last CSV line without a line break, which may be cut inside its last field. */
  row(raw: RawRow, line: number, terminated = true): void {
    const row = parseTradeRow(raw);
    if (!terminated && endsCut(raw, row)) this.cut(line);
    if (typeof row === 'string') {
      this.malformed(line, row);
      return;
    }
    // Half a creation time is still a number, but the token's other rows say another.
    if (!terminated && lastColumn(raw) === 'token_created_ts' && this.#builder.contradictsCreated(row.mint, row.createdTs)) this.cut(line);
    this.report.rows++;
    if (!this.#builder.add(row)) this.report.duplicates++;
    else if (this.#builder.count > this.#options.maxTrades) {
      throw new ProfileCacheError('ERR_TRADES_FORMAT', `${this.#source}: holds more than ${this.#options.maxTrades} trades; raise maxTrades`, { option: 'maxTrades', line });
    }
  }

  malformed(line: number, reason: string): void {
    const { report } = this;
    report.rows++;
    report.malformed++;
    this.#firstMalformed ??= { line, reason };
    if (report.malformedRows.length < this.#options.maxReportedRows) report.malformedRows.push({ line, reason });
    if (report.rows >= EARLY_STOP_ROWS && report.malformed > 2 * this.#options.maxMalformedShare * report.rows) this.#refuse('so far');
  }

  cut(line: number): never {
    throw new ProfileCacheError('ERR_TRADES_FILE', `${this.#source}: is cut in the middle of line ${line}, its last; copy the file again, or remove that line`, { line });
  }

  finish(): { store: TradeStore; report: TradeReport } {
    const { report } = this;
    report.malformedShare = report.rows === 0 ? 0 : report.malformed / report.rows;
    if (report.malformedShare > this.#options.maxMalformedShare) this.#refuse('in all');
    if (this.#builder.count === 0) {
      throw new ProfileCacheError('ERR_TRADES_FORMAT', `${this.#source}: holds no trades`, { line: this.#firstMalformed?.line });
    }
    const store = this.#builder.freeze();
    report.trades = store.tradeCount;
    report.tokens = store.tokenCount;
    report.wallets = store.tradingWalletCount;
    report.firstTs = store.columns.ts[0];
    report.lastTs = store.newestTs;
    report.createdConflicts = this.#builder.createdConflicts;
    return { store, report };
  }

  #refuse(when: string): never {
    const { rows, malformed } = this.report;
    const first = this.#firstMalformed;
    throw new ProfileCacheError(
      'ERR_TRADES_FORMAT',
      `${this.#source}: ${malformed} of ${rows} rows ${when} are malformed, the first in line ${first?.line}: ${first?.reason}; mend the file, or raise maxMalformedShare (${this.#options.maxMalformedShare})`,
      { option: 'maxMalformedShare', line: first?.line },
    );
  }
}

const lastColumn = (raw: RawRow): string | undefined => Object.keys(raw).at(-1);

/** Malformed, and by its very last field: what stands there is the start of a value. */
const endsCut = (raw: RawRow, row: unknown): boolean => typeof row === 'string' && row.startsWith(`${lastColumn(raw)} `);
