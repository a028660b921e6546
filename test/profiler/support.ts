import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadTrades, type ProfilerOptions, type TradeInput, type WalletProfile, WalletProfiler } from '../../src/profiler/index.ts';

/** Real data lies outside of the repository: PROFILECACHE_DATA, else ../shared/data beside it. Undefined where absent. */
export function sharedData(name: string): string | undefined {
  const folder = process.env.PROFILECACHE_DATA ?? join(import.meta.dirname, '../../../shared/data');
  const path = join(folder, name);
  return existsSync(path) ? path : undefined;
}

export const T0 = 1_782_600_000;

/** `buy('A', 'M', 10, 1.5)`: wallet A buys token M for 1.5 SOL, ten seconds after T0. */
export const buy = (wallet: string, mint: string, atSeconds: number, sol = 1, more: Partial<TradeInput> = {}): TradeInput => ({
  ts: T0 + atSeconds, mint, wallet, side: 'buy', sol, tokens: 1_000, ...more,
});
export const sell = (wallet: string, mint: string, atSeconds: number, sol = 1, more: Partial<TradeInput> = {}): TradeInput => ({
  ...buy(wallet, mint, atSeconds, sol, more), side: 'sell',
});

export async function profilerOf(trades: Iterable<TradeInput>, options?: ProfilerOptions): Promise<WalletProfiler> {
  const { store } = await loadTrades(trades);
  return new WalletProfiler(store, options);
}

export async function profileOf(wallet: string, trades: Iterable<TradeInput>, options?: ProfilerOptions): Promise<WalletProfile> {
  return (await profilerOf(trades, options)).profile(wallet);
}
