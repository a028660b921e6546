import { defineConfig } from 'vitest/config';

// These start servers of their own, or change nothing that another file would notice: they run beside the others.
const ownNodes = [
  'test/cache/behaviours-redis.cluster.test.ts',
  'test/cache/outage.cluster.test.ts',
  'test/cache/repair.cluster.test.ts',
  'test/chaos/faults.cluster.test.ts',
  'test/cli/cluster.cluster.test.ts',
];

// `unit` needs no server. `cluster` starts one six-node Redis Cluster for all of its files and runs them one after the other.
// `nodes` has a cluster of its own, too, and runs side by side with `unit`.
export default defineConfig({
  test: {
    // Behaviour is tested, not speed: a busy machine may take its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/**/*.cluster.test.ts'] },
      },
      {
        extends: true,
        test: { name: 'nodes', include: ownNodes, globalSetup: ['test/support/cluster-setup.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'cluster',
          include: ['test/**/*.cluster.test.ts'],
          exclude: ownNodes,
          globalSetup: ['test/support/cluster-setup.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
});
