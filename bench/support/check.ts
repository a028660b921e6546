/** Is it right, before it is timed. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Fleet } from './profiles.ts';

export function must(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`wrong before it was timed: ${what}`);
}

/** Every field as it was written, Dates as Dates (frozen ones are a subclass, which `isDeepStrictEqual` does not take for the same). */
export function mustEqual(found: unknown, wanted: unknown, what: string): void {
  must(same(found, wanted), `${what}: ${JSON.stringify(found)?.slice(0, 200)} is not ${JSON.stringify(wanted)?.slice(0, 200)}`);
}

function same(found: unknown, wanted: unknown): boolean {
  if (wanted instanceof Date) return found instanceof Date && found.getTime() === wanted.getTime();
  if (typeof wanted !== 'object' || wanted === null) return Object.is(found, wanted);
  if (typeof found !== 'object' || found === null || Array.isArray(found) !== Array.isArray(wanted)) return false;
  const keys = Object.keys(wanted);
  if (Object.keys(found).length !== keys.length) return false;
  return keys.every((key) => same((found as Record<string, unknown>)[key], (wanted as Record<string, unknown>)[key]));
}

const CHECKED_A_TURN = 250;

/**
 * A bulk answer: all there, in order, the right ones. With turns of the event loop between: a cache whose thread stood still for a second
 * asks L2 about all of L1 anew, and L1 would not be as cold as the next round wants it.
 */
export async function mustHoldAll(found: ReadonlyMap<string, unknown>, fleet: Fleet, what: string): Promise<void> {
  must(found.size === fleet.wallets.length, `${what} found ${found.size} of ${fleet.wallets.length}`);
  let i = 0;
  for (const [wallet, profile] of found) {
    must(wallet === fleet.wallets[i], `${what} is out of order at ${i}`);
    mustEqual(profile, fleet.profiles[i], `${what}, ${wallet}`);
    if (++i % CHECKED_A_TURN === 0) await turn();
  }
}
