/**
 * What a `clear()` means to this process, its own and those of others.
 *
 * A clear is a stamp that L2 remembers. What L2 holds up to it goes, and L2 refuses from then on whoever writes without knowing of it, whatever
 * his stamp is: what was written before the clear by a calendar ahead of ours would come after it otherwise. So every write says which clear
 * its process knew of when it was made (`PendingWrite.knows`); processes hear of clears by the update channel, by L2's refusal, and at start.
 */
import type { Outgoing } from '../channel/outgoing.ts';
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { L1Owner } from './l1-owner.ts';
import type { StructureSync } from './structure-sync.ts';
import type { Unanswered } from './unanswered.ts';
import type { VersionClock } from './version.ts';
import type { RecordSink } from './write-sender.ts';

export interface ClearsParts {
  /** Undefined: there is no L2. */
  sink: RecordSink | undefined;
  l1: L1Owner;
  versions: VersionClock;
  unanswered: Unanswered;
  structures: StructureSync | undefined;
  /** Undefined: this process tells nobody. */
  outgoing: Outgoing | undefined;
  row: ThreadRow;
}

export class Clears {
  private readonly parts: ClearsParts;
  /** Stamp of the newest of this process, 0 without one. */
  begunAt = 0;

  constructor(parts: ClearsParts) {
    this.parts = parts;
  }

  /**
   * What has been stored before goes, whatever calendar has stamped it. What L2 is left with, or another clear that it remembers, is newer than
   * this clear, or has a stamp from a calendar ahead of ours and was there before: nobody can tell, so L2 is cleared once more, with a stamp
   * past all of that. What it is left with then has been written since the clear began.
   * @param underWay what is on its way would arrive in an L2 that has been emptied
   */
  async clear(underWay: Iterable<Promise<unknown>>): Promise<void> {
    const { sink, versions } = this.parts;
    const version = this.begin();
    if (sink === undefined) return;
    await Promise.allSettled(underWay);
    const left = await this.clearL2(sink, version);
    if (left === 0 || !versions.observe(left)) return this.done(version);
    const again = this.begin();
    await this.clearL2(sink, again);
    this.done(again);
  }

  /** Everything in L2 up to this version has been cleared, or is about to be. */
  heardOf(version: number): void {
    const { l1, versions } = this.parts;
    // What came in since then is not meant, nor what is on its way.
    if (version <= l1.floors.knownClear) return;
    l1.floors.knownClear = version;
    l1.clear(version, versions.next());
  }

  /** What L2 remembers of clears before this process came. */
  async learn(): Promise<void> {
    const version = await this.parts.sink?.clearFloor();
    if (version !== undefined && this.parts.versions.observe(version)) this.heardOf(version);
  }

  private begin(): number {
    const { l1, versions } = this.parts;
    const version = versions.next();
    l1.clear(version, version);
    this.begunAt = version;
    return version;
  }

  /** The highest version that L2 is left with. */
  private async clearL2(sink: RecordSink, version: number): Promise<number> {
    const { outgoing, row } = this.parts;
    const event = outgoing?.event('cleared', '', version);
    const left = await sink.clear(version, event?.text).catch((error: unknown) => {
      if (event !== undefined) outgoing?.inDoubt(event.seq, 'cleared', '');
      throw error;
    });
    if (event === undefined) return left;
    outgoing?.decided(event.seq, true);
    row.count(COUNTER.eventsPublished);
    return left;
  }

  private done(version: number): void {
    const { l1, unanswered, structures } = this.parts;
    l1.floors.knownClear = Math.max(l1.floors.knownClear, version);
    unanswered.cleared(version);
    structures?.forgetStored();
  }
}
