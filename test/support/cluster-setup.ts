/**
 * For the project `cluster`: redis-server is there, each slot of the pool has ports and a standalone Redis, and at the end all is stopped,
 * the clusters too that files have started (redis-servers.ts).
 * Where redis-server is missing, the package manager of the system is tried; without the rights for that, one line says what to run.
 */
import { execFileSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { findLocalCluster, startStandalone, type LocalNode } from '../../src/l2/local-cluster.ts';
import { installLine, isOnPath } from '../../src/l2/local-node.ts';

/** Of a slot's cluster: six ports from here on. */
const CLUSTER_BASE_PORTS = [17_379, 17_460, 17_480];
const STANDALONE_AFTER = 10;

export interface RedisSlot {
  clusterBasePort: number;
  standalone: LocalNode;
}

declare module 'vitest' {
  interface ProvidedContext {
    redisSlots: RedisSlot[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!isOnPath('redis-server')) installRedis();
  const slots = Number(project.vitest.config.maxWorkers);
  if (slots > CLUSTER_BASE_PORTS.length) throw new Error(`ports are set aside for ${CLUSTER_BASE_PORTS.length} files at once, not for ${slots}: lower maxWorkers, or name more ports in test/support/cluster-setup.ts`);
  const basePorts = CLUSTER_BASE_PORTS.slice(0, slots);
  for (const basePort of basePorts) {
    if (findLocalCluster(basePort) !== undefined) throw new Error(`a cluster is running on port ${basePort} already: another run of the tests, or what an aborted one has left; stop it with: profilecache cluster down --base-port ${basePort}`);
  }
  const started = await Promise.allSettled(basePorts.map((basePort) => startStandalone({ port: basePort + STANDALONE_AFTER })));
  const stop = async () => {
    await Promise.all([
      ...started.map(async (server) => server.status === 'fulfilled' && server.value.stop()),
      ...basePorts.map((basePort) => findLocalCluster(basePort)?.stop()),
    ]);
  };
  const failed = started.find((server) => server.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  project.provide('redisSlots', started.map((server, i) => {
    const { host, port, pid } = (server as PromiseFulfilledResult<LocalNode>).value;
    return { clusterBasePort: basePorts[i], standalone: { host, port, pid } };
  }));
  return stop;
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
