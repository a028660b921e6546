import { describe, expect, test } from 'vitest';
import { RecordRoom, unshared } from '../../src/codec/record-room.ts';
import { WriteQueue } from '../../src/load/write-queue.ts';

const record = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);

describe('room for records', () => {
  test('copies hold what was given, whatever comes after them', () => {
    const room = new RecordRoom();
    const given = Array.from({ length: 300 }, (_, i) => record(1 + ((i * 97) % 9_000), i));
    const scratch = new Uint8Array(9_000);
    const copies = given.map((bytes) => {
      scratch.set(bytes);
      return room.copy(scratch.subarray(0, bytes.length));
    });
    scratch.fill(0xff);
    copies.forEach((copy, i) => expect(Buffer.compare(copy, given[i])).toBe(0));
    for (const copy of copies) expect(copy.buffer).not.toBe(scratch.buffer);
  });

  test('small ones share their memory, a large one has its own', () => {
    const room = new RecordRoom();
    const [first, second, large] = [room.copy(record(700, 1)), room.copy(record(700, 2)), room.copy(record(20_000, 3))];
    expect(second.buffer).toBe(first.buffer);
    expect(large.buffer.byteLength).toBe(20_000);
    expect(unshared(large)).toBe(large);
    expect(unshared(first)).toEqual(first);
    expect(unshared(first).buffer.byteLength).toBe(700);
  });

  test('a write that waits for L2 keeps no bytes but its own', () => {
    const queue = new WriteQueue(10);
    const room = new RecordRoom();
    const raw = room.copy(record(700, 1));
    queue.add({ wallet: 'w', record: { raw, schemaId: 16 }, version: 1, expiresAtMs: Infinity, knows: Infinity });
    const waiting = queue.waiting('w')?.record?.raw;
    expect(waiting).toEqual(raw);
    expect(waiting?.buffer.byteLength).toBe(700);
  });
});
