/**
 * `clear()` among processes whose calendars disagree: what was stored before it is gone, everywhere, also what waits in a queue; nothing older comes
 * back. The schedules that the model found, and those that were thought of, step by step.
 */
import { afterEach, expect, test } from 'vitest';
import { TOMBSTONE_TTL_MS } from '../support/world-l2.ts';
import { AHEAD_MS, Scene, writtenAhead } from '../support/world-scene.ts';
import type { WorldOptions } from '../support/world.ts';

let scene: Scene;
const set = (options?: Partial<WorldOptions>): Scene => (scene = new Scene(options));
afterEach(() => scene?.world.close());

test('clear: what was on its way to L2 is not there afterwards', async () => {
  const s = set();
  s.hold(/n0 set A/);
  void s.history.update(0, s.cache(0), 'A');
  await s.runBut(/n0 set A/);
  void s.history.clear(0, s.cache(0));
  await s.runBut(/n0 set A/, () => s.world.l2.clearFloor > 0);
  expect(await s.answers()).toEqual([0, 0]);
  expect(s.world.l2.row('A')).toBeUndefined();
});

test('2: a clear that fails calls off no invalidation that waits in the queue', async () => {
  const s = set({ fates: ['ok', 'request-lost', 'request-lost'] });
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.finish(s.history.invalidate(0, s.cache(0), 'A'));
  await s.finish(s.history.clear(0, s.cache(0)));
  expect(s.last().error).toBeDefined();
  expect(await s.answers()).toEqual([0, 0]);
});

test('2: nor does it let a stamp from a calendar ahead call it off', async () => {
  const s = await writtenAhead(set, ['request-lost', 'request-lost']);
  await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
  void s.history.clear(1, s.cache(1));
  void s.history.get(1, s.cache(1), 'A');
  const read = s.last();
  expect(await s.answers()).toEqual([0, 0]);
  expect(read.seen).toBe(0);
});

test('3: an invalidation that waits in the queue outlives that another process has cleared everything before', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0], fates: ['ok', 'ok', 'request-lost'] });
  s.hold(/n1 hears/);
  await s.finish(s.history.clear(0, s.cache(0)));
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
  expect(await s.answers()).toEqual([0, 0]);
});

test('clear: an update before it is not stamped past it', async () => {
  const s = await writtenAhead(set, []);
  s.hold(/n1 hears|n1 set/);
  void s.history.update(1, s.cache(1), 'A');
  await s.runBut(/n1 hears|n1 set/);
  const cleared = s.history.clear(1, s.cache(1));
  s.hold(/n1 hears/);
  await s.finish(cleared);
  expect(s.world.stamps.get(2)).toHaveLength(1);
  await s.rest();
});

test('what a calendar ahead has stamped is cleared too, in L2 and in its own process', async () => {
  const s = await writtenAhead(set, []);
  s.hold(/never/);
  await s.finish(s.history.clear(1, s.cache(1)));
  expect(s.world.l2.row('A')).toBeUndefined();
  expect(await s.answers()).toEqual([0, 0]);
  // Nor does a replica that lags bring it back.
  expect(s.world.nodes.map(({ floors }) => floors.of('A') > (s.world.stamps.get(1)?.[0] as number))).toEqual([true, true]);
});

test('a clear of a quiet cache is one pass, and one event', async () => {
  const s = set();
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.rest();
  const before = s.world.nodes[0].client.requests;
  await s.finish(s.history.clear(0, s.cache(0)));
  expect(s.world.nodes[0].client.requests - before).toBe(1);
});

test('an update that waits in the queue of a process ahead does not come after a clear', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0], fates: ['request-lost'] });
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  expect(s.last().l2).toBe('queued');
  s.hold(/n0/);
  await s.finish(s.history.clear(1, s.cache(1)));
  expect(await s.answers()).toEqual([0, 0]);
  expect(s.world.l2.row('A')?.raw).toBeUndefined();
});

test('nor where the news of the clear is lost: L2 tells who writes', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0], fates: ['request-lost'] });
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  s.hold(/n0/);
  await s.finish(s.history.clear(1, s.cache(1)));
  s.hold(/n0 hears|n0 subscribes/);
  s.world.nodes[0].source.break();
  await s.world.run(() => s.world.nodes[0].owner.queuedWrites === 0);
  expect(s.cache(0).getProfileSync('A')).toBeUndefined();
  expect(await s.answers()).toEqual([0, 0]);
});

test('an update on its way while another process clears is stamped anew, and comes after it', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0] });
  s.hold(/n0 set|n0 hears/);
  const updated = s.history.update(0, s.cache(0), 'A');
  const deed = s.last();
  await s.runBut(/n0 set/);
  await s.finish(s.history.clear(1, s.cache(1)));
  s.hold(/n0 hears/);
  await s.finish(updated);
  expect(deed.l2).toBe('stored');
  s.hold(/never/);
  await s.rest();
  expect(s.world.stamps.get(1)).toHaveLength(2);
  expect(await s.answers()).toEqual([1, 1]);
});

test('a load that began before the clear is not kept, whatever its stamp', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0] });
  s.hold(/loader/);
  const loaded = s.history.load(0, s.cache(0), 'A', 'brings');
  await s.runBut(/loader/);
  await s.finish(s.history.clear(1, s.cache(1)));
  await s.runBut(/loader/);
  s.hold(/never/);
  await s.finish(loaded);
  expect(await s.answers()).toEqual([0, 0]);
});

test('a process that starts after a clear knows of it', async () => {
  const s = set();
  await s.finish(s.history.clear(1, s.cache(1)));
  await s.rest();
  const { owner, floors } = s.world.nodes[0];
  floors.knownClear = 0;
  await owner.listen();
  expect(floors.knownClear).toBe(s.world.l2.clearFloor);
});

test('a clear that met a newer one is begun again past that', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0] });
  s.hold(/n1 hears/);
  await s.finish(s.history.clear(0, s.cache(0)));
  const first = s.world.l2.clearFloor;
  await s.finish(s.history.clear(1, s.cache(1)));
  expect(s.world.l2.clearFloor).toBeGreaterThan(first);
  await s.rest();
});

test('what has waited longer than L2 remembers deletes is an invalidation: what was deleted meanwhile does not come back', async () => {
  const s = set({ fates: ['request-lost'] });
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  s.hold(/n0/);
  await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
  s.world.time.pass(TOMBSTONE_TTL_MS + 1);
  expect(await s.answers()).toEqual([0, 0]);
});

test('an update that yields to a later one leaves it what it was refused for: the later one is not given up for that', async () => {
  const s = await writtenAhead(set, ['ok', 'request-lost']);
  s.hold(/n1 hears|n1 answer to set/);
  const first = s.history.update(1, s.cache(1), 'A');
  await s.runBut(/n1 answer to set/);
  const second = s.history.update(1, s.cache(1), 'A');
  s.hold(/n1 hears/);
  await Promise.all([s.finish(first), s.finish(second)]);
  expect(s.history.deeds.map(({ l2 }) => l2)).toEqual(['stored', 'skipped', 'queued']);
  expect(await s.answers()).toEqual([3, 3]);
});

test('a load that is given up for a clear keeps nothing out that is stamped lower and comes after it', async () => {
  const s = set({ skewsMs: [AHEAD_MS, 0] });
  const waits = /n0 set A|n0 answer to clear/;
  s.hold(waits);
  const cleared = s.history.clear(0, s.cache(0));
  const loaded = s.history.load(0, s.cache(0), 'A', 'brings');
  await s.runBut(waits);
  s.hold(/n0 set A/);
  await s.finish(cleared);
  await s.finish(s.history.update(1, s.cache(1), 'A'));
  s.hold(/never/);
  await s.finish(loaded);
  expect(s.world.stamps.get(2)?.[0]).toBeLessThan(s.world.stamps.get(1)?.[0] as number);
  expect(await s.answers()).toEqual([2, 2]);
});
