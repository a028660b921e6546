/**
 * What the last cold run over some trades took, in a small file: the next run, answered from L2, can then say what it saved.
 * It is an estimate for people, so a file that cannot be read or written is no error: the run just has nothing to compare with.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

export interface ColdRun {
  /** ISO 8601. */
  at: string;
  wallets: number;
  /** The whole command, from the start of the process. */
  totalMs: number;
  /** Profiler, wall time a wallet on `threads` threads, co-buy graph and start not included. */
  msPerWallet: number;
  prepareMs: number;
  threads: number;
}

/** Oldest go first. */
const MAX_RUNS = 50;

/** Of the user, not of the folder one happens to be in. */
export const userMemoryFile = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'profilecache', 'runs.json');

export async function recallRun(file: string, key: string): Promise<ColdRun | undefined> {
  return (await readAll(file)).get(key);
}

export async function rememberRun(file: string, key: string, run: ColdRun): Promise<void> {
  try {
    const runs = await readAll(file);
    runs.delete(key);
    runs.set(key, run);
    const kept = [...runs].slice(-MAX_RUNS);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const partial = `${file}.${process.pid}.partial`;
    await writeFile(partial, `${JSON.stringify(kept, null, 1)}\n`, { mode: 0o600 });
    await rename(partial, file);
  } catch {
    // A home that cannot be written to: see above.
  }
}

async function readAll(file: string): Promise<Map<string, ColdRun>> {
  try {
    const entries = JSON.parse(await readFile(file, 'utf8')) as unknown;
    return new Map((Array.isArray(entries) ? entries : []).filter(isEntry));
  } catch {
    return new Map();
  }
}

function isEntry(entry: unknown): entry is [string, ColdRun] {
  if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'object' || entry[1] === null) return false;
  const run = entry[1] as Partial<Record<keyof ColdRun, unknown>>;
  return ([run.wallets, run.totalMs, run.msPerWallet, run.prepareMs, run.threads] as unknown[]).every((value) => Number.isFinite(value)) && typeof run.at === 'string';
}
