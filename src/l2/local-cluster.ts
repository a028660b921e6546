/**
 * Six Redis nodes (three masters, three replicas) on 127.0.0.1 for trying things and for tests; not for production.
 * Everything lies in one folder of the system's temporary folder, named after the base port, with the pids in `state.json`:
 * another process finds the cluster there and stops it by pid.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProfileCacheError } from '../errors.ts';
import type { LocalServerOptions, LocalServerSpec } from './local-node.ts';
import { LOCAL_HOST, isThatServer, requireFreePort, requireRedisServer, spawnServer, stopServer, waitUntilUp, withServer } from './local-node.ts';
import { knownNodes, nodeStatus, type LocalNode, type LocalNodeStatus } from './local-status.ts';
import { SLOT_COUNT } from './slots.ts';

export type { LocalNode, LocalNodeStatus };

export const LOCAL_CLUSTER_BASE_PORT = 16_379;
const MASTERS = 3;
const NODES = 2 * MASTERS;
/** The cluster bus of a node listens on its port plus this. */
const BUS_PORT_OFFSET = 10_000;
const DEFAULT_NODE_TIMEOUT_MS = 2_000;
const FORM_DEADLINE_MS = 30_000;
const POLL_MS = 25;

export interface LocalClusterOptions extends LocalServerOptions {
  /** Six ports from here on, and the six that are 10,000 higher. */
  basePort?: number;
  /** How long a node may be silent before the others take it for dead. */
  nodeTimeoutMs?: number;
}

export interface LocalCluster {
  readonly basePort: number;
  readonly folder: string;
  readonly nodes: readonly LocalNode[];
  status(): Promise<LocalNodeStatus[]>;
  /** Starts a node that died, with its old configuration (and data, with `appendOnly`). */
  restartNode(port: number): Promise<void>;
  /** Until every node says `ok` and every replica is linked. */
  waitUntilHealthy(deadlineMs?: number): Promise<void>;
  /** Stops all nodes and removes the folder; idempotent. */
  stop(): Promise<void>;
}

interface State {
  basePort: number;
  options: LocalServerOptions;
  nodeTimeoutMs: number;
  nodes: LocalNode[];
}

/** Starts and forms the cluster. Rejects with ERR_CLUSTER and leaves no process behind when that fails. */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const { basePort = LOCAL_CLUSTER_BASE_PORT, nodeTimeoutMs = DEFAULT_NODE_TIMEOUT_MS, ...serverOptions } = options;
  if (!Number.isInteger(basePort) || basePort < 1_024 || basePort + NODES + BUS_PORT_OFFSET > 65_535) {
    throw new ProfileCacheError('ERR_CLUSTER', `base port ${basePort} does not fit; choose one from 1024 to ${65_535 - BUS_PORT_OFFSET - NODES}`);
  }
  requireRedisServer();
  if (findLocalCluster(basePort)) {
    throw new ProfileCacheError('ERR_CLUSTER', `a local cluster is running on ${basePort} already; use it, or stop it with: profilecache cluster down`);
  }
  const ports = Array.from({ length: NODES }, (_, i) => basePort + i);
  for (const port of ports) {
    await requireFreePort(port);
    await requireFreePort(port + BUS_PORT_OFFSET);
  }
  const cluster = new RunningCluster(makeFolder(basePort), { basePort, nodeTimeoutMs, options: serverOptions, nodes: [] });
  try {
    for (const port of ports) cluster.spawn(port);
    await Promise.all(cluster.nodes.map((node) => waitUntilUp(cluster.spec(node.port), node.pid)));
    await cluster.form();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw ProfileCacheError.from(error, 'ERR_CLUSTER');
  }
}

/** The cluster that some process started on this base port, if at least one of its nodes lives. */
export function findLocalCluster(basePort: number = LOCAL_CLUSTER_BASE_PORT): LocalCluster | undefined {
  const folder = folderOf(basePort);
  let state: State;
  try {
    requireOwnFolder(folder);
    state = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as State;
  } catch (error) {
    if (error instanceof ProfileCacheError) throw error;
    return undefined; // No state file: nothing was started here.
  }
  if (!state.nodes.some((node) => isThatServer(node.pid, node.port))) return undefined;
  return new RunningCluster(folder, state);
}

export interface LocalStandalone {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly folder: string;
  stop(): Promise<void>;
}

/** One Redis without a cluster. */
export async function startStandalone(options: LocalServerOptions & { port: number }): Promise<LocalStandalone> {
  const { port, ...serverOptions } = options;
  requireRedisServer();
  await requireFreePort(port);
  const folder = makeFolder(port);
  const spec: LocalServerSpec = { ...serverOptions, port, folder: join(folder, String(port)), clusterConfig: [] };
  const pid = spawnServer(spec);
  const stop = async () => {
    await stopServer(pid, port);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitUntilUp(spec, pid);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: LOCAL_HOST, port, pid, folder, stop };
}

class RunningCluster implements LocalCluster {
  readonly folder: string;
  readonly #state: State;

  constructor(folder: string, state: State) {
    this.folder = folder;
    this.#state = state;
  }

  get basePort(): number {
    return this.#state.basePort;
  }

  get nodes(): readonly LocalNode[] {
    return this.#state.nodes;
  }

  spec(port: number): LocalServerSpec {
    return {
      ...this.#state.options,
      port,
      folder: join(this.folder, String(port)),
      clusterConfig: [
        'cluster-enabled yes',
        'cluster-config-file nodes.conf',
        `cluster-node-timeout ${this.#state.nodeTimeoutMs}`,
        `cluster-announce-ip ${LOCAL_HOST}`,
        // One dead shard must not take the other two thirds of the keys with it.
        'cluster-require-full-coverage no',
        'cluster-replica-validity-factor 0',
        'repl-diskless-sync-delay 0',
        // CLUSTER SLOTS does not name a replica that has received nothing yet: let it receive a ping soon.
        'repl-ping-replica-period 1',
      ],
    };
  }

  /** The pid is written before anything else happens: whatever goes wrong later, `cluster down` finds the process. */
  spawn(port: number): void {
    const pid = spawnServer(this.spec(port));
    this.#state.nodes = [...this.#state.nodes.filter((node) => node.port !== port), { host: LOCAL_HOST, port, pid }].sort((a, b) => a.port - b.port);
    const file = join(this.folder, 'state.json');
    writeFileSync(`${file}.new`, JSON.stringify(this.#state), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  async form(): Promise<void> {
    const ports = this.nodes.map((node) => node.port);
    const run = (port: number, ...args: Array<string | number>) => withServer(port, this.#state.options, (redis) => redis.call('CLUSTER', ...args));
    const ids = await Promise.all(ports.map(async (port) => String(await run(port, 'MYID'))));
    for (let i = 0; i < MASTERS; i++) {
      // Distinct epochs from the start: no collision to resolve when the nodes meet.
      await run(ports[i], 'SET-CONFIG-EPOCH', i + 1);
      const from = Math.ceil((i * SLOT_COUNT) / MASTERS);
      const to = Math.ceil(((i + 1) * SLOT_COUNT) / MASTERS) - 1;
      await run(ports[i], 'ADDSLOTS', ...Array.from({ length: to - from + 1 }, (_, slot) => from + slot));
    }
    // Everybody meets everybody: gossip alone would take seconds to introduce six nodes.
    await Promise.all(ports.map(async (port) => {
      for (const other of ports) if (other !== port) await run(port, 'MEET', LOCAL_HOST, other);
    }));
    await this.#until('the nodes to meet', async () => {
      const counts = await Promise.all(ports.map(async (port) => knownNodes(String(await run(port, 'NODES')))));
      return counts.every((count) => count === NODES);
    });
    for (let i = MASTERS; i < NODES; i++) {
      await this.#until('a replica to know its master', () => run(ports[i], 'REPLICATE', ids[i - MASTERS]).then(() => true, () => false));
    }
    await this.waitUntilHealthy();
  }

  async waitUntilHealthy(deadlineMs: number = FORM_DEADLINE_MS): Promise<void> {
    await this.#until('the cluster to be healthy', async () => {
      const all = await this.status();
      const masters = all.filter((node) => node.role === 'master' && node.slotsCovered > 0);
      return (
        all.every((node) => node.clusterState === 'ok') &&
        masters.length === MASTERS &&
        masters.reduce((sum, node) => sum + node.slotsCovered, 0) === SLOT_COUNT &&
        all.filter((node) => node.role === 'replica' && node.linkUp).length === NODES - MASTERS
      );
    }, deadlineMs);
  }

  status(): Promise<LocalNodeStatus[]> {
    return Promise.all(this.nodes.map((node) => nodeStatus(node, this.#state.options)));
  }

  async restartNode(port: number): Promise<void> {
    const node = this.nodes.find((candidate) => candidate.port === port);
    if (!node) throw new ProfileCacheError('ERR_CLUSTER', `the cluster on ${this.basePort} has no node on port ${port}; its ports are ${this.basePort} to ${this.basePort + NODES - 1}`);
    await stopServer(node.pid, port);
    this.spawn(port);
    await waitUntilUp(this.spec(port), this.nodes.find((candidate) => candidate.port === port)!.pid);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => stopServer(node.pid, node.port)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #until(what: string, done: () => Promise<boolean>, withinMs: number = FORM_DEADLINE_MS): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      if (await done().catch(() => false)) return;
      if (performance.now() > deadlineMs) {
        throw new ProfileCacheError('ERR_CLUSTER', `local cluster on ${this.basePort}: waited ${withinMs} ms for ${what}; the logs lie in ${this.folder}/<port>/redis.log while it runs`);
      }
      await sleep(POLL_MS);
    }
  }
}

const folderOf = (basePort: number): string => join(tmpdir(), `profilecache-redis-${basePort}`);

function makeFolder(basePort: number): string {
  const folder = folderOf(basePort);
  if (existsSync(folder)) {
    requireOwnFolder(folder);
    rmSync(folder, { recursive: true, force: true });
  }
  // Not recursive: it fails if somebody else made the folder in between.
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

/** The temporary folder is shared: what another user put there is neither read nor removed. */
function requireOwnFolder(folder: string): void {
  const stat = lstatSync(folder);
  const owner = process.getuid?.();
  if (!stat.isDirectory() || (owner !== undefined && stat.uid !== owner)) {
    throw new ProfileCacheError('ERR_CLUSTER', `${folder} belongs to somebody else; remove it or choose another base port`);
  }
}
