/** The parts of a bulk invalidation. */
import { describe, expect, test } from 'vitest';
import { inBucketOrder } from '../../src/load/bucket-order.ts';
import { invalidateAll, PART_ENTRIES } from '../../src/load/bulk-update.ts';

const wallets = Array.from({ length: 10 * PART_ENTRIES + 3 }, (_, i) => `wallet ${i}`);
const inOrder = (buckets: number) => inBucketOrder(wallets.map((wallet) => [wallet] as const), buckets);
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('invalidateAll', () => {
  test.each([0, 256])('sends every wallet once, two parts at a time (%i buckets)', async (buckets) => {
    const sent: string[] = [];
    const parts: number[] = [];
    let underWay = 0;
    let most = 0;
    await invalidateAll(inOrder(buckets), async (part) => {
      most = Math.max(most, ++underWay);
      parts.push(part.length);
      await nextTurn();
      sent.push(...part);
      underWay--;
    });
    expect(sent.length).toBe(wallets.length);
    expect(new Set(sent)).toEqual(new Set(wallets));
    expect(parts).toEqual([...Array<number>(10).fill(PART_ENTRIES), 3]);
    expect([most, underWay]).toEqual([2, 0]);
  });

  test('ends with the first part that fails', async () => {
    let parts = 0;
    const sending = invalidateAll(inOrder(256), async () => {
      await nextTurn();
      if (++parts > 2) throw new Error('gone');
    });
    await expect(sending).rejects.toThrow('gone');
    await nextTurn();
    expect(parts).toBeLessThanOrEqual(4);
  });

  test('of nothing sends nothing', async () => {
    await invalidateAll([], () => Promise.reject(new Error('sent')));
  });
});
