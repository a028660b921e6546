/**
 * `npm run soak -- [--minutes N] [--seed S] [--limit-mb M]`: does a cache that is changed all the time keep its memory? Mixed sizes, updates, deletes, expiry and eviction by this
 * thread, reads by an attached one. After a warm-up of a fifth of the time heap, external memory and RSS are sampled; exit code 1 when the median of the
 * last fifth is above that of the first by more than the limits, or when a read gives what was not written.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';
import { collectGarbage } from './support/bench.ts';
import { environmentText } from './support/environment.ts';
import { makeProfile, seededRandom, type BenchProfile } from './support/profiles.ts';
import { tableText } from './support/report.ts';
import { max, median } from './support/stats.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string', default: '1' }, 'limit-mb': { type: 'string', default: '4' } } });
const minutes = Number(values.minutes);
const limitBytes = Number(values['limit-mb']) * 1e6;
if (!(minutes > 0) || !(limitBytes >= 0)) throw new Error('--minutes is above 0, --limit-mb 0 or more');

const MAX_PROFILES = 20_000;
const MAX_BYTES = 16 * 1024 * 1024;
const WALLETS = 60_000;
/** So few that the decoded profiles, of 2 to 25 KB each, soon weigh what they will weigh: they are bounded by count. */
const NEAR_PROFILES = 64;
const SAMPLES = 50;
const WARM_UP_SHARE = 0.2;
/** RSS is the system's business too: pages of a collected heap come back when it likes. */
const RSS_LIMIT_SHARE = 0.25;
const BATCH = 100;
const TTL_SECONDS = 120;

interface Soaked extends Record<string, unknown> { wallet: string; round: number; notes: string[]; base: BenchProfile }

const random = seededRandom(Number(values.seed));
const bases = Array.from({ length: 64 }, (_, i) => makeProfile(i + 1));
const walletOf = (i: number) => `${bases[i % 64].wallet_address.slice(0, 36)}${String(i).padStart(8, '0')}`;
/** From 1 KB to 20 KB, most of them small. */
const profileOf = (i: number, round: number): Soaked => ({ wallet: walletOf(i), round, base: bases[i % 64], notes: Array.from({ length: Math.floor(random() ** 4 * 100) }, () => `${'note '.repeat(36)}${round}`) });

const cache = await ProfileCache.open<Soaked>({ l1: { maxProfiles: MAX_PROFILES, maxBytes: MAX_BYTES, nearProfiles: NEAR_PROFILES }, l2: { kind: 'none' }, l2TtlSeconds: TTL_SECONDS });
const reader = new Worker(new URL('./support/soak-reader.mjs', import.meta.url), { workerData: { handle: cache.handle, wallets: Array.from({ length: WALLETS }, (_, i) => walletOf(i)) } });
let read = { hits: 0, misses: 0, wrong: 0 };
reader.on('message', (message) => (read = message as typeof read));
reader.on('error', (error) => {
  throw error;
});

const counts = { updates: 0, deletes: 0, reads: 0, wrong: 0 };
function work(round: number): void {
  for (let n = 0; n < BATCH; n++) {
    // A hot tenth and a long tail.
    const i = Math.floor(random() ** 3 * WALLETS);
    const choice = random();
    if (choice < 0.3) {
      counts.updates++;
      // A fifth lives so short that the sweep finds it.
      void cache.updateProfile(walletOf(i), profileOf(i, round), random() < 0.2 ? { ttlSeconds: 0.05 } : undefined);
    } else if (choice < 0.33) {
      counts.deletes++;
      void cache.invalidate(walletOf(i));
    } else {
      counts.reads++;
      const profile = cache.getProfileSync(walletOf(i));
      if (profile !== undefined && profile.wallet !== walletOf(i)) counts.wrong++;
    }
  }
}

interface Sample { seconds: number; heap: number; external: number; arrayBuffers: number; rss: number; profiles: number; usable: number }
const samples: Sample[] = [];
async function sample(): Promise<void> {
  collectGarbage();
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  const { l1Size, l1Bytes } = cache.getStats();
  samples.push({ seconds: (performance.now() - started) / 1e3, heap: heapUsed, external, arrayBuffers, rss, profiles: l1Size, usable: l1Bytes / MAX_BYTES });
}

console.log(environmentText());
// Full before the clock starts: what is touched for the first time is no growth.
for (let i = 0; cache.getStats().evictions < 1_000; i++) {
  void cache.updateProfile(walletOf(i % WALLETS), profileOf(i, 0));
  if (i % BATCH === 0) await new Promise((resolve) => setImmediate(resolve));
}
const started = performance.now();
const endMs = started + minutes * 60_000;
const firstSampleMs = started + minutes * 60_000 * WARM_UP_SHARE;
const everyMs = (endMs - firstSampleMs) / SAMPLES;
for (let round = 0, nextMs = firstSampleMs; performance.now() < endMs; round++) {
  work(round);
  await new Promise((resolve) => setImmediate(resolve));
  if (performance.now() >= nextMs) {
    await sample();
    nextMs += everyMs;
  }
}
await sample();
const { evictions, expirations } = cache.getStats();
reader.postMessage('stop');
await new Promise((resolve) => reader.once('exit', resolve));
await cache.close();

const fifth = Math.ceil(samples.length / 5);
const early = samples.slice(0, fifth);
const late = samples.slice(-fifth);
const failures: string[] = [];
const mb = (bytes: number) => (bytes / 1e6).toFixed(2);
const rows = (['heap', 'external', 'arrayBuffers', 'rss'] as const).map((what) => {
  const pick = (part: readonly Sample[]) => median(part.map((one) => one[what]));
  const grown = pick(late) - pick(early);
  const limit = what === 'rss' ? Math.max(limitBytes, pick(early) * RSS_LIMIT_SHARE) : limitBytes;
  if (grown > limit) failures.push(`${what} grew by ${mb(grown)} MB, allowed are ${mb(limit)}`);
  return [what, mb(pick(early)), mb(pick(late)), mb(grown), mb(limit), mb(max(samples.map((one) => one[what])))];
});
if (counts.wrong + read.wrong > 0) failures.push(`${counts.wrong + read.wrong} reads gave the profile of another wallet`);
if (read.hits === 0) failures.push('the attached thread never had a hit');
console.log(`\n**${minutes} minutes, ${samples.length} samples after garbage collection; medians of the first and the last fifth, MB**\n`);
console.log(tableText(['what', 'early', 'late', 'grown', 'allowed', 'most'], rows));
console.log(`\n${tableText(['what', 'count'], [
  ['updates', counts.updates], ['deletes', counts.deletes], ['reads by the owner', counts.reads], ['hits of the attached thread', read.hits], ['evictions', evictions], ['expirations', expirations],
  ['profiles resident at the end', samples[samples.length - 1].profiles],
].map(([what, count]) => [String(what), count.toLocaleString('en')]))}`);
console.log(`\nrecord bytes over maxBytes: median ${(100 * median(samples.map(({ usable }) => usable))).toFixed(1)} %`);
for (const failure of failures) console.log(`FAILED: ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
