/** What one node of a local cluster says of itself. */
import { isThatServer, withServer, type LocalServerOptions } from './local-node.ts';

export interface LocalNode {
  host: string;
  port: number;
  pid: number;
}

export interface LocalNodeStatus extends LocalNode {
  alive: boolean;
  role: 'master' | 'replica' | 'unknown';
  /** `ok` or `fail`, as the node itself sees its cluster. */
  clusterState?: string;
  slotsCovered: number;
  /** Of a replica: whether the link to its master is up. */
  linkUp?: boolean;
  usedMemoryBytes?: number;
  error?: string;
}

/** Nodes that this one is past the handshake with, itself included. */
export const knownNodes = (text: string): number => text.split('\n').filter((line) => line !== '' && !line.includes('handshake')).length;

export async function nodeStatus(node: LocalNode, options: LocalServerOptions): Promise<LocalNodeStatus> {
  const alive = isThatServer(node.pid, node.port);
  try {
    return await withServer(node.port, options, async (redis) => {
      const [info, replication, memory, nodes] = await Promise.all([redis.cluster('INFO'), redis.info('replication'), redis.info('memory'), redis.cluster('NODES')]);
      const own = String(nodes).split('\n').find((line) => line.includes('myself'))?.split(' ') ?? [];
      return {
        ...node,
        alive,
        role: field(replication, 'role') === 'master' ? 'master' : 'replica',
        clusterState: field(String(info), 'cluster_state'),
        slotsCovered: own.slice(8).reduce((sum, range) => sum + slotsIn(range), 0),
        linkUp: field(replication, 'master_link_status') === 'up',
        usedMemoryBytes: Number(field(memory, 'used_memory')),
      };
    });
  } catch (error) {
    return { ...node, alive, role: 'unknown', slotsCovered: 0, error: error instanceof Error ? error.message : String(error) };
  }
}

const field = (info: string, name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];

/** Slots in one word of CLUSTER NODES: `5`, `0-5460`; a slot on the move, `[93->-…]`, is counted by its range already. */
function slotsIn(range: string): number {
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  return match ? Number(match[2] ?? match[1]) - Number(match[1]) + 1 : 0;
}
