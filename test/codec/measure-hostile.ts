/**
 * What the main thread spends on reading the hostile values of hostile-bytes.ts, for native-notes/codec-costs.md: `npm run build && npx tsx test/codec/measure-hostile.ts`.
 * No test. Elapsed time less what the system kept the thread from running; V8's compiler and collector have threads of their own. The first readings of
 * each are by code that V8 only interprets. JSON.parse of one text, taken in between, says how fast the machine is just then. Structure tables are read in a new
 * process each time (`tables` as the argument: only those). */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { coreWaitUs } from '../../bench/support/core-wait.ts';
import { writeTable } from '../../src/codec/table-bytes.ts';
import { HOSTILE, hostileTable } from './hostile-bytes.ts';

const built = async <M>(name: string) => (await import(new URL(`../../dist/src/codec/${name}.js`, import.meta.url).href)) as M;
const { ProfileCodec } = await built<typeof import('../../src/codec/profile-codec.ts')>('profile-codec');
const { SCHEMA_INLINE, StructureTables } = await built<typeof import('../../src/codec/structure-tables.ts')>('structure-tables');

const hex = (text: string) => Buffer.from(text, 'hex');
const READINGS = 15;
const PROCESSES = Number(process.env.PROCESSES ?? 50);
const PROCESS_READINGS = 20;
const TEXT = JSON.stringify(Array.from({ length: 40 }, (_, i) => ({ wallet: `wallet${i}`, trades: i, volume: i * 1.5, tags: ['a', 'b'] })));

/** Milliseconds on a core. */
function timed(work: () => void): number {
  const waited = coreWaitUs() ?? 0;
  const startMs = performance.now();
  work();
  const tookMs = performance.now() - startMs;
  return Math.max(0, tookMs - ((coreWaitUs() ?? 0) - waited) / 1e3);
}

function show(name: string, bytes: Uint8Array, schemaId: number, tables: InstanceType<typeof StructureTables>, readings = READINGS): void {
  const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1 << 20, tables });
  const ms: number[] = [];
  const jsonUs: number[] = [];
  let outcome = 'decoded';
  for (let i = 0; i < readings; i++) {
    ms.push(timed(() => {
      try {
        codec.decode(bytes, 0, bytes.length, schemaId);
      } catch (error) {
        outcome = (error as Error).message.slice(0, 60);
      }
    }));
    jsonUs.push(timed(() => void JSON.parse(TEXT)) * 1e3);
  }
  const [first] = ms;
  const at = (values: number[], share: number) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)];
  console.log(`| ${name} | ${first.toFixed(1)} | ${at(ms, 0).toFixed(1)} | ${at(ms, 0.5).toFixed(1)} | ${at(ms, 0.99).toFixed(1)} | ${at(ms, 1).toFixed(1)} | ${at(jsonUs, 0.5).toFixed(0)} | ${outcome} |`);
}

console.log('| 256 KB of | first ms | min ms | median ms | p99 ms | longest ms | JSON.parse us | |\n|---|---|---|---|---|---|---|---|');
for (const { name, bytes } of HOSTILE) if (process.argv[2] !== 'tables') show(name, bytes, SCHEMA_INLINE, new StructureTables());

interface Spent { mainMs: number; cpuMs: number }
interface Reading { adding: Spent; reading: Spent[]; outcome: string; jsonUs: number }
const PROCESS = fileURLToPath(new URL('./hostile-process.mjs', import.meta.url));

/** In a process that has read nothing yet. */
async function readInProcess(table: Uint8Array, bytes: Uint8Array): Promise<Reading> {
  const child = fork(PROCESS, { execArgv: [], serialization: 'advanced' });
  child.send({ table, bytes, readings: PROCESS_READINGS, text: TEXT });
  const [[seen]] = await Promise.all([once(child, 'message'), once(child, 'exit')]) as [[Reading], unknown];
  return seen;
}

async function showCold(name: string, table: Uint8Array, bytes: Uint8Array): Promise<void> {
  const seen: Reading[] = [];
  for (let i = 0; i < PROCESSES; i++) seen.push(await readInProcess(table, bytes));
  const shares = (values: readonly number[]) => [0.5, 0.9, 1].map((share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)].toFixed(1)).join(', ');
  const later = seen.flatMap(({ reading }) => reading.slice(1));
  const cells = [shares(seen.map(({ adding }) => adding.mainMs)), shares(seen.map(({ reading }) => reading[0].mainMs)), shares(seen.map(({ reading }) => reading[0].cpuMs)), shares(later.map(({ mainMs }) => mainMs)), shares(seen.map(({ jsonUs }) => jsonUs))];
  console.log(`| ${name} | ${cells.join(' | ')} | ${[...new Set(seen.map(({ outcome }) => outcome.slice(0, 60)))].join('; ')} |`);
}

/** An honest value of the same size: a list of records of one structure, numbers and short strings. */
function honestList(length: number, fields: number): { table: Uint8Array; bytes: Uint8Array } {
  const values = [hex('cb3ff8a3d70a3d70a4'), hex('a461626364'), hex('cd0101'), hex('07')];
  const { bytes: table } = writeTable([['list'], Array.from({ length: fields }, (_, f) => `field_${f}`)]);
  const record = Buffer.concat([hex('41'), ...Array.from({ length: fields }, (_, f) => values[f % values.length])]);
  return { table, bytes: new Uint8Array(Buffer.concat([hex('40dc'), Buffer.of(length >> 8, length & 255), ...Array.from({ length }, () => record)])) };
}

console.log(`\n${PROCESSES} new processes each, ${PROCESS_READINGS} readings in each; p50, p90 and longest, milliseconds\n`);
console.log('| | adding the table | first reading | its CPU, all threads | readings after it | JSON.parse us | |\n|---|---|---|---|---|---|---|');
for (const [length, fields] of [[4_300, 12], [1_000, 60]]) {
  const { table, bytes } = honestList(length, fields);
  await showCold(`${length} honest records of ${fields} fields, ${Math.round(bytes.length / 1024)} KB`, table, bytes);
}
for (const [structures, fields, repeat] of [[1, 96, 1], [1, 1, 1], [7, 96, 1], [60, 12, 1], [85, 96, 1], [85, 96, 33], [512, 2, 1], [512, 2, 33], [512, 12, 33]]) {
  const { table, bytes } = hostileTable(structures, fields, repeat);
  await showCold(`records of ${structures} structures of ${fields} fields, ${repeat} of one before the next`, table, bytes);
}
