import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

// `unit` needs no server. Files of `cluster` talk to Redis: to servers of their slot in the pool (test/support/redis-servers.ts), or to their own.
// So every file may run beside every other.
export default defineConfig({
  test: {
    // Behaviour is tested, not speed: a busy machine may take its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One more than the cores it is meant for: many tests wait.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/**/*.cluster.test.ts'] },
      },
      {
        extends: true,
        test: { name: 'cluster', include: ['test/**/*.cluster.test.ts'], globalSetup: ['test/support/cluster-setup.ts'] },
      },
    ],
  },
});
