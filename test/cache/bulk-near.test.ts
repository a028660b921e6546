/** What a bulk read leaves in the near cache: the profiles of a small one, nothing of a large one, which would push out what is read again. */
import { afterAll, expect, test } from 'vitest';
import { closeCachesAfterEach, openCache } from '../support/caches.ts';
import { makeTmpFolder } from '../support/tmp.ts';

const folder = makeTmpFolder('bulk-near');
closeCachesAfterEach();
afterAll(folder.remove);

test('a bulk read of more than 256 leaves the near cache alone, a smaller one fills it', async () => {
  const l2 = { kind: 'embedded', path: `${folder.path}/store` } as const;
  const wallets = Array.from({ length: 700 }, (_, i) => `w${i}`);
  const writer = await openCache({ l2 });
  expect(await writer.updateProfiles(wallets.map((wallet, i) => [wallet, { i }] as const))).toMatchObject({ stored: wallets.length });
  const reader = await openCache({ l2 });
  const tiers = (of: readonly string[]) => [...new Set(of.map((wallet) => reader.getEntry(wallet)?.tier))];

  const [many, few] = [wallets.slice(0, 600), wallets.slice(600)];
  expect([...(await reader.bulkPrefetch(many)).keys()]).toEqual(many);
  expect(tiers(many)).toEqual(['l1']);
  expect([...(await reader.bulkPrefetch(few)).keys()]).toEqual(few);
  expect(tiers(few)).toEqual(['near']);
  // Read one by one they are kept.
  for (const wallet of many) expect(reader.getProfileSync(wallet)).toEqual({ i: Number(wallet.slice(1)) });
  expect(tiers(many)).toEqual(['near']);
});
