/** Wallets first reached at one, two and three hops in the co-buy graph, each counted only as far as the score can tell. */
import type { CoBuyGraph } from './co-buy-graph.ts';
import { NO_ID } from './string-table.ts';
import type { TradeStore } from './trade-store.ts';

/** The network score knows no more wallets at the third hop, and no more insiders, than these. */
export const ENOUGH_THIRD_HOP = 15;
export const ENOUGH_INSIDERS = 3;

/** Beamer's alpha: how much sooner than at its last edge a wallet bottom up is expected to find one that reaches it. */
const BOTTOM_UP_GAIN = 14;

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

/**
 * Keeps scratch arrays between calls: one for each thread.
 *
 * Breadth first, and no further than the score can tell: the first two hops whole (who is at the second decides who is at
 * the third), the third until enough are found. Each hop goes from the cheaper side (Beamer, Asanovic, Patterson,
 * "Direction-Optimizing Breadth-First Search", SC 2012): top down through the edges of the hop before, or, where those
 * outweigh it, bottom up from the wallets not reached yet, each of which stops at the first neighbour that reaches it.
 * A dense component thus costs about its wallets, not its edges.
 */
export class HopCounter {
  readonly #graph: CoBuyGraph;
  readonly #maxSteps: number;
  readonly #insider: Uint8Array;
  readonly #componentInsiders: Uint32Array;
  /** Both directions of each edge. */
  readonly #componentEdges: Float64Array;
  /** Wallets of each component, one component after the other. */
  readonly #members: Uint32Array;
  readonly #memberOffsets: Uint32Array;
  /** `seenBy[w] === call`: reached in this call, at `hopOf[w]`. */
  readonly #seenBy: Uint32Array;
  readonly #hopOf: Uint8Array;
  readonly #queue: Uint32Array;
  #call = 0;

  constructor(store: TradeStore, graph: CoBuyGraph, knownInsiders: readonly string[], maxSteps: number) {
    const wallets = store.walletIdCount;
    this.#graph = graph;
    this.#maxSteps = maxSteps;
    this.#insider = new Uint8Array(wallets);
    this.#componentInsiders = new Uint32Array(graph.componentSize.length);
    for (const wallet of knownInsiders) {
      const id = store.walletId(wallet);
      if (id === NO_ID || this.#insider[id] === 1) continue;
      this.#insider[id] = 1;
      this.#componentInsiders[graph.component[id]]++;
    }
    this.#memberOffsets = new Uint32Array(graph.componentSize.length + 1);
    for (let i = 0; i < graph.componentSize.length; i++) this.#memberOffsets[i + 1] = this.#memberOffsets[i] + graph.componentSize[i];
    const next = this.#memberOffsets.slice();
    this.#members = new Uint32Array(wallets);
    for (let id = 0; id < wallets; id++) this.#members[next[graph.component[id]]++] = id;
    this.#componentEdges = new Float64Array(graph.componentSize.length);
    for (let id = 0; id < wallets; id++) this.#componentEdges[graph.component[id]] += graph.offsets[id + 1] - graph.offsets[id];
    this.#seenBy = new Uint32Array(wallets);
    this.#hopOf = new Uint8Array(wallets);
    this.#queue = new Uint32Array(wallets);
  }

  count(wallet: number): Hops {
    const { offsets, component, componentSize } = this.#graph;
    if (wallet === NO_ID || offsets[wallet] === offsets[wallet + 1]) return { ...NOBODY };
    const home = component[wallet];
    const walk = new Walk(componentSize[home] - 1, this.#componentInsiders[home] - this.#insider[wallet], this.#maxSteps);
    const call = this.#nextCall();
    this.#seenBy[wallet] = call;
    this.#hopOf[wallet] = 0;
    this.#queue[0] = wallet;
    let from = 0;
    let to = 1;
    let edgesLeft = this.#componentEdges[home];
    for (let hop = 1; hop <= 3 && !walk.done; hop++) {
      let frontierEdges = 0;
      for (let at = from; at < to; at++) frontierEdges += offsets[this.#queue[at] + 1] - offsets[this.#queue[at]];
      edgesLeft -= frontierEdges;
      const bottomUp = frontierEdges > componentSize[home] + edgesLeft / BOTTOM_UP_GAIN;
      const end = bottomUp ? this.#bottomUp(hop, to, home, call, walk) : this.#topDown(hop, from, to, call, walk);
      from = to;
      to = end;
    }
    return { h1: walk.found[1], h2: walk.found[2], h3: walk.found[3], insiders: walk.insiders, truncated: walk.truncated };
  }

  /** The neighbours of queue[from..to) that are not reached yet join the queue; returns its new end. */
  #topDown(hop: number, from: number, to: number, call: number, walk: Walk): number {
    const { offsets, neighbours } = this.#graph;
    const seenBy = this.#seenBy;
    let end = to;
    for (let at = from; at < to; at++) {
      const last = offsets[this.#queue[at] + 1];
      for (let k = offsets[this.#queue[at]]; k < last; k++) {
        const other = neighbours[k];
        if (seenBy[other] === call) continue;
        end = this.#reach(other, hop, end, call);
        walk.meet(hop, this.#insider[other]);
        if (walk.done) return end;
      }
      if (!walk.step(last - offsets[this.#queue[at]])) return end;
    }
    return end;
  }

  /** The wallets of the component that are not reached yet and have a neighbour at the hop before join the queue. */
  #bottomUp(hop: number, to: number, home: number, call: number, walk: Walk): number {
    const { offsets, neighbours } = this.#graph;
    const seenBy = this.#seenBy;
    const hopOf = this.#hopOf;
    let end = to;
    for (let m = this.#memberOffsets[home]; m < this.#memberOffsets[home + 1]; m++) {
      const other = this.#members[m];
      if (seenBy[other] === call) continue;
      const first = offsets[other];
      const last = offsets[other + 1];
      let k = first;
      while (k < last && !(seenBy[neighbours[k]] === call && hopOf[neighbours[k]] === hop - 1)) k++;
      if (!walk.step(k - first)) return end;
      if (k === last) continue;
      end = this.#reach(other, hop, end, call);
      walk.meet(hop, this.#insider[other]);
      if (walk.done) return end;
    }
    return end;
  }

  #reach(wallet: number, hop: number, end: number, call: number): number {
    this.#seenBy[wallet] = call;
    this.#hopOf[wallet] = hop;
    this.#queue[end] = wallet;
    return end + 1;
  }

  #nextCall(): number {
    if (this.#call === 0xffff_ffff) {
      this.#seenBy.fill(0);
      this.#call = 0;
    }
    return ++this.#call;
  }
}

/** Counts of one call, and when it may stop. */
class Walk {
  readonly found = [0, 0, 0, 0];
  insiders = 0;
  reached = 0;
  done = false;
  truncated = false;
  readonly #reachable: number;
  readonly #insidersWanted: number;
  #stepsLeft: number;

  constructor(reachable: number, insidersThere: number, maxSteps: number) {
    this.#reachable = reachable;
    this.#insidersWanted = Math.min(ENOUGH_INSIDERS, insidersThere);
    this.#stepsLeft = maxSteps;
  }

  /** Counts neighbours looked at. False when the steps ran out. */
  step(steps: number): boolean {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft >= 0) return true;
    this.truncated = true;
    this.done = true;
    return false;
  }

  meet(hop: number, insider: number): void {
    this.found[hop]++;
    this.reached++;
    this.insiders += insider;
    const enough = hop === 3 && this.found[3] >= ENOUGH_THIRD_HOP && this.insiders >= this.#insidersWanted;
    this.done = enough || this.reached === this.#reachable;
  }
}
