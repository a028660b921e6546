/** How many bytes does a profile take: as JSON, in L1, in Redis? */
import { ProfileCache } from 'profilecache';
import { bench, withCluster, type ClusterContext, type Findings } from './support/bench.ts';
import { built } from './support/built.ts';
import { must, mustEqual } from './support/check.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { median, percent, three } from './support/stats.ts';

const { keyLayout } = await built<typeof import('../src/l2/slots.ts')>('l2/slots');

const PROFILES = 2_000;
const BUCKETS = 256;

async function run({ l2, connect }: ClusterContext): Promise<Findings> {
  const fleet = makeFleet(PROFILES);
  const cluster = await connect(true);
  const layout = keyLayout(l2.keyPrefix!, BUCKETS);
  const jsonKey = (wallet: string) => `json:${wallet}`;
  const open = (more: object) => ProfileCache.open<BenchProfile>({ l1: { maxProfiles: PROFILES }, l2: { ...l2, buckets: BUCKETS }, l2TimeoutMs: 10_000, ...more });

  const inRedis = async () => {
    const length = await Promise.all(fleet.wallets.map((wallet) => cluster.strlen(layout.keyOf(wallet))));
    const memory = await Promise.all(fleet.wallets.map((wallet) => cluster.memory('USAGE', layout.keyOf(wallet)) as Promise<number>));
    must(length.every((bytes) => bytes > 0), 'every profile is in Redis');
    return { value: median(length), memory: median(memory) };
  };

  const cache = await open({});
  const { stored } = await cache.updateProfiles(fleet.entries);
  must(stored === PROFILES, `L2 took ${stored} of ${PROFILES}`);
  fleet.wallets.forEach((wallet, i) => mustEqual(cache.getProfileSync(wallet), fleet.profiles[i], 'getProfileSync'));
  const payload = median(fleet.wallets.map((wallet) => cache.getEntry(wallet)!.bytes));
  const stats = cache.getStats();
  const lz4 = await inRedis();
  await cache.close();

  const others: Record<string, { value: number; memory: number }> = {};
  for (const [name, codec] of Object.entries({ none: { compression: 'none' }, portable: { format: 'portable' } })) {
    const writer = await open({ codec });
    // What a profile looks like in Redis depends on who wrote it last.
    await writer.updateProfiles(fleet.entries);
    others[name] = await inRedis();
    await writer.close();
  }

  await Promise.all(fleet.wallets.map((wallet, i) => cluster.set(jsonKey(wallet), fleet.json[i])));
  const json = {
    value: median(await Promise.all(fleet.wallets.map((wallet) => cluster.strlen(jsonKey(wallet))))),
    memory: median(await Promise.all(fleet.wallets.map((wallet) => cluster.memory('USAGE', jsonKey(wallet)) as Promise<number>))),
  };
  await Promise.all(fleet.wallets.map((wallet) => cluster.del(jsonKey(wallet))));

  const share = (bytes: number) => percent(bytes / json.value);
  const row = (what: string, value: number, memory?: number) => [what, three(value), share(value), memory === undefined ? '' : three(memory), memory === undefined ? '' : percent(memory / json.memory)];
  const perProfile = stats.l1Bytes / stats.l1Size;
  return {
    tables: [
      {
        title: `Bytes a profile, median of ${PROFILES.toLocaleString('en-US')}`,
        columns: ['', 'bytes', 'of its JSON', 'MEMORY USAGE', 'of that of JSON'],
        rows: [
          row('JSON', json.value, json.memory),
          row('msgpack with the structure table: the payload in L1', payload),
          row('L1 record: header, key, payload', perProfile),
          row('L1 in all, tables and index of a full cache included', perProfile + (stats.l1RegionBytes - stats.l1MaxBytes) / stats.l1MaxSize),
          row('Redis value: envelope, LZ4 (the default)', lz4.value, lz4.memory),
          row('Redis value, compression none', others.none.value, others.none.memory),
          row('Redis value, portable with LZ4', others.portable.value, others.portable.memory),
        ],
        notes: ['The envelope holds 92 bytes of header and wallet; the JSON beside it holds nothing but the profile. MEMORY USAGE counts the key as well: ours carries prefix and hash tag.'],
      },
    ],
    summary: [{ what: 'Bytes in Redis', ours: three(lz4.value), peer: `JSON ${three(json.value)}`, ratio: (json.value / lz4.value).toFixed(2) }],
  };
}

await bench('bytes', 'How many bytes does a profile take: as JSON, in L1, in Redis?', () => withCluster('bytes', run));
