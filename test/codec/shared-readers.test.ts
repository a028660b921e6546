/** One reader a table and thread: caches that are opened one after the other decode with the code that the first has made. */
import { expect, test } from 'vitest';
import { readerOf } from '../../src/codec/shared-readers.ts';
import { StructureTables, type StructureTable } from '../../src/codec/structure-tables.ts';
import { writeTable } from '../../src/codec/table-bytes.ts';

const tableOf = (...keys: string[]): StructureTable => new StructureTables().add(writeTable([keys]).bytes);

test('the same table has the same reader, in whatever cache', () => {
  expect(readerOf(tableOf('a', 'b'))).toBe(readerOf(tableOf('a', 'b')));
  expect(readerOf(tableOf('a', 'b'))).not.toBe(readerOf(tableOf('a', 'c')));
});

test('another table with the same id has a reader of its own', () => {
  const table = tableOf('mine');
  const other = tableOf('else');
  const forged = { ...other, id: table.id };
  const reader = readerOf(table);
  const theirs = readerOf(forged);
  expect(theirs).not.toBe(reader);
  expect(readerOf(table)).toBe(reader);
  expect(theirs.read(new Uint8Array([0x40, 7]), 0, 2)).toEqual({ else: 7 });
});

test('readers of tables that are no longer used are let go', () => {
  const first = readerOf(tableOf('first'));
  const used = readerOf(tableOf('used'));
  for (let i = 0; i < 7; i++) {
    readerOf(tableOf(`other${i}`));
    expect(readerOf(tableOf('used'))).toBe(used);
  }
  expect(readerOf(tableOf('first'))).not.toBe(first);
});
