/**
 * Lines -> CSV records (RFC 4180). A line without a quote is split here; a record with quotes goes to csv-parse, which is
 * exact and several times slower. Keeping the lines in hand is what makes a stray quote cost one line instead of the rest
 * of the file, and what tells a cut file from a malformed row.
 */
import type * as CsvParse from 'csv-parse/sync';
import { ProfileCacheError } from '../errors.ts';
import { onDemand } from '../on-demand.ts';
import { OPTIONAL_COLUMNS, type RawRow, REQUIRED_COLUMNS } from './trade-row.ts';

const csvParse = onDemand<typeof CsvParse>('csv-parse/sync');

/** A quoted field may hold line breaks, but no record takes more lines. */
const MAX_RECORD_LINES = 64;
const DELIMITERS = [',', '\t', ';'] as const;

export interface CsvSink {
  row(raw: RawRow, line: number, terminated: boolean): void;
  malformed(line: number, reason: string): void;
  /** The file ends inside a record. */
  cut(line: number): void;
}

interface Line {
  text: string;
  number: number;
  terminated: boolean;
}

export class CsvRecords {
  readonly columns: readonly string[];
  readonly #delimiter: string;
  readonly #sink: CsvSink;
  /** Lines of a record whose quote is still open. */
  #open: Line[] = [];

  /** Throws ERR_TRADES_FORMAT when the header does not name the columns of trades. */
  constructor(header: string, source: string, sink: CsvSink) {
    this.#sink = sink;
    this.#delimiter = DELIMITERS.find((d) => missingColumns(splitHeader(header, d)).length === 0) ?? ',';
    this.columns = splitHeader(header, this.#delimiter);
    const missing = missingColumns(this.columns);
    if (missing.length > 0) {
      throw new ProfileCacheError(
        'ERR_TRADES_FORMAT',
        `${source}: the first line does not name the column${missing.length > 1 ? 's' : ''} ${missing.join(', ')}; it takes a header with ${REQUIRED_COLUMNS.join(',')} and optionally ${OPTIONAL_COLUMNS.join(',')}, in any order`,
        { line: 1 },
      );
    }
    const twice = this.columns.find((column, i) => column !== '' && this.columns.indexOf(column) !== i);
    if (twice !== undefined) throw new ProfileCacheError('ERR_TRADES_FORMAT', `${source}: the header names ${twice} twice`, { line: 1 });
  }

  line(text: string, number: number, terminated: boolean): void {
    if (this.#open.length > 0) this.#continue({ text, number, terminated });
    else if (!text.includes('"')) {
      if (text.trim() !== '') this.#record(text.split(this.#delimiter), number, terminated);
    } else if (evenQuotes(text)) this.#quoted([{ text, number, terminated }]);
    else this.#open = [{ text, number, terminated }];
  }

  end(): void {
    while (this.#open.length > 0) {
      if (!this.#open[this.#open.length - 1].terminated) {
        this.#sink.cut(this.#open[0].number);
        this.#open = [];
      } else this.#giveUpFirst(this.#open, 'a quote is not closed');
    }
  }

  #continue(line: Line): void {
    this.#open.push(line);
    // An odd line closes the quote that the first one left open.
    if (!evenQuotes(line.text)) {
      const record = this.#open;
      this.#open = [];
      this.#quoted(record);
    } else if (this.#open.length >= MAX_RECORD_LINES) this.#giveUpFirst(this.#open, 'a quote is not closed');
  }

  /** The first line is malformed; the others are read again, each as a record of its own. */
  #giveUpFirst(lines: Line[], reason: string): void {
    this.#open = [];
    this.#sink.malformed(lines[0].number, reason);
    for (const { text, number, terminated } of lines.slice(1)) this.line(text, number, terminated);
  }

  #quoted(lines: Line[]): void {
    const { number } = lines[0];
    const { terminated } = lines[lines.length - 1];
    let records: string[][];
    try {
      records = csvParse().parse(lines.map((line) => line.text).join('\n'), { delimiter: this.#delimiter, relax_column_count: true, trim: true });
    } catch (error) {
      this.#giveUpFirst(lines, error instanceof Error ? error.message : String(error));
      return;
    }
    if (records.length !== 1) this.#giveUpFirst(lines, 'is no single record');
    else if (lines.length > 1 && records[0].length !== this.columns.length) this.#giveUpFirst(lines, this.#countReason(records[0].length));
    else this.#record(records[0], number, terminated);
  }

  #record(fields: string[], number: number, terminated: boolean): void {
    const { columns } = this;
    if (fields.length !== columns.length) {
      if (fields.length < columns.length && !terminated) this.#sink.cut(number);
      else this.#sink.malformed(number, this.#countReason(fields.length));
      return;
    }
    const raw: RawRow = {};
    for (let i = 0; i < columns.length; i++) raw[columns[i]] = fields[i].trim();
    this.#sink.row(raw, number, terminated);
  }

  #countReason(count: number): string {
    return `has ${count} field${count === 1 ? '' : 's'}, the header ${this.columns.length}`;
  }
}

const splitHeader = (header: string, delimiter: string): string[] =>
  header.split(delimiter).map((column) => column.trim().replace(/^"(.*)"$/, '$1').toLowerCase());

const missingColumns = (columns: readonly string[]): string[] => REQUIRED_COLUMNS.filter((column) => !columns.includes(column));

function evenQuotes(text: string): boolean {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count % 2 === 0;
}
