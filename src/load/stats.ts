/** Statistics as people and programs read them, made from the counters of all threads. */
import { HEADER } from '../l1/layout.ts';
import type { Region } from '../l1/region.ts';
import { claimedRows } from '../l1/row-claim.ts';
import { sumCounters } from '../l1/thread-row.ts';
import { COUNTER, COUNTERS, type CounterName } from '../stats/metrics.ts';

export type CacheStats = Record<CounterName, number> & {
  /** nearHits + sharedHits. */
  l1Hits: number;
  /** (l1Hits + l2Hits) / reads, 0..1; 0 before the first read. */
  hitRate: number;
  /** l1Hits / reads, 0..1. */
  l1HitRate: number;
  l1Size: number;
  l1MaxSize: number;
  /** Of the resident records: headers, keys and payloads. */
  l1Bytes: number;
  l1MaxBytes: number;
  /** The whole shared region, its fixed tables included. */
  l1RegionBytes: number;
  /** Threads that use this L1 now. */
  threads: number;
  l2TtlSeconds: number;
};

export function collectStats(region: Region, fixed: { maxBytes: number; l2TtlSeconds: number }): CacheStats {
  const counts = Object.fromEntries(COUNTERS.map(({ name }) => [name, sumCounters(region, COUNTER[name as CounterName])])) as Record<CounterName, number>;
  const l1Hits = counts.nearHits + counts.sharedHits;
  const reads = l1Hits + counts.l2Hits + counts.misses;
  return {
    ...counts,
    l1Hits,
    hitRate: reads === 0 ? 0 : (l1Hits + counts.l2Hits) / reads,
    l1HitRate: reads === 0 ? 0 : l1Hits / reads,
    l1Size: region.u32[HEADER.residentProfiles],
    l1MaxSize: region.slotCount,
    l1Bytes: region.u32[HEADER.residentBytesLow] + region.u32[HEADER.residentBytesHigh] * 2 ** 32,
    l1MaxBytes: fixed.maxBytes,
    l1RegionBytes: region.regionBytes,
    threads: claimedRows(region),
    l2TtlSeconds: fixed.l2TtlSeconds,
  };
}
