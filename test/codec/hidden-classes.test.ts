/**
 * Profiles of one structure are of two hidden classes, whenever they were decoded: those read before there was code for the structure, and those read by
 * it. With one for each of the first 31 (as Node 20 made copies of a template) code that had met them looked up the fields of all profiles the slow way
 * from then on: a hot hit and the reading of one field together took 1.2 times as long.
 */
import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { newCodec } from './support.ts';

setFlagsFromString('--allow-natives-syntax');
const haveSameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (a: object, b: object) => boolean;

test.each([3, 12, 39])('the first 100 profiles of %i fields, and the records in them, are of two hidden classes', (fields) => {
  const codec = newCodec();
  const profileOf = (i: number) => Object.fromEntries(Array.from({ length: fields }, (_, k) => [`field_${fields}_${k}`, k === 0 ? { inner: i, [`of_${fields}`]: `${i}` } : (i + k) % 3 === 0 ? i : (i + k) % 3 === 1 ? `text ${i}` : i * 1.5]));
  const [outer, inner]: object[][] = [[], []];
  for (let i = 0; i < 100; i++) {
    const { bytes, schemaId } = codec.encode(profileOf(i));
    const own = new Uint8Array(bytes);
    const profile = codec.decode(own, 0, own.length, schemaId) as Record<string, object>;
    for (const [seen, one] of [[outer, profile], [inner, profile[`field_${fields}_0`]]] as const) if (!seen.some((other) => haveSameMap(other, one))) seen.push(one);
  }
  expect(outer.length).toBeLessThanOrEqual(2);
  expect(inner.length).toBeLessThanOrEqual(2);
});
