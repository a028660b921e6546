import { defineConfig } from 'vitest/config';

// `unit` needs no server. `cluster` starts one six-node Redis Cluster for all of its files and runs them one after the other.
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
        test: {
          name: 'cluster',
          include: ['test/**/*.cluster.test.ts'],
          globalSetup: ['test/support/cluster-setup.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
});
