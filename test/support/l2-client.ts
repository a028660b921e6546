/** An L2Client on worker threads with the memory store in them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseOptions } from '../../src/options.ts';
import type { ProfileCacheOptions } from '../../src/options.ts';
import { L2Client } from '../../src/workers-pool/l2-client.ts';
import type { L2ClientInternals } from '../../src/workers-pool/limits.ts';
import { makeMemoryStoreData } from './memory-store.ts';
import type { MemoryStoreData } from './memory-store.ts';

export interface Opened {
  client: L2Client;
  data: MemoryStoreData;
}

/** Both threads share the work, however many cores there are. */
export async function openOnMemory(options: ProfileCacheOptions = {}, internals: L2ClientInternals = {}, data: MemoryStoreData = makeMemoryStoreData()): Promise<Opened> {
  const limits = { threadsAtWork: 2, ...internals.limits };
  const client = await L2Client.open(parseOptions({ l2TimeoutMs: 5_000, ...options }), { storeModule: memoryStoreModule(), storeData: data, ...internals, limits });
  return { client, data };
}

let moduleUrl: string | undefined;

/** Node 20 loads no TypeScript in a thread, and a loader costs each thread most of a second: the store is compiled, once. */
export function memoryStoreModule(): string {
  if (moduleUrl !== undefined) return moduleUrl;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const outDir = mkdtempSync(join(tmpdir(), 'profilecache-memory-store-'));
  try {
    const flags = ['--ignoreConfig', '--noCheck', '--noResolve', '--module', 'nodenext', '--target', 'es2022', '--rootDir', '.', '--outDir', outDir];
    execFileSync(process.execPath, ['node_modules/typescript/lib/tsc.js', ...flags, 'test/support/memory-store.ts'], { cwd: root });
    // It imports types only, so it can stand alone.
    moduleUrl = `data:text/javascript;base64,${readFileSync(join(outDir, 'test/support/memory-store.js')).toString('base64')}`;
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
  return moduleUrl;
}

/** The value is a function of wallet and version, so that every wrong byte is seen. */
export function rawOf(wallet: string, version: number, bytes = 200): Uint8Array {
  const text = `${wallet}@${version};`;
  return new Uint8Array(Buffer.alloc(bytes, text));
}

export const write = (wallet: string, version = 1, bytes = 200) => ({ wallet, raw: rawOf(wallet, version, bytes), schemaId: 1, version, ttlMs: 60_000 });

/** `fetchMany`, with the payloads copied out and the visits listed. */
export async function fetchAll(client: L2Client, wallets: readonly string[]) {
  const visited: Array<{ wallet: string; raw: Uint8Array; version: number; ttlMs: number }> = [];
  const result = await client.fetchMany(wallets, ({ wallet, raw, version, ttlMs }) => visited.push({ wallet, raw: new Uint8Array(raw), version, ttlMs }));
  return { ...result, visited };
}
