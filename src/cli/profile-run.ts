/**
 * Profiles many wallets through the cache: asks near cache, L1 and L2 for a part of them at once, has the profiler do the rest of the
 * part in batches, hands the part on in order, and goes to the next. A part is all that is in memory. When a stop is asked for, batches
 * under way are finished and written to L2, none is begun.
 */
import type { ProfileCache } from '../index.ts';
import type { Severity } from '../profiler/risk-aggregator.ts';
import type { WalletProfile } from '../profiler/wallet-profile.ts';

/** Wallets asked for in one bulk read. */
const PART_WALLETS = 2_048;
/** Wallets profiled and written to L2 together: what a Ctrl-C waits for. */
const BATCH_WALLETS = 64;

export const SEVERITIES: readonly Severity[] = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'];

/** Profiles what is missing. Opened when the first wallet is found missing: reading trades and starting threads costs seconds. */
export interface MissingProfiler {
  threads: number;
  profileMany(wallets: string[]): Promise<ReadonlyMap<string, WalletProfile>>;
}

export interface RunParts {
  cache: ProfileCache<WalletProfile>;
  wallets: readonly string[];
  openProfiler(): Promise<MissingProfiler>;
  /** Batches under way at once; twice the threads when absent. */
  concurrency?: number;
  /** Profile every wallet anew, whatever the cache holds. */
  refresh?: boolean;
  /** Whole parts, in the order of `wallets`. */
  onProfiles?(profiles: readonly WalletProfile[]): Promise<void>;
  onProgress?(tally: RunTally): void;
  stopRequested(): boolean;
}

export interface RunTally {
  /** Answered so far; the sum of the four below. */
  done: number;
  near: number;
  l1: number;
  /** Another process that profiled the wallet meanwhile is an answer by L2 too. */
  l2: number;
  profiler: number;
  severities: Record<Severity, number>;
  /** Waited for near cache, L1 and L2. */
  lookupMs: number;
  /** From the first missing wallet until the profiler was ready: trades, threads, co-buy graph. */
  prepareMs: number;
  /** Wall time with at least one batch under way, L2 writes included. */
  profileMs: number;
  /** Of profileMs: time with a batch at the profiler. */
  profilerMs: number;
  /** Handing profiles on. */
  outputMs: number;
}

/** Stops early, without an error, when a stop was asked for: `done` is below the number of wallets then. Errors: those of the parts. */
export async function profileWallets(parts: RunParts): Promise<RunTally> {
  const tally: RunTally = {
    done: 0, near: 0, l1: 0, l2: 0, profiler: 0, severities: { CRITICAL: 0, HIGH: 0, MEDIUM: 0, LOW: 0 },
    lookupMs: 0, prepareMs: 0, profileMs: 0, profilerMs: 0, outputMs: 0,
  };
  const clock = new BusyClock();
  let profiler: MissingProfiler | undefined;
  for (let from = 0; from < parts.wallets.length && !parts.stopRequested(); from += PART_WALLETS) {
    const asked = parts.wallets.slice(from, from + PART_WALLETS);
    const profiles = parts.refresh ? new Map<string, WalletProfile>() : await lookUp(parts.cache, asked, tally);
    for (const profile of profiles.values()) countSeverity(tally, profile);
    parts.onProgress?.(tally);
    const missing = asked.filter((wallet) => !profiles.has(wallet));
    if (missing.length > 0 && !parts.stopRequested()) {
      if (profiler === undefined) {
        const startedMs = performance.now();
        profiler = await parts.openProfiler();
        tally.prepareMs = performance.now() - startedMs;
      }
      const startedMs = performance.now();
      await profileMissing(parts, profiler, missing, profiles, tally, clock);
      tally.profileMs += performance.now() - startedMs;
      tally.profilerMs = clock.totalMs;
    }
    if (profiles.size < asked.length || parts.onProfiles === undefined) continue;
    const startedMs = performance.now();
    await parts.onProfiles(asked.map((wallet) => profiles.get(wallet) as WalletProfile));
    tally.outputMs += performance.now() - startedMs;
  }
  return tally;
}

async function lookUp(cache: ProfileCache<WalletProfile>, asked: readonly string[], tally: RunTally): Promise<Map<string, WalletProfile>> {
  const before = cache.getStats();
  const startedMs = performance.now();
  const found = await cache.bulkPrefetch(asked);
  tally.lookupMs += performance.now() - startedMs;
  const after = cache.getStats();
  const near = after.nearHits - before.nearHits;
  const l1 = after.sharedHits - before.sharedHits;
  tally.near += near;
  tally.l1 += l1;
  tally.l2 += found.size - near - l1;
  tally.done += found.size;
  return found;
}

async function profileMissing(
  parts: RunParts, profiler: MissingProfiler, missing: readonly string[], profiles: Map<string, WalletProfile>, tally: RunTally, clock: BusyClock,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < missing.length && !failed && !parts.stopRequested()) {
      const batch = missing.slice(next, (next += BATCH_WALLETS));
      try {
        const { loaded, profiled } = await profileBatch(parts, profiler, batch, clock);
        for (const [wallet, profile] of loaded) {
          profiles.set(wallet, profile);
          countSeverity(tally, profile);
        }
        tally.profiler += profiled;
        tally.l2 += loaded.size - profiled;
        tally.done += loaded.size;
        parts.onProgress?.(tally);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = Array.from({ length: parts.concurrency ?? 2 * profiler.threads }, lane);
  // Every lane is waited for, also when one has failed: what they profiled is being written.
  const ends = await Promise.allSettled(lanes);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function profileBatch(parts: RunParts, profiler: MissingProfiler, batch: string[], clock: BusyClock): Promise<{ loaded: ReadonlyMap<string, WalletProfile>; profiled: number }> {
  let profiled = 0;
  const load = async (wanted: string[]) => {
    clock.begin();
    try {
      const loaded = await profiler.profileMany(wanted);
      // A batch may take several calls: what another process was loading, and gave up, is asked for anew.
      profiled += loaded.size;
      return loaded;
    } finally {
      clock.end();
    }
  };
  const loaded = parts.refresh ? await load(batch) : await parts.cache.getOrLoadMany(batch, load, { knownMissing: true });
  if (parts.refresh) await parts.cache.updateProfiles(loaded);
  return { loaded, profiled };
}

function countSeverity(tally: RunTally, profile: WalletProfile): void {
  // A profile that another program wrote may have any severity, or none.
  if (Object.hasOwn(tally.severities, profile.severity)) tally.severities[profile.severity]++;
}

/** Wall time during which at least one of several overlapping pieces of work was under way. */
class BusyClock {
  #running = 0;
  #sinceMs = 0;
  #totalMs = 0;

  begin(): void {
    if (this.#running++ === 0) this.#sinceMs = performance.now();
  }

  end(): void {
    if (--this.#running === 0) this.#totalMs += performance.now() - this.#sinceMs;
  }

  get totalMs(): number {
    return this.#totalMs;
  }
}
