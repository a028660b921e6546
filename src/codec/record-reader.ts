/**
 * Decoders of the structure table's records, one for each structure.
 *
 * A record is its fields' values one behind the other. The first few are read plainly, field by field into an empty object, and what each
 * field held is noted. Then code is made for the structure (record-code.ts). Where a process forbids the making of code
 * (`--disallow-code-generation-from-strings`) records go on being read plainly, at about half the speed.
 *
 * What a value may cost is counted the same whether there is code or not, and whether the engine has compiled it: see work-budget.ts. Only when code
 * is made depends on what was read before, and that decides nothing but the speed.
 */
import { cursor, spend } from './cursor.ts';
import { inheritedChanges, mustDefine, setOwnField } from './own-fields.ts';
import { newNotes, note, recordReadingCode } from './record-code.ts';
import { roomFor } from './siteless.ts';
import { priceFactor, recordWork, structureWork } from './work-budget.ts';

export type ReadRecord = () => object;
export interface RecordReader {
  /** Units of one record, in a value of few structures. */
  readonly baseWork: number;
  /** Units to be spent before a record is read, in the value that is numbered `usedIn`; in a small one it may be of an earlier value. */
  work: number;
  /** Another function once there is code. */
  read: ReadRecord;
  /** `cursor.counted` of the last value with a record of it. */
  usedIn: number;
  readonly fields: number;
}
/** What the code of a structure calls, beside the cursor. */
export interface Readers {
  /** Reads what begins here. */
  element(): unknown;
  /** These three read what begins with a byte that has been read already. */
  value(token: number): unknown;
  record(token: number): unknown;
  array(length: number): unknown;
  /** A timestamp of 64 or 32 bits at `from`, the bytes of which are there. */
  timestamp64(from: number): unknown;
  timestamp32(from: number): unknown;
  /** Pays for a container and goes one level down; the way up is `depth--`. */
  enter(units: number): void;
  /** Before a field is set by its name. */
  lookAtInherited(): void;
}

const freeze = Object.freeze;
/** Records read plainly before there is code. */
const RECORDS_BEFORE_CODE = 32;
/** Units of code that one value may have made: 0.1 ms and more for each structure. A hostile table has 512; the rest gets its code with later values. */
const MAX_CODE_UNITS = 128;
const mayMakeCode = canMakeCode();
const codeUnits = (fields: number) => 32 + fields;
let codeUnitsLeft = 0;

/** Before each value. */
export function beginRecords(): void {
  codeUnitsLeft = MAX_CODE_UNITS;
}

function canMakeCode(): boolean {
  try {
    return typeof new Function() === 'function';
  } catch {
    return false;
  }
}

/** Before the first record of a structure in a value is paid for. */
export function firstUse(reader: RecordReader): void {
  reader.usedIn = cursor.counted;
  reader.work = reader.baseWork * priceFactor(++cursor.structuresUsed);
  spend(structureWork(reader.fields));
}

/** The readers of one table, each made when it is first asked for: what a hostile table describes costs nothing until it is used. */
export class RecordReaders {
  /** Those that have been made, by number. */
  readonly made: Array<RecordReader | undefined>;
  readonly #structures: readonly (readonly string[])[];
  readonly #readers: Readers;

  constructor(structures: readonly (readonly string[])[], readers: Readers) {
    this.made = structures.map(() => undefined);
    this.#structures = structures;
    this.#readers = readers;
  }

  /** @param record below the number of structures */
  at(record: number): RecordReader {
    return (this.made[record] ??= recordReader(this.#structures[record], this.#readers, this));
  }
}

function recordReader(keys: readonly string[], readers: Readers, records: RecordReaders): RecordReader {
  const fields = keys.length;
  const baseWork = recordWork(keys);
  /** Undefined once code has been asked for. */
  let notes: Uint8Array | undefined;
  let recordsRead = mayMakeCode ? 0 : RECORDS_BEFORE_CODE;
  let lookedIn = 0;
  let inheritedKnown = -1;
  /** Whether some field must be defined, not assigned. */
  let defines = false;
  let room: (new () => Record<string, unknown>) | undefined;

  const readPlainly = (): object => {
    const record = new room!();
    if (defines) for (const key of keys) setField(record, key, readers.element());
    else for (let i = 0; i < fields; i++) record[keys[i]] = readers.element();
    return freeze(record);
  };
  const readNoting = (into: Uint8Array): object => {
    const record = new room!();
    for (let i = 0; i < fields; i++) {
      note(into, i, cursor.at);
      if (defines) setField(record, keys[i], readers.element());
      else record[keys[i]] = readers.element();
    }
    return freeze(record);
  };
  const readUntilCode = (): object => {
    if (lookedIn !== cursor.value) {
      lookedIn = cursor.value;
      readers.lookAtInherited();
      if (inheritedKnown !== inheritedChanges()) {
        inheritedKnown = inheritedChanges();
        defines = keys.some(mustDefine);
      }
      room ??= roomFor(fields);
    }
    if (recordsRead < RECORDS_BEFORE_CODE) {
      notes ??= newNotes(fields);
      if (++recordsRead < RECORDS_BEFORE_CODE) return readNoting(notes);
    }
    if (notes !== undefined && codeUnitsLeft >= codeUnits(fields)) {
      codeUnitsLeft -= codeUnits(fields);
      const code = recordReadingCode(keys, notes, readers, records);
      notes = undefined;
      if (code !== undefined) {
        reader.read = code;
        return code();
      }
    }
    return readPlainly();
  };
  const reader: RecordReader = { baseWork, work: baseWork, read: readUntilCode, usedIn: 0, fields };
  return reader;
}

function setField(record: Record<string, unknown>, key: string, value: unknown): void {
  if (mustDefine(key)) setOwnField(record, key, value);
  else record[key] = value;
}
