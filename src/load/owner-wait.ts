/**
 * When a thread waits for the owner: there is no lock, so only where the owner was stopped in the middle of a change, or perhaps with the whole process.
 * Each wait has a bound, and afterwards the thread goes on without the owner.
 */
import type { Clock } from '../clock.ts';
import { ownerQuietMs } from '../l1/owner-beat.ts';
import { pause } from '../l1/pause.ts';
import type { L1Reader, ReadResult } from '../l1/reader.ts';
import type { Region } from '../l1/region.ts';
import { declareOwnerGone, ownerLife } from '../l1/row-claim.ts';
import type { WalletKey } from '../l1/wallet-key.ts';
import { STANDSTILL_MS } from './hit-clock.ts';

/** About what a busy machine takes a core away for; there a pause may take several times PAUSE_MS. */
const MAX_WAIT_MS = 4;
const PAUSE_MS = 0.2;
const MAX_PAUSES = MAX_WAIT_MS / PAUSE_MS;
/** An owner that had died before is known by then. */
const ASK_AFTER_PAUSES = 1;
/** After the whole process stood still, the owner is given so long to hide what may be stale. It needs one turn of its event loop. */
const MAX_WAKE_MS = 50;

export class OwnerWait {
  private readonly region: Region;
  private readonly clock: Clock;

  constructor(region: Region, clock: Clock) {
    this.region = region;
    this.clock = clock;
  }

  /**
   * The owner holds a slot for well under a microsecond, unless the system takes its core away just then. Rather than call a resident
   * profile a miss, this thread sleeps a little. An owner that died there costs the first thread that finds out two pauses, MAX_WAIT_MS if it was only dying
   * when asked about, and nobody after it.
   */
  waitOut(reader: L1Reader, key: WalletKey, nowMs: number): ReadResult {
    const giveUpMs = this.clock.monotonicMs() + MAX_WAIT_MS;
    for (let pauses = 0; pauses < MAX_PAUSES && !reader.closed && this.clock.monotonicMs() < giveUpMs; pauses++) {
      pause(PAUSE_MS);
      const result = reader.read(key, nowMs);
      if (result !== 'contended') return result;
      if (pauses === ASK_AFTER_PAUSES && this.isGone(reader)) return 'contended';
    }
    this.isGone(reader);
    return 'contended';
  }

  /**
   * An attached thread that has not read for a while cannot know whether it was idle or stopped; an owner that has not turned meanwhile may
   * have been stopped with it. It is given a moment to wake. One that is only busy, or dead, does not keep others from reading.
   */
  untilAwake(): void {
    const { clock, region } = this;
    const untilMs = clock.monotonicMs() + MAX_WAKE_MS;
    if (ownerQuietMs(region, untilMs) < STANDSTILL_MS + MAX_WAKE_MS || ownerLife(region) === 'dead') return;
    while (clock.monotonicMs() < untilMs && ownerQuietMs(region, untilMs) >= STANDSTILL_MS + MAX_WAKE_MS) pause(PAUSE_MS);
  }

  /** Not asked often: it wakes the owner. */
  private isGone(reader: L1Reader): boolean {
    if (!reader.closed && ownerLife(this.region) === 'dead') declareOwnerGone(this.region);
    return reader.closed;
  }
}
