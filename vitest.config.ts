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
    // A quarter of the model's CPU went into compiling the same functions again: each full collection drops the code of closures that do not live
    // just then (V8 holds it weakly), and one of a small heap comes every 200 schedules. With these flags a schedule costs 0.83 of what it did.
    execArgv: ['--initial-heap-size=256', '--min-semi-space-size=16', '--no-flush-bytecode', '--max-inlined-bytecode-size-cumulative=300'],
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
