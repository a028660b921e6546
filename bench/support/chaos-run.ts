/** Runs rows one after the other: one cluster for those on the cluster, one behind proxies, and a search of all that was said for secrets. */
import { loadavg } from 'node:os';
import { CHAOS_PASSWORD, ChaosCluster } from './chaos-cluster.ts';
import { said } from './chaos-cache.ts';
import { PROFILE_MARK } from './chaos-oracle.ts';
import { ChaosProxies } from './chaos-proxy.ts';
import type { Row, RowContext, RowOutcome } from './chaos-row.ts';

export interface RowReport extends RowOutcome {
  id: string;
  fault: string;
  verdict: 'pass' | 'MISSED' | 'BROKEN';
  /** Load average of the machine when the row ended. */
  load: number;
  seconds: number;
}

export async function* runRows(rows: readonly Row[], seed: number): AsyncGenerator<RowReport> {
  for (const on of ['nothing', 'cluster', 'proxies'] as const) {
    const some = rows.filter((row) => row.on === on);
    if (some.length === 0) continue;
    const cluster = on === 'nothing' ? undefined : await ChaosCluster.start();
    let proxies: ChaosProxies | undefined;
    try {
      proxies = on === 'proxies' ? await ChaosProxies.before(cluster!) : undefined;
      for (const row of some) {
        const context: RowContext = { cluster: cluster!, proxies, nodes: proxies?.addresses ?? cluster?.addresses ?? [], seed };
        yield await runRow(row, context);
      }
    } finally {
      proxies?.close();
      await cluster?.stop();
    }
  }
  if (rows.some(({ on }) => on !== 'nothing')) yield secretsRow();
}

async function runRow(row: Row, context: RowContext): Promise<RowReport> {
  const startMs = performance.now();
  const { id, fault } = row;
  const about = () => ({ id, fault, load: loadavg()[0], seconds: Math.round((performance.now() - startMs) / 1e3) });
  try {
    const outcome = await row.run(context);
    return { ...outcome, ...about(), verdict: outcome.checks.every(({ ok }) => ok) ? 'pass' : 'MISSED' };
  } catch (error) {
    // The row itself, not what it looks at; the rows after it may still tell something.
    context.proxies?.mend();
    await context.cluster?.heal().catch(() => undefined); // The next row's own heal tells.
    return { ...about(), checks: [], notes: [`the row could not be run: ${(error as Error).message}`], verdict: 'BROKEN' };
  }
}

/** Everything that the caches of this run emitted, taken apart to the last property. */
function secretsRow(): RowReport {
  const text = said.join('\n');
  const hits = [CHAOS_PASSWORD, PROFILE_MARK].filter((secret) => text.includes(secret)).length;
  return {
    id: 'S', fault: 'the password or a value of a profile in anything that was said', load: loadavg()[0], seconds: 0,
    verdict: hits === 0 ? 'pass' : 'MISSED', checks: [{ ok: hits === 0, text: `secrets found ${hits} = 0` }],
    notes: [`${said.length} different errors and events searched, ${(text.length / 1024).toFixed(0)} KB`],
  };
}
