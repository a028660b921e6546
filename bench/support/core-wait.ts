/**
 * How long this thread has been ready to run and was not: the system had given its core to others (Linux, `/proc/<pid>/schedstat`). Where more
 * processes want to run than there are cores, a short measurement that was cut in two by another process says nothing about the code it timed.
 */
import { readFileSync } from 'node:fs';

const NS_PER_US = 1e3;

/** Microseconds since the thread began; `undefined` where the system does not tell. */
export function coreWaitUs(): number | undefined {
  try {
    // Nanoseconds on a core, nanoseconds waiting for one, times it was given one.
    const [, waitedNs] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ');
    return Number(waitedNs) / NS_PER_US;
  } catch {
    return undefined;
  }
}
