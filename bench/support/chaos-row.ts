/** One row of the chaos matrix: what it does, what it saw, and whether that passes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProfileCacheOptions } from 'profilecache';
import type { ChaosCluster } from './chaos-cluster.ts';
import { CHAOS_PASSWORD } from './chaos-cluster.ts';
import { ChaosLoad } from './chaos-load.ts';
import { L2_TIMEOUT_MS } from './chaos-cache.ts';
import type { Oracle } from './chaos-oracle.ts';
import type { ChaosProxies } from './chaos-proxy.ts';

/** A read may take this much longer than its deadline, and as much again as our own event loop stood still. */
export const DEADLINE_SLACK_MS = 50;
const BASELINE_MS = 1_000;

export interface Check {
  text: string;
  ok: boolean;
}

export interface RowFigures {
  operations: number;
  /** Rejected. A read that L2 could not answer is a miss, and is counted in `unanswered`. */
  failed: number;
  unanswered: number;
  queued: number;
  stallMs: number;
  lagMs: number;
  hung: number;
  stale: number;
  wrong: number;
  /** From the fault (or from its end, where it lasts) to the last operation that L2 did not answer. */
  recoveryMs: number | undefined;
}

export interface RowOutcome extends Partial<RowFigures> {
  checks: Check[];
  notes: string[];
}

export interface RowContext {
  cluster: ChaosCluster;
  /** Where the product finds the cluster: the nodes, or proxies before them. */
  nodes: readonly { host: string; port: number }[];
  /** Where the row runs behind them. */
  proxies?: ChaosProxies;
  seed: number;
}

export interface Row {
  id: string;
  fault: string;
  /** What it runs on: the cluster as it is, the cluster behind proxies, or nothing but this machine. */
  on: 'cluster' | 'proxies' | 'nothing';
  run(context: RowContext): Promise<RowOutcome>;
}

const MAX_REASONS = 3;

export const check = (ok: boolean, text: string): Check => ({ ok, text });
export const atMost = (what: string, value: number | undefined, bound: number, unit = ''): Check =>
  check(value !== undefined && value <= bound, `${what} ${value === undefined ? 'never' : Math.round(value)}${unit} <= ${bound}${unit}`);

export function optionsOf(context: RowContext, id: string): ProfileCacheOptions {
  return {
    l2: { kind: 'redis', nodes: [...context.nodes], password: CHAOS_PASSWORD, keyPrefix: `chaos-${id}-${context.seed}:` },
    channel: { name: `chaos-${id}` },
  };
}

export interface Marks {
  /** Longest operation; the default is the deadline of L2. */
  stallMs?: number;
  recoveryMs?: number;
  /** Reads that L2 did not answer, and queued writes: 0 for faults that must not be noticed. */
  unnoticed?: boolean;
  /** Acknowledged profiles that an older one stood for at the end, to whoever opened the cache then; Infinity where Redis promises nothing. */
  lostAndVisible?: number;
}

export interface Act {
  load: ChaosLoad;
  cluster: ChaosCluster;
  wait(ms: number): Promise<void>;
  /** Recovery counts from now: the fault has ended. */
  faultEnds(): void;
  checks: Check[];
  notes: string[];
  faultMs: number;
}

/** Runs the load, does the fault, mends the cluster, and judges what is common to all rows. */
export async function underLoad(context: RowContext, id: string, marks: Marks, act: (act: Act) => Promise<void>, oracle?: Oracle): Promise<RowOutcome> {
  const { cluster } = context;
  const load = await ChaosLoad.start(optionsOf(context, id), context.seed, oracle);
  const checks: Check[] = [];
  const notes: string[] = [];
  try {
    await sleep(BASELINE_MS);
    load.resetFigures();
    const before = { unanswered: load.unanswered, queued: load.queued };
    let recoverFromMs = performance.now();
    const faultMs = recoverFromMs;
    await act({ load, cluster, wait: sleep, checks, notes, faultMs, faultEnds: () => void (recoverFromMs = performance.now()) });
    await load.stop();
    const unanswered = load.unanswered - before.unanswered;
    const queued = load.queued - before.queued;
    await cluster.heal();
    const { drained, old, gone, unrepaired } = await load.settle();
    const recoveryMs = load.lastFailureMs === 0 ? undefined : Math.max(0, load.lastFailureMs - recoverFromMs);
    const { oracle: judge } = load;
    const figures: RowFigures = {
      operations: load.operations, failed: load.failed, unanswered, queued, stallMs: load.longestMs, lagMs: load.loopLagMs,
      hung: load.hung, stale: judge.stale, wrong: judge.wrong, recoveryMs,
    };
    const stallMark = (marks.stallMs ?? L2_TIMEOUT_MS + DEADLINE_SLACK_MS) + Math.round(load.loopLagMs);
    checks.push(
      check(load.failed === 0, `failed ${load.failed} = 0`),
      check(load.hung === 0, `hung ${load.hung} = 0`),
      check(judge.stale === 0, `stale ${judge.stale} = 0`),
      check(judge.wrong === 0, `wrong ${judge.wrong} = 0`),
      atMost('stall', load.longestMs, stallMark, ' ms'),
      check(drained, 'queue drained'),
      ...(marks.lostAndVisible === Infinity ? [] : [atMost('old at the end', old, marks.lostAndVisible ?? 0)]),
      check(unrepaired === 0, `held by a process and older in L2 ${unrepaired} = 0`),
    );
    if (marks.unnoticed) checks.push(check(unanswered + queued === 0, `unanswered and queued ${unanswered + queued} = 0`));
    if (marks.recoveryMs !== undefined) checks.push(atMost('recovery', recoveryMs ?? 0, marks.recoveryMs, ' ms'));
    notes.push(...load.notes, ...judge.notes, `longest: ${load.longestWhat}`);
    const reasons = [...load.reasons].sort((a, b) => b[1] - a[1]).slice(0, MAX_REASONS);
    if (reasons.length > 0) notes.push(`errors told: ${reasons.map(([reason, times]) => `${times} x ${reason}`).join(' | ')}`);
    if (marks.lostAndVisible === Infinity) notes.push(`${old} acknowledged profiles were older ones in the end, to a cache opened then`);
    if (gone > 0) notes.push(`${gone} acknowledged profiles were a miss at the end`);
    if (judge.longestStaleMs > 0) notes.push(`stale for up to ${Math.round(judge.longestStaleMs)} ms`);
    return { ...figures, checks, notes };
  } finally {
    await load.close();
    await cluster.heal();
  }
}
