/** Trades and the profiler threads over them, each opened when first needed. */
import { stat } from 'node:fs/promises';
import { ProfileCacheError } from '../errors.ts';
import type { LoadTradesOptions, ProfilerPool, TradeReport, TradeStore } from '../index.ts';
import type { ProfilerPoolOptions } from '../profiler/profiler-pool.ts';
import type { WalletProfile } from '../profiler/wallet-profile.ts';
import { count, plural } from './format.ts';
import type { Shell } from './shell.ts';

export class TradesProfiler {
  readonly path: string;
  readMs = 0;
  readonly #shell: Shell;
  readonly #loadOptions: LoadTradesOptions;
  readonly #poolOptions: ProfilerPoolOptions;
  #loaded: { store: TradeStore; report: TradeReport } | undefined;
  #pool: ProfilerPool | undefined;

  constructor(shell: Shell, path: string, loadOptions: LoadTradesOptions, poolOptions: ProfilerPoolOptions) {
    this.path = path;
    this.#shell = shell;
    this.#loadOptions = loadOptions;
    this.#poolOptions = poolOptions;
  }

  /** Undefined while the trades have not been needed. */
  get report(): TradeReport | undefined {
    return this.#loaded?.report;
  }

  /** For a run that may need no trades at all: a wrong name is still a mistake. @throws ERR_TRADES_FILE */
  async requireFile(): Promise<void> {
    const found = await stat(this.path).catch((cause: NodeJS.ErrnoException) => {
      throw new ProfileCacheError('ERR_TRADES_FILE', `${this.path}: ${cause.code === 'ENOENT' ? 'there is no such file' : cause.message}`, { cause });
    });
    if (found.isDirectory()) throw new ProfileCacheError('ERR_TRADES_FILE', `${this.path}: it is a folder`);
  }

  /** @throws ERR_TRADES_FILE, ERR_TRADES_FORMAT, ERR_ABORTED */
  async read(): Promise<TradeStore> {
    if (this.#loaded !== undefined) return this.#loaded.store;
    const startedMs = performance.now();
    const stage = this.#shell.progress.stage({ name: 'Reading trades', total: null, unit: 'bytes' });
    const { loadTrades } = await import('../profiler/load-trades.ts');
    this.#loaded = await loadTrades(this.path, {
      ...this.#loadOptions,
      signal: this.#shell.stop.signal,
      onProgress: ({ bytesRead, bytesTotal, rows }) => stage.update(bytesRead, `${count(rows)} rows`, bytesTotal),
    });
    stage.end(`${plural(this.#loaded.report.trades, 'trade')} of ${plural(this.#loaded.report.wallets, 'wallet')}`);
    this.readMs = performance.now() - startedMs;
    return this.#loaded.store;
  }

  /** @throws as `read`, and ERR_WORKER */
  async open(): Promise<{ threads: number; profileMany(wallets: string[]): Promise<ReadonlyMap<string, WalletProfile>> }> {
    const store = await this.read();
    const stage = this.#shell.progress.stage({ name: 'Starting profiler', total: null });
    const { ProfilerPool } = await import('../profiler/profiler-pool.ts');
    const pool = await ProfilerPool.open(store, this.#poolOptions);
    this.#pool = pool;
    stage.end(plural(pool.threads, 'thread'));
    return { threads: pool.threads, profileMany: (wallets) => pool.profileMany(wallets) };
  }

  /**
   * Profiles up to `most` wallets once more, with nothing else going on: during a run the profiler shares the cores with L2.
   * @returns milliseconds a wallet; undefined when no thread has been started.
   */
  async measure(most: number): Promise<number | undefined> {
    if (this.#pool === undefined || this.#loaded === undefined || most < 1) return undefined;
    const sample = this.#loaded.store.wallets().slice(0, most);
    const startedMs = performance.now();
    await this.#pool.profileMany(sample);
    return (performance.now() - startedMs) / sample.length;
  }

  get threads(): number | undefined {
    return this.#pool?.threads;
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }
}
