/**
 * TCP proxies before each node, for clients and for the cluster bus: a network that can be slow, silent or cut, one way or both.
 * The nodes announce the proxies' ports, and each node connects from a loopback address of its own (127.0.1.x), so that a proxy knows who
 * is calling: that is what makes a partition of one node a partition, and not the death of its listening port.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosCluster } from './chaos-cluster.ts';

const BUS_OFFSET = 10_000;
/** From a node's port to its proxy's. */
const PROXY_OFFSET = 100;
const SETTLE_DEADLINE_MS = 20_000;
/** A pair that is held back keeps at most so much; its sender then waits. */
const HIGH_WATER_BYTES = 1024 * 1024;

interface Pair {
  /** Port of the node behind the proxy. */
  to: number;
  /** Port of the calling node; undefined for a client. */
  from: number | undefined;
  client: Socket;
  node: Socket;
  held: { bytes: Buffer; into: Socket }[];
}

export class ChaosProxies {
  readonly #cluster: ChaosCluster;
  readonly #servers: Server[] = [];
  readonly #pairs = new Set<Pair>();
  readonly #silentClients = new Set<number>();
  readonly #partitioned = new Set<number>();
  #delayMs = 0;

  private constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
  }

  static async before(cluster: ChaosCluster): Promise<ChaosProxies> {
    const proxies = new ChaosProxies(cluster);
    for (const { port } of cluster.addresses) {
      await proxies.#listen(port + PROXY_OFFSET, port);
      await proxies.#listen(port + PROXY_OFFSET + BUS_OFFSET, port + BUS_OFFSET);
    }
    await proxies.announce();
    return proxies;
  }

  get addresses(): { host: string; port: number }[] {
    return this.#cluster.addresses.map(({ host, port }) => ({ host, port: port + PROXY_OFFSET }));
  }

  /** Again after a node was restarted: it has forgotten. */
  async announce(): Promise<void> {
    await this.#cluster.onAll(async (redis, port) => {
      await redis.config('SET', 'bind-source-addr', this.#sourceOf(port));
      await redis.config('SET', 'cluster-announce-port', String(port + PROXY_OFFSET));
      await redis.config('SET', 'cluster-announce-bus-port', String(port + PROXY_OFFSET + BUS_OFFSET));
    });
    const giveUpMs = performance.now() + SETTLE_DEADLINE_MS;
    for (;;) {
      const views = await this.#cluster.onAll(async (redis) => JSON.stringify(await redis.call('CLUSTER', 'SLOTS')));
      const known = (view: string) => this.addresses.every(({ port }) => view.includes(String(port)));
      if (views.every(known)) break;
      if (performance.now() > giveUpMs) throw new Error('the nodes did not take the ports of their proxies');
      await sleep(50);
    }
    await this.#cluster.cluster.waitUntilHealthy();
  }

  /** Clients of this node hear nothing any more, and are heard no more; its sockets stay open (half-open, as a lost route leaves them). */
  silenceClients(port: number): void {
    this.#silentClients.add(port);
  }

  /** Nothing reaches the node or leaves it: clients, bus and replication, whoever begins. */
  partition(port: number): void {
    this.#partitioned.add(port);
  }

  /** Every answer and every request comes so much later. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  mend(): void {
    this.#delayMs = 0;
    this.#silentClients.clear();
    this.#partitioned.clear();
    // What was held would come now, late: a route that is back delivers what TCP sends again.
    for (const pair of this.#pairs) for (const { bytes, into } of pair.held.splice(0)) into.write(bytes);
    for (const pair of this.#pairs) pair.client.resume().setTimeout(0);
    for (const pair of this.#pairs) pair.node.resume();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { client, node } of this.#pairs) {
      client.destroy();
      node.destroy();
    }
  }

  #sourceOf(port: number): string {
    return `127.0.1.${1 + this.#cluster.addresses.findIndex((address) => address.port === port)}`;
  }

  #isCut(pair: Pair): boolean {
    return this.#partitioned.has(pair.to) || (pair.from !== undefined && this.#partitioned.has(pair.from)) || (pair.from === undefined && this.#silentClients.has(pair.to));
  }

  async #listen(port: number, target: number): Promise<void> {
    const to = target > this.#cluster.addresses.at(-1)!.port ? target - BUS_OFFSET : target;
    const server = createServer((client) => {
      const from = this.#cluster.addresses.find((address) => this.#sourceOf(address.port) === client.remoteAddress)?.port;
      const node = createConnection({ host: '127.0.0.1', port: target });
      const pair: Pair = { to, from, client, node, held: [] };
      this.#pairs.add(pair);
      const end = () => {
        this.#pairs.delete(pair);
        client.destroy();
        node.destroy();
      };
      for (const [source, into] of [[client, node], [node, client]] as const) {
        source.setNoDelay(true);
        source.on('data', (bytes: Buffer) => this.#forward(pair, source, into, bytes));
        source.on('error', end);
        source.on('close', end);
      }
    });
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  }

  #forward(pair: Pair, source: Socket, into: Socket, bytes: Buffer): void {
    if (this.#isCut(pair)) {
      pair.held.push({ bytes, into });
      if (pair.held.reduce((sum, part) => sum + part.bytes.length, 0) > HIGH_WATER_BYTES) source.pause();
      return;
    }
    if (this.#delayMs === 0) {
      if (!into.write(bytes)) {
        source.pause();
        into.once('drain', () => source.resume());
      }
      return;
    }
    // One delay for all keeps the order: timers of one length fire as they were set.
    setTimeout(() => void (this.#isCut(pair) ? pair.held.push({ bytes, into }) : into.write(bytes)), this.#delayMs);
  }
}
