/** Schedules that the model found, step by step. Each of them failed once; the title is the promise that it broke. */
import { afterEach, describe, expect, test } from 'vitest';
import { Floors } from '../../src/load/floors.ts';
import { LoadMemory } from '../../src/load/load-memory.ts';
import { LoadTurns, type TurnParts } from '../../src/load/load-turns.ts';
import type { WriteQueue } from '../../src/load/write-queue.ts';
import { AHEAD_MS, Scene, writtenAhead } from '../support/world-scene.ts';
import type { WorldOptions } from '../support/world.ts';

const ASK = { beyond: 0, graceMs: 0, background: false };

const turnsOf = (parts: Partial<TurnParts>): LoadTurns =>
  new LoadTurns({ leases: undefined, leaseMs: 1_000, memory: new LoadMemory(10), nowMs: () => 0, lookAgain: () => Promise.resolve(false), hasStale: () => false, nextVersion: () => 1, ...parts });

let scene: Scene;
const set = (options?: Partial<WorldOptions>): Scene => (scene = new Scene(options));
afterEach(() => scene?.world.close());

describe('stamps that tie', () => {
  test('4: two processes update one wallet with the same stamp, and end with the same profile', async () => {
    const s = set({ calendarStepMs: 10_000 });
    void s.history.update(0, s.cache(0), 'A');
    void s.history.update(1, s.cache(1), 'A');
    const [a, b] = await s.answers();
    expect(a).toBe(b);
    expect(a).toBeGreaterThan(0);
  });

  test('2: an invalidation that ties with a stored update beats it', async () => {
    const s = set({ calendarStepMs: 10_000 });
    s.hold(/n1 hears/);
    await s.finish(s.history.update(0, s.cache(0), 'A'));
    await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
    await s.finish(s.history.get(1, s.cache(1), 'A'));
    expect(s.last().seen).toBe(0);
    expect(await s.answers()).toEqual([0, 0]);
  });
});

describe('a calendar ahead of ours', () => {
  test('2: an event that arrives while an invalidation is on its way does not call it off', async () => {
    const s = set({ skewsMs: [AHEAD_MS, 0] });
    s.hold(/n1 hears|n1 delete/);
    await s.finish(s.history.update(0, s.cache(0), 'A'));
    const invalidated = s.history.invalidate(1, s.cache(1), 'A');
    await s.take(/n1 hears/);
    s.hold(/never/);
    await s.finish(invalidated);
    expect(await s.answers()).toEqual([0, 0]);
  });

  test('2: of two updates in a row, the second is the one that stays', async () => {
    const s = set({ skewsMs: [AHEAD_MS, 0] });
    s.hold(/n1 hears/);
    await s.finish(s.history.update(0, s.cache(0), 'A'));
    void s.history.update(1, s.cache(1), 'A');
    await s.finish(s.history.update(1, s.cache(1), 'A'));
    expect(await s.answers()).toEqual([3, 3]);
  });

  test('2: an invalidation whose request got lost still hides what L2 has', async () => {
    const s = set({ skewsMs: [AHEAD_MS, 0], fates: ['ok', 'request-lost'] });
    s.hold(/n1 hears/);
    await s.finish(s.history.update(0, s.cache(0), 'A'));
    await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
    await s.finish(s.history.get(1, s.cache(1), 'A'));
    expect(s.last().seen).toBe(0);
    expect(await s.answers()).toEqual([0, 0]);
  });
});

describe('an invalidation that L2 has not taken, and a later write in its place whose stamp loses', () => {
  test('3: both waited in the queue', async () => {
    const s = await writtenAhead(set, ['request-lost', 'request-lost']);
    await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
    await s.finish(s.history.update(1, s.cache(1), 'A'));
    expect(await s.answers()).toEqual([0, 0]);
  });

  test('3: L2 refused the invalidation, which left the field to the update, whose request was lost', async () => {
    const s = await writtenAhead(set, ['ok', 'request-lost']);
    const invalidated = s.history.invalidate(1, s.cache(1), 'A');
    void s.history.update(1, s.cache(1), 'A');
    await s.finish(invalidated);
    expect(s.world.nodes[1].owner.queuedWrites).toBe(0);
    // Nothing is given up: the update is stamped past what refused the invalidation.
    expect(await s.answers()).toEqual([2, 2]);
  });

  test('3: the update was replaced by another one in the queue', async () => {
    const s = await writtenAhead(set, ['request-lost', 'request-lost', 'request-lost']);
    await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
    await s.finish(s.history.update(1, s.cache(1), 'A'));
    await s.finish(s.history.update(1, s.cache(1), 'A'));
    expect(await s.answers()).toEqual([0, 0]);
  });

  test('3: the update expired in the queue', async () => {
    const s = await writtenAhead(set, ['request-lost', 'request-lost']);
    await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
    await s.finish(s.cache(1).updateProfile('A', { i: 2 }, { ttlSeconds: 0.1 }).then(({ l2 }) => expect(l2).toBe('queued')));
    s.world.time.pass(100);
    expect(await s.answers()).toEqual([0, 0]);
  });

  test('2: a loader brought it; until L2 has answered, the old profile is not seen', async () => {
    const s = await writtenAhead(set, ['request-lost', 'request-lost', 'request-lost', 'request-lost']);
    await s.finish(s.history.invalidate(1, s.cache(1), 'A'));
    s.hold(/n1 hears|loader/);
    const loaded = s.history.load(1, s.cache(1), 'A', 'brings');
    await s.world.run(() => s.order.waiting(/loader/));
    s.world.losesRequests(1);
    s.hold(/n1 hears/);
    await s.finish(loaded);
    const { owner, l1, thread } = s.world.nodes[1];
    const { queue } = (owner as unknown as { writes: { queue: WriteQueue } }).writes;
    await s.world.run(() => queue.waiting('A')?.loaded === true);
    l1.writer.remove(thread.key.set('A'));
    await s.finish(s.history.get(1, s.cache(1), 'A'));
    expect(s.last().seen).toBe(0);
    expect(await s.answers()).toEqual([0, 0]);
  });

  test('4: L2 has taken it after all: what another process wrote after it stays', async () => {
    const s = set({ skewsMs: [AHEAD_MS, 0], fates: ['ok', 'request-lost'] });
    s.hold(/n1 hears/);
    const invalidated = s.history.invalidate(1, s.cache(1), 'A');
    const updated = s.history.update(1, s.cache(1), 'A');
    await s.finish(invalidated);
    await s.finish(s.history.update(0, s.cache(0), 'A'));
    await s.finish(updated);
    expect(s.history.deeds.map(({ l2 }) => l2)).toEqual([undefined, 'queued', 'stored']);
    expect(await s.answers()).toEqual([2, 2]);
  });
});

test('6: L2 answers nobody after a gap: the check in the background has given up first, and a reader gets what L1 holds all the same', async () => {
  const s = set();
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.runBut(/never/, () => s.world.quiet);
  const [node] = s.world.nodes;
  node.source.break();
  s.world.losesRequests(2);
  await s.take(/n0 subscribes again/);
  expect(s.cache(0).getProfileSync('A')).toBeUndefined();
  await s.finish(s.history.get(0, s.cache(0), 'A'));
  expect(s.last().seen).toBeGreaterThan(0);
  s.world.calmDown();
  await s.rest();
});

test('3: a load that had to be queued is not stamped anew: the update that came meanwhile stays', async () => {
  const s = set({ fates: ['ok', 'ok', 'ok', 'request-lost'] });
  s.hold(/n0 hears/);
  await s.finish(s.history.load(0, s.cache(0), 'A', 'brings'));
  await s.finish(s.history.update(1, s.cache(1), 'A'));
  // Replayed before the event of the update is heard.
  await s.take(/n0 set A/);
  await s.take(/n0 answer to set A/);
  expect(await s.answers()).toEqual([2, 2]);
  expect(s.world.stamps.get(1)).toHaveLength(1);
});

test('7: what was read before a gap does not enter L1 after it', async () => {
  const s = set();
  s.hold(/n0 answer to get|n0 hears/);
  await s.finish(s.history.update(1, s.cache(1), 'A'));
  await s.take(/n0 hears/);
  s.hold(/n0 answer to get|n0 subscribes/);
  void s.history.get(0, s.cache(0), 'A');
  await s.runBut(/n0 answer to get/);
  s.world.nodes[0].source.break();
  await s.finish(s.history.update(1, s.cache(1), 'A'));
  await s.take(/n0 subscribes/);
  expect(await s.answers()).toEqual([2, 2]);
});

describe('loads', () => {
  test('10: a load that was joined fails while the joining one still loads: no rejection without a catch', async () => {
    const s = set();
    s.hold(/loader/);
    void s.history.load(0, s.cache(0), 'A', 'fails');
    await s.runBut(/loader/);
    const many = s.history.loadMany(0, s.cache(0), ['A', 'B'], 'brings');
    await s.runBut(/loader/);
    await s.take(/loader A/);
    s.hold(/never/);
    await s.finish(many);
    expect(s.world.uncaught).toEqual([]);
  });

  test('2: who asks after an invalidation does not get the load that began before it', async () => {
    const s = set();
    s.hold(/loader A returns #1/);
    void s.history.load(0, s.cache(0), 'A', 'brings');
    await s.runBut(/loader A returns #1/);
    await s.finish(s.history.invalidate(0, s.cache(0), 'A'));
    void s.history.load(0, s.cache(0), 'A', 'brings');
    await s.runBut(/loader A returns #1/);
    await s.rest();
    expect(s.last().seen).toBe(2);
  });

  test('load once: a load that is late ends no other\'s turn', async () => {
    let stamp = 0;
    const turns = turnsOf({ nextVersion: () => ++stamp });
    await turns.begin('A', ASK);
    turns.end('A', {}, 1);
    await turns.begin('A', ASK);
    turns.end('A', {}, 1);
    expect(turns.count).toBe(1);
    turns.end('A', {}, 2);
    expect(turns.count).toBe(0);
  });

  test('10: a turn whose look into L2 fails is given back', async () => {
    const turns = turnsOf({ lookAgain: () => Promise.reject(new Error('closed')) });
    await expect(turns.begin('A', ASK)).rejects.toThrow('closed');
    expect(turns.count).toBe(0);
  });
});

test('a read of a wallet that was answered before its batch ended is not ended by that batch', async () => {
  const s = set();
  await s.finish(s.history.update(1, s.cache(1), 'A'));
  await s.rest();
  s.hold(/n0 answer to get/);
  void s.history.get(0, s.cache(0), 'A');
  void s.history.get(0, s.cache(0), 'B');
  await s.take(/n0 answer to get A/);
  const { l1, thread } = s.world.nodes[0];
  l1.writer.remove(thread.key.set('A'));
  const again = s.history.get(0, s.cache(0), 'A');
  const deed = s.last();
  await s.take(/n0 answer to get B/);
  s.hold(/never/);
  await s.finish(again);
  expect(deed.seen).toBe(1);
});

test('a wallet is let go when a newer write has settled the one that waited', async () => {
  const s = set({ fates: ['reply-lost'] });
  await s.finish(s.history.invalidate(0, s.cache(0), 'A'));
  await s.finish(s.history.load(0, s.cache(0), 'A', 'brings'));
  expect(await s.answers()).toEqual([1, 1]);
  s.world.nodes[0].l1.writer.remove(s.world.nodes[0].thread.key.set('A'));
  expect(await s.answers()).toEqual([1, 1]);
});

test('5: fences are bounded while a load is under way, and void no less', () => {
  const floors = new Floors(10);
  const token = floors.beginLoad();
  for (let i = 0; i < 25_000; i++) floors.fence(`w${i}`);
  expect((floors as unknown as { fences: Map<string, number> }).fences.size).toBeLessThanOrEqual(10_000);
  expect(floors.voided('w0', token)).toBe(true);
  expect(floors.voided('w24999', token)).toBe(true);
  expect(floors.voided('w24999', floors.beginLoad())).toBe(false);
});

test('an L2 that has gone back in time gets what this process still holds, when that is checked', async () => {
  const s = set();
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.rest();
  s.world.l2.save();
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.rest();
  s.world.l2.failover();
  s.world.nodes[0].source.break();
  await s.rest();
  expect(await s.answers()).toEqual([2, 2]);
  expect(s.world.l2.landed.filter(({ version }) => version === s.world.stamps.get(2)?.[0])).toHaveLength(2);
});

test('7: with L2 away at a gap, what L1 holds is served on, and checked when L2 is back', async () => {
  const s = set();
  await s.finish(s.history.update(0, s.cache(0), 'A'));
  await s.rest();
  const { floors, l1, thread, versions } = s.world.nodes[0];
  s.world.losesRequests(200);
  s.world.nodes[0].source.break();
  await s.world.run(() => l1.unchecked.size > 0);
  expect(thread.take('A')).toEqual({ i: 1 });
  // Meanwhile, unheard: it is somebody else's now.
  s.world.l2.write('A', { version: versions.next(), raw: undefined, schemaId: 0, createdAtMs: 0, expiresAtMs: Infinity }, undefined);
  s.world.calmDown();
  expect(await s.answers()).toEqual([0, 0]);
  expect(floors.of('A')).toBeGreaterThan(0);
});
