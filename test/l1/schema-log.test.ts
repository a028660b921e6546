import { afterEach, expect, test } from 'vitest';
import { HEADER, SCHEMA_LOG_BYTES } from '../../src/l1/layout.ts';
import { appendSchema, readSchemas } from '../../src/l1/schema-log.ts';
import { TestL1, payloadFor } from '../support/l1.ts';

let l1: TestL1;
afterEach(() => {
  // The log's neighbour is the index: nothing may have run over.
  l1.put('w', payloadFor('w', 1, 8), 1);
  l1.verify();
});

test('tables come back in order, whole and as copies, whatever their length', () => {
  l1 = new TestL1(4, 16 * 1024);
  const tables = [0, 1, 2, 3, 4, 5, 1_000, 7].map((bytes, i) => payloadFor(`table${i}`, i, bytes));
  for (const table of tables) expect(appendSchema(l1.region, table)).toBe(true);
  const read = readSchemas(l1.region, 0);
  expect(read.tables.map((table) => Buffer.from(table).toString())).toEqual(tables.map((table) => table.toString()));
  expect(read.end).toBe(l1.region.u32[HEADER.schemaBytes]);
  expect(read.tables[6].buffer).not.toBeInstanceOf(SharedArrayBuffer);
});

test('a reader goes on from where it stopped', () => {
  l1 = new TestL1(4, 16 * 1024);
  const texts = (from: number) => {
    const { tables, end } = readSchemas(l1.region, from);
    return { texts: tables.map((table) => Buffer.from(table).toString()), end };
  };
  expect(texts(0)).toEqual({ texts: [], end: 0 });
  appendSchema(l1.region, Buffer.from('one'));
  const first = texts(0);
  expect(first.texts).toEqual(['one']);
  expect(texts(first.end)).toEqual({ texts: [], end: first.end });
  appendSchema(l1.region, Buffer.from('second'));
  appendSchema(l1.region, Buffer.from('3'));
  expect(texts(first.end).texts).toEqual(['second', '3']);
});

test('a full log refuses, keeps what it has, and takes what still fits', () => {
  l1 = new TestL1(4, 16 * 1024);
  const half = Buffer.alloc(SCHEMA_LOG_BYTES / 2, 1);
  expect(appendSchema(l1.region, half)).toBe(true);
  expect(appendSchema(l1.region, half)).toBe(false);
  const rest = SCHEMA_LOG_BYTES - l1.region.u32[HEADER.schemaBytes] - 4;
  expect(appendSchema(l1.region, Buffer.alloc(rest + 1, 2))).toBe(false);
  expect(appendSchema(l1.region, Buffer.alloc(rest, 3))).toBe(true);
  expect(l1.region.u32[HEADER.schemaBytes]).toBe(SCHEMA_LOG_BYTES);
  expect(appendSchema(l1.region, Buffer.alloc(0))).toBe(false);
  expect(readSchemas(l1.region, 0).tables.map((table) => [table.length, table.at(-1)])).toEqual([[half.length, 1], [rest, 3]]);
});
