/**
 * The one table of metrics: name, kind, unit and meaning. `getStats`, the command line and Prometheus text are made from it.
 * Counters are kept per thread in shared memory (one row a thread, written by that thread alone) and summed on demand.
 */
export interface Metric {
  readonly name: string;
  readonly unit: 'count' | 'bytes' | 'microseconds';
  readonly help: string;
}

const counters = [
  ['sharedHits', 'count', 'reads answered by L1 in shared memory, decoded for the reader'],
  ['nearHits', 'count', 'reads answered by the near cache of the thread, without decoding'],
  ['l2Hits', 'count', 'reads answered by L2'],
  ['misses', 'count', 'reads that neither tier could answer'],
  ['l2Failures', 'count', 'wallets that L2 could not answer for: failed, timed out or known to be down; also counted as misses'],
  ['expirations', 'count', 'entries of L1 found expired, by a read or by the sweep'],
  ['contended', 'count', 'reads of L1 given up because the owner kept changing the slot'],
  ['writes', 'count', 'profiles updated'],
  ['invalidations', 'count', 'wallets invalidated by this process'],
  ['promotions', 'count', 'profiles taken from L2 into L1'],
  ['promotionsRefused', 'count', 'profiles from L2 that were older than what this process knew: a late load lost to an update or an invalidation'],
  ['evictions', 'count', 'entries that L1 evicted to stay within its bounds'],
  ['tooLargeForL1', 'count', 'profiles kept in L2 alone because L1 could not hold them'],
  ['l2Stored', 'count', 'writes that L2 acknowledged'],
  ['l2Queued', 'count', 'writes queued because L2 did not answer in time'],
  ['l2Refused', 'count', 'writes that L2 refused because it held a newer version'],
  ['l2QueueDropped', 'count', 'queued writes given up because the queue was full'],
  ['l2Replayed', 'count', 'queued writes that L2 took later'],
  ['corrupt', 'count', 'records of L2 that were damaged, foreign or of an unknown structure; counted as misses'],
  ['loads', 'count', 'calls of a loader by getOrLoad and getOrLoadMany'],
  ['loadFailures', 'count', 'loader calls that failed'],
  ['loadsShared', 'count', 'callers who were answered by a load that another caller had begun'],
  ['staleServed', 'count', 'expired profiles that getOrLoad served within their grace'],
  ['refreshes', 'count', 'loads begun in the background, of what has expired or is about to'],
  ['loadTimeouts', 'count', 'callers who left a load after hardTimeoutMs with nothing'],
  ['loadsSpared', 'count', 'loads not tried because the last one failed less than graceBackoffMs ago'],
  ['negativeHits', 'count', 'wallets known to have no profile: answered without their loader'],
  ['eventsPublished', 'count', 'update events sent with a write'],
  ['eventsReceived', 'count', 'update events of other processes'],
  ['eventsIgnored', 'count', 'own or outdated update events'],
  ['eventsMalformed', 'count', 'messages on the channel that are no update event'],
  ['eventsUnread', 'count', 'messages on the channel left unread because too many came at once'],
  ['channelGaps', 'count', 'times that messages of the channel may have been lost'],
  ['revalidated', 'count', 'entries of L1 that L2 confirmed after a gap'],
  ['servedUnchecked', 'count', 'entries of L1 served on after a gap because L2 could not be asked; they are checked when it can'],
  ['repaired', 'count', 'profiles written back to an L2 that had gone back in time'],
  ['decodes', 'count', 'profiles decoded'],
] as const satisfies readonly (readonly [string, Metric['unit'], string])[];

export type CounterName = (typeof counters)[number][0];

export const COUNTERS: readonly Metric[] = counters.map(([name, unit, help]) => ({ name, unit, help }));

/** Position of each counter in a thread's row. */
export const COUNTER = Object.fromEntries(counters.map(([name], at) => [name, at])) as Record<CounterName, number>;

export const GAUGES: readonly Metric[] = [
  { name: 'l1Size', unit: 'count', help: 'profiles resident in L1' },
  { name: 'l1MaxSize', unit: 'count', help: 'bound of l1Size' },
  { name: 'l1Bytes', unit: 'bytes', help: 'bytes of the resident records: headers, keys, payloads' },
  { name: 'l1MaxBytes', unit: 'bytes', help: 'bound of l1Bytes' },
  { name: 'l1RegionBytes', unit: 'bytes', help: 'the whole shared region, its fixed tables included' },
  { name: 'threads', unit: 'count', help: 'threads that use this L1 now' },
];
