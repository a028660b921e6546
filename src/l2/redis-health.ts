/**
 * What a person would ask of each node: is it reachable, what is its role, how fast does it answer, which slots does it serve.
 * Nodes come from CLUSTER NODES, so that one which is away, and therefore in no slot table, is still listed.
 */
import type { NodeHealth, StoreHealth } from './store.ts';
import type { RedisNode } from './redis-node.ts';
import type { RedisTopology } from './redis-topology.ts';
import { withTimeout } from './redis-topology.ts';
import { SLOT_COUNT } from './slots.ts';
import { parseAddress, safeText } from './redis-errors.ts';

interface Listed {
  host: string;
  port: number;
  role: NodeHealth['role'];
  slots: number;
  failing: boolean;
}

/** Of the caller's time: for the list, then for the answers of all nodes. A node that hangs costs no more than this, once. */
const STEP_SHARE = 0.4;

export async function redisHealth(topology: RedisTopology, callTimeoutMs: number): Promise<StoreHealth> {
  const timeoutMs = callTimeoutMs * STEP_SHARE;
  const nodes = topology.nodes();
  const listed = topology.standalone ? new Map<string, Listed>() : await listNodes(nodes, timeoutMs);
  // A replica that has nothing yet is in no slot table, but it is there.
  for (const { host, port, failing } of listed.values()) if (!failing) topology.nodeFor(host, port);
  const known = new Map(topology.nodes().map((node) => [node.name, node]));
  const health = await Promise.all([...new Set([...listed.keys(), ...known.keys()])].sort().map((name) => nodeHealth(name, known.get(name), listed.get(name), topology.standalone, timeoutMs)));
  const slotsCovered = health.reduce((sum, node) => sum + (node.reachable ? node.slotsCovered : 0), 0);
  return { kind: 'redis', reachable: health.some((node) => node.reachable), slotsCovered, nodes: health };
}

async function nodeHealth(name: string, node: RedisNode | undefined, listed: Listed | undefined, standalone: boolean, timeoutMs: number): Promise<NodeHealth> {
  const base = {
    node: name,
    role: standalone ? ('standalone' as const) : (listed?.role ?? ('unknown' as const)),
    slotsCovered: standalone ? SLOT_COUNT : (listed?.slots ?? 0),
  };
  await node?.whenSettled(timeoutMs);
  if (!node?.usable) {
    return { ...base, reachable: false, error: node?.lastError?.message || (listed?.failing ? 'the cluster takes it for failed' : 'not connected') };
  }
  const startMs = performance.now();
  try {
    await withTimeout(node.ask('ping', []), timeoutMs);
    return { ...base, reachable: true, latencyMs: performance.now() - startMs };
  } catch (error) {
    return { ...base, reachable: false, error: safeText(error) };
  }
}

/** All are asked and the first answer is taken: asked in turn, one that hangs would use up the time of those behind it. */
async function listNodes(nodes: RedisNode[], timeoutMs: number): Promise<Map<string, Listed>> {
  const asked = nodes.filter((node) => node.usable).map(async (node) => parseNodes(String(await withTimeout(node.ask('cluster', ['nodes']), timeoutMs)), node.name));
  // Nobody answers: the PING of each says what is wrong with it.
  return Promise.any(asked).catch(() => new Map());
}

/** Lines of CLUSTER NODES: id, host:port@bus[,name], flags, master id, ping, pong, epoch, link, slots… */
function parseNodes(text: string, from: string): Map<string, Listed> {
  const out = new Map<string, Listed>();
  for (const line of text.split('\n')) {
    const words = line.trim().split(' ');
    if (words.length < 8) continue;
    const flags = words[2].split(',');
    const address = parseAddress(words[1].replace(/@.*$/, ''), from);
    if (!address || flags.includes('handshake') || flags.includes('noaddr')) continue;
    const slots = words.slice(8).reduce((sum, range) => {
      const match = /^(\d+)(?:-(\d+))?$/.exec(range);
      return match ? sum + Number(match[2] ?? match[1]) - Number(match[1]) + 1 : sum;
    }, 0);
    out.set(`${address.host}:${address.port}`, {
      ...address,
      role: flags.includes('master') ? 'master' : 'replica',
      slots,
      failing: flags.includes('fail') || flags.includes('fail?'),
    });
  }
  return out;
}
