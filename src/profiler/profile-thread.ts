/** What a profiling thread does: batches of wallets in, msgpack bytes out. `workers/profile.ts` is its entry. */
import { Packr, Unpackr } from 'msgpackr/pack';
import { ProfileCacheError, type WireError } from '../errors.ts';
import { buildCoBuyGraph, type CoBuyGraph } from './co-buy-graph.ts';
import { parseProfilerOptions, type ProfilerOptions } from './options.ts';
import { type SharedTrades, TradeStore } from './trade-store.ts';
import type { WalletProfile } from './wallet-profile.ts';
import { WalletProfiler } from './wallet-profiler.ts';

/** Given to every thread at its start. Shared memory: nothing is copied. */
export interface ProfileThreadData {
  trades: SharedTrades;
  /** With `nowSeconds` filled in, so that all threads agree on it. */
  options: ProfilerOptions & { nowSeconds: number };
}

export type ProfileTask =
  | { kind: 'graph' }
  /** The graph comes with every batch (five references to shared memory): a thread that replaces a dead one needs nothing else. */
  | { kind: 'profile'; graph: CoBuyGraph; wallets: string[] };

/** Errors travel as data: structured clone loses their code. */
export type ProfileReply =
  | { kind: 'graph'; graph: CoBuyGraph }
  | { kind: 'profiles'; bytes: Uint8Array }
  | { kind: 'error'; error: WireError };

export function openProfileThread(data: ProfileThreadData): (task: ProfileTask) => ProfileReply {
  const store = TradeStore.attach(data.trades);
  let profiler: WalletProfiler | undefined;
  return (task) => {
    try {
      if (task.kind === 'graph') {
        return { kind: 'graph', graph: buildCoBuyGraph(store, data.options.nowSeconds, parseProfilerOptions(data.options)) };
      }
      profiler ??= new WalletProfiler(store, data.options, task.graph);
      const profiles: WalletProfile[] = [];
      for (const wallet of task.wallets) profiles.push(profiler.profile(wallet));
      return { kind: 'profiles', bytes: encodeProfiles(profiles) };
    } catch (error) {
      return { kind: 'error', error: ProfileCacheError.from(error, 'ERR_WORKER').toWire() };
    }
  };
}

// Records with their structure inside each message: field names once a batch, and no table that two threads could disagree on.
const packr = new Packr();
const unpackr = new Unpackr();

function encodeProfiles(profiles: WalletProfile[]): Uint8Array {
  // A copy of its own: `pack` returns a part of a slab, and structured clone would send the whole of it.
  return Uint8Array.prototype.slice.call(packr.pack(profiles));
}

export function decodeProfiles(bytes: Uint8Array): WalletProfile[] {
  return unpackr.unpack(bytes) as WalletProfile[];
}
