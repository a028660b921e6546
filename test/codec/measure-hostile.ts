/**
 * CPU time of reading the hostile values of hostile-bytes.ts, for native-notes/codec-costs.md: `npm run build && npx tsx test/codec/measure-hostile.ts`.
 * No test. The first reading of each is by code that the engine has not compiled yet; CPU time counts its compiling too.
 */
import { HOSTILE, hostileTable } from './hostile-bytes.ts';

const built = async <M>(name: string) => (await import(new URL(`../../dist/src/codec/${name}.js`, import.meta.url).href)) as M;
const { ProfileCodec } = await built<typeof import('../../src/codec/profile-codec.ts')>('profile-codec');
const { SCHEMA_INLINE, StructureTables } = await built<typeof import('../../src/codec/structure-tables.ts')>('structure-tables');

const READINGS = 15;

function show(name: string, bytes: Uint8Array, schemaId: number, tables: InstanceType<typeof StructureTables>): void {
  const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1 << 20, tables });
  const ms: number[] = [];
  let outcome = 'decoded';
  for (let i = 0; i < READINGS; i++) {
    const before = process.cpuUsage();
    try {
      codec.decode(bytes, 0, bytes.length, schemaId);
    } catch (error) {
      outcome = (error as { code: string }).code;
    }
    const { user, system } = process.cpuUsage(before);
    ms.push((user + system) / 1e3);
  }
  const [first] = ms;
  ms.sort((a, b) => a - b);
  console.log(`| ${name} | ${first.toFixed(1)} | ${ms[0].toFixed(1)} | ${ms[READINGS >> 1].toFixed(1)} | ${outcome} |`);
}

console.log('| 256 KB of | first ms | min ms | median ms | |\n|---|---|---|---|---|');
for (const { name, bytes } of HOSTILE) show(name, bytes, SCHEMA_INLINE, new StructureTables());
for (const [structures, fields, repeat] of [[1, 96, 1], [85, 96, 1], [85, 96, 33], [512, 2, 33], [512, 12, 33]]) {
  const tables = new StructureTables();
  const { table, bytes } = hostileTable(structures, fields, repeat);
  show(`records of ${structures} structures of ${fields} fields, ${repeat} of one before the next`, bytes, tables.add(table).id, tables);
}
