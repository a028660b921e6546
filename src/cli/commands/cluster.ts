import type { Command } from 'commander';
import type { LocalCluster, LocalNodeStatus } from '../../l2/local-cluster.ts';
import { EXIT } from '../exit-codes.ts';
import { bytes, count, duration, plural, table } from '../format.ts';
import { wholeNumber } from '../option-values.ts';
import type { Shell } from '../shell.ts';

/** That of local-cluster.ts, which is loaded when it is used; a test holds the two together. */
export const DEFAULT_BASE_PORT = 16_379;

interface ClusterOptions {
  basePort: number;
}

export function addClusterCommand(program: Command, shell: Shell): void {
  const cluster = program
    .command('cluster')
    .summary('start, stop or look at six local Redis nodes')
    .description('Three masters and three replicas on 127.0.0.1, from the redis-server on the PATH, with their data in a temporary folder. For trying things, not for production.')
    .helpCommand(false)
    .addHelpText('after', `
Example:
  $ profilecache cluster up
  $ profilecache profile trades.csv.gz --l2 redis://127.0.0.1:${DEFAULT_BASE_PORT}
  $ profilecache cluster down`);
  const add = (name: string, description: string, action: (shell: Shell, basePort: number) => Promise<void>) =>
    cluster
      .command(name)
      .description(description)
      .option('--base-port <port>', 'first of six ports in a row', wholeNumber(1_024, 65_535), DEFAULT_BASE_PORT)
      .action((options: ClusterOptions) => action(shell, options.basePort));
  add('up', 'start the nodes and form the cluster; nodes that died are started again', up);
  add('down', 'stop the nodes by their process ids and remove their data', down);
  add('status', 'ask each node how it is; exit code 1 when none runs', status);
}

const urlOf = (basePort: number): string => `redis://127.0.0.1:${basePort}`;

async function up(shell: Shell, basePort: number): Promise<void> {
  const startedMs = performance.now();
  const { findLocalCluster, startLocalCluster } = await import('../../l2/local-cluster.ts');
  const running = findLocalCluster(basePort);
  const stage = shell.progress.stage({ name: 'Starting nodes', total: null });
  const cluster = running ?? (await startLocalCluster({ basePort }));
  const restarted = running === undefined ? [] : (await running.status()).filter((node) => !node.alive).map((node) => node.port);
  for (const port of restarted) await cluster.restartNode(port);
  await cluster.waitUntilHealthy();
  stage.update(cluster.nodes.length);
  stage.end();
  if (shell.stop.bySignal && running === undefined) {
    await cluster.stop();
    shell.note('stopped again: nothing is left running');
    return;
  }
  await shell.object({ url: urlOf(basePort), basePort, folder: cluster.folder, alreadyRunning: running !== undefined, restarted, nodes: cluster.nodes });
  const what = running === undefined ? `started in ${duration(performance.now() - startedMs)}` : `running already${restarted.length > 0 ? `; started again: ${restarted.join(', ')}` : ''}`;
  const port = basePort === DEFAULT_BASE_PORT ? '' : ` --base-port ${basePort}`;
  await shell.report(`Six nodes on 127.0.0.1:${basePort}-${basePort + 5} ${what}\n\n  use    --l2 ${urlOf(basePort)}\n  stop   profilecache cluster down${port}`);
}

async function down(shell: Shell, basePort: number): Promise<void> {
  const { findLocalCluster } = await import('../../l2/local-cluster.ts');
  const cluster = findLocalCluster(basePort);
  const nodes = cluster?.nodes.length ?? 0;
  await cluster?.stop();
  await shell.object({ stopped: nodes, basePort });
  await shell.report(cluster === undefined ? `No local cluster runs on ${basePort}` : `${plural(nodes, 'node')} stopped, data removed`);
}

async function status(shell: Shell, basePort: number): Promise<void> {
  const { findLocalCluster } = await import('../../l2/local-cluster.ts');
  const cluster = findLocalCluster(basePort);
  const nodes = (await cluster?.status()) ?? [];
  if (cluster === undefined) shell.exitCode = EXIT.failure;
  await shell.object({ running: cluster !== undefined, basePort, healthy: isHealthy(nodes), folder: cluster?.folder ?? null, nodes });
  if (shell.json) return;
  await shell.result(cluster === undefined ? `No local cluster runs on ${basePort}; start one with: profilecache cluster up` : statusText(cluster, nodes));
}

const isHealthy = (nodes: readonly LocalNodeStatus[]): boolean => nodes.length > 0 && nodes.every((node) => node.alive && node.clusterState === 'ok');

function statusText(cluster: LocalCluster, nodes: readonly LocalNodeStatus[]): string {
  const rows = nodes.map((node) => [
    `${node.host}:${node.port}`, String(node.pid), node.alive ? node.role : 'dead', node.clusterState ?? '-', count(node.slotsCovered),
    node.role === 'replica' ? (node.linkUp ? 'up' : 'down') : '-', node.usedMemoryBytes === undefined ? '-' : bytes(node.usedMemoryBytes),
  ]);
  return `${isHealthy(nodes) ? 'Healthy' : 'Not healthy'}: ${urlOf(cluster.basePort)}, data in ${cluster.folder}\n\n${table(['node', 'pid', 'role', 'state', 'slots', 'link', 'memory'], rows, [0, 2, 3])}`;
}
