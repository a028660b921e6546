/** A bulk update: entries are encoded and handed on in parts, two under way at once, and a refused one keeps no other from being written. */
import { ProfileCacheError, UpdateRefusedError } from '../errors.ts';
import { Pacer } from './deferred.ts';
import type { EncodedUpdate, UpdateResult } from './write-path.ts';

/** Entries handed on at once: enough that those of a hash-tag bucket travel together. */
export const PART_ENTRIES = 1_000;
const PARTS_IN_FLIGHT = 2;

export interface UpdateCounts {
  /** Entries that L1 holds now. */
  l1: number;
  stored: number;
  queued: number;
  skipped: number;
}

export interface BulkUpdateParts {
  /** Throws for an entry that is refused. */
  encode(wallet: unknown, profile: unknown): EncodedUpdate;
  send(part: EncodedUpdate[]): Promise<UpdateResult[]>;
}

/**
 * @param entries with the place that each had in the caller's list.
 * @throws UpdateRefusedError listing the refused ones in the caller's order, after all others have been written.
 */
export async function updateMany(entries: Iterable<readonly [number, readonly [unknown, unknown] | undefined]>, { encode, send }: BulkUpdateParts): Promise<UpdateCounts> {
  const counts: UpdateCounts = { l1: 0, stored: 0, queued: 0, skipped: 0 };
  const refused: { at: number; wallet: unknown; error: ProfileCacheError }[] = [];
  const inFlight = new Set<Promise<void>>();
  const begin = (part: EncodedUpdate[]) => {
    const sending = send(part).then((results) => {
      for (const { l1, l2 } of results) {
        if (l1) counts.l1++;
        counts[l2]++;
      }
    }).finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  };
  const pacer = new Pacer();
  let part: EncodedUpdate[] = [];
  for (const [at, entry] of entries) {
    try {
      part.push(encode(entry?.[0], entry?.[1]));
    } catch (error) {
      refused.push({ at, wallet: entry?.[0], error: ProfileCacheError.from(error, 'ERR_PROFILE') });
    }
    if (part.length === PART_ENTRIES) {
      begin(part);
      part = [];
      while (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight);
    }
    if (pacer.due) await pacer.pause();
  }
  if (part.length > 0) begin(part);
  await Promise.all(inFlight);
  if (refused.length > 0) throw new UpdateRefusedError(refused.sort((a, b) => a.at - b.at).map(({ wallet, error }) => ({ wallet, error })), counts);
  return counts;
}

/**
 * Invalidates many, in parts, two of them under way at once.
 * @param wallets each once, in the order of going out, with the place that each had in the caller's list.
 */
export async function invalidateAll(wallets: Iterable<readonly [number, readonly [string]]>, send: (part: readonly string[]) => Promise<void>): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  const begin = (part: readonly string[]) => {
    const sending = send(part).finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  };
  let part: string[] = [];
  for (const [, [wallet]] of wallets) {
    part.push(wallet);
    if (part.length < PART_ENTRIES) continue;
    begin(part);
    part = [];
    while (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight);
  }
  if (part.length > 0) begin(part);
  await Promise.all(inFlight);
}
