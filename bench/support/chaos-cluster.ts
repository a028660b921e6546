/** The faults that a row may do to the six nodes, each by pid or by a command to that node, and the mending after it. */
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalCluster, LocalNodeStatus } from '../../src/l2/local-cluster.ts';
import { built } from './built.ts';

/** Nodes of their own: not those of the tests, the benchmarks or `profilecache cluster up`. Low enough that the bus is below the ports that the kernel gives away. */
export const CHAOS_BASE_PORT = 20_479;
/** Of the cluster; nothing that is printed may hold it. */
export const CHAOS_PASSWORD = 'correct-horse-51d0a7';
/** Milliseconds of silence after which the nodes take one of them for dead: a failover takes this and a second more. */
export const NODE_TIMEOUT_MS = 1_500;
const HEAL_DEADLINE_MS = 40_000;
const COMMAND_TIMEOUT_MS = 20_000;
const FAILOVER_DEADLINE_MS = 30_000;
const FAILOVER_RETRY_MS = 6_000;

/** Of a run that is being ended, or was killed. */
export async function stopChaosCluster(): Promise<void> {
  const { findLocalCluster } = await built<typeof import('../../src/l2/local-cluster.ts')>('l2/local-cluster');
  await findLocalCluster(CHAOS_BASE_PORT)?.stop();
}

export class ChaosCluster {
  readonly cluster: LocalCluster;
  readonly #stopped = new Set<number>();

  private constructor(cluster: LocalCluster) {
    this.cluster = cluster;
  }

  static async start(): Promise<ChaosCluster> {
    const { startLocalCluster } = await built<typeof import('../../src/l2/local-cluster.ts')>('l2/local-cluster');
    return new ChaosCluster(await startLocalCluster({
      basePort: CHAOS_BASE_PORT, nodeTimeoutMs: NODE_TIMEOUT_MS, password: CHAOS_PASSWORD, appendOnly: true, extraConfig: ['enable-debug-command local'],
    }));
  }

  get addresses(): { host: string; port: number }[] {
    return this.cluster.nodes.map(({ host, port }) => ({ host, port }));
  }

  pidOf(port: number): number {
    return this.cluster.nodes.find((node) => node.port === port)!.pid;
  }

  status(): Promise<LocalNodeStatus[]> {
    return this.cluster.status();
  }

  async masters(): Promise<LocalNodeStatus[]> {
    return (await this.status()).filter(({ role, slotsCovered }) => role === 'master' && slotsCovered > 0);
  }

  async replicas(): Promise<LocalNodeStatus[]> {
    return (await this.status()).filter(({ role }) => role === 'replica');
  }

  kill(port: number): void {
    process.kill(this.pidOf(port), 'SIGKILL');
  }

  /** SIGSTOP: the node holds its connections and answers nothing. */
  freeze(port: number): void {
    this.#stopped.add(port);
    process.kill(this.pidOf(port), 'SIGSTOP');
  }

  thaw(port: number): void {
    this.#stopped.delete(port);
    process.kill(this.pidOf(port), 'SIGCONT');
  }

  /** Runs `use` on a connection of its own to one node. */
  async at<T>(port: number, use: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis({ host: '127.0.0.1', port, password: CHAOS_PASSWORD, protocol: 2, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, enableReadyCheck: false, disableClientInfo: true, commandTimeout: COMMAND_TIMEOUT_MS });
    redis.on('error', () => undefined); // The rejected command says the same.
    try {
      await redis.connect();
      return await use(redis);
    } finally {
      redis.disconnect();
    }
  }

  onAll<T>(use: (redis: Redis, port: number) => Promise<T>, ports: readonly number[] = this.addresses.map(({ port }) => port)): Promise<T[]> {
    return Promise.all(ports.map((port) => this.at(port, (redis) => use(redis, port))));
  }

  /** CLUSTER FAILOVER on some replica (of `master`, if given); resolves once it is a master. */
  async failover(how: '' | 'FORCE' | 'TAKEOVER' = '', portOfReplica?: number): Promise<number> {
    const port = portOfReplica ?? (await this.replicas())[0].port;
    await this.at(port, async (redis) => {
      const giveUpMs = performance.now() + FAILOVER_DEADLINE_MS;
      let askedMs = -Infinity;
      while (!(await redis.info('replication')).includes('role:master')) {
        if (performance.now() > giveUpMs) throw new Error(`${port} did not take over`);
        // On a busy machine the five seconds that a node gives its own failover may pass in vain.
        if (performance.now() - askedMs > FAILOVER_RETRY_MS) {
          askedMs = performance.now();
          await redis.call('CLUSTER', 'FAILOVER', ...(how === '' ? [] : [how])).catch(() => undefined);
        }
        await sleep(10);
      }
    });
    return port;
  }

  /** Everything runs again, and all nodes agree. */
  async heal(): Promise<void> {
    for (const port of this.#stopped) this.thaw(port);
    const { isThatServer } = await built<typeof import('../../src/l2/local-node.ts')>('l2/local-node');
    for (const { port, pid } of this.cluster.nodes) if (!isThatServer(pid, port)) await this.cluster.restartNode(port);
    await this.cluster.waitUntilHealthy(HEAL_DEADLINE_MS);
  }

  async stop(): Promise<void> {
    for (const port of this.#stopped) this.thaw(port);
    await this.cluster.stop();
  }

  /** Moves slots with their keys from one master to another, as `redis-cli --cluster reshard` does. */
  async migrate(slots: readonly number[], from: number, to: number): Promise<number> {
    const [fromId, toId] = await this.onAll(async (redis) => String(await redis.call('CLUSTER', 'MYID')), [from, to]);
    let moved = 0;
    await this.at(from, (source) => this.at(to, async (target) => {
      for (const slot of slots) {
        await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
        await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
        for (;;) {
          const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, 20)) as string[];
          if (keys.length === 0) break;
          await source.call('MIGRATE', '127.0.0.1', to, '', 0, 5_000, 'AUTH', CHAOS_PASSWORD, 'KEYS', ...keys);
          moved += keys.length;
        }
        await target.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
        await source.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
      }
    }));
    return moved;
  }
}
