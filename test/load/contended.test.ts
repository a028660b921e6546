/** A slot that the owner holds: its core was taken away, or it died there. */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { SLOT } from '../../src/l1/layout.ts';
import { openRegion } from '../../src/l1/region.ts';
import { ProfileCache } from '../../src/profile-cache.ts';

const openPair = async () => {
  const owner = await ProfileCache.open<{ n: number }>({ l2: 'none:' });
  await owner.updateProfile('w', { n: 1 });
  const attached = ProfileCache.attach<{ n: number }>(owner.handle);
  const region = openRegion(owner.handle.region);
  const used = Array.from({ length: region.slotCount }, (_, slot) => slot).find((slot) => region.u32[region.slotsStart / 4 + slot * SLOT.words + SLOT.offset] !== 0) as number;
  return { owner, attached, region, seqAt: region.slotsStart / 4 + used * SLOT.words + SLOT.seq };
};

test('for a moment: the read waits it out and is a hit', async () => {
  const { owner, attached, region, seqAt } = await openPair();
  const started = new Int32Array(new SharedArrayBuffer(4));
  Atomics.add(region.i32, seqAt, 1);
  const worker = new Worker(`
    const { region, seqAt, started } = require('node:worker_threads').workerData;
    Atomics.store(started, 0, 1);
    Atomics.notify(started, 0);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    Atomics.add(new Int32Array(region), seqAt, 1);
  `, { eval: true, workerData: { region: owner.handle.region, seqAt, started } });
  Atomics.wait(started, 0, 0, 30_000);
  // A busy machine may take longer than one read is willing to wait.
  let got;
  for (let tries = 0; got === undefined && tries < 1_000; tries++) got = attached.getProfileSync('w');
  expect(got).toEqual({ n: 1 });
  await new Promise((resolve) => worker.once('exit', resolve));
  await attached.close();
  await owner.close();
});

test('for ever: the read gives up, counted, and does not stall', async () => {
  const { owner, attached, region, seqAt } = await openPair();
  Atomics.add(region.i32, seqAt, 1);
  expect(attached.getProfileSync('w')).toBeUndefined();
  expect(owner.getStats()).toMatchObject({ contended: 1, misses: 1 });
  Atomics.add(region.i32, seqAt, 1);
  expect(attached.getProfileSync('w')).toEqual({ n: 1 });
  await attached.close();
  await owner.close();
});
