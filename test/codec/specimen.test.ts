/** One decoded profile of each structure table stays alive: with the last object of a kind its hidden class goes, and the code compiled for it. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { newCodec } from './support.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function isKept(chars: number): Promise<boolean> {
  const codec = newCodec();
  const { bytes, schemaId } = codec.encode({ wallet: 'w', note: 'n'.repeat(chars) });
  const own = new Uint8Array(bytes);
  const seen = new WeakRef(codec.decode(own, 0, own.length, schemaId));
  // A WeakRef holds what it refers to until the turn ends.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const kept = seen.deref() !== undefined;
  expect(codec.canDecode(schemaId)).toBe(true);
  return kept;
}

it('the last profile that was decoded outlives a collection, unless it is large', async () => {
  expect(await isKept(1_000)).toBe(true);
  expect(await isKept(20_000)).toBe(false);
});
