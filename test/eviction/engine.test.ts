/** The engine and the simulator run the same policy the same way: for one trace the same misses, to the last one. */
import { expect, test } from 'vitest';
import { hashOfId, replay, type Trace } from '../../src/cli/simulate-replay.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import type { EvictionPolicy, PolicyFactory } from '../../src/eviction/policy.ts';
import { L1Reader } from '../../src/l1/reader.ts';
import { createRegion } from '../../src/l1/region.ts';
import { WalletKey } from '../../src/l1/wallet-key.ts';
import { L1Writer } from '../../src/l1/writer.ts';
import { payloadFor } from '../support/l1.ts';
import { traceOf, zipfTrace } from './support.ts';

type EvictionName = keyof typeof POLICIES;
const ENTRIES = 200;

/** L1 as a cache of its own: a hit reads and touches, a miss puts. Its hashes are keyed anew for each region; the policy is given the simulator's. */
function missesOfL1(trace: Trace, name: EvictionName): number {
  let id = 0;
  return missesWith(trace, (slots): EvictionPolicy => {
    const words = new Uint32Array(slots);
    const policy = POLICIES[name](slots, { words, first: 0, step: 1 });
    const inserted = policy.inserted.bind(policy);
    return Object.assign(policy, {
      inserted: (slot: number, _hash: number, bytes: number) => {
        words[slot] = hashOfId(id);
        inserted(slot, words[slot], bytes);
      },
    });
  }, (next) => (id = next));
}

function missesWith(trace: Trace, makePolicy: PolicyFactory, announce: (id: number) => void = () => {}): number {
  const region = createRegion(ENTRIES, 1024 * 1024);
  const writer = new L1Writer(region, makePolicy);
  const reader = new L1Reader(region);
  // The same hashes in each run.
  const key = new WalletKey(1, 2);
  const payload = payloadFor('any', 1, 200);
  let misses = 0;
  for (const id of trace.ids) {
    announce(id);
    key.set(`wallet-${id}`);
    if (reader.read(key, 1_000) === 'hit') {
      writer.policy.touched(reader.slot);
      continue;
    }
    misses++;
    writer.put(key, payload, { schemaId: 1, version: misses, expiresAtMs: 1e9, createdAtMs: 0 });
  }
  expect(writer.size).toBe(ENTRIES);
  return misses;
}

const { ids } = zipfTrace(3_000, 12_000, 0.9, 17);
const traces: [string, Trace][] = [
  ['Zipf', zipfTrace(3_000, 12_000, 0.9, 17)],
  ['Zipf with scans', traceOf([...ids].map((id, at) => (at % 3_000 < 700 ? 10_000 + at : id)))],
];

for (const [title, trace] of traces) {
  for (const name of Object.keys(POLICIES) as EvictionName[]) {
    test(`${title}, ${name}`, () => expect(missesOfL1(trace, name)).toBe(replay(trace, POLICIES[name], { entries: ENTRIES }).misses));
  }
}

test.each(['s3-fifo', 'w-tinylfu', 'adaptive'] as const)('%s reads the hashes that L1 keeps anyway, and they are those it would keep itself', (name) => {
  const [, trace] = traces[0];
  expect(missesWith(trace, POLICIES[name])).toBe(missesWith(trace, (slots) => POLICIES[name](slots)));
});
