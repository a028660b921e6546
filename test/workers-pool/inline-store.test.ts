import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import type { L2Store } from '../../src/l2/store.ts';
import { InlineStore } from '../../src/workers-pool/inline-store.ts';

/** Would wait a minute for its Redis, if the caller let it. */
const PATIENCE_MS = 60_000;

const patientStore = (): L2Store => ({
  open: async () => {},
  close: async () => {},
  nowMs: () => systemClock.wallMs(),
  readMany: async (wallets, visitor, deadlineMs) => {
    const endMs = Math.min(deadlineMs ?? Infinity, systemClock.monotonicMs() + PATIENCE_MS);
    await sleep(endMs - systemClock.monotonicMs(), undefined, { ref: false });
    for (const i of wallets.keys()) visitor.failed(i, new ProfileCacheError('ERR_L2_TIMEOUT', `no answer until ${Math.round(endMs)}`));
  },
}) satisfies Partial<L2Store> as Partial<L2Store> as L2Store;

it('a read ends at the deadline of its caller, however patient the store is', async () => {
  const inline = new InlineStore({ make: async () => patientStore(), clock: systemClock, maxProfileBytes: 1024, compression: 'none', graceMs: 0 });
  while (inline.choose('read', 1) !== 'inline') await sleep(1);
  const deadlineMs = systemClock.monotonicMs() + 50;
  const ended = inline.read(['w'], () => expect.fail('nothing was found'), 0, deadlineMs);
  const result = await Promise.race([ended, sleep(PATIENCE_MS / 2, undefined, { ref: false })]);
  expect(result?.failed.get('w')).toMatchObject({ code: 'ERR_L2_TIMEOUT', message: `no answer until ${Math.round(deadlineMs)}` });
  await inline.close();
}, PATIENCE_MS);

it('the quicker way is known after 32 calls, however slow the first few by new code are', async () => {
  const inline = new InlineStore({ make: async () => patientStore(), clock: systemClock, maxProfileBytes: 1024, compression: 'none', graceMs: 0 });
  while (inline.choose('write', 1) !== 'inline') await sleep(1);
  const timed = { inline: 0, worker: 0 };
  const call = () => {
    const way = inline.choose('write', 1);
    const isCold = timed[way]++ < 8;
    inline.took('write', way, way === 'inline' ? (isCold ? 100 : 1) : 2);
    return way;
  };
  for (let i = 0; i < 32; i++) call();
  expect(timed).toEqual({ inline: 16, worker: 16 });
  const ways = Array.from({ length: 128 }, call);
  // The other way is tried twice.
  expect(ways.filter((way) => way === 'inline')).toHaveLength(126);
  // Then that one is quicker.
  for (let i = 0; i < 4_000; i++) {
    const way = inline.choose('write', 1);
    inline.took('write', way, way === 'inline' ? 4 : 2);
  }
  expect(Array.from({ length: 64 }, () => inline.choose('write', 1)).filter((way) => way === 'worker')).toHaveLength(63);
  await inline.close();
});
