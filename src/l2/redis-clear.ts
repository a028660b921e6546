/**
 * Removes the profiles of one cache from every master, in bounded steps, so that Redis serves others in between.
 * SCAN promises to name every key that is there from its start to its end; a key written meanwhile has a newer version anyway.
 */
import { ProfileCacheError } from '../errors.ts';
import { replyError, timeoutError, unavailableError, verdictOf } from './redis-errors.ts';
import type { Arg, RedisNode } from './redis-node.ts';
import { CLEAR_SCRIPT } from './redis-scripts.ts';
import type { RedisTopology } from './redis-topology.ts';
import { NoAnswer, withTimeout } from './redis-topology.ts';
import type { KeyLayout } from './slots.ts';
import { keySlot } from './slots.ts';

const SCAN_COUNT = 500;
const CLEAR_MAX_KEYS = 64;
/** Times that a whole clear is begun again because slots moved while it ran. */
const MAX_ROUNDS = 5;
const ROUND_PAUSE_MS = 100;

const FLOORS_AT_ONCE = 256;

/**
 * Before anything is removed: a write of another process that is on its way would arrive in the emptied store otherwise.
 * They last for `lifeMs`. Resolves with the highest that stands now: that of another clear, where that is newer. `raise` runs FLOOR_SCRIPT in one slot with these arguments.
 */
export async function raiseFloors(layout: KeyLayout, standalone: boolean, version: number, lifeMs: number, raise: (slot: number, args: Arg[]) => Promise<unknown>): Promise<number> {
  const limit = Buffer.alloc(8);
  limit.writeDoubleLE(version);
  const slots = floorSlots(layout, standalone);
  let highest = version;
  for (let from = 0; from < slots.length; from += FLOORS_AT_ONCE) {
    const stand = await Promise.all(slots.slice(from, from + FLOORS_AT_ONCE).map((slot) => raise(slot, [1, layout.floorKeyOf(slot), limit, lifeMs])));
    for (const floor of stand) highest = Math.max(highest, floorOf(floor));
  }
  return highest;
}

/** Each has a floor of its own. */
export const floorSlots = (layout: KeyLayout, standalone: boolean): readonly number[] => (standalone ? [0] : [...layout.profileSlots()]);

/** The version that a floor's value tells; 0 for what is none. */
export const floorOf = (value: unknown): number => (Buffer.isBuffer(value) && value.length === 8 ? value.readDoubleLE(0) : 0);

/**
 * Resolves with the highest version of a profile that it left; 0 when it left none. Throws ERR_L2_UNAVAILABLE (or _AUTH, _TIMEOUT) when a master
 * could not be cleared; running it again is safe. `timeoutMs()` is what the next command may take: 0 when nobody waits any more.
 */
export async function clearProfiles(topology: RedisTopology, layout: KeyLayout, version: number, timeoutMs: () => number): Promise<number> {
  const limit = Buffer.alloc(8);
  limit.writeDoubleLE(version);
  for (let round = 1; ; round++) {
    const masters = topology.masters();
    if (masters.length === 0) throw unavailableError('any', 'no master is known');
    const left = await Promise.all(masters.map((node) => clearNode(node, topology, layout, limit, timeoutMs)));
    if (left.every((highest) => highest !== undefined)) return Math.max(...left);
    if (round >= MAX_ROUNDS) throw new ProfileCacheError('ERR_L2_UNAVAILABLE', `slots moved during each of ${MAX_ROUNDS} attempts to clear; try again when the cluster has settled`);
    topology.refreshSoon();
    await topology.waitForChange(ROUND_PAUSE_MS * round);
  }
}

/** Highest version that it left; undefined when some of its keys turned out to be served by another node: the round has to be run again. */
async function clearNode(node: RedisNode, topology: RedisTopology, layout: KeyLayout, limit: Buffer, timeoutMs: () => number): Promise<number | undefined> {
  let cursor = '0';
  let left: number | undefined = 0;
  do {
    const [next, keys] = (await call(node, 'scan', [cursor, 'MATCH', layout.scanPattern, 'COUNT', SCAN_COUNT], timeoutMs())) as [Buffer, Buffer[]];
    const bySlot = new Map<number, Buffer[]>();
    for (const key of keys) {
      const text = key.toString('utf8');
      // A foreign key that the pattern lets through; keys that are no UTF-8 are none of ours either.
      if (layout.walletOf(text) === undefined) continue;
      const slot = topology.standalone ? 0 : keySlot(text);
      const group = bySlot.get(slot);
      if (group) group.push(key);
      else bySlot.set(slot, [key]);
    }
    const results = await Promise.all([...bySlot.values()].flatMap((group) => slices(group).map((part) => clearKeys(node, part, limit, timeoutMs()))));
    for (const highest of results) left = left === undefined || highest === undefined ? undefined : Math.max(left, highest);
    cursor = next.toString();
  } while (cursor !== '0');
  return left;
}

function slices(keys: Buffer[]): Buffer[][] {
  return Array.from({ length: Math.ceil(keys.length / CLEAR_MAX_KEYS) }, (_, i) => keys.slice(i * CLEAR_MAX_KEYS, (i + 1) * CLEAR_MAX_KEYS));
}

async function clearKeys(node: RedisNode, keys: Buffer[], limit: Buffer, timeoutMs: number): Promise<number | undefined> {
  const rest: Arg[] = [keys.length, ...keys, limit];
  if (timeoutMs === 0) throw timeoutError(timeoutMs, node.name);
  try {
    return floorOf(await withTimeout(node.forWrites.send('evalsha', [CLEAR_SCRIPT.sha, ...rest]).catch((error: unknown) => {
      if (verdictOf(error, node.name).kind !== 'noscript') throw error;
      return node.forWrites.send('eval', [CLEAR_SCRIPT.text, ...rest]);
    }), timeoutMs));
  } catch (error) {
    const verdict = verdictOf(error, node.name);
    if (verdict.kind === 'moved' || verdict.kind === 'ask' || verdict.kind === 'split' || verdict.kind === 'later') return undefined;
    throw asError(error, node, timeoutMs);
  }
}

async function call(node: RedisNode, name: string, args: Arg[], timeoutMs: number): Promise<unknown> {
  if (timeoutMs === 0) throw timeoutError(timeoutMs, node.name);
  try {
    return await withTimeout(node.send(name, args), timeoutMs);
  } catch (error) {
    throw asError(error, node, timeoutMs);
  }
}

function asError(error: unknown, node: RedisNode, timeoutMs: number): ProfileCacheError {
  if (error instanceof NoAnswer) return timeoutError(timeoutMs, node.name);
  const verdict = verdictOf(error, node.name);
  if (verdict.kind === 'fatal') return verdict.error;
  return verdict.kind === 'lost' ? unavailableError(node.name, node.lastError?.message || 'connection lost') : replyError(String(error), node.name);
}
