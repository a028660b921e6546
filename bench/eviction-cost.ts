/** What does an eviction policy cost: a hit, an eviction, and its share of a request that puts what it misses? */
import { bench, type Findings } from './support/bench.ts';
import { built } from './support/built.ts';
import { must } from './support/check.ts';
import { zipfTrace } from './support/profiles.ts';
import { interleave, type Variant } from './support/slices.ts';
import { median, min, pairRatios, ratioText, three } from './support/stats.ts';

const { POLICIES } = await built<typeof import('../src/eviction/index.ts')>('eviction/index');
const { hashOfId } = await built<typeof import('../src/cli/simulate-replay.ts')>('cli/simulate-replay');
const { L1Reader } = await built<typeof import('../src/l1/reader.ts')>('l1/reader');
const { L1Writer } = await built<typeof import('../src/l1/writer.ts')>('l1/writer');
const { createRegion } = await built<typeof import('../src/l1/region.ts')>('l1/region');
const { WalletKey } = await built<typeof import('../src/l1/wallet-key.ts')>('l1/wallet-key');

const ENTRIES = 5_000;
const KEYS = 81_000;
/** A third of the requests misses in LRU; the other trace misses always. */
const ZIPF_EXPONENT = 1;
const TRACE = 1 << 18;
const ROUNDS = 31;
const PAYLOAD_BYTES = 1_400;
const FAR_MS = 1e9;
const NAMES = Object.keys(POLICIES) as (keyof typeof POLICIES)[];

const zipf = zipfTrace(KEYS, TRACE, ZIPF_EXPONENT, 7);
const wallets = Array.from({ length: KEYS }, (_, id) => `Wa11et${String(id).padStart(38, '1')}`);

/** The policy alone, driven as L1 drives it; all slots are in use. */
function alone(name: keyof typeof POLICIES) {
  const policy = POLICIES[name](ENTRIES);
  const slotOf = new Int32Array(1 << 26).fill(-1);
  const idIn = new Int32Array(ENTRIES);
  for (let slot = 0; slot < ENTRIES; slot++) put(slot, slot);
  function put(slot: number, id: number): void {
    policy.inserted(slot, hashOfId(id), 1);
    slotOf[id] = slot;
    idIn[slot] = id;
  }
  return {
    policy,
    request(id: number): number {
      const held = slotOf[id];
      if (held >= 0) {
        policy.touched(held);
        return 0;
      }
      const victim = policy.victim();
      slotOf[idIn[victim]] = -1;
      policy.removed(victim);
      put(victim, id);
      return 1;
    },
  };
}

/** L1 as a cache of its own: a miss puts 1.4 KB. The least that a request can cost here, without L2 and without a codec. */
function l1(name: keyof typeof POLICIES) {
  const region = createRegion(ENTRIES, 32 * 1024 * 1024);
  const writer = new L1Writer(region, POLICIES[name]);
  const reader = new L1Reader(region);
  const key = new WalletKey(region.hashKey0, region.hashKey1);
  const payload = new Uint8Array(PAYLOAD_BYTES);
  let version = 0;
  return (id: number): number => {
    key.set(wallets[id]);
    if (reader.read(key, 1) === 'hit') {
      writer.policy.touched(reader.slot);
      return 0;
    }
    must(writer.put(key, payload, { schemaId: 1, version: ++version, expiresAtMs: FAR_MS, createdAtMs: 0 }) === 'stored', 'L1 took it');
    return 1;
  };
}

/** One variant for each policy, each with its own place in the trace. */
function variants(make: (name: keyof typeof POLICIES) => (at: number) => number): Variant[] {
  return NAMES.map((name) => {
    const step = make(name);
    let at = 0;
    return { name, run: (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += step(at++); return sum; } };
  });
}

async function run(): Promise<Findings> {
  const hits = await interleave(variants((name) => {
    const { policy } = alone(name);
    return (at) => (policy.touched(zipf[at & (TRACE - 1)] % ENTRIES), 1);
  }), { rounds: ROUNDS, operations: 100_000, cpuTime: true });
  const evictions = await interleave(variants((name) => {
    const { request } = alone(name);
    return (at) => (must(request(ENTRIES + at) === 1, 'every request misses'), 1);
  }), { rounds: ROUNDS, operations: 20_000, cpuTime: true });
  const mixed = await interleave(variants((name) => {
    const { request } = alone(name);
    return (at) => request(zipf[at & (TRACE - 1)]);
  }), { rounds: ROUNDS, operations: 40_000, cpuTime: true });
  const requests = await interleave(variants((name) => {
    const request = l1(name);
    return (at) => request(zipf[at & (TRACE - 1)]);
  }), { rounds: ROUNDS, operations: 10_000, cpuTime: true });
  const columns = ['policy', 'min ns', 'median ns', 'times the cost with lru'];
  const ofProcess = 'Processor time.';
  const table = (title: string, times: ReadonlyMap<string, number[]>, notes: string[]) => ({
    title, columns, notes: [...notes, ofProcess],
    rows: NAMES.map((name) => [name, three(min(times.get(name)!)), three(median(times.get(name)!)), ratioText(pairRatios(times.get(name)!, times.get('lru')!))]),
  });
  return {
    tables: [
      table('A hit, nothing misses', hits, [`${ENTRIES.toLocaleString('en-US')} entries, the policy alone; its slot is known.`]),
      table('A request that always misses: victim, removed, inserted', evictions, ['The policy alone; every key is new.']),
      table('A request, Zipf 1.0 over 81,000 keys', mixed, ['The policy alone, with a look-up of the slot; hits that wait are looked at by misses.']),
      table('The same request to L1', requests, [`A hit reads (copies) the record and touches it, a miss puts ${PAYLOAD_BYTES} bytes. Without L2, profiler and codec, which cost a request far more.`, 'A policy that misses less pays for itself: misses are the dearer requests.']),
    ],
  };
}

await bench('eviction-cost', 'What does an eviction policy cost: a hit, an eviction, and its share of a request?', run);
