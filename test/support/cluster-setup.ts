/**
 * Starts what the projects `cluster` and `nodes` need, each its own, once for all of its files: a six-node Redis Cluster and one standalone Redis.
 * Files reach them through `inject('redisCluster')` and `inject('redisStandalone')`. A file that kills nodes starts its own.
 * Where redis-server is missing, the package manager of the system is tried; without the rights for that, one line says what to run.
 */
import { execFileSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { startLocalCluster, startStandalone } from '../../src/l2/local-cluster.ts';
import { installLine, isOnPath } from '../../src/l2/local-node.ts';

const BASE_PORTS: Record<string, number> = { cluster: 17_379, nodes: 17_460 };
const STANDALONE_AFTER = 10;

export interface ProvidedCluster {
  basePort: number;
  nodes: Array<{ host: string; port: number; pid: number }>;
}

declare module 'vitest' {
  interface ProvidedContext {
    redisCluster: ProvidedCluster;
    redisStandalone: { host: string; port: number; pid: number };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!isOnPath('redis-server')) installRedis();
  const basePort = BASE_PORTS[project.name];
  if (basePort === undefined) throw new Error(`no ports are set aside for the project ${project.name}`);
  const cluster = await startLocalCluster({ basePort });
  try {
    const standalone = await startStandalone({ port: basePort + STANDALONE_AFTER });
    project.provide('redisCluster', { basePort: cluster.basePort, nodes: cluster.nodes.map(({ host, port, pid }) => ({ host, port, pid })) });
    project.provide('redisStandalone', { host: standalone.host, port: standalone.port, pid: standalone.pid });
    return async () => {
      await Promise.all([cluster.stop(), standalone.stop()]);
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function installRedis(): void {
  const managers: Array<[command: string, args: string[]]> = [
    ['apt-get', ['install', '-y', '--no-install-recommends', 'redis-server']],
    ['dnf', ['install', '-y', 'redis']],
    ['apk', ['add', 'redis']],
    ['brew', ['install', 'redis']],
  ];
  const [command, args] = managers.find(([name]) => isOnPath(name)) ?? [];
  const isRoot = process.getuid?.() === 0;
  try {
    if (command === undefined || args === undefined) throw new Error('no package manager that is known here');
    const run = (parameters: string[]) =>
      isRoot || command === 'brew' ? execFileSync(command, parameters, { stdio: 'inherit' }) : execFileSync('sudo', ['-n', command, ...parameters], { stdio: 'inherit' });
    // A fresh machine has no list of packages yet.
    if (command === 'apt-get') run(['update']);
    run(args);
  } catch (cause) {
    throw new Error(`The tests on Redis need redis-server. Run: ${installLine()}`, { cause });
  }
  if (!isOnPath('redis-server')) throw new Error(`The tests on Redis need redis-server. Run: ${installLine()}`);
}
