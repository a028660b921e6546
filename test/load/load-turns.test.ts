import { describe, expect, it } from 'vitest';
import type { LeaseAnswer } from '../../src/l2/store.ts';
import { deferred } from '../../src/load/deferred.ts';
import { LoadMemory } from '../../src/load/load-memory.ts';
import { LoadTurns, type LeaseStore } from '../../src/load/load-turns.ts';

const ASK = { beyond: 0, graceMs: 0, background: false };
const LEASE_MS = 60_000;

function turnsOn(leases: LeaseStore, leaseMs = LEASE_MS): LoadTurns {
  let version = 0;
  return new LoadTurns({
    leases, leaseMs, memory: new LoadMemory(100), nowMs: () => performance.now(), lookAgain: async () => false, hasStale: () => false, nextVersion: () => ++version,
  });
}

const GIVEN_BACK = '';

/** One Redis for several processes; answers are held back while `gate` is there. */
class Leases implements LeaseStore {
  readonly holders = new Map<string, string>();
  gate: Promise<void> | undefined;
  /** Answers given. */
  lost = 0;
  refused = 0;

  isHeld(wallet: string): boolean {
    return (this.holders.get(wallet) ?? GIVEN_BACK) !== GIVEN_BACK;
  }

  async acquireLease(wallet: string, token: string, _ttlMs: number, waited: boolean): Promise<LeaseAnswer> {
    const holder = this.holders.get(wallet);
    const answer = holder === undefined && waited ? 'lost' : holder === undefined || holder === GIVEN_BACK || holder === token;
    if (answer === true) this.holders.set(wallet, token);
    if (answer === 'lost') this.lost++;
    if (answer === false) this.refused++;
    await this.gate;
    return answer;
  }

  async releaseLease(wallet: string, token: string): Promise<void> {
    if (this.holders.get(wallet) === token) this.holders.set(wallet, GIVEN_BACK);
  }
}

const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe('a lease that L2 has lost', () => {
  const SHORT_MS = 600;

  it('is made anew by its holder, and who waited for it does not load beside him', async () => {
    const leases = new Leases();
    const [holder, waiter] = [turnsOn(leases, SHORT_MS), turnsOn(leases, SHORT_MS)];
    const lead = await holder.begin('w', ASK);
    const token = leases.holders.get('w');
    const busy = await waiter.begin('w', ASK);
    let ended = false;
    if (busy.kind === 'busy') void busy.ended.then(() => (ended = true));
    for (let flush = 0; flush < 3; flush++) {
      leases.holders.clear();
      await until(() => leases.isHeld('w'));
      // Until the one who waits has seen it, too.
      const { refused } = leases;
      await until(() => ended || leases.refused > refused);
      expect([leases.holders.get('w'), ended]).toEqual([token, false]);
    }
    // He looks after 15 ms first: before the holder knows.
    expect(leases.lost).toBeGreaterThan(0);
    holder.end('w', {}, lead.kind === 'lead' ? lead.version : undefined);
    await until(() => ended);
    expect(await waiter.begin('w', ASK)).toMatchObject({ kind: 'lead' });
    await Promise.all([holder.drain(), waiter.drain()]);
  });

  it('is taken in the end, when nobody makes it anew', async () => {
    const leases = new Leases();
    leases.holders.set('w', 'of a process that died');
    const waiter = turnsOn(leases, SHORT_MS);
    const busy = await waiter.begin('w', ASK);
    const lostMs = performance.now();
    leases.holders.clear();
    if (busy.kind === 'busy') await busy.ended;
    expect(performance.now() - lostMs).toBeGreaterThan(SHORT_MS * 0.2);
    expect(await waiter.begin('w', ASK)).toMatchObject({ kind: 'lead' });
    await waiter.drain();
  });

  it('is not one that was given back: that is taken at once', async () => {
    const leases = new Leases();
    leases.holders.set('w', 'of a process whose load failed');
    const waiter = turnsOn(leases);
    const busy = await waiter.begin('w', ASK);
    await leases.releaseLease('w', 'of a process whose load failed');
    if (busy.kind === 'busy') await busy.ended;
    expect(leases.lost).toBe(0);
    expect(await waiter.begin('w', ASK)).toMatchObject({ kind: 'lead' });
    await waiter.drain();
  });
});

describe('a cache that closes', () => {
  it('gives back the lease that it is just asking for, before it is closed', async () => {
    const leases = new Leases();
    const turns = turnsOn(leases);
    const gate = deferred<void>();
    leases.gate = gate.promise;
    const begun = turns.begin('w', ASK);
    begun.catch(() => {});
    await Promise.resolve();
    expect(leases.isHeld('w')).toBe(true);
    const drained = turns.drain();
    gate.resolve();
    await drained;
    expect(leases.isHeld('w')).toBe(false);
    await expect(begun).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('gives back the lease that it is asking for while it waits for another process', async () => {
    const leases = new Leases();
    leases.holders.set('w', 'of another process');
    const turns = turnsOn(leases);
    expect(await turns.begin('w', ASK)).toMatchObject({ kind: 'busy' });
    const gate = deferred<void>();
    leases.gate = gate.promise;
    leases.holders.set('w', GIVEN_BACK);
    await until(() => leases.isHeld('w'));
    const drained = turns.drain();
    gate.resolve();
    await drained;
    expect(leases.isHeld('w')).toBe(false);
  });

  it('grants no turn any more', async () => {
    const leases = new Leases();
    const turns = turnsOn(leases);
    await turns.drain();
    await expect(turns.begin('w', ASK)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(leases.isHeld('w')).toBe(false);
  });
});
