/** Rows on our own threads, our own processes, our disk and our clock. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { built } from './built.ts';
import { startChild } from './chaos-child.ts';
import { openChaosCache } from './chaos-cache.ts';
import { isWhole, makeChaosProfile } from './chaos-oracle.ts';
import { atMost, check, underLoad, type Row, type RowOutcome } from './chaos-row.ts';
import { seededRandom } from './profiles.ts';

const KILLS = Number(process.env.PROFILECACHE_KILL_ROUNDS ?? 20);
const KILL_WALLETS = 200;
const THREAD_DEATHS = 10;
const DISK_MB = 24;
const DAMAGE_CASES = 20;

/** kill -9 of a process that writes to the embedded store; what it said was acknowledged must be there for the next one. */
async function killed(seed: number): Promise<RowOutcome> {
  const path = mkdtempSync(join(tmpdir(), 'profilecache-chaos-'));
  const random = seededRandom(seed);
  const wallets = Array.from({ length: KILL_WALLETS }, (_, i) => `killed${i}`);
  const options = { l2: { kind: 'embedded' as const, path, minFreeBytes: 0 } };
  const acknowledged = new Map<string, number>();
  let lost = 0;
  let wrong = 0;
  let operations = 0;
  let slowestOpenMs = 0;
  const { EmbeddedStore } = await built<typeof import('../../src/l2/embedded-store.ts')>('l2/embedded-store');
  const { parseOptions } = await built<typeof import('../../src/options.ts')>('options');
  try {
    for (let round = 0; round < KILLS; round++) {
      const { child, ready } = startChild({ role: 'writer', options, wallets, from: 1 + round * 100_000 });
      let text = '';
      child.stdout!.on('data', (data: Buffer) => void (text += data.toString()));
      await ready;
      await sleep(random() * 150);
      child.kill('SIGKILL');
      await once(child, 'close');
      for (const line of text.split('\n').slice(0, -1)) {
        const [version, ...some] = line.split(' ');
        for (const wallet of some) acknowledged.set(wallet, Number(version));
      }
      const resolved = parseOptions(options).l2 as import('../../src/options.ts').EmbeddedL2Options;
      const store = new EmbeddedStore(resolved, { channelName: 'chaos' });
      const startMs = performance.now();
      await store.open();
      slowestOpenMs = Math.max(slowestOpenMs, performance.now() - startMs);
      await store.close();
      const cache = await openChaosCache({ ...options, l2TimeoutMs: 10_000 });
      const found = await cache.bulkPrefetch(acknowledged.keys());
      await cache.close();
      for (const [wallet, version] of acknowledged) {
        operations++;
        const profile = found.get(wallet);
        if (profile === undefined || profile.version < version) lost++;
        else if (!isWhole(profile, wallet)) wrong++;
      }
    }
    return {
      operations, failed: 0, hung: 0, stale: lost, wrong,
      checks: [check(lost === 0, `acknowledged and lost ${lost} = 0`), check(wrong === 0, `wrong ${wrong} = 0`), check(acknowledged.size > 50, `acknowledged wallets ${acknowledged.size} > 50`), atMost('slowest reopen', slowestOpenMs, 100, ' ms')],
      notes: [`${KILLS} kills, ${operations} acknowledged profiles looked for, slowest reopen ${slowestOpenMs.toFixed(1)} ms`],
    };
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** A tmpfs that fills up under the embedded store, with the cache going on above it. */
async function diskFull(): Promise<RowOutcome> {
  const disk = mkdtempSync(join(tmpdir(), 'profilecache-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', disk]).status === 0;
  if (!mounted) {
    rmSync(disk, { recursive: true });
    throw new Error('a tmpfs could not be mounted; it takes Linux and root');
  }
  try {
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(8 << 20));
    const cache = await openChaosCache({ l2: { kind: 'embedded', path: join(disk, 'store'), minFreeBytes: 0 }, l2TimeoutMs: 5_000, maxQueuedWrites: 500 });
    let stored = 0;
    let queued = 0;
    let failed = 0;
    let wrong = 0;
    let operations = 0;
    let missesOfStored = 0;
    let stallMs = 0;
    const inL2: string[] = [];
    for (let i = 0; i < 6_000; i++) {
      const wallet = `disk${i}`;
      const startMs = performance.now();
      const result = await cache.updateProfile(wallet, { ...makeChaosProfile(wallet, 1), ballast: randomBytes(3_000).toString('base64') }).catch(() => void failed++);
      stallMs = Math.max(stallMs, performance.now() - startMs);
      operations++;
      if (result && result.l2 === 'stored') {
        stored++;
        inL2.push(wallet);
      } else queued++;
      if (i % 10 === 0 && inL2.length > 0) {
        const asked = inL2[Math.floor(Math.random() * inL2.length)];
        const profile = await cache.getProfile(asked).catch(() => void failed++);
        operations++;
        if (profile === undefined) missesOfStored++;
        else if (profile && !isWhole(profile, asked)) wrong++;
      }
      if (queued > 1_000) break;
    }
    const l1 = cache.getProfileSync(`disk${stored + 10}`) !== undefined || cache.getStats().l1Hits > 0;
    rmSync(join(disk, 'ballast'));
    const healedFromMs = performance.now();
    let resumedMs: number | undefined;
    for (let i = 0; i < 200 && resumedMs === undefined; i++) {
      if ((await cache.updateProfile(`resumed${i}`, makeChaosProfile(`resumed${i}`, 1))).l2 === 'stored') resumedMs = performance.now() - healedFromMs;
      else await sleep(50);
    }
    await cache.close();
    return {
      operations, failed, hung: 0, stale: 0, wrong, queued, stallMs, recoveryMs: resumedMs,
      checks: [
        check(failed === 0, `failed ${failed} = 0`), check(wrong === 0, `wrong ${wrong} = 0`), check(queued > 0, `the disk did fill up: ${queued} writes queued > 0`),
        atMost('writes resume after', resumedMs, 5_000, ' ms'), check(l1, 'L1 goes on'),
      ],
      notes: [`${stored} profiles on a disk of ${DISK_MB - 8} MB, then ${queued} queued; ${missesOfStored} reads of stored ones were misses (evicted to stay within the disk)`],
    };
  } finally {
    spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  }
}

/** The child of test/l2/embedded-damage.test.ts: a crash is an exit code here. */
function damaged(seed: number): RowOutcome {
  const file = fileURLToPath(new URL('../../test/l2/embedded-child.mjs', import.meta.url));
  const sum = { hit: 0, miss: 0, failed: 0, wrong: 0, setAside: 0, refused: 0 };
  let crashes = 0;
  for (const when of ['closed', 'open']) {
    for (const kind of ['flip', 'zero', 'truncate']) {
      const child = spawnSync(process.execPath, [file, 'damage', kind, when, String(DAMAGE_CASES), String(seed)], { encoding: 'utf8' });
      if (child.status !== 0) {
        crashes++;
        continue;
      }
      const found = JSON.parse(child.stdout) as typeof sum;
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += found[key];
    }
  }
  return {
    operations: sum.hit + sum.miss, failed: sum.failed, hung: 0, stale: 0, wrong: sum.wrong,
    checks: [check(crashes === 0, `crashes ${crashes} = 0`), check(sum.wrong === 0, `wrong ${sum.wrong} = 0`), check(sum.failed + sum.refused === 0, `failed ${sum.failed + sum.refused} = 0`)],
    notes: [`${6 * DAMAGE_CASES} damaged stores; ${((sum.hit / (sum.hit + sum.miss)) * 100).toFixed(1)} % of the profiles still there; ${sum.setAside} files set aside`],
  };
}

export const processRows: Row[] = [
  {
    id: 'C19', fault: `a worker thread terminated, ${THREAD_DEATHS} times`, on: 'cluster',
    run: async (context) => {
      // Node tells of every thread that begins: that is how a row gets hold of those of the pool.
      const threads = new Set<Worker>();
      const note = (worker: Worker) => {
        threads.add(worker);
        worker.once('exit', () => threads.delete(worker));
      };
      process.on('worker', note);
      try {
        return await underLoad(context, 'C19', { stallMs: 3_000 }, async ({ load, wait, checks, notes, faultEnds }) => {
          const before = threads.size;
          let slowestRefillMs = 0;
          for (let i = 0; i < THREAD_DEATHS; i++) {
            const victims = [...threads];
            const ended = victims[i % victims.length].terminate();
            await ended;
            const startMs = performance.now();
            while (threads.size < before && performance.now() - startMs < 5_000) await wait(5);
            slowestRefillMs = Math.max(slowestRefillMs, performance.now() - startMs);
            await wait(500);
          }
          faultEnds();
          await wait(1_000);
          checks.push(atMost('thread replaced after', slowestRefillMs, 500 + load.loopLagMs, ' ms'), check(threads.size === before, `threads ${threads.size} = ${before}`));
          const workers = (await load.writer.health().catch(() => undefined))?.workers;
          notes.push(`${workers?.replacedWorkers ?? 0} threads of the writer replaced, ${workers?.retries ?? 0} tasks done again`);
        });
      } finally {
        process.off('worker', note);
      }
    },
  },
  { id: 'C21', fault: `kill -9 of a process with the embedded store, ${KILLS} times`, on: 'nothing', run: ({ seed }) => killed(seed) },
  { id: 'C22', fault: `disk full (a tmpfs of ${DISK_MB} MB) under the embedded store`, on: 'nothing', run: () => diskFull() },
  { id: 'C23', fault: `embedded store damaged (flip, page of zeroes, cut; closed and open; ${DAMAGE_CASES} places each)`, on: 'nothing', run: ({ seed }) => Promise.resolve(damaged(seed)) },
];
