import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { closeCachesAfterEach, openCache } from '../support/caches.ts';

const home = mkdtempSync(join(tmpdir(), 'profilecache-updates-'));
let folders = 0;
afterAll(() => rmSync(home, { recursive: true, force: true }));
const embedded = () => ({ kind: 'embedded' as const, path: join(home, String(++folders)) });

describe('updates()', () => {
  closeCachesAfterEach();

  test('gives every change, own and others\', in order, until the loop is left', async () => {
    const l2 = embedded();
    const one = await openCache({ l2 });
    const two = await openCache({ l2 });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const change of one.updates()) {
        seen.push([change.type, change.wallet, change.origin]);
        if (seen.length === 3) break;
      }
    })();
    await one.updateProfile('a', { n: 1 });
    await one.invalidate('a');
    await two.updateProfile('b', { n: 2 });
    await reading;
    expect(seen).toEqual([['updated', 'a', 'local'], ['invalidated', 'a', 'local'], ['updated', 'b', 'remote']]);
    expect(one.listenerCount('profileUpdated')).toBe(0);
    expect(one.listenerCount('profileInvalidated')).toBe(0);
  });

  test('ends with the signal, and with the cache', async () => {
    const cache = await openCache({ l2: 'none:' });
    const abort = new AbortController();
    const drain = async (changes: AsyncIterable<unknown>) => {
      let count = 0;
      for await (const _ of changes) count++;
      return count;
    };
    const untilAbort = drain(cache.updates({ signal: abort.signal }));
    const untilClose = drain(cache.updates());
    await cache.updateProfile('w', { n: 1 });
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    expect(await untilAbort).toBe(1);
    await cache.updateProfile('w', { n: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    await cache.close();
    expect(await untilClose).toBe(2);
  });

  test('holds the process', () => {
    const script = `
      import { ProfileCache } from 'profilecache';
      const cache = await ProfileCache.open({ l2: 'none:' });
      setTimeout(() => cache.updateProfile('late', { n: 1 }), 300).unref();
      for await (const { wallet } of cache.updates()) { console.log(wallet); break; }
      await cache.close();`;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })).toBe('late\n');
  });
});

describe('close', () => {
  closeCachesAfterEach();

  test('gives every lease back', async () => {
    const l2 = embedded();
    const cache = await openCache({ l2, loadLeaseMs: 60_000 });
    await cache.getOrLoadMany(Array.from({ length: 100 }, (_, i) => `w${i}`), (missing) => missing.map((wallet) => [wallet, { wallet }] as const));
    await cache.close();
    expect(readdirSync(join(l2.path, 'leases'))).toEqual([]);
  });

  test('writes that are on their way arrive', async () => {
    const l2 = embedded();
    const cache = await openCache({ l2 });
    const writing = Promise.all(Array.from({ length: 300 }, (_, i) => cache.updateProfile(`w${i}`, { i })));
    await cache.close();
    expect((await writing).every((result) => result.l2 === 'stored')).toBe(true);
    const next = await openCache({ l2 });
    expect((await next.bulkPrefetch(Array.from({ length: 300 }, (_, i) => `w${i}`))).size).toBe(300);
  });

  test('every verb afterwards fails with ERR_CLOSED, and closing again is nothing', async () => {
    const cache = await openCache({ l2: 'none:' });
    await cache.close();
    await cache.close();
    await cache[Symbol.asyncDispose]();
    for (const verb of [() => cache.getProfile('w'), () => cache.bulkPrefetch(['w']), () => cache.warm(['w']), () => cache.updateProfile('w', {}), () => cache.updateProfiles([['w', {}]]), () => cache.getOrLoad('w', () => ({})), () => cache.getOrLoadMany(['w'], () => []), () => cache.invalidate('w'), () => cache.invalidateMany(['w']), () => cache.clear(), () => cache.health()]) {
      await expect(verb()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    }
    expect(() => cache.getProfileSync('w')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    expect(() => cache.getEntry('w')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });
});

describe('AbortSignal', () => {
  closeCachesAfterEach();

  test('leaves the shared load to the others', async () => {
    const cache = await openCache({ l2: 'none:' });
    const abort = new AbortController();
    let loads = 0;
    const loader = async () => {
      loads++;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { n: 1 };
    };
    const leaving = cache.getOrLoad('w', loader, { signal: abort.signal });
    const staying = cache.getOrLoad('w', loader);
    abort.abort(new Error('enough'));
    await expect(leaving).rejects.toMatchObject({ name: 'AbortError', code: 'ERR_ABORTED', cause: { message: 'enough' } });
    expect(await staying).toEqual({ n: 1 });
    expect(loads).toBe(1);
  });

  test('that has fired already', async () => {
    const cache = await openCache({ l2: embedded() });
    const signal = AbortSignal.abort();
    for (const read of [cache.getProfile('w', { signal }), cache.bulkPrefetch(['w'], { signal }), cache.warm(['w'], { signal }), cache.getOrLoad('w', () => ({}), { signal }), cache.getOrLoadMany(['w'], () => [], { signal })]) {
      await expect(read).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    }
    // Nothing was begun for a caller who had left before he came.
    expect(cache.getStats()).toMatchObject({ loads: 0, misses: 0 });
  });
});
