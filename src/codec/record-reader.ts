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
 * Fields that one value may have read plainly, where code could be made: 0.3 us each once records of very many structures come in turn. A profile has code for most of
 * its records after the first 32 of a kind; one that has not is refused until there is, a few structures with each attempt.
 */
const MAX_PLAIN_FIELDS = 16_384;
const mayMakeCode = canMakeCode();
const codeUnits = (fields: number) => 32 + fields;
let newFields = 0;
let codeUnitsLeft = 0;
let plainFieldsLeft = 0;

/** Before each value. */
export function beginRecords(): void {
  newFields = MAX_NEW_FIELDS;
  codeUnitsLeft = MAX_CODE_UNITS;
  plainFieldsLeft = MAX_PLAIN_FIELDS;
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
    if ((plainFieldsLeft -= keys.length) < 0 && mayMakeCode) throw corrupt('more records of structures without code than any profile has', 'value');
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

function newTemplate(keys: readonly string[]): Record<string, unknown> {
  if ((newFields -= keys.length) < 0) throw corrupt('more new structures than any profile has', 'value');
  // JSON.parse makes an object of fields, not a table of them, however many there are.
  return JSON.parse(`{${keys.map((key) => `${JSON.stringify(key)}:null`).join(',')}}`) as Record<string, unknown>;
}
