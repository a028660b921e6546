import { describe, expect, test } from 'vitest';
import { type CoBuyGraph, loadTrades, type ProfilerOptions, type TradeInput, WalletProfiler } from '../../src/profiler/index.ts';
import { HopCounter } from '../../src/profiler/network-hops.ts';
import { buy, sell } from './support.ts';

/** `links(g)`: 'a-b' for every edge, each once, plus a check that the graph is undirected. */
async function graphOf(trades: TradeInput[], options?: ProfilerOptions) {
  const { store } = await loadTrades(trades);
  const profiler = new WalletProfiler(store, options);
  const { graph } = profiler;
  const name = (id: number) => store.walletName(id);
  const directed: string[] = [];
  for (let id = 0; id < store.walletIdCount; id++) {
    for (let k = graph.offsets[id]; k < graph.offsets[id + 1]; k++) directed.push(`${name(id)}-${name(graph.neighbours[k])}`);
  }
  const edges = directed.filter((edge) => edge.split('-')[0] < edge.split('-')[1]).sort();
  expect(directed.length).toBe(2 * edges.length);
  for (const edge of edges) expect(directed).toContain(edge.split('-').reverse().join('-'));
  return { graph, edges, profiler, store };
}

/** The two buy both tokens together. */
const together = (a: string, b: string, from: number): TradeInput[] =>
  ['X', 'Y'].flatMap((mint) => [buy(a, `${mint}${from}`, from), buy(b, `${mint}${from}`, from)]);

/** A path w0 - w1 - ... - wn, far apart in time. */
const chain = (length: number): TradeInput[] => Array.from({ length }, (_, i) => together(`w${i}`, `w${i + 1}`, i * 1_000)).flat();

describe('edges', () => {
  test('two tokens within two seconds make an edge; one token, three seconds or a sell do not', async () => {
    expect((await graphOf([buy('a', 'X', 0), buy('b', 'X', 2), buy('a', 'Y', 50), buy('b', 'Y', 48)])).edges).toEqual(['a-b']);
    expect((await graphOf([buy('a', 'X', 0), buy('b', 'X', 0), buy('a', 'X', 90), buy('b', 'X', 90)])).edges).toEqual([]);
    expect((await graphOf([buy('a', 'X', 0), buy('b', 'X', 3), buy('a', 'Y', 0), buy('b', 'Y', 0)])).edges).toEqual([]);
    expect((await graphOf([buy('a', 'X', 0), sell('b', 'X', 0), buy('a', 'Y', 0), buy('b', 'Y', 0)])).edges).toEqual([]);
  });

  test('window and number of tokens are options', async () => {
    const rows = [buy('a', 'X', 0), buy('b', 'X', 5)];
    expect((await graphOf(rows, { coBuyWindowSeconds: 5, coBuyMinTokens: 1 })).edges).toEqual(['a-b']);
    expect((await graphOf(rows, { coBuyWindowSeconds: 4, coBuyMinTokens: 1 })).edges).toEqual([]);
    expect((await graphOf(rows, { coBuyWindowSeconds: 5 })).edges).toEqual([]);
  });

  test('exchange wallets are no edges', async () => {
    const rows = [...together('a', 'b', 0), ...together('b', 'c', 100)];
    expect((await graphOf(rows)).edges).toEqual(['a-b', 'b-c']);
    expect((await graphOf(rows, { exchangeWallets: ['b', 'nobody'] })).edges).toEqual([]);
  });

  test('a counterparty is an edge by itself, even one that never trades; not itself, not an exchange', async () => {
    const rows = [buy('a', 'X', 0, 1, { counterparty: 'p' }), buy('b', 'X', 500, 1, { counterparty: 'b' }), sell('c', 'X', 900, 1, { counterparty: 'a' })];
    const { edges, store, profiler } = await graphOf(rows);
    expect(edges).toEqual(['a-c', 'a-p']);
    expect(store.wallets()).toEqual(['a', 'b', 'c']);
    expect(profiler.profile('p')).toMatchObject({ source: 'no-trades', total_trades: 0 });
    expect((await graphOf(rows, { exchangeWallets: ['p'] })).edges).toEqual(['a-c']);
  });

  test('only the lookback window, only up to now', async () => {
    const rows = [...together('a', 'b', 0), buy('c', 'Z', 40 * 86_400)];
    expect((await graphOf(rows)).edges).toEqual([]);
    expect((await graphOf(rows, { lookbackDays: 41 })).edges).toEqual(['a-b']);
    expect((await graphOf(rows, { nowSeconds: 1 })).edges).toEqual([]);
  });

  test('maxCoBuyNeighbours bounds the pairs of a crowded second, symmetrically, and counts what it left out', async () => {
    const crowd = ['X', 'Y'].flatMap((mint) => Array.from({ length: 10 }, (_, i) => buy(`w${i}`, mint, 0)));
    const whole = await graphOf(crowd);
    expect(whole.edges.length).toBe(45);
    expect(whole.graph.droppedPairs).toBe(0);
    const bounded = await graphOf(crowd, { maxCoBuyNeighbours: 3 });
    // Places at most 3 apart: 9 + 8 + 7 of the 45 pairs, on each of the two tokens.
    expect(bounded.edges.length).toBe(24);
    expect(bounded.graph.droppedPairs).toBe(2 * (45 - 24));
  });

  test('twenty thousand buyers in one second stay within the bound', async () => {
    const crowd = ['X', 'Y'].flatMap((mint) => Array.from({ length: 20_000 }, (_, i) => buy(`w${i}`, mint, 0)));
    const { store } = await loadTrades(crowd);
    const { graph } = new WalletProfiler(store, { maxCoBuyNeighbours: 16 });
    expect(graph.neighbours.length).toBeLessThanOrEqual(20_000 * 32);
    expect(graph.droppedPairs).toBe(2 * ((20_000 * 19_999) / 2 - (20_000 * 16 - (16 * 17) / 2)));
  });
});

describe('hops', () => {
  const counterOf = (store: ConstructorParameters<typeof HopCounter>[0], graph: CoBuyGraph, insiders: string[] = [], steps = 1e6) =>
    new HopCounter(store, graph, insiders, steps);

  test('along a path: one wallet at each hop, not more than three hops', async () => {
    const { store, graph, profiler } = await graphOf(chain(6));
    const count = counterOf(store, graph).count(store.walletId('w0'));
    expect(count).toMatchObject({ h1: 1, h2: 1, h3: 1, truncated: false });
    expect(counterOf(store, graph).count(store.walletId('w3'))).toMatchObject({ h1: 2, h2: 2, h3: 2 });
    expect(profiler.profile('w0').network_score).toBeCloseTo(0.12 + 0.03 + 0.1 / 15, 12);
  });

  test('insiders within three hops count, the wallet itself and the fourth hop do not; three raise the score by 1.3', async () => {
    const rows = chain(6);
    const score = async (knownInsiders: string[]) => (await graphOf(rows, { knownInsiders })).profiler.profile('w0').network_score;
    const plain = 0.12 + 0.03 + 0.1 / 15;
    expect(await score(['w1', 'w2', 'w3'])).toBeCloseTo(plain * 1.3, 12);
    expect(await score(['w1', 'w2', 'w0'])).toBeCloseTo(plain, 12);
    expect(await score(['w1', 'w2', 'w4', 'unknown'])).toBeCloseTo(plain, 12);
  });

  test('the bound on steps gives lower bounds and says so', async () => {
    const { store, graph } = await graphOf(chain(6));
    const count = counterOf(store, graph, [], 2).count(store.walletId('w3'));
    expect(count.truncated).toBe(true);
    expect(count.h1 + count.h2 + count.h3).toBeLessThan(6);
  });

  test('from either side, top down and bottom up, on random graphs: as a plain breadth-first search counts', async () => {
    let seed = 12345;
    const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
    for (const [wallets, meetings] of [[30, 20], [60, 70], [120, 400], [40, 400], [200, 230]]) {
      const rows = Array.from({ length: meetings }, (_, i) => together(`w${Math.floor(random() * wallets)}`, `w${Math.floor(random() ** 2 * wallets)}`, i * 100)).flat();
      const insiders = Array.from({ length: 6 }, () => `w${Math.floor(random() * wallets)}`);
      const { store, graph } = await graphOf(rows);
      const counter = counterOf(store, graph, insiders);
      for (let id = 0; id < store.walletIdCount; id++) {
        const got = counter.count(id);
        const want = plainHops(graph, id);
        expect([got.h1, got.h2, Math.min(15, got.h3)]).toEqual([want[0].length, want[1].length, Math.min(15, want[2].length)]);
        const known = want.flat().filter((other) => insiders.includes(store.walletName(other))).length;
        expect(Math.min(3, got.insiders)).toBe(Math.min(3, known));
      }
    }
  });
});

function plainHops(graph: CoBuyGraph, start: number): number[][] {
  const seen = new Set([start]);
  let level = [start];
  return [1, 2, 3].map(() => {
    const next = new Set(level.flatMap((id) => [...graph.neighbours.subarray(graph.offsets[id], graph.offsets[id + 1])]).filter((id) => !seen.has(id)));
    for (const id of next) seen.add(id);
    return (level = [...next]);
  });
}
