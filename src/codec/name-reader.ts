/**
 * Field names of maps, which come again and again: the bytes are compared with those of the last name in the same place of a
 * small table, and the string of then is used, already known to the engine as a name.
 */
import { corrupt } from './corrupt.ts';
import { cursor, cut, skip, textBetween, u16, u32, u8 } from './cursor.ts';

const NAME_CACHE_SIZE = 1_024;
const MAX_CACHED_NAME_BYTES = 31;
const cache: Array<{ bytes: Uint8Array; name: string } | undefined> = Array.from({ length: NAME_CACHE_SIZE });

export function readName(): string {
  const { bytes } = cursor;
  const length = nameBytes();
  const from = skip(length);
  if (length === 0 || length > MAX_CACHED_NAME_BYTES) return checkedName(from, length);
  const place = (length * 33 + bytes[from] * 7 + bytes[from + length - 1] * 31 + bytes[from + (length >> 1)] * 101) & (NAME_CACHE_SIZE - 1);
  const cached = cache[place];
  if (cached !== undefined && cached.bytes.length === length) {
    const known = cached.bytes;
    let i = 0;
    while (i < length && known[i] === bytes[from + i]) i++;
    if (i === length) return cached.name;
  }
  const name = checkedName(from, length);
  cache[place] = { bytes: bytes.slice(from, from + length), name };
  return name;
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
  return name;
}
