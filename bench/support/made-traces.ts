/**
 * Traces made up for bench/eviction-table.ts: patterns with a name, from a seed, unlike any of the recorded ones. They show where a policy breaks, and that
 * what was chosen on the recorded traces holds elsewhere. Nothing is chosen by them alone.
 */
import type { Trace } from '../../src/cli/simulate-replay.ts';
import { seededRandom, zipfRanks } from './profiles.ts';

type Random = () => number;

/** Keys from here on are asked for once. */
const ONCE = 10_000_000;

type Maker = (random: Random) => (at: number) => number;

const zipfOf = (keys: number, exponent: number): Maker => (random) => zipfRanks(keys, exponent, random);

const PATTERNS: Record<string, Maker> = {
  'made-zipf-0.6': zipfOf(8_000, 0.6),
  'made-zipf-0.8': zipfOf(30_000, 0.8),
  'made-zipf-1.2': zipfOf(60_000, 1.2),
  /** What is popular moves on by one key every 12 requests. */
  'made-drift': (random) => {
    const rank = zipfRanks(9_000, 0.95, random);
    return (at) => rank() + Math.floor(at / 12);
  },
  /** A new item every 8 requests; half of all requests go to the last few. */
  'made-news': (random) => (at) => Math.max(0, Math.floor(at / 8) - Math.floor(random() ** 6 * 6_000)),
  /** Depth in an LRU stack, most of the time small. */
  'made-stack': (random) => {
    const stack: number[] = Array.from({ length: 4_000 }, (_, key) => key);
    let fresh = stack.length;
    return () => {
      const depth = Math.floor(0.6 / (random() + 1e-4));
      const [key] = depth < stack.length ? stack.splice(depth, 1) : [fresh++];
      if (depth >= stack.length) stack.pop();
      stack.unshift(key);
      return key;
    };
  },
  'made-loop': () => (at) => at % 3_000,
  /** Three loops and a Zipf, taken in turns by chance. */
  'made-loops': (random) => {
    const rank = zipfRanks(3_000, 0.9, random);
    const places = [0, 0, 0];
    return () => {
      const which = Math.floor(random() * 4);
      return which === 3 ? 500_000 + rank() : which * 100_000 + places[which]++ % [400, 1_500, 5_000][which];
    };
  },
  /** Every 10,000 requests a scan of 4,000 keys, nine of ten requests of that time. */
  'made-scans': (random) => {
    const rank = zipfRanks(6_000, 0.85, random);
    let fresh = ONCE;
    return (at) => (at % 10_000 >= 6_000 && random() < 0.9 ? fresh++ : rank());
  },
  /** Nothing is left of a phase after 15,000 requests. */
  'made-phases': (random) => {
    const ranks = [zipfRanks(4_000, 0.7, random), zipfRanks(2_500, 1, random)];
    return (at) => {
      const phase = Math.floor(at / 15_000);
      return phase * 10_000 + (phase % 3 === 2 ? at % 2_000 : ranks[phase % 2]());
    };
  },
  /** A walk from the root to a leaf: 1, 30, 900 and 27,000 pages. */
  'made-tree': (random) => {
    let leaf = 0;
    return (at) => {
      if (at % 4 === 0) leaf = Math.floor(random() ** 2 * 27_000);
      return [0, 1 + Math.floor(leaf / 900), 100 + Math.floor(leaf / 30), 2_000 + leaf][at % 4];
    };
  },
  /** Files of 1 to 64 blocks, read from their beginning. */
  'made-files': (random) => {
    const rank = zipfRanks(1_500, 0.8, random);
    let file = 0;
    let block = Infinity;
    return () => {
      if (block >= 1 + ((file * 7_919) % 64)) {
        file = rank();
        block = 0;
      }
      return file * 64 + block++;
    };
  },
  /** To the end and back: LRU is the optimum, or nearly. */
  'made-zigzag': () => (at) => 1_299 - Math.abs(1_299 - (at % 2_598)),
  /** To and fro, each time to another place. */
  'made-sweeps': (random) => {
    let [place, end] = [0, 0];
    return () => {
      while (place === end) end = Math.floor(random() * 3_000);
      return (place += Math.sign(end - place));
    };
  },
  /** Half of what is asked for once is asked for once more, soon or late; then never. */
  'made-twice': (random) => {
    const due = new Map<number, number>();
    let fresh = 0;
    return (at) => {
      const key = due.get(at);
      if (key !== undefined) {
        due.delete(at);
        return key;
      }
      if (random() < 0.5) due.set(at + 1 + Math.floor(10 ** (1 + 3 * random())), fresh);
      return fresh++;
    };
  },
};

export const MADE_TRACES = Object.keys(PATTERNS);

export function madeTrace(name: string, requests = 120_000): Trace {
  const next = PATTERNS[name](seededRandom([...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7)));
  const ids = new Uint32Array(requests);
  const known = new Map<number, number>();
  for (let at = 0; at < requests; at++) {
    const key = next(at);
    let id = known.get(key);
    if (id === undefined) known.set(key, (id = known.size));
    ids[at] = id;
  }
  return { ids, uniqueKeys: known.size };
}
