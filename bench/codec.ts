/** What does the codec cost by itself, beside what others would use in its place? */
import { Packr, Unpackr } from 'msgpackr';
import { Bench } from 'tinybench';
import { bench, type Findings } from './support/bench.ts';
import { built } from './support/built.ts';
import { must, mustEqual } from './support/check.ts';
import { makeFleet, type BenchProfile } from './support/profiles.ts';
import { median, min, pairRatios, ratioText, three } from './support/stats.ts';

const { ProfileCodec } = await built<typeof import('../src/codec/profile-codec.ts')>('codec/profile-codec');
const { StructureTables } = await built<typeof import('../src/codec/structure-tables.ts')>('codec/structure-tables');

const PROFILES = 1_000;
const ROUNDS = 7;
const TASK_MS = 120;
const WARM_UP_MS = 60;

interface Codec {
  name: string;
  encode(profile: BenchProfile): Uint8Array | string;
  /** Of the i-th profile as `encode` left it. */
  decode(i: number): BenchProfile;
  bytes: number;
}

const fleet = makeFleet(PROFILES);
const meanBytes = (encoded: readonly (Uint8Array | string)[]) => encoded.reduce((sum, { length }) => sum + length, 0) / encoded.length;

function ours(format: 'structured' | 'portable', name: string): Codec {
  const codec = new ProfileCodec({ format, maxProfileBytes: 1 << 20, tables: new StructureTables({ learn: true }) });
  // The structure table grows with what is encoded: the first pass teaches it.
  for (const profile of fleet.profiles) codec.encode(profile);
  const encoded = fleet.profiles.map((profile) => {
    const { bytes, schemaId } = codec.encode(profile);
    return { bytes: new Uint8Array(bytes), schemaId };
  });
  return {
    name,
    encode: (profile) => codec.encode(profile).bytes,
    decode: (i) => codec.decode(encoded[i].bytes, 0, encoded[i].bytes.length, encoded[i].schemaId) as BenchProfile,
    bytes: meanBytes(encoded.map(({ bytes }) => bytes)),
  };
}

function msgpackr(): Codec {
  const structures: [] = [];
  const packr = new Packr({ structures });
  for (const profile of fleet.profiles) packr.pack(profile);
  const encoded = fleet.profiles.map((profile) => new Uint8Array(packr.pack(profile)));
  const unpackr = new Unpackr({ structures });
  return { name: 'msgpackr with shared structures (not frozen, trusts its bytes)', encode: (profile) => packr.pack(profile), decode: (i) => unpackr.unpack(encoded[i]) as BenchProfile, bytes: meanBytes(encoded) };
}

function json(): Codec {
  return { name: 'JSON (not frozen, Dates as strings)', encode: (profile) => JSON.stringify(profile), decode: (i) => JSON.parse(fleet.json[i]) as BenchProfile, bytes: meanBytes(fleet.json) };
}

async function run(): Promise<Findings> {
  const codecs = [ours('structured', 'ProfileCodec, structured (strict, frozen)'), ours('portable', 'ProfileCodec, portable: plain msgpack'), msgpackr(), json()];
  const peer = codecs[codecs.length - 1].name;
  for (const codec of codecs) {
    if (codec.name === peer) must(codec.decode(1).total_trades === fleet.profiles[1].total_trades, codec.name);
    else fleet.profiles.forEach((profile, i) => mustEqual(codec.decode(i), profile, codec.name));
  }

  const times = { encode: new Map<string, number[]>(), decode: new Map<string, number[]>() };
  for (let round = 0; round < ROUNDS; round++) {
    // One codec after the other within a round, beginning with another in each: a moment's noise hits them in turn.
    const order = codecs.map((_, k) => codecs[(k + round) % codecs.length]);
    for (const what of ['encode', 'decode'] as const) {
      const tasks = new Bench({ time: TASK_MS, warmupTime: WARM_UP_MS, iterations: 64, throws: true });
      let i = 0;
      for (const codec of order) {
        tasks.add(codec.name, what === 'encode' ? () => void codec.encode(fleet.profiles[i++ % PROFILES]) : () => void codec.decode(i++ % PROFILES));
      }
      await tasks.run();
      for (const { name, result } of tasks.tasks) {
        if (result.state !== 'completed') throw new Error(`${name}: ${what} ended as ${result.state}`);
        const all = times[what].get(name) ?? [];
        times[what].set(name, all);
        all.push(result.latency.p50 * 1e3);
      }
    }
  }

  const cells = (what: 'encode' | 'decode', name: string) => {
    const of = times[what].get(name)!;
    return [three(min(of)), three(median(of)), name === peer ? '1' : ratioText(pairRatios(times[what].get(peer)!, of))];
  };
  return {
    tables: [{
      title: `One profile of 1.8 KB JSON, ${ROUNDS} rounds; microseconds, medians of the calls of a round`,
      columns: ['', 'encode: best round', 'median', 'times as fast as JSON', 'decode: best round', 'median', 'times as fast as JSON', 'bytes'],
      rows: codecs.map(({ name, bytes }) => [name, ...cells('encode', name), ...cells('decode', name), three(bytes)]),
      notes: ['Every codec gives back what was put in (JSON but for its Dates), checked before. Ours walks a profile before it encodes it: what cannot be carried is refused with its path, nothing is written then.'],
    }],
    summary: [],
  };
}

await bench('codec', 'What does the codec cost by itself, beside what others would use in its place?', run);
