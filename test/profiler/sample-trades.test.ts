import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { generateSampleTrades, loadTrades, WalletProfiler, writeSampleTrades } from '../../src/profiler/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'profilecache-sample-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const SMALL = { seed: 5, wallets: 300, tokens: 20, trades: 4_000 };

test('exactly what was asked: trades, wallets, tokens; in order of time; nothing malformed, no duplicates', async () => {
  const trades = [...generateSampleTrades(SMALL)];
  expect(trades.length).toBe(4_000);
  expect(trades.every((t, i) => i === 0 || Number(t.ts) >= Number(trades[i - 1].ts))).toBe(true);
  const { report } = await loadTrades(trades, { maxMalformedShare: 0 });
  expect(report).toMatchObject({ trades: 4_000, duplicates: 0, malformed: 0, wallets: 300, tokens: 20 });
});

test.each([{ wallets: 1, tokens: 1, trades: 1 }, { wallets: 5, tokens: 9, trades: 5 }, { wallets: 50, tokens: 3, trades: 50 }, { wallets: 500, tokens: 2, trades: 40 }, { wallets: 2, tokens: 1, trades: 500 }])(
  'small sizes too: %j',
  async (sizes) => {
    const { report } = await loadTrades(generateSampleTrades({ seed: 3, ...sizes }), { maxMalformedShare: 0 });
    expect(report.trades).toBe(sizes.trades);
    expect(report.wallets).toBe(Math.min(sizes.wallets, sizes.trades));
    expect(report.tokens).toBe(Math.min(sizes.tokens, sizes.trades));
  },
);

test('same seed, same bytes; another seed, others', async () => {
  await writeSampleTrades(at('a.csv.gz'), SMALL);
  await writeSampleTrades(at('b.csv.gz'), SMALL);
  await writeSampleTrades(at('c.csv.gz'), { ...SMALL, seed: 6 });
  expect(readFileSync(at('a.csv.gz'))).toEqual(readFileSync(at('b.csv.gz')));
  expect(readFileSync(at('a.csv.gz'))).not.toEqual(readFileSync(at('c.csv.gz')));
});

test('the name decides the form; all forms hold the same trades', async () => {
  const trades = [...generateSampleTrades(SMALL)];
  for (const name of ['t.csv', 't.csv.gz', 't.ndjson', 't.jsonl.gz']) {
    const written = await writeSampleTrades(at(name), SMALL);
    expect(written.rows).toBe(4_000);
    const bytes = readFileSync(at(name));
    expect(bytes.length).toBe(written.bytes);
    const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
    expect(text.startsWith(name.startsWith('t.csv') ? 'ts,mint,wallet,' : '{"ts":')).toBe(true);
    const { store } = await loadTrades(at(name));
    expect(store.trade(2_000)).toMatchObject({ wallet: trades[2_000].wallet, sol: trades[2_000].sol, tokens: trades[2_000].tokens });
  }
});

describe('looks like pump.fun', () => {
  test('44-character names, launches before trades, no wallet sells what it does not hold, the curve sets the price', () => {
    const held = new Map<string, number>();
    for (const t of generateSampleTrades(SMALL)) {
      expect(t.wallet).toMatch(/^[1-9A-HJ-NP-Za-km-z]{44}$/);
      expect(t.mint).toMatch(/^[1-9A-HJ-NP-Za-km-z]{40}pump$/);
      expect(Number(t.ts)).toBeGreaterThanOrEqual(Number(t.token_created_ts));
      const key = `${t.wallet} ${t.mint}`;
      const after = (held.get(key) ?? 0) + (t.side === 'buy' ? Number(t.tokens) : -Number(t.tokens));
      expect(after).toBeGreaterThan(-1e-3);
      held.set(key, after);
      if (Number(t.tokens) > 0) expect(Number(t.price) / (Number(t.sol) / Number(t.tokens))).toBeCloseTo(1, 6);
    }
  });

  test('activity is uneven, and the profiles show snipers, clusters, whales and plain wallets', async () => {
    const { store } = await loadTrades(generateSampleTrades({ seed: 1, wallets: 1_000, tokens: 50, trades: 20_000 }));
    const profiler = new WalletProfiler(store);
    const profiles = profiler.wallets().map((wallet) => profiler.profile(wallet));
    const share = (holds: (p: (typeof profiles)[0]) => boolean) => profiles.filter(holds).length / profiles.length;
    const counts = profiles.map((p) => p.total_trades).sort((a, b) => b - a);
    expect(counts[0]).toBeGreaterThan(10 * counts[500]);
    for (const mark of ['sniper_bot_suspected', 'CLUSTER_CONNECTED', 'flash_trading_pattern']) {
      expect(share((p) => p.indicators.includes(mark)), mark).toBeGreaterThan(0);
      expect(share((p) => p.indicators.includes(mark)), mark).toBeLessThan(0.95);
    }
    expect(new Set(profiles.map((p) => p.severity)).size).toBeGreaterThan(1);
    expect(share((p) => p.volumes.largest_trade_sol > 5)).toBeGreaterThan(0.005);
  });
});

test('bad options, a folder that is not there, an abort: typed errors and no half file', async () => {
  expect(() => generateSampleTrades({ wallets: 0 })).toThrow(expect.objectContaining({ code: 'ERR_OPTION', option: 'wallets' }));
  expect(() => generateSampleTrades({ sed: 1 } as never)).toThrow(expect.objectContaining({ code: 'ERR_OPTION', option: 'sed' }));
  await expect(writeSampleTrades(join(folder, 'no', 'x.csv'), SMALL)).rejects.toMatchObject({ code: 'ERR_TRADES_FILE' });
  const controller = new AbortController();
  await expect(writeSampleTrades(at('aborted.csv'), { ...SMALL, signal: controller.signal, onProgress: () => controller.abort() })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  expect(readdirSync(folder).filter((name) => name.includes('aborted') || name.includes('partial'))).toEqual([]);
});
