/** Events that get lost, come twice, late or in another order: what is missing is noticed, and nothing else is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHeartbeat } from '../../src/channel/heartbeat.ts';
import { Outgoing } from '../../src/channel/outgoing.ts';
import { MAX_HEARD, MAX_PUBLISHERS, Publishers } from '../../src/channel/publishers.ts';
import { parseEvent } from '../../src/channel/update-event.ts';

/** More than any grace, less than what counts as silence. */
const WAIT_MS = 500;
const make = () => new Outgoing('p', () => 0, true);
const claimOf = (outgoing: Outgoing, last = false) => {
  const heartbeat = parseHeartbeat(outgoing.heartbeat(last).text);
  if (heartbeat === undefined) throw new Error('the heartbeat cannot be read');
  return heartbeat;
};

describe('heartbeats say how many events are out', () => {
  test('whatever the order in which L2 decides, and whatever it refuses', () => {
    fc.assert(fc.property(fc.array(fc.record({ out: fc.boolean(), key: fc.nat() }), { maxLength: 40 }), (writes) => {
      const outgoing = make();
      const numbered = writes.map((write) => ({ ...write, seq: outgoing.event('updated', 'w', 1).seq }));
      const decided = new Set<number>();
      for (const { seq, out } of [...numbered].sort((a, b) => a.key - b.key)) {
        outgoing.decided(seq, out);
        decided.add(seq);
        const { settled, sent } = claimOf(outgoing);
        for (let i = 1; i <= settled; i++) expect(decided.has(i)).toBe(true);
        expect(decided.has(settled + 1)).toBe(false);
        expect(sent).toBe(numbered.filter((one) => one.seq <= settled && one.out).length);
      }
    }));
  });

  test('an event in doubt holds them up until its notice is acknowledged; the notice names no version', () => {
    const outgoing = make();
    const { seq } = outgoing.event('updated', 'w', 7);
    outgoing.inDoubt(seq, 'updated', 'w');
    expect(claimOf(outgoing)).toMatchObject({ settled: 0, sent: 0 });
    for (const acknowledged of [false, true]) {
      const [doubt] = outgoing.takeDoubts(10);
      expect(parseEvent(doubt.text)).toEqual({ type: 'updated', wallet: 'w', timestamp: new Date(0).toISOString(), publisher: 'p', seq });
      outgoing.told(doubt, acknowledged);
    }
    expect(claimOf(outgoing)).toMatchObject({ settled: 1, sent: 1 });
  });

  test('doubts are bounded: past the bound the event counts as sent, so that whoever did not hear it misses it', () => {
    const outgoing = make();
    const seqs = Array.from({ length: 1_500 }, () => outgoing.event('updated', 'w', 1).seq);
    for (const seq of seqs) outgoing.inDoubt(seq, 'updated', 'w');
    expect(outgoing.takeDoubts(10_000)).toHaveLength(1_000);
    for (const seq of seqs.slice(0, 1_000)) outgoing.decided(seq, false);
    expect(claimOf(outgoing)).toMatchObject({ settled: 1_500, sent: 500 });
  });

  test('a failed clear is missed by everybody', () => {
    const outgoing = make();
    outgoing.inDoubt(outgoing.event('cleared', '', 1).seq, 'cleared', '');
    expect(claimOf(outgoing)).toMatchObject({ settled: 1, sent: 1 });
  });
});

describe('what a listener makes of them', () => {
  test('finds a loss if there is one, and none if there is none: any order, doubles, refused and lost events, lost heartbeats', () => {
    const message = fc.record({ out: fc.boolean(), lost: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }), twice: fc.boolean(), overtakes: fc.nat(5), beat: fc.boolean(), beatLost: fc.boolean() });
    fc.assert(fc.property(fc.array(message, { maxLength: 60 }), (plan) => {
      const outgoing = make();
      const publishers = new Publishers();
      publishers.heartbeat('p', claimOf(outgoing), 0);
      const arriving: { at: number; deliver: () => void }[] = [];
      let lost = false;
      plan.forEach(({ out, lost: isLost, twice, overtakes, beat, beatLost }, i) => {
        const { seq } = outgoing.event('updated', 'w', 1);
        outgoing.decided(seq, out);
        if (out && isLost) lost = true;
        if (out && !isLost) for (let times = twice ? 2 : 1; times > 0; times--) arriving.push({ at: i + overtakes * times, deliver: () => publishers.event('p', seq, i) });
        if (!beat || beatLost) return;
        const claim = claimOf(outgoing);
        arriving.push({ at: i, deliver: () => publishers.heartbeat('p', claim, i) });
      });
      arriving.push({ at: 1_000, deliver: () => publishers.heartbeat('p', claimOf(outgoing), 100) });
      for (const { deliver } of arriving.sort((a, b) => a.at - b.at)) deliver();
      const told = [...publishers.check(100 + WAIT_MS), ...publishers.check(100 + 2 * WAIT_MS)].filter(({ kind }) => kind !== 'silent');
      expect(told.length > 0).toBe(lost);
    }), { numRuns: 500 });
  });

  test('what is late within the grace is not lost; what comes after it was told is no second loss', () => {
    const publishers = new Publishers();
    publishers.heartbeat('p', { settled: 0, sent: 0 }, 0);
    publishers.heartbeat('p', { settled: 2, sent: 2 }, 0);
    publishers.event('p', 2, 10);
    expect(publishers.check(200)).toEqual([]);
    expect(publishers.check(400)).toEqual([{ publisher: 'p', kind: 'lost', events: 1 }]);
    publishers.event('p', 1, 410);
    publishers.heartbeat('p', { settled: 2, sent: 2 }, 420);
    expect(publishers.check(900)).toEqual([]);
    // Older heartbeats that come late change nothing.
    publishers.heartbeat('p', { settled: 1, sent: 1 }, 900);
    publishers.event('p', 3, 910);
    publishers.heartbeat('p', { settled: 3, sent: 3 }, 920);
    expect(publishers.check(1_500)).toEqual([]);
  });

  test('a publisher that falls silent is told of once; one that said goodbye is not; one that comes back is counted on', () => {
    const publishers = new Publishers();
    publishers.heartbeat('dies', { settled: 0, sent: 0 }, 0);
    publishers.heartbeat('closes', { settled: 0, sent: 0, last: true }, 0);
    publishers.event('foreign', 1, 0);
    expect(publishers.check(900)).toEqual([]);
    expect(publishers.check(1_100)).toEqual([{ publisher: 'dies', kind: 'silent' }]);
    expect(publishers.check(5_000)).toEqual([]);
    publishers.heartbeat('dies', { settled: 3, sent: 2 }, 6_000);
    expect(publishers.check(6_500)).toEqual([{ publisher: 'dies', kind: 'lost', events: 2 }]);
    publishers.check(80_000);
    expect(publishers.size).toBe(0);
  });

  test('a publisher that starts over has another name, and is met for the first time', () => {
    const publishers = new Publishers();
    publishers.heartbeat('new', { settled: 5, sent: 4 }, 0);
    expect(publishers.check(400)).toEqual([{ publisher: 'new', kind: 'met', events: 4 }]);
    publishers.heartbeat('new', { settled: 6, sent: 5 }, 500);
    expect(publishers.check(900)).toEqual([{ publisher: 'new', kind: 'lost', events: 1 }]);
  });

  test('a heartbeat that lies is healed by the silence of the honest ones', () => {
    const publishers = new Publishers();
    publishers.heartbeat('p', { settled: 1, sent: 0 }, 0);
    publishers.heartbeat('p', { settled: Number.MAX_SAFE_INTEGER, sent: Number.MAX_SAFE_INTEGER }, 10);
    expect(publishers.check(400)).toHaveLength(1);
    let told = 0;
    for (let nowMs = 500; nowMs < 70_000; nowMs += 250) {
      publishers.heartbeat('p', { settled: 2, sent: 1 }, nowMs);
      told += publishers.check(nowMs).length;
    }
    // Silent, forgotten, met anew; and from there on losses are found again.
    expect(told).toBe(2);
    publishers.heartbeat('p', { settled: 3, sent: 2 }, 70_000);
    expect(publishers.check(70_400)).toHaveLength(1);
  });

  test('bounded: made-up publishers push out no live one, and numbers without end are dropped', () => {
    const publishers = new Publishers();
    publishers.heartbeat('alive', { settled: 0, sent: 0 }, 0);
    for (let i = 0; i < 3 * MAX_PUBLISHERS; i++) publishers.event(`made up ${i}`, 1, 1);
    expect(publishers.size).toBeLessThanOrEqual(MAX_PUBLISHERS);
    for (let seq = 1; seq <= MAX_HEARD + 1; seq++) publishers.event('alive', seq, 2);
    expect(publishers.check(10)).toEqual([{ publisher: 'alive', kind: 'lost' }]);
  });

  test('who stood still gives the others time to be heard', () => {
    const publishers = new Publishers();
    publishers.heartbeat('p', { settled: 0, sent: 0 }, 0);
    publishers.heartbeat('p', { settled: 1, sent: 1 }, 0);
    publishers.excuse(5_000);
    expect(publishers.check(5_000)).toEqual([]);
    publishers.event('p', 1, 5_010);
    publishers.heartbeat('p', { settled: 1, sent: 1 }, 5_010);
    expect(publishers.check(5_600)).toEqual([]);
  });
});

test('a heartbeat that is none is refused, whatever it is', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.jsonValue().map((value) => JSON.stringify(value)), fc.record({ type: fc.constant('heartbeat'), publisher: fc.anything(), settled: fc.anything(), sent: fc.anything(), beat: fc.anything() }).map((value) => String(JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? 1 : one))))), (text) => {
    const heartbeat = parseHeartbeat(text);
    if (heartbeat !== undefined) expect(heartbeat.sent).toBeLessThanOrEqual(heartbeat.settled);
  }));
  expect(parseHeartbeat('{"type":"heartbeat","publisher":"p","settled":1,"sent":2,"beat":1}')).toBeUndefined();
});
