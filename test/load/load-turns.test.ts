import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/load/deferred.ts';
import { LoadMemory } from '../../src/load/load-memory.ts';
import { LoadTurns, type LeaseStore } from '../../src/load/load-turns.ts';

const ASK = { beyond: 0, graceMs: 0, background: false };
const LEASE_MS = 60_000;

function turnsOn(leases: LeaseStore): LoadTurns {
  let version = 0;
  return new LoadTurns({
    leases, leaseMs: LEASE_MS, memory: new LoadMemory(100), nowMs: () => performance.now(), lookAgain: async () => false, hasStale: () => false, nextVersion: () => ++version,
  });
}

/** One Redis for several processes; answers are held back while `gate` is there. */
class Leases implements LeaseStore {
  readonly holders = new Map<string, string>();
  gate: Promise<void> | undefined;

  async acquireLease(wallet: string, token: string): Promise<boolean> {
    const taken = !this.holders.has(wallet) || this.holders.get(wallet) === token;
    if (taken) this.holders.set(wallet, token);
    await this.gate;
    return taken;
  }

  async releaseLease(wallet: string, token: string): Promise<void> {
    if (this.holders.get(wallet) === token) this.holders.delete(wallet);
  }
}

describe('a cache that closes', () => {
  it('gives back the lease that it is just asking for, before it is closed', async () => {
    const leases = new Leases();
    const turns = turnsOn(leases);
    const gate = deferred<void>();
    leases.gate = gate.promise;
    const begun = turns.begin('w', ASK);
    begun.catch(() => {});
    await Promise.resolve();
    expect(leases.holders.size).toBe(1);
    const drained = turns.drain();
    gate.resolve();
    await drained;
    expect(leases.holders.size).toBe(0);
    await expect(begun).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('gives back the lease that it is asking for while it waits for another process', async () => {
    const leases = new Leases();
    leases.holders.set('w', 'of another process');
    const turns = turnsOn(leases);
    expect(await turns.begin('w', ASK)).toMatchObject({ kind: 'busy' });
    const gate = deferred<void>();
    leases.gate = gate.promise;
    leases.holders.delete('w');
    while (!leases.holders.has('w')) await new Promise((resolve) => setTimeout(resolve, 1));
    const drained = turns.drain();
    gate.resolve();
    await drained;
    expect(leases.holders.size).toBe(0);
  });

  it('grants no turn any more', async () => {
    const leases = new Leases();
    const turns = turnsOn(leases);
    await turns.drain();
    await expect(turns.begin('w', ASK)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(leases.holders.size).toBe(0);
  });
});
