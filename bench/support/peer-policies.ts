/**
 * Policies of others to measure against, as replays of whole traces: they may look at the key that is coming, which an `EvictionPolicy` may not. Of the engine
 * they use the queues alone. Each returns its misses.
 */
import type { Trace } from '../../src/cli/simulate-replay.ts';
import { SlotQueues } from '../../src/eviction/slot-queues.ts';

export type Peer = (trace: Trace, entries: number) => number;

const NOWHERE = 255;

/** Queues of keys that know in which of them a key is. */
class Lists extends SlotQueues {
  readonly where: Uint8Array;

  constructor(keys: number, lists: number) {
    super(keys, lists);
    this.where = new Uint8Array(keys).fill(NOWHERE);
  }

  move(key: number, to: number): void {
    this.drop(key);
    this.where[key] = to;
    this.pushFirst(to, key);
  }

  drop(key: number): void {
    if (this.where[key] !== NOWHERE) this.unlink(this.where[key], key);
    this.where[key] = NOWHERE;
  }
}

/** N. Megiddo, D. Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, figure 4. */
export const arc: Peer = ({ ids, uniqueKeys }, entries) => {
  const [T1, T2, B1, B2] = [0, 1, 2, 3];
  const lists = new Lists(uniqueKeys, 4);
  const { sizes, where } = lists;
  let goal = 0;
  let misses = 0;
  const replace = (fromB2: boolean) => {
    const first = sizes[T1] > 0 && (sizes[T1] > goal || (fromB2 && sizes[T1] === Math.floor(goal)));
    lists.move(lists.last(first ? T1 : T2), first ? B1 : B2);
  };
  for (const id of ids) {
    const held = where[id];
    if (held === T1 || held === T2) {
      lists.move(id, T2);
      continue;
    }
    misses++;
    if (held === B1) {
      goal = Math.min(entries, goal + Math.max(1, sizes[B2] / sizes[B1]));
      replace(false);
    } else if (held === B2) {
      goal = Math.max(0, goal - Math.max(1, sizes[B1] / sizes[B2]));
      replace(true);
    } else if (sizes[T1] + sizes[B1] === entries) {
      if (sizes[T1] < entries) {
        lists.drop(lists.last(B1));
        replace(false);
      } else lists.drop(lists.last(T1));
    } else {
      const known = sizes[T1] + sizes[T2] + sizes[B1] + sizes[B2];
      if (known >= entries) {
        if (known === 2 * entries) lists.drop(lists.last(B2));
        replace(false);
      }
    }
    lists.move(id, held === NOWHERE ? T1 : T2);
  }
  return misses;
};

/** T. Johnson, D. Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement Algorithm", VLDB 1994: the full version, a quarter in, a half remembered. */
export const twoQ: Peer = ({ ids, uniqueKeys }, entries) => {
  const [IN, MAIN, OUT] = [0, 1, 2];
  const lists = new Lists(uniqueKeys, 3);
  const { sizes, where } = lists;
  const inGoal = Math.max(1, Math.floor(entries / 4));
  const outGoal = Math.max(1, Math.floor(entries / 2));
  let misses = 0;
  for (const id of ids) {
    const held = where[id];
    if (held === MAIN) lists.move(id, MAIN);
    if (held === MAIN || held === IN) continue;
    misses++;
    if (sizes[IN] + sizes[MAIN] === entries) {
      if (sizes[IN] > inGoal || sizes[MAIN] === 0) {
        lists.move(lists.last(IN), OUT);
        if (sizes[OUT] > outGoal) lists.drop(lists.last(OUT));
      } else lists.drop(lists.last(MAIN));
    }
    // Whoever has just been pushed out of what is remembered is new again.
    lists.move(id, where[id] === OUT ? MAIN : IN);
  }
  return misses;
};

/** Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi, "SIEVE is Simpler than LRU", NSDI 2024. */
export const sieve: Peer = ({ ids, uniqueKeys }, entries) => {
  /** A ring of places in order of insertion cannot close gaps: links to the newer and older neighbour. */
  const newer = new Int32Array(uniqueKeys).fill(-1);
  const older = new Int32Array(uniqueKeys).fill(-1);
  const resident = new Uint8Array(uniqueKeys);
  const visited = new Uint8Array(uniqueKeys);
  let [head, tail, hand, size, misses] = [-1, -1, -1, 0, 0];
  for (const id of ids) {
    if (resident[id]) {
      visited[id] = 1;
      continue;
    }
    misses++;
    if (size === entries) {
      let victim = hand < 0 ? tail : hand;
      while (visited[victim]) {
        visited[victim] = 0;
        victim = newer[victim] < 0 ? tail : newer[victim];
      }
      hand = newer[victim];
      if (newer[victim] < 0) head = older[victim];
      else older[newer[victim]] = older[victim];
      if (older[victim] < 0) tail = newer[victim];
      else newer[older[victim]] = newer[victim];
      resident[victim] = 0;
      size--;
    }
    resident[id] = 1;
    visited[id] = 0;
    older[id] = head;
    newer[id] = -1;
    if (head >= 0) newer[head] = id;
    else tail = id;
    head = id;
    size++;
  }
  return misses;
};

/**
 * S. Jiang, X. Zhang, "LIRS: An Efficient Low Inter-reference Recency Set Replacement Policy to Improve Buffer Cache Performance", SIGMETRICS 2002: a hundredth for blocks
 * of high recency. The stack remembers at most two evicted keys an entry, which the paper leaves open.
 */
export const lirs: Peer = ({ ids, uniqueKeys }, entries) => {
  const [RESIDENT, GONE] = [0, 1];
  const REMEMBERED = 2;
  const stack = new Lists(uniqueKeys, 1);
  /** Blocks of high recency: resident ones in order of eviction, and those that the stack remembers. */
  const high = new Lists(uniqueKeys, 2);
  const low = new Uint8Array(uniqueKeys);
  const lowGoal = entries - Math.max(1, Math.floor(entries / 100));
  let lowCount = 0;
  let misses = 0;
  const prune = () => {
    for (let bottom = stack.last(0); bottom >= 0 && !low[bottom]; bottom = stack.last(0)) {
      stack.drop(bottom);
      if (high.where[bottom] === GONE) high.drop(bottom);
    }
  };
  const makeLow = (id: number) => {
    high.drop(id);
    low[id] = 1;
    lowCount++;
    stack.move(id, 0);
    if (lowCount <= lowGoal) return;
    const bottom = stack.last(0);
    stack.drop(bottom);
    low[bottom] = 0;
    lowCount--;
    high.move(bottom, RESIDENT);
    prune();
  };
  for (const id of ids) {
    const inStack = stack.where[id] === 0;
    if (low[id]) {
      stack.move(id, 0);
      prune();
    } else if (high.where[id] === RESIDENT) {
      if (inStack) makeLow(id);
      else {
        stack.move(id, 0);
        high.move(id, RESIDENT);
      }
    } else {
      misses++;
      if (lowCount + high.sizes[RESIDENT] === entries) {
        const victim = high.last(RESIDENT);
        if (stack.where[victim] === 0) high.move(victim, GONE);
        else high.drop(victim);
        if (high.sizes[GONE] > REMEMBERED * entries) {
          const forgotten = high.last(GONE);
          high.drop(forgotten);
          stack.drop(forgotten);
        }
      }
      if (lowCount < lowGoal || stack.where[id] === 0) makeLow(id);
      else {
        stack.move(id, 0);
        high.move(id, RESIDENT);
      }
    }
  }
  return misses;
};

export const PEERS: Record<string, Peer> = { LIRS: lirs, ARC: arc, '2Q': twoQ, SIEVE: sieve };
