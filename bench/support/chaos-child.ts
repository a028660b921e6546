/**
 * A process of its own with a cache in it, for rows that stop, block, kill or starve one. Parent and child talk by IPC; a child that is to be killed
 * says on stdout what was acknowledged, by a synchronous write: what stands there had been acknowledged before the kill.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCache, type ProfileCacheOptions } from 'profilecache';
import { isWhole, makeChaosProfile, type ChaosProfile } from './chaos-oracle.ts';

export interface ChildOrder {
  role: 'reader' | 'writer';
  options: ProfileCacheOptions;
  wallets: string[];
  /** Versions that the writer begins with. */
  from?: number;
}

/** The reader reads so often in one go; `seen` begins with the first of such a run. */
export const READS_A_RUN = 20;

/** What the reader found from the end of a stillness on: its first look is the one that counts. */
export interface ChildLook {
  /** Of each read of L1 or L2: wallet, version (0 = miss), and the time of the calendar at which it began. */
  seen: [wallet: string, version: number, atMs: number][];
  wrong: number;
  gaps: number;
}

/** @param clockFile says by how many milliseconds the calendar of the child is wrong; may change. */
export function startChild(order: ChildOrder, clockFile?: string): { child: ChildProcess; ready: Promise<unknown>; next: () => Promise<ChildLook> } {
  const execArgv = ['--import', 'tsx', ...(clockFile === undefined ? [] : ['--import', new URL('chaos-clock.mjs', import.meta.url).href])];
  const env = { ...process.env, ...(clockFile !== undefined && { PROFILECACHE_CHAOS_CLOCK: clockFile }) };
  const child = fork(fileURLToPath(import.meta.url), [], { execArgv, stdio: ['ignore', 'pipe', 'inherit', 'ipc'], env });
  const next = () => new Promise<never>((resolve, reject) => {
    child.once('message', resolve as (message: unknown) => void);
    child.once('exit', (code, signal) => reject(new Error(`the child ended with ${signal ?? code}`)));
  });
  const ready = next();
  child.send(order);
  return { child, ready, next };
}

async function runReader({ options, wallets }: ChildOrder): Promise<void> {
  const cache = await ProfileCache.open<ChaosProfile>(options);
  let gaps = 0;
  cache.on('channelGap', () => gaps++);
  await cache.bulkPrefetch(wallets);
  let sink: ChildLook['seen'] | undefined;
  let wrong = 0;
  let at = 0;
  // A timer, not a promise: after a stillness its turn comes before any socket is read.
  setInterval(() => {
    for (let i = 0; i < READS_A_RUN; i++) {
      const wallet = wallets[at++ % wallets.length];
      const atMs = Date.now();
      const profile = cache.getProfileSync(wallet);
      if (profile !== undefined && !isWhole(profile, wallet)) wrong++;
      sink?.push([wallet, profile?.version ?? 0, atMs]);
      if (profile === undefined) void cache.getProfile(wallet);
    }
  }, 2);
  process.on('message', async (message: { block?: number; look?: number; close?: boolean }) => {
    if (message.close) return cache.close().then(() => process.exit(0));
    sink = [];
    if (message.block !== undefined) {
      const untilMs = Date.now() + message.block;
      while (Date.now() < untilMs);
    }
    await sleep(message.look ?? 0);
    process.send!({ seen: sink, wrong, gaps } satisfies ChildLook);
    sink = undefined;
  });
  process.send!('ready');
}

async function runWriter({ options, wallets, from = 1 }: ChildOrder): Promise<void> {
  const cache = await ProfileCache.open<ChaosProfile>(options);
  process.send!('ready');
  for (let version = from; ; version++) {
    for (let at = 0; at < wallets.length; at += 10) {
      const some = wallets.slice(at, at + 10);
      const counts = await cache.updateProfiles(some.map((wallet) => [wallet, makeChaosProfile(wallet, version)] as const));
      if (counts.stored === some.length) writeSync(1, `${version} ${some.join(' ')}\n`);
    }
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once('message', (order: ChildOrder) => void (order.role === 'reader' ? runReader(order) : runWriter(order)));
}
