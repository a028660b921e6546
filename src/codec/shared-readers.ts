/**
 * One reader a structure table and thread, whichever cache it decodes for: the code that is made for a table's records, what V8 compiles of it and the
 * hidden classes of what it makes are worth more than the table. A cache that is opened after another finds them as they are.
 */
import type { StructureTable } from './structure-tables.ts';
import { ValueReader } from './value-reader.ts';

/** A process has a table or two; tests and hostile stores bring more. */
const MAX_TABLES = 8;

/** By id, the one used first lately at the front. */
const readers = new Map<number, { bytes: Uint8Array; reader: ValueReader }>();

/** For values that need no table: `table` undefined. */
export function readerOf(table: StructureTable | undefined): ValueReader {
  if (table === undefined) return new ValueReader(undefined, false);
  const known = readers.get(table.id);
  if (known !== undefined) {
    // An id is a hash of 32 bits, and somebody may have looked for two tables with the same.
    if (Buffer.compare(known.bytes, table.bytes) !== 0) return new ValueReader(table.structures, false);
    readers.delete(table.id);
    readers.set(table.id, known);
    return known.reader;
  }
  const reader = new ValueReader(table.structures, false);
  readers.set(table.id, { bytes: table.bytes, reader });
  if (readers.size > MAX_TABLES) readers.delete(readers.keys().next().value!);
  return reader;
}
