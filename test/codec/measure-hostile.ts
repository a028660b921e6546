/**
 * What the main thread spends on reading the hostile values of hostile-bytes.ts, for native-notes/codec-costs.md: `npm run build && npx tsx test/codec/measure-hostile.ts`.
 * No test. Elapsed time less what the system kept the thread from running; V8's compiler and collector have threads of their own. The first readings of
 * each are by code that V8 only interprets. JSON.parse of one text, taken in between, says how fast the machine is just then.
 */
import { coreWaitUs } from '../../bench/support/core-wait.ts';
import { HOSTILE, hostileTable } from './hostile-bytes.ts';

const built = async <M>(name: string) => (await import(new URL(`../../dist/src/codec/${name}.js`, import.meta.url).href)) as M;
const { ProfileCodec } = await built<typeof import('../../src/codec/profile-codec.ts')>('profile-codec');
const { SCHEMA_INLINE, StructureTables } = await built<typeof import('../../src/codec/structure-tables.ts')>('structure-tables');

const READINGS = 15;
/** Code for all structures of a table comes with some hundred values. */
const TABLE_READINGS = 600;
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
for (const [structures, fields, repeat] of [[1, 96, 1], [85, 96, 1], [85, 96, 33], [512, 2, 33], [512, 12, 33]]) {
  const tables = new StructureTables();
  const { table, bytes } = hostileTable(structures, fields, repeat);
  show(`records of ${structures} structures of ${fields} fields, ${repeat} of one before the next`, bytes, tables.add(table).id, tables, TABLE_READINGS);
}
