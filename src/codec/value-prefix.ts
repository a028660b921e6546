/**
 * What may stand before a structured value: 0xc1, which begins no msgpack value, and a byte of flags. Without it, maps are objects and
 * every string is ASCII, so that strings are cut out of the text without a look at their bytes.
 */
import { corrupt } from './corrupt.ts';
import { cursor, skip, u8 } from './cursor.ts';

export const PREFIX = 0xc1;
export const PREFIX_BYTES = 2;
/** Maps are JavaScript Maps, and objects whose shape is not in the table are inline records. */
export const PREFIX_MAPS = 1;
/** Some string is not ASCII. */
export const PREFIX_UNICODE = 2;

/** The decode stands at a `PREFIX`. @returns whether maps are Maps */
export function readPrefix(): boolean {
  skip(1);
  const flags = u8();
  if (flags === 0 || flags > (PREFIX_MAPS | PREFIX_UNICODE)) throw corrupt('unknown flags before the value', 'value');
  cursor.ascii = (flags & PREFIX_UNICODE) === 0;
  return (flags & PREFIX_MAPS) !== 0;
}
