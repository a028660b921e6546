/**
 * The order of the test files: what takes longest begins first, so that no long file runs alone at the end; files that mostly wait (for
 * timeouts, failovers and processes) lie between those that compute, so that one's pauses are another's time.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By their time on two cores. What is not named comes after these, with Redis first. */
const LONGEST = [
  'model/every-order-1', 'model/every-order-2', 'cache/behaviours-redis', 'cli/profile', 'model/mutants', 'cli/store-commands', 'chaos/faults', 'cli/cluster',
  'l2/redis-faults', 'cache/gap', 'cache/loading-redis', 'l2/redis-connect', 'l2/embedded-crash', 'cache/outage', 'l2/embedded-damage', 'threads/l1-torture',
];

function rank({ moduleId, project }: TestSpecification): number {
  const at = LONGEST.findIndex((name) => moduleId.includes(`/test/${name}.`));
  if (at >= 0) return at;
  return project.name === 'cluster' ? LONGEST.length : LONGEST.length + 1;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // By name within a rank: the order is the same on every machine.
    return [...files].sort((a, b) => rank(a) - rank(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}
