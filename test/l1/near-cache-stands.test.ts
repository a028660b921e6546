import { expect, test } from 'vitest';
import { NearCache } from '../../src/l1/near-cache.ts';

for (const isOwner of [true, false]) {
  test(`an entry is a hit for as long as its slot's version stands (${isOwner ? 'owner' : 'other thread'})`, () => {
    const words = new Uint32Array(new SharedArrayBuffer(64));
    const near = new NearCache(4, words, (slot) => slot * 2 + 1, isOwner);
    words[7] = 5;
    near.set('w', { n: 1 }, 3, 5, 1e9);
    expect(near.hit('w')).toMatchObject({ profile: { n: 1 }, slot: 3, hit: true });
    Atomics.store(words, 7, 6);
    expect(near.hit('w')).toBeUndefined();
    Atomics.store(words, 7, 5);
    expect(near.hit('w')).toBeUndefined();
    expect(near.size).toBe(0);
  });
}
