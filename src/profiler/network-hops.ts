/** Wallets first reached at one, two and three hops in the co-buy graph, each counted only as far as the score can tell. */
import type { CoBuyGraph } from './co-buy-graph.ts';
import { NO_ID } from './string-table.ts';
import type { TradeStore } from './trade-store.ts';

/** The network score knows no more wallets at the third hop, and no more insiders, than these. */
export const ENOUGH_THIRD_HOP = 15;
export const ENOUGH_INSIDERS = 3;

export interface Hops {
  h1: number;
  h2: number;
  /** Counted up to ENOUGH_THIRD_HOP at least. */
  h3: number;
  /** Known insiders among them, counted up to ENOUGH_INSIDERS at least. */
  insiders: number;
  /** `maxHopSteps` ran out: all counts are lower bounds. */
  truncated: boolean;
}

const NOBODY: Readonly<Hops> = { h1: 0, h2: 0, h3: 0, insiders: 0, truncated: false };

/** Keeps scratch arrays between calls: one for each thread. */
export class HopCounter {
  readonly #graph: CoBuyGraph;
  readonly #maxSteps: number;
  readonly #insider: Uint8Array;
  readonly #componentInsiders: Uint32Array;
  readonly #seenBy: Uint32Array;
  readonly #queue: Uint32Array;
  #call = 0;

  constructor(store: TradeStore, graph: CoBuyGraph, knownInsiders: readonly string[], maxSteps: number) {
    this.#graph = graph;
    this.#maxSteps = maxSteps;
    this.#insider = new Uint8Array(store.walletIdCount);
    this.#componentInsiders = new Uint32Array(graph.componentSize.length);
    for (const wallet of knownInsiders) {
      const id = store.walletId(wallet);
      if (id === NO_ID || this.#insider[id] === 1) continue;
      this.#insider[id] = 1;
      this.#componentInsiders[graph.component[id]]++;
    }
    this.#seenBy = new Uint32Array(store.walletIdCount);
    this.#queue = new Uint32Array(store.walletIdCount);
  }

  /** Breadth first. Stops as soon as nothing more can change the score: the whole component seen, or enough of everything. */
  count(wallet: number): Hops {
    const { offsets, neighbours, component, componentSize } = this.#graph;
    if (wallet === NO_ID || offsets[wallet] === offsets[wallet + 1]) return { ...NOBODY };
    const reachable = componentSize[component[wallet]] - 1;
    const insidersThere = this.#componentInsiders[component[wallet]] - this.#insider[wallet];
    const insidersWanted = Math.min(ENOUGH_INSIDERS, insidersThere);
    const call = this.#nextCall();
    const seenBy = this.#seenBy;
    const queue = this.#queue;
    const found = [0, 0, 0];
    let insiders = 0;
    let steps = 0;
    let reached = 0;
    seenBy[wallet] = call;
    queue[0] = wallet;
    let levelStart = 0;
    let end = 1;
    for (let hop = 0; hop < 3; hop++) {
      const levelEnd = end;
      for (let at = levelStart; at < levelEnd; at++) {
        for (let k = offsets[queue[at]]; k < offsets[queue[at] + 1]; k++) {
          if (steps++ >= this.#maxSteps) return { h1: found[0], h2: found[1], h3: found[2], insiders, truncated: true };
          const other = neighbours[k];
          if (seenBy[other] === call) continue;
          seenBy[other] = call;
          queue[end++] = other;
          found[hop]++;
          reached++;
          insiders += this.#insider[other];
          // Not before the third hop: who is at the second decides who is at the third.
          const enough = hop === 2 && found[2] >= ENOUGH_THIRD_HOP && insiders >= insidersWanted;
          if (enough || reached === reachable) return { h1: found[0], h2: found[1], h3: found[2], insiders, truncated: false };
        }
      }
      levelStart = levelEnd;
    }
    return { h1: found[0], h2: found[1], h3: found[2], insiders, truncated: false };
  }

  #nextCall(): number {
    if (this.#call === 0xffff_ffff) {
      this.#seenBy.fill(0);
      this.#call = 0;
    }
    return ++this.#call;
  }
}
