/** `cluster up|status|down`, and every other command on the Redis Cluster that it starts. On ports of its own. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLocalCluster } from '../../src/l2/local-cluster.ts';
import { writeSampleTrades } from '../../src/profiler/sample-write.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { lines, run, start } from './command.ts';

const BASE_PORT = 18_379;
const PORT = ['--base-port', String(BASE_PORT)];
const L2 = ['--l2', `redis://127.0.0.1:${BASE_PORT}`];
const tmp = makeTmpFolder('cli');
const folder = tmp.path;

beforeAll(async () => {
  await writeSampleTrades(join(folder, 'trades.csv'), { wallets: 500, trades: 5_000, tokens: 20, seed: 3 });
});
afterAll(async () => {
  await findLocalCluster(BASE_PORT)?.stop();
  tmp.remove();
});

describe('the local cluster and the commands on it', () => {
  it('before: status says that none runs (1), and down has nothing to do (0)', async () => {
    expect(await run(['cluster', 'status', ...PORT], folder)).toMatchObject({ code: 1, stdout: expect.stringMatching(/No local cluster runs on 18379/) as string });
    expect(JSON.parse((await run(['cluster', 'down', '--json', ...PORT], folder)).stdout)).toEqual({ stopped: 0, basePort: BASE_PORT });
  });

  it('up starts six nodes and says how to use them; a second up finds them', { timeout: 60_000 }, async () => {
    const first = await run(['cluster', 'up', ...PORT], folder);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/Six nodes on 127\.0\.0\.1:18379-18384 started/);
    expect(first.stdout).toMatch(/--l2 redis:\/\/127\.0\.0\.1:18379/);
    const second = JSON.parse((await run(['cluster', 'up', '--json', ...PORT], folder)).stdout) as { nodes: unknown[] };
    expect(second).toMatchObject({ alreadyRunning: true, restarted: [] });
    expect(second.nodes).toHaveLength(6);
  });

  it('status and stats show three masters, three replicas and all slots', async () => {
    const status = await run(['cluster', 'status', ...PORT], folder);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^Healthy: redis:\/\/127\.0\.0\.1:18379/);
    expect(status.stdout.match(/ replica /g)).toHaveLength(3);
    const stats = JSON.parse((await run(['stats', '--json', ...L2], folder)).stdout) as { nodes: { role: string }[] };
    expect(stats).toMatchObject({ kind: 'redis', reachable: true, slotsCovered: 16_384 });
    expect(stats.nodes.map((node) => node.role).sort()).toEqual(['master', 'master', 'master', 'replica', 'replica', 'replica']);
    expect((await run(['stats', ...L2], folder)).stdout).toMatch(/16,384 of 16,384 served/);
  });

  it('profile: the second run is answered from L2; watch sees the first', { timeout: 60_000 }, async () => {
    const watching = start(['watch', ...L2], folder);
    await watching.saw(/watching redis/);
    const first = await run(['profile', 'trades.csv', '--out', 'a.ndjson', ...L2], folder);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/profiler\s+500\s+100\.0 %/);
    const second = JSON.parse((await run(['profile', 'trades.csv', '--out', 'b.ndjson', '--json', ...L2], folder)).stdout) as object;
    expect(second).toMatchObject({ answeredBy: { l2: 500, profiler: 0 }, l2: { failures: 0 } });
    expect(readFileSync(join(folder, 'b.ndjson'), 'utf8')).toBe(readFileSync(join(folder, 'a.ndjson'), 'utf8'));
    watching.child.kill('SIGINT');
    const seen = await watching.ended;
    expect(seen.code).toBe(130);
    expect(lines(seen.stdout).filter((line) => line.includes('  updated  '))).toHaveLength(500);
  });

  it('get, invalidate, get', async () => {
    const wallet = (JSON.parse(lines(readFileSync(join(folder, 'a.ndjson'), 'utf8'))[3]) as { wallet_address: string }).wallet_address;
    expect(JSON.parse((await run(['get', wallet, ...L2], folder)).stdout)).toMatchObject({ wallet_address: wallet });
    expect(await run(['invalidate', wallet, ...L2], folder)).toMatchObject({ code: 0 });
    expect((await run(['get', wallet, ...L2], folder)).code).toBe(1);
  });

  it('a node that died is shown, and started again by up', { timeout: 60_000 }, async () => {
    const replica = (await findLocalCluster(BASE_PORT)?.status())?.find((node) => node.role === 'replica');
    process.kill(replica?.pid as number, 'SIGKILL');
    let status = '';
    while (!/dead/.test(status)) status = (await run(['cluster', 'status', ...PORT], folder)).stdout;
    expect(status).toMatch(/^Not healthy/);
    expect(JSON.parse((await run(['cluster', 'up', '--json', ...PORT], folder)).stdout)).toMatchObject({ alreadyRunning: true, restarted: [replica?.port] });
    expect((await run(['cluster', 'status', ...PORT], folder)).stdout).toMatch(/^Healthy/);
  });

  it('down stops them all and removes their data; then L2 cannot be reached', async () => {
    const { folder: data } = findLocalCluster(BASE_PORT) as { folder: string };
    expect(await run(['cluster', 'down', ...PORT], folder)).toMatchObject({ code: 0, stdout: '6 nodes stopped, data removed\n' });
    expect(existsSync(data)).toBe(false);
    expect(await run(['stats', ...L2], folder)).toMatchObject({ code: 3, stderr: expect.stringMatching(/profilecache cluster up/) as string });
  });
});
