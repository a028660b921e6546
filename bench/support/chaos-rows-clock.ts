/** The calendar of one process is set back and forth by an hour while it writes; another, whose calendar is right, reads and writes the same wallets. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from './chaos-child.ts';
import { openChaosCache } from './chaos-cache.ts';
import { isWhole, makeChaosProfile, STALE_AFTER_MS } from './chaos-oracle.ts';
import { check, optionsOf, type Row, type RowContext, type RowOutcome } from './chaos-row.ts';

const WALLETS = 20;
const HOUR_MS = 3_600_000;
const STEPS_MS = [0, -HOUR_MS, HOUR_MS, -HOUR_MS, 0];
const STEP_MS = 1_500;
const FAR_VERSION = 1_000_000;

/** At once: half of a number would be another step. */
function setClock(file: string, offsetMs: number): void {
  writeFileSync(`${file}.new`, String(offsetMs));
  renameSync(`${file}.new`, file);
}

async function clockSteps(context: RowContext): Promise<RowOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'profilecache-clock-'));
  const file = join(folder, 'offset');
  setClock(file, STEPS_MS[0]);
  const options = { ...optionsOf(context, 'CK'), l2TimeoutMs: 2_000 };
  const wallets = Array.from({ length: WALLETS }, (_, i) => `clock${i}`);
  const here = await openChaosCache(options);
  const { child, ready } = startChild({ role: 'writer', options, wallets }, file);
  const acknowledged = new Map<string, { version: number; atMs: number }[]>(wallets.map((wallet) => [wallet, []]));
  let rest = '';
  child.stdout!.on('data', (data: Buffer) => {
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const [version, ...some] = line.split(' ');
      for (const wallet of some) acknowledged.get(wallet)?.push({ version: Number(version), atMs: performance.now() });
    }
  });
  let operations = 0;
  let stale = 0;
  let wrong = 0;
  const look = async (graceMs: number) => {
    const due = wallets.map((wallet) => acknowledged.get(wallet)!.findLast(({ atMs }) => atMs + graceMs <= performance.now())?.version ?? 0);
    const found = await here.bulkPrefetch(wallets);
    wallets.forEach((wallet, i) => {
      operations++;
      const profile = found.get(wallet);
      if (profile === undefined) return;
      if (!isWhole(profile, wallet)) wrong++;
      else if (profile.version < due[i]) stale++;
    });
  };
  try {
    await ready;
    for (const step of STEPS_MS) {
      setClock(file, step);
      for (const untilMs = performance.now() + STEP_MS; performance.now() < untilMs; await sleep(20)) await look(STALE_AFTER_MS);
    }
    child.kill('SIGKILL');
    await once(child, 'close');
    await sleep(STALE_AFTER_MS);
    await look(STALE_AFTER_MS);
    // Our calendar is right, that of its stamps was an hour ahead: the later write must win all the same.
    const counts = await here.updateProfiles(wallets.map((wallet) => [wallet, makeChaosProfile(wallet, FAR_VERSION)] as const));
    const fresh = await openChaosCache(options);
    const after = await fresh.bulkPrefetch(wallets);
    await fresh.close();
    const won = wallets.filter((wallet) => after.get(wallet)?.version === FAR_VERSION).length;
    const writes = [...acknowledged.values()].reduce((sum, list) => sum + list.length, 0);
    return {
      operations: operations + writes, failed: 0, hung: 0, stale, wrong,
      checks: [check(stale === 0, `stale ${stale} = 0`), check(wrong === 0, `wrong ${wrong} = 0`), check(writes > WALLETS * STEPS_MS.length, `writes acknowledged ${writes} > ${WALLETS * STEPS_MS.length}`), check(counts.stored === WALLETS, `later writes stored ${counts.stored} = ${WALLETS}`), check(won === WALLETS, `later writes won ${won} = ${WALLETS}`)],
      notes: [`${writes} writes by a process whose calendar went ${STEPS_MS.map((ms) => `${ms / HOUR_MS} h`).join(', ')}`],
    };
  } finally {
    child.kill('SIGKILL');
    await here.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const clockRows: Row[] = [{ id: 'CK', fault: 'the calendar of a writing process is set back and forth by an hour', on: 'cluster', run: clockSteps }];
