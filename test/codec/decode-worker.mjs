/** Another thread with nothing but a table and bytes; see structure-tables.test.ts. Node 20 loads no TypeScript in a thread: the build. */
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCodec } from '../../dist/src/codec/profile-codec.js';
import { StructureTables } from '../../dist/src/codec/structure-tables.js';

const tables = new StructureTables();
tables.add(workerData.table);
const codec = new ProfileCodec({ format: 'structured', maxProfileBytes: 1_000_000, tables });
parentPort.postMessage(codec.decode(workerData.bytes, 0, workerData.bytes.length, workerData.schemaId));
