/** One load of a cold wallet for all processes of a cluster, with real processes. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { redisCluster } from '../support/redis-servers.ts';

const PROCESSES = 3;
const READERS = 334;
const LEASE_MS = 1_500;
/** A busy machine may wake us late. */
const SLACK_MS = 8_000;

interface Report {
  loads: number;
  by: number[];
  waitedMs: number;
}

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

let prefixes = 0;
const freshPrefix = () => `once-${process.pid}-${++prefixes}:`;

/** Processes that have opened a cache, and wait for a wallet. */
function start(count: number, keyPrefix: string, loadMs: number, loadLeaseMs = LEASE_MS): Promise<ChildProcess[]> {
  const options = { l2: { kind: 'redis', nodes: redisCluster.nodes.map(({ host, port }) => ({ host, port })), keyPrefix }, l2TimeoutMs: 10_000, connectTimeoutMs: 30_000, workers: 1, loadLeaseMs };
  return Promise.all(Array.from({ length: count }, async () => {
    const child = fork(fileURLToPath(new URL('load-once-child.mjs', import.meta.url)), [JSON.stringify({ options, readers: READERS, loadMs })]);
    children.push(child);
    await once(child, 'message');
    return child;
  }));
}

const reportOf = (child: ChildProcess): Promise<Report> =>
  new Promise((resolve, reject) => {
    child.on('message', (message: Report | { loading: true }) => 'loads' in message && resolve(message));
    child.on('exit', (code) => reject(new Error(`ended with ${code} before it reported`)));
  });

test('1,002 readers in three processes: one load, and all of them have it', async () => {
  const processes = await start(PROCESSES, freshPrefix(), 200);
  const reports = processes.map(reportOf);
  for (const child of processes) child.send('cold');
  const all = await Promise.all(reports);
  expect(all.reduce((sum, { loads }) => sum + loads, 0)).toBe(1);
  expect(new Set(all.flatMap(({ by }) => by)).size).toBe(1);
});

test('a load that takes much longer than its lease is the only one', async () => {
  const processes = await start(2, freshPrefix(), 2_500, 500);
  const reports = processes.map(reportOf);
  for (const child of processes) child.send('slow');
  const all = await Promise.all(reports);
  expect(all.reduce((sum, { loads }) => sum + loads, 0)).toBe(1);
  expect(new Set(all.flatMap(({ by }) => by)).size).toBe(1);
});

test('the death of the process that loads costs the others its lease at the most', async () => {
  const keyPrefix = freshPrefix();
  const [[doomed], [heir]] = await Promise.all([start(1, keyPrefix, -1), start(1, keyPrefix, 0)]);
  doomed.send('cold');
  await once(doomed, 'message');
  const report = reportOf(heir);
  heir.send('cold');
  doomed.kill('SIGKILL');
  const fromMs = performance.now();
  expect(await report).toMatchObject({ loads: 1, by: [heir.pid] });
  expect(performance.now() - fromMs).toBeLessThan(LEASE_MS + SLACK_MS);
});
