/** Reads wallets as a scanner does, hot ones far more often, and tells near cache from L1. */
import { setImmediate } from 'node:timers/promises';
import type { ProfileCache } from '../index.ts';
import { SeededRandom } from '../profiler/sample-random.ts';

const READS_PER_TURN = 1_000;
/** Of the wallets drawn, half come from the hottest eighth. */
const SKEW = 3;

export interface Rereads {
  near: number;
  l1: number;
  /** Neither: expired or evicted in between. */
  other: number;
  /** Summed over those reads; what it costs to take the time is within. */
  nearMs: number;
  l1Ms: number;
}

export interface RereadOptions {
  reads: number;
  seed: number;
  stopRequested(): boolean;
  onProgress(done: number): void;
}

export async function readAgain<P extends object>(cache: ProfileCache<P>, wallets: readonly string[], options: RereadOptions): Promise<Rereads> {
  const random = new SeededRandom(options.seed);
  const rereads: Rereads = { near: 0, l1: 0, other: 0, nearMs: 0, l1Ms: 0 };
  // The near cache gives back the object that it gave before; L1 decodes a new one.
  const given = new Map<string, P>();
  for (let done = 0; done < options.reads && !options.stopRequested(); done++) {
    const wallet = wallets[Math.floor(wallets.length * random.unit() ** SKEW)];
    const startedMs = performance.now();
    const profile = cache.getProfileSync(wallet);
    const tookMs = performance.now() - startedMs;
    if (profile === undefined) rereads.other++;
    else if (given.get(wallet) === profile) {
      rereads.near++;
      rereads.nearMs += tookMs;
    } else {
      rereads.l1++;
      rereads.l1Ms += tookMs;
      given.set(wallet, profile);
    }
    if (done % READS_PER_TURN !== 0) continue;
    options.onProgress(done);
    await setImmediate();
  }
  return rereads;
}
