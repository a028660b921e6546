/** Values of a quarter of a megabyte, each made of one trick: for hostile.test.ts, which counts, and measure-hostile.ts, which takes the time. */
import { writeTable } from '../../src/codec/table-bytes.ts';

export const HOSTILE_BYTES = 256 * 1024;

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
function float64(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0xcb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}
const name = (i: number, chars: number) => Buffer.from(i.toString(36).padStart(chars, 'k'));
type Piece = Buffer | ((i: number) => Buffer);

/** `head`, then `opening` with the number of pieces, then as many as there is room for. */
function filled(head: Buffer, piece: Piece, opening = 'dd', maxPieces = Infinity): Uint8Array {
  const pieces: Buffer[] = [];
  let bytes = head.length + 7;
  for (;;) {
    const next = typeof piece === 'function' ? piece(pieces.length) : piece;
    if (bytes + next.length > HOSTILE_BYTES || pieces.length >= maxPieces) break;
    pieces.push(next);
    bytes += next.length;
  }
  return new Uint8Array(Buffer.concat([head, hex(opening), u32(pieces.length), ...pieces]));
}

const IN_A = hex('81 a161');
const IN_A_WITH_MAPS = hex('c101 d47240 91a161');
const IN_A_WITH_UNICODE = hex('c102 81 a161');

/** The integers below 2^28 that V8 puts into one chain of a Set of 16,384: its ComputeUnseededHash, written down a second time. */
function chained(count: number): number[] {
  const found: number[] = [];
  for (let key = 0; found.length < count; key++) {
    let hash = (~key + (key << 15)) | 0;
    hash ^= hash >>> 12;
    hash = (hash + (hash << 2)) | 0;
    hash ^= hash >>> 4;
    hash = Math.imul(hash, 2_057);
    hash ^= hash >>> 16;
    if ((hash & 0x3fff) === 5) found.push(key);
  }
  return found;
}
const CHAINED = chained(3_000);

export interface Hostile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** By the budget. */
  readonly refused: boolean;
}

const trick = (trickName: string, refused: boolean, bytes: Uint8Array): Hostile => ({ name: trickName, bytes, refused });

export const HOSTILE: readonly Hostile[] = [
  trick('empty arrays', true, filled(IN_A, hex('90'))),
  trick('empty objects', true, filled(IN_A, hex('80'))),
  trick('arrays of one', true, filled(IN_A, hex('91 00'))),
  trick('objects of one field', true, filled(IN_A, hex('81 a161 00'))),
  trick('objects, each with a new name', true, filled(IN_A, (i) => Buffer.concat([hex('81 a4'), name(i, 4), hex('00')]))),
  trick('one object of new names', true, filled(Buffer.alloc(0), (i) => Buffer.concat([hex('a5'), name(i, 5), hex('00')]), 'df')),
  trick('objects with a far number', true, filled(IN_A, hex('81 a3333232 00'))),
  trick('objects, each with another number', true, filled(IN_A, (i) => Buffer.concat([hex('81 a7'), Buffer.from(String(1_000_000 + i)), hex('00')]))),
  trick('Dates', true, filled(IN_A, hex('d6ff 00000001'))),
  trick('empty Sets', true, filled(IN_A, hex('d47300 90'))),
  trick('empty Maps', true, filled(IN_A_WITH_MAPS, hex('80'))),
  trick('Maps of one', true, filled(IN_A_WITH_MAPS, hex('81 01 01'))),
  trick('empty Buffers', true, filled(IN_A, hex('c400'))),
  trick('empty Uint8Arrays', true, filled(IN_A, hex('d47401'))),
  trick('tiny bigints', true, filled(IN_A, hex('d44201'))),
  trick('strings that are not ASCII', true, filled(IN_A_WITH_UNICODE, hex('a2 c3a9'))),
  trick('a Set of numbers in one chain', true, filled(IN_A, (i) => Buffer.concat([hex('ce'), u32(CHAINED[i])]), 'd47300 dd', CHAINED.length)),
  trick('a Set of fractions', false, filled(IN_A, (i) => float64(i + 0.5), 'd47300 dd')),
  trick('a Set of bigints that differ above 64 bits', true, filled(IN_A, (i) => Buffer.concat([hex('c710 42'), u32(i), Buffer.alloc(12, 1)]), 'd47300 dd')),
  trick('inline records, read often', true, filled(hex('c101 d47241 91a16c'), hex('d47240 91a161 c0 40c0 40c0 40c0 40c0'))),
  trick('arrays that claim all that is left', true, new Uint8Array(Buffer.concat([IN_A, ...Array.from({ length: 90 }, () => hex('dd 00030000')), Buffer.alloc(200_000)]))),
  trick('small integers', false, filled(IN_A, hex('05'))),
  trick('floats', false, filled(IN_A, float64(1.5))),
  trick('empty strings', false, filled(IN_A, hex('a0'))),
  trick('strings of two', false, filled(IN_A, hex('a26162'))),
  trick('long strings', false, filled(IN_A, (i) => Buffer.concat([hex('ad'), name(i, 13)]))),
  trick('bigints of 64 bits', false, filled(IN_A, hex('cf0102030405060708'))),
  trick('large bigints', false, filled(IN_A, Buffer.concat([hex('c80400 42'), Buffer.alloc(1_024, 0x55)]))),
];

/** A table of `structures` x `fields`, and a value of its records, `repeat` of one structure before the next. */
export function hostileTable(structures: number, fields: number, repeat: number): { table: Uint8Array; bytes: Uint8Array } {
  const { bytes: table } = writeTable(Array.from({ length: structures }, (_, s) => Array.from({ length: fields }, (_name, f) => `f${s.toString(36)}_${f.toString(36)}`)));
  const token = (s: number) => (s < 32 || structures <= 32 ? Buffer.of(0x40 + s) : Buffer.of(0x60 + ((s - 32) & 31), (s - 32) >> 5));
  const record = (i: number) => Buffer.concat([token(Math.floor(i / repeat) % structures), Buffer.alloc(fields, 1)]);
  return { table, bytes: new Uint8Array(Buffer.concat([filled(token(structures - 1), record), Buffer.alloc(fields - 1, 1)])) };
}
