/** L2 has gone back behind what L1 holds, in a failover maybe: it gets that again, with its own stamp. */
import type { Clock } from '../clock.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { Breaker } from './breaker.ts';
import type { L1Owner } from './l1-owner.ts';
import type { VersionClock } from './version.ts';
import type { WriteSender } from './write-sender.ts';

/** Profiles that are written back at a time; what is past it is found again by the next read. */
const MAX_REPAIRS = 1_000;

export interface RepairParts {
  sender: WriteSender;
  l1: L1Owner;
  versions: VersionClock;
  breaker: Breaker | undefined;
  clock: Clock;
  row: ThreadRow;
}

export class Repair {
  private readonly parts: RepairParts;
  private readonly repairing = new Set<string>();

  constructor(parts: RepairParts) {
    this.parts = parts;
  }

  /** Undefined where there is nothing to be written back now. Never rejects. */
  begin(wallet: string): Promise<void> | undefined {
    const { l1, breaker, clock } = this.parts;
    if (breaker?.open === true || this.repairing.has(wallet) || this.repairing.size >= MAX_REPAIRS) return undefined;
    const copy = l1.copyOf(wallet);
    if (copy === undefined || copy.expiresAtMs <= clock.monotonicMs()) return undefined;
    this.repairing.add(wallet);
    return this.writeBack(wallet, copy);
  }

  private async writeBack(wallet: string, { payload: raw, schemaId, version, expiresAtMs }: NonNullable<ReturnType<L1Owner['copyOf']>>): Promise<void> {
    const { sender, l1, versions, row } = this.parts;
    const [outcome] = await sender.send([{ wallet, record: { raw, schemaId }, version, expiresAtMs, knows: l1.floors.knownClear, loaded: true }]);
    this.repairing.delete(wallet);
    if (outcome.status === 'stored') row.count(COUNTER.repaired);
    // A late answer of L2, or a replica that lags: it has this one, or a newer.
    else if (outcome.status === 'older' && outcome.storedVersion > version && versions.observe(outcome.storedVersion)) l1.drop(wallet, outcome.storedVersion);
  }
}
