import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { bytes, count, duration, facts, table } from '../format.ts';
import { openCache } from '../open-cache.ts';
import { l2Option, l2TimeoutOption, l2Url, requireL2, type L2CommandOptions } from '../option-values.ts';
import type { Shell } from '../shell.ts';

const SLOTS = 16_384;

export function addStatsCommand(program: Command, shell: Shell): void {
  program
    .command('stats')
    .summary('health and size of the L2, node by node')
    .description('Asks the L2 how it is: which nodes answer, their role, latency and slots, and the bytes held where that is known.')
    .addOption(l2Option())
    .addOption(l2TimeoutOption())
    .addHelpText('after', `
Example:
  $ profilecache stats --l2 redis://127.0.0.1:16379`)
    .action(async (options: L2CommandOptions) => {
      const { cache, l2, close } = await openCache(shell, { l2: requireL2(l2Url(options.l2), 'stats'), l2TimeoutMs: options.l2Timeout, workers: 1 });
      try {
        const health = await cache.health();
        const store = health.l2;
        if (store === undefined) return;
        if (!store.reachable) shell.exitCode = EXIT.l2;
        await shell.object({ l2, ...store, channel: health.channel });
        if (shell.json) return;
        const answering = store.nodes.filter((node) => node.reachable).length;
        const rows: [string, string][] = [
          ['L2', l2],
          ['answers', store.reachable ? `yes${store.nodes.length > 1 ? `, ${answering} of ${store.nodes.length} nodes` : ''}` : 'no'],
        ];
        if (store.kind === 'redis') rows.push(['slots', `${count(store.slotsCovered)} of ${count(SLOTS)} served`]);
        if (store.bytes !== undefined) rows.push(['size', bytes(store.bytes)]);
        if (store.quarantined !== undefined && store.quarantined > 0) rows.push(['damaged', `${count(store.quarantined)} files set aside`]);
        rows.push(['channel', health.channel.listening ? 'listening' : 'not listening']);
        await shell.result(facts(rows));
        await shell.result(`\n${table(
          ['node', 'role', 'answers', 'latency', 'slots'],
          store.nodes.map((node) => [node.node, node.role, node.reachable ? 'yes' : `no${node.error ? `: ${node.error}` : ''}`, node.latencyMs === undefined ? '-' : duration(node.latencyMs), count(node.slotsCovered)]),
          [0, 1, 2],
        )}`);
      } finally {
        await close();
      }
    });
}
