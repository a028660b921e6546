// A process of measure-hostile.ts: reads one table and one value a few times, beginning with code that nothing has compiled. Plain JavaScript: no loader in the way.
import { readFileSync } from 'node:fs';

/** Milliseconds that this thread was ready to run and did not. */
const waitedMs = () => Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6;

process.once('message', async ({ table, bytes, readings, text }) => {
  const { ProfileCodec } = await import('../../dist/src/codec/profile-codec.js');
  const { StructureTables } = await import('../../dist/src/codec/structure-tables.js');
  const timed = (work) => {
    const waited = waitedMs();
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    work();
    const tookMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(cpu);
    return { mainMs: Math.max(0, tookMs - (waitedMs() - waited)), cpuMs: (user + system) / 1e3 };
  };
  timed(() => {});
  const tables = new StructureTables();
  const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1 << 20, tables });
  let id = 0;
  const adding = timed(() => {
    id = tables.add(table).id;
  });
  let outcome = 'decoded';
  const read = () => {
    try {
      codec.decode(bytes, 0, bytes.length, id);
    } catch (error) {
      outcome = error.message;
    }
  };
  const reading = Array.from({ length: readings }, () => timed(read));
  const json = Array.from({ length: 50 }, () => timed(() => void JSON.parse(text)).mainMs);
  process.send({ adding, reading, outcome, jsonUs: json.sort((a, b) => a - b)[25] * 1e3 });
  process.disconnect();
});
