/**
 * An eviction policy decides on slots. It sees neither keys nor values: a hash (for ghosts), a size, and what happened.
 * One slot is one entry from `inserted` to `removed`. The same code runs in the engine and in the simulator.
 */
import type { KeptHashes } from './slot-hashes.ts';

export interface EvictionPolicy {
  readonly name: string;
  /** Memory it has taken: all of it when it is made. */
  readonly bytes: number;
  /** `slot` holds a new entry. */
  inserted(slot: number, hash: number, bytes: number): void;
  /** The entry was read, or overwritten in place of its key. */
  touched(slot: number): void;
  /** The entry takes so many bytes from now on. Absent where a policy does not look at sizes. */
  resized?(slot: number, bytes: number): void;
  /** The entry is gone: evicted, removed or expired. */
  removed(slot: number): void;
  /** The slot that should go next, or -1 when there is none. The caller removes it, and says so. */
  victim(): number;
  /** Forget all. */
  reset(): void;
  /** Throws when the policy's own structure is broken; `resident` is every slot in use. For tests. */
  verify(resident: ReadonlySet<number>): void;
}

/** @param hashes Where those of the slots stand; a policy that is given none keeps its own. */
export type PolicyFactory = (slotCount: number, hashes?: KeptHashes) => EvictionPolicy;
