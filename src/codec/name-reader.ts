/**
 * Field names of maps, which come again and again: their bytes are looked up in a table, and the string of then is used, already known to
 * the engine as a name. Open addressing with a bounded probe; the multiplier is drawn at start, so nobody can choose names that collide.
 */
import { randomInt } from 'node:crypto';
import { corrupt } from './corrupt.ts';
import { cursor, cut, skip, spend, textBetween, u16, u32, u8 } from './cursor.ts';
import { mayBeInherited, mustDefine } from './own-fields.ts';
import { LATE_FIELD, MAX_KNOWN_NAME_BYTES, WORK } from './work-budget.ts';

const PLACES = 8_192;
const MAX_PROBES = 8;
/** More, and the table begins anew with the next value. */
const MAX_NAMES = 2_048;
const MULTIPLIER = randomInt(2 ** 31) * 2 + 1;

interface Known {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly inherited: boolean;
}

const table: Array<Known | undefined> = Array.from({ length: PLACES });
let names = 0;

/** Between two values, never within one: there a name that was new is known from then on, as the writer counts it. */
export function trimNames(): void {
  if (names > MAX_NAMES) forgetNames();
}

export function forgetNames(): void {
  table.fill(undefined);
  names = 0;
}

/** Sets `cursor.inheritedName`. @param place of the field in its object, from 0 */
export function readName(place: number): string {
  spend(WORK.namedField);
  const length = nameBytes();
  const from = skip(length);
  if (place >= LATE_FIELD || length === 0 || length > MAX_KNOWN_NAME_BYTES) {
    spend(place >= LATE_FIELD ? WORK.newLateName : WORK.newName);
    return checkedName(from, length);
  }
  const { bytes } = cursor;
  let at = hashOf(from, length);
  for (let probes = 0; probes < MAX_PROBES; probes++, at = (at + 1) & (PLACES - 1)) {
    const known = table[at];
    if (known === undefined) {
      spend(WORK.newName);
      const name = checkedName(from, length);
      table[at] = { bytes: bytes.slice(from, from + length), name, inherited: cursor.inheritedName };
      names++;
      return name;
    }
    if (!isSame(known.bytes, from, length)) continue;
    cursor.inheritedName = known.inherited;
    return known.name;
  }
  spend(WORK.newName);
  return checkedName(from, length);
}

function hashOf(from: number, length: number): number {
  const { bytes } = cursor;
  let hash = length;
  for (let i = 0; i < length; i++) {
    hash = Math.imul(hash ^ bytes[from + i], MULTIPLIER);
    hash ^= hash >>> 15;
  }
  return hash & (PLACES - 1);
}

function isSame(known: Uint8Array, from: number, length: number): boolean {
  if (known.length !== length) return false;
  const { bytes } = cursor;
  for (let i = 0; i < length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}

function nameBytes(): number {
  const token = u8();
  if (token >= 0xa0 && token < 0xc0) return token & 0x1f;
  if (token === 0xd9) return u8();
  if (token === 0xda) return u16();
  if (token === 0xdb) return u32();
  throw cursor.at >= cursor.end ? cut() : corrupt('a field name that is no string', 'value');
}

function checkedName(from: number, length: number): string {
  const { ascii } = cursor;
  // The table outlives this value and whether it called itself ASCII.
  cursor.ascii = false;
  const name = textBetween(from, from + length);
  cursor.ascii = ascii;
  if (name === '__proto__') throw corrupt('a field name that no profile has', 'value');
  cursor.inheritedName = mayBeInherited(length, length === 0 ? 0 : cursor.bytes[from]) && mustDefine(name);
  return name;
}
