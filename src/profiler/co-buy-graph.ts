/**
 * Who bought with whom, as a graph in compressed rows: neighbours of wallet w = neighbours[offsets[w] .. offsets[w + 1]), ascending.
 *
 * An edge joins two wallets that bought the same token at most `coBuyWindowSeconds` apart on at least `coBuyMinTokens` tokens,
 * or that a trade names as wallet and counterparty. Exchange wallets have no edges.
 *
 * Cost. A wallet that bought fewer than `coBuyMinTokens` tokens can have no co-buy edge and drops out first; what is left of
 * each token's buys is paired along time, wallet by wallet, with one counter per wallet (a row of a sparse matrix product:
 * Gustavson, ACM TOMS 4(3), 1978), so memory is that of the edges and time that of the pairs. Pairs are bounded:
 * two buys more than `maxCoBuyNeighbours` places apart in their token's list are no pair. The rule is symmetrical, so the
 * graph stays undirected; `droppedPairs` counts what it left out, 0 meaning that the graph is exact.
 */
import type { ResolvedProfilerOptions } from './options.ts';
import { NO_ID, sharedUint32 } from './string-table.ts';
import { BUY, type TradeStore } from './trade-store.ts';

const DAY_SECONDS = 86_400;

/** Plain data over shared memory, as SharedTrades is. */
export interface CoBuyGraph {
  readonly offsets: Uint32Array;
  readonly neighbours: Uint32Array;
  /** Number of the connected component of each wallet, and the number of wallets in each component. */
  readonly component: Uint32Array;
  readonly componentSize: Uint32Array;
  /** Pairs of buys inside the window that were left out because they lie more than `maxCoBuyNeighbours` places apart. */
  readonly droppedPairs: number;
}

export type GraphOptions = Pick<
  ResolvedProfilerOptions,
  'lookbackDays' | 'coBuyWindowSeconds' | 'coBuyMinTokens' | 'maxCoBuyNeighbours' | 'exchangeWallets'
>;

export function buildCoBuyGraph(store: TradeStore, nowSeconds: number, options: GraphOptions): CoBuyGraph {
  const fromTs = nowSeconds - options.lookbackDays * DAY_SECONDS;
  const exchange = new Uint8Array(store.walletIdCount);
  for (const wallet of options.exchangeWallets) {
    const id = store.walletId(wallet);
    if (id !== NO_ID) exchange[id] = 1;
  }
  const buys = candidateBuys(store, fromTs, nowSeconds, exchange, options.coBuyMinTokens);
  const links = counterpartyLinks(store, fromTs, nowSeconds, exchange);
  const wallets = store.walletIdCount;
  const window = options.coBuyWindowSeconds;
  const offsets = sharedUint32(wallets + 1);
  const edges = new GrowingUint32();
  // One counter per wallet: `tokensWith[v]` is the tokens that the wallet at hand co-bought with v; `lastToken` counts each once.
  const tokensWith = new Uint32Array(wallets);
  const lastToken = new Uint32Array(wallets).fill(NO_ID);
  const met: number[] = [];
  let dropped = 0;

  for (let wallet = 0; wallet < wallets; wallet++) {
    for (let k = buys.walletOffsets[wallet]; k < buys.walletOffsets[wallet + 1]; k++) {
      const at = buys.walletBuys[k];
      const mint = buys.mint[at];
      const ts = buys.ts[at];
      const last = Math.min(buys.mintOffsets[mint + 1] - 1, at + options.maxCoBuyNeighbours);
      const first = Math.max(buys.mintOffsets[mint], at - options.maxCoBuyNeighbours);
      const meet = (other: number) => {
        if (lastToken[other] === mint || other === wallet) return;
        lastToken[other] = mint;
        if (tokensWith[other]++ === 0) met.push(other);
      };
      // The later time minus the earlier, on both sides: rounding must not make a pair one-sided.
      let i = at + 1;
      while (i <= last && buys.ts[i] - ts <= window) meet(buys.wallet[i++]);
      // Each pair is seen from both sides and counted from its earlier one.
      if (i > last) dropped += windowEnd(buys.ts, i, buys.mintOffsets[mint + 1], ts, window) - i;
      for (i = at - 1; i >= first && ts - buys.ts[i] <= window; i--) meet(buys.wallet[i]);
    }
    for (let k = links.offsets[wallet]; k < links.offsets[wallet + 1]; k++) {
      const other = links.targets[k];
      if (tokensWith[other] === 0) met.push(other);
      tokensWith[other] = options.coBuyMinTokens;
    }
    const row = met.filter((other) => tokensWith[other] >= options.coBuyMinTokens).sort((a, b) => a - b);
    for (const other of row) edges.push(other);
    for (const other of met) {
      tokensWith[other] = 0;
      lastToken[other] = NO_ID;
    }
    met.length = 0;
    offsets[wallet + 1] = edges.length;
  }
  const neighbours = edges.toShared();
  return { offsets, neighbours, ...components(offsets, neighbours), droppedPairs: dropped };
}

interface Buys {
  /** By token, then time: the buys that may make an edge. One a wallet, token and second. */
  ts: Float64Array;
  wallet: Uint32Array;
  mint: Uint32Array;
  mintOffsets: Uint32Array;
  walletOffsets: Uint32Array;
  walletBuys: Uint32Array;
}

function candidateBuys(store: TradeStore, fromTs: number, nowSeconds: number, exchange: Uint8Array, minTokens: number): Buys {
  const c = store.columns;
  const counts = (row: number) => c.side[row] === BUY && c.ts[row] > fromTs && c.ts[row] <= nowSeconds && exchange[c.wallet[row]] === 0;
  const tokensBought = new Uint32Array(store.walletIdCount);
  const lastMint = new Uint32Array(store.walletIdCount).fill(NO_ID);
  for (let mint = 0; mint < store.tokenCount; mint++) {
    for (let k = c.mintOffsets[mint]; k < c.mintOffsets[mint + 1]; k++) {
      const row = c.mintTrades[k];
      if (!counts(row) || lastMint[c.wallet[row]] === mint) continue;
      lastMint[c.wallet[row]] = mint;
      tokensBought[c.wallet[row]]++;
    }
  }
  const rows = new GrowingUint32();
  const mintOffsets = new Uint32Array(store.tokenCount + 1);
  const lastTs = new Float64Array(store.walletIdCount);
  lastMint.fill(NO_ID);
  for (let mint = 0; mint < store.tokenCount; mint++) {
    for (let k = c.mintOffsets[mint]; k < c.mintOffsets[mint + 1]; k++) {
      const row = c.mintTrades[k];
      const wallet = c.wallet[row];
      if (!counts(row) || tokensBought[wallet] < minTokens) continue;
      if (lastMint[wallet] === mint && lastTs[wallet] === c.ts[row]) continue;
      lastMint[wallet] = mint;
      lastTs[wallet] = c.ts[row];
      rows.push(row);
    }
    mintOffsets[mint + 1] = rows.length;
  }
  const kept = rows.view();
  const wallet = Uint32Array.from(kept, (row) => c.wallet[row]);
  const walletOffsets = new Uint32Array(store.walletIdCount + 1);
  for (const id of wallet) walletOffsets[id + 1]++;
  for (let id = 0; id < store.walletIdCount; id++) walletOffsets[id + 1] += walletOffsets[id];
  const next = walletOffsets.slice();
  const walletBuys = new Uint32Array(kept.length);
  for (let at = 0; at < kept.length; at++) walletBuys[next[wallet[at]]++] = at;
  return { ts: Float64Array.from(kept, (row) => c.ts[row]), wallet, mint: Uint32Array.from(kept, (row) => c.mint[row]), mintOffsets, walletOffsets, walletBuys };
}

/** Wallet and counterparty, both ways; the same pair may come several times. */
function counterpartyLinks(store: TradeStore, fromTs: number, nowSeconds: number, exchange: Uint8Array): { offsets: Uint32Array; targets: Uint32Array } {
  const c = store.columns;
  const offsets = new Uint32Array(store.walletIdCount + 1);
  const rows: number[] = [];
  for (let row = 0; row < c.counterparty.length; row++) {
    const [a, b] = [c.wallet[row], c.counterparty[row]];
    if (b === NO_ID || a === b || c.ts[row] <= fromTs || c.ts[row] > nowSeconds || exchange[a] !== 0 || exchange[b] !== 0) continue;
    rows.push(row);
    offsets[a + 1]++;
    offsets[b + 1]++;
  }
  for (let id = 0; id < store.walletIdCount; id++) offsets[id + 1] += offsets[id];
  const next = offsets.slice();
  const targets = new Uint32Array(rows.length * 2);
  for (const row of rows) {
    const [a, b] = [c.wallet[row], c.counterparty[row]];
    targets[next[a]++] = b;
    targets[next[b]++] = a;
  }
  return { offsets, targets };
}

function components(offsets: Uint32Array, neighbours: Uint32Array): { component: Uint32Array; componentSize: Uint32Array } {
  const wallets = offsets.length - 1;
  const component = sharedUint32(wallets).fill(NO_ID);
  const sizes = new GrowingUint32();
  const queue = new Uint32Array(wallets);
  for (let start = 0; start < wallets; start++) {
    if (component[start] !== NO_ID) continue;
    const number = sizes.length;
    let end = 1;
    queue[0] = start;
    component[start] = number;
    for (let at = 0; at < end; at++) {
      for (let k = offsets[queue[at]]; k < offsets[queue[at] + 1]; k++) {
        const other = neighbours[k];
        if (component[other] !== NO_ID) continue;
        component[other] = number;
        queue[end++] = other;
      }
    }
    sizes.push(end);
  }
  return { component, componentSize: sizes.toShared() };
}

/** First index in [from, to) that lies more than `window` after `ts`. */
function windowEnd(times: Float64Array, from: number, to: number, ts: number, window: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (times[middle] - ts <= window) from = middle + 1;
    else to = middle;
  }
  return from;
}

class GrowingUint32 {
  length = 0;
  #values = new Uint32Array(1_024);

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Uint32Array(this.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  view(): Uint32Array {
    return this.#values.subarray(0, this.length);
  }

  toShared(): Uint32Array {
    const shared = sharedUint32(this.length);
    shared.set(this.view());
    return shared;
  }
}
