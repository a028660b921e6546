import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { findLocalCluster, startLocalCluster, startStandalone } from '../../src/l2/local-cluster.ts';
import { isAlive, isThatServer, stopServer } from '../../src/l2/local-node.ts';
import { bare, until } from '../support/redis.ts';
import { redisStandalone } from '../support/redis-servers.ts';

const BASE_PORT = 17_420;
const folder = join(tmpdir(), `profilecache-redis-${BASE_PORT}`);
const closers: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.unstubAllEnvs();
});

describe('local cluster', () => {
  it('starts six nodes, is found by its port, restarts a dead one, and stops without a trace', async () => {
    const cluster = await startLocalCluster({ basePort: BASE_PORT, password: 'a "quoted" one' });
    closers.push(() => cluster.stop());
    // Another process would come by this object the same way.
    const found = findLocalCluster(BASE_PORT)!;
    expect(found.nodes).toEqual(cluster.nodes);
    const status = await found.status();
    expect(status.map(({ role }) => role).sort()).toEqual(['master', 'master', 'master', 'replica', 'replica', 'replica']);
    expect(status.reduce((sum, { slotsCovered }) => sum + slotsCovered, 0)).toBe(16_384);
    expect(status.every(({ alive, clusterState }) => alive && clusterState === 'ok')).toBe(true);
    await expect(bare({ host: '127.0.0.1', port: BASE_PORT }).then((redis) => redis.ping().finally(() => redis.disconnect()))).rejects.toThrow(/NOAUTH/);
    // A password among the arguments would show in `ps`.
    if (existsSync('/proc/self/cmdline')) expect(readFileSync(`/proc/${cluster.nodes[0].pid}/cmdline`, 'latin1')).not.toContain('quoted');
    await expect(startLocalCluster({ basePort: BASE_PORT })).rejects.toMatchObject({ code: 'ERR_CLUSTER' });

    process.kill(cluster.nodes[5].pid, 'SIGKILL');
    await until('its death', () => !isThatServer(cluster.nodes[5].pid, BASE_PORT + 5));
    expect((await found.status())[5]).toMatchObject({ alive: false, role: 'unknown' });
    await cluster.restartNode(BASE_PORT + 5);
    await cluster.waitUntilHealthy();

    process.kill(cluster.nodes[2].pid, 'SIGSTOP'); // One that would not listen to a request to stop.
    const pids = cluster.nodes.map(({ pid }) => pid);
    await findLocalCluster(BASE_PORT)!.stop();
    // One that has ended stays a zombie until this process has reaped it.
    await until('all have ended', () => !pids.some(isAlive));
    expect(existsSync(folder)).toBe(false);
    expect(findLocalCluster(BASE_PORT)).toBeUndefined();
    await cluster.stop();
  });

  it('a taken port is named, and nothing is left behind', async () => {
    const server = createServer().listen(BASE_PORT + 4, '127.0.0.1');
    closers.push(() => server.close());
    await until('the port', () => server.listening);
    await expect(startLocalCluster({ basePort: BASE_PORT })).rejects.toMatchObject({ code: 'ERR_CLUSTER', message: expect.stringContaining(String(BASE_PORT + 4)) });
    expect(existsSync(folder)).toBe(false);
  });

  it('a node that does not come up is reported with the end of its log, and the others are stopped', async () => {
    const error = await startLocalCluster({ basePort: BASE_PORT, extraConfig: ['maxmemory lots'] }).then(() => undefined, (problem: unknown) => problem);
    expect(error).toMatchObject({ code: 'ERR_CLUSTER' });
    const late = await startLocalCluster({ basePort: BASE_PORT, aclFile: '/nowhere/acl' }).then(() => undefined, (problem: Error) => problem);
    expect(late).toMatchObject({ code: 'ERR_CLUSTER', message: expect.stringMatching(/end of its log[\s\S]*acl/i) });
    expect(existsSync(folder)).toBe(false);
    for (let port = BASE_PORT; port < BASE_PORT + 6; port++) await expect(bare({ host: '127.0.0.1', port })).rejects.toThrow();
  });

  it('a missing redis-server is told with the line that installs it', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    await expect(startLocalCluster({ basePort: BASE_PORT })).rejects.toMatchObject({ code: 'ERR_CLUSTER', message: expect.stringMatching(/redis-server is not on the PATH; install it with: \S+/) });
    await expect(startStandalone({ port: BASE_PORT })).rejects.toMatchObject({ code: 'ERR_CLUSTER' });
  });

  it('a pid that is another process by now is left alone', async () => {
    const bystander = spawn('sleep', ['30'], { stdio: 'ignore' });
    closers.push(() => bystander.kill('SIGKILL'));
    mkdirSync(folder, { mode: 0o700 });
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'state.json'), JSON.stringify({ basePort: BASE_PORT, options: {}, nodeTimeoutMs: 1, nodes: [{ host: '127.0.0.1', port: BASE_PORT, pid: bystander.pid }] }));
    expect(findLocalCluster(BASE_PORT)).toBeUndefined();
    await stopServer(bystander.pid!, BASE_PORT);
    expect(isAlive(bystander.pid!)).toBe(true);
    // A real redis-server, but of another port.
    const { pid, port } = redisStandalone;
    expect(isThatServer(pid, port)).toBe(true);
    expect(isThatServer(pid, BASE_PORT)).toBe(false);
  });

  it.each([0, 80, 60_000, 17_379.5])('base port %s is refused', async (basePort) => {
    await expect(startLocalCluster({ basePort })).rejects.toMatchObject({ code: 'ERR_CLUSTER' });
  });
});
