/**
 * Decoders of the structure table's records, one for each structure.
 *
 * A record is its fields' values one behind the other. The first few are read plainly, into a copy of a template that has all the
 * fields already, and what each field held is noted. Then code is made for the structure (record-code.ts). Where a process forbids the
 * making of code (`--disallow-code-generation-from-strings`) records go on being read plainly, at about half the speed.
 */
import { corrupt } from './corrupt.ts';
import { cursor, cut } from './cursor.ts';
import { newNotes, note, recordReadingCode, type FieldNotes } from './record-code.ts';
import { recordWork } from './work-budget.ts';

export type ReadRecord = () => object;
export interface RecordReader {
  /** Units to be spent before it is read. */
  readonly work: number;
  /** Another function once there is code. */
  read: ReadRecord;
}
/** How many records a structure's code has read; counted up to `YOUNG_CODE_RECORDS`. */
export interface CodeAge {
  records: number;
}
/** What the code of a structure calls, beside the cursor. */
export interface Readers {
  /** These three read what begins with a byte that has been read already. */
  value(token: number): unknown;
  record(token: number): unknown;
  array(length: number): unknown;
  /** A timestamp of 64 or 32 bits at `from`, the bytes of which are there. */
  timestamp64(from: number): unknown;
  timestamp32(from: number): unknown;
  /** Pays for a container and goes one level down; the way up is `depth--`. */
  enter(units: number): void;
}

const freeze = Object.freeze;
/** Records read plainly before there is code. */
const RECORDS_BEFORE_CODE = 32;
/**
 * How much one value may prepare: fields of structures that it is the first to use in this thread (a microsecond or two each), and units of
 * code (0.1 ms and more for each structure). A hostile table has 512 structures. What was prepared stays so; code comes with a later value.
 */
const MAX_NEW_FIELDS = 512;
const MAX_CODE_UNITS = 128;
/**
 * What one value may have read slowly, where code could be made, in fields. Read plainly one takes 0.3 us once records of very many structures come in turn;
 * by code that has just been made nearly as much, and less and less until the engine has compiled it. A profile has code for most of its records after
 * the first 32 of a kind. In a process that has read nothing yet, a list of 4,000 records of 12 fields makes 13,000 of this; what asks for more
 * is refused until less of it is slow, a few structures with each attempt.
 */
const MAX_SLOW_FIELDS = 16_384;
/** Values of more than 256 KB may have more. */
const BYTES_A_SLOW_FIELD = 16;
/** Of a record itself. */
const RECORD_FIELDS = 2;
/** So many records are read by a structure's code at the price of plain ones; until there have been YOUNG_CODE_RECORDS, at a share of it. */
const NEW_CODE_RECORDS = 64;
export const YOUNG_CODE_RECORDS = 8_192;
const YOUNG_SHARE = 0.2;
/** Fields from this one on count twice, and a third while the code is young: the engine takes its time over long code, and no list of thousands has records of so many. */
const MANY_FIELDS = 32;
const YOUNG_SHARE_OF_MANY = 0.35;
const mayMakeCode = canMakeCode();
const codeUnits = (fields: number) => 32 + fields;
let newFields = 0;
let codeUnitsLeft = 0;
let slowFieldsLeft = 0;

/** Before each value. */
export function beginRecords(): void {
  newFields = MAX_NEW_FIELDS;
  codeUnitsLeft = MAX_CODE_UNITS;
  slowFieldsLeft = Math.max(MAX_SLOW_FIELDS, (cursor.end - cursor.at) / BYTES_A_SLOW_FIELD);
}

function canMakeCode(): boolean {
  try {
    return typeof new Function() === 'function';
  } catch {
    return false;
  }
}

export function recordReaders(structures: readonly (readonly string[])[], readers: Readers): readonly RecordReader[] {
  const records: RecordReader[] = [];
  for (const keys of structures) records.push(recordReader(keys, readers, records));
  return records;
}

/** @param records complete when the first record is read. */
function recordReader(keys: readonly string[], readers: Readers, records: readonly RecordReader[]): RecordReader {
  let template: Record<string, unknown> | undefined;
  /** Undefined when nothing more is noted. */
  let notes: FieldNotes[] | undefined;
  let recordsRead = 0;
  const read = () => {
    if (template === undefined) {
      template = newTemplate(keys);
      notes = keys.map(newNotes);
    }
    if (notes !== undefined && ++recordsRead >= RECORDS_BEFORE_CODE && codeUnitsLeft >= codeUnits(keys.length)) {
      codeUnitsLeft -= codeUnits(keys.length);
      const compiled = mayMakeCode ? recordReadingCode(keys, notes, readers, records) : undefined;
      notes = undefined;
      if (compiled !== undefined) {
        reader.read = compiled;
        return compiled();
      }
    }
    spendSlow(RECORD_FIELDS + keys.length + manyOf(keys.length));
    const record = { ...template };
    for (let i = 0; i < keys.length; i++) {
      if (cursor.at >= cursor.end) throw cut();
      if (notes !== undefined && recordsRead < RECORDS_BEFORE_CODE) note(notes[i], cursor.at);
      record[keys[i]] = readers.value(cursor.bytes[cursor.at++]);
    }
    return freeze(record);
  };
  const reader: RecordReader = { work: recordWork(keys.length), read };
  return reader;
}

function spendSlow(fields: number): void {
  if ((slowFieldsLeft -= fields) < 0 && mayMakeCode) throw corrupt('more records of structures without code than any profile has', 'value');
}

const manyOf = (fields: number) => Math.max(0, fields - MANY_FIELDS);

/** Called by the code of a structure before each record, until it is `YOUNG_CODE_RECORDS` old. */
export function readByYoungCode(age: CodeAge, fields: number): void {
  if (++age.records <= NEW_CODE_RECORDS) return spendSlow(RECORD_FIELDS + fields + manyOf(fields));
  spendSlow((RECORD_FIELDS + fields - manyOf(fields)) * YOUNG_SHARE + manyOf(fields) * YOUNG_SHARE_OF_MANY);
}

function newTemplate(keys: readonly string[]): Record<string, unknown> {
  if ((newFields -= keys.length) < 0) throw corrupt('more new structures than any profile has', 'value');
  // JSON.parse makes an object of fields, not a table of them, however many there are.
  return JSON.parse(`{${keys.map((key) => `${JSON.stringify(key)}:null`).join(',')}}`) as Record<string, unknown>;
}
