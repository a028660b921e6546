/**
 * Trades as columns in shared memory. Row order is time, ties in the order of the source.
 *
 *   per trade   ts f64 (unix s) | wallet u32 | mint u32 | side u8 (0 buy, 1 sell) | sol f64 | tokens f64 | counterparty u32 (absent: length 0)
 *   per wallet  walletOffsets u32[wallets + 1] -> walletTrades u32[trades]: its rows, in time order
 *   per token   mintOffsets   u32[tokens + 1]  -> mintTrades   u32[trades]: its rows, in time order
 *               createdTs f64 (NaN: not known) | launchTs f64 (createdTs, else the first trade by anybody)
 *
 * Written once, by `TradeBuilder.freeze`; read-only from then on, by any thread, without a lock.
 */
import { NO_ID, type SharedStrings, StringTable } from './string-table.ts';
import type { Trade } from './trade.ts';

export const BUY = 0;
export const SELL = 1;

/** The whole store as plain data: typed arrays over SharedArrayBuffers. Post it to a thread without a transfer list. */
export interface SharedTrades {
  readonly ts: Float64Array;
  readonly wallet: Uint32Array;
  readonly mint: Uint32Array;
  readonly side: Uint8Array;
  readonly sol: Float64Array;
  readonly tokens: Float64Array;
  /** NO_ID where a trade has none; of length 0 where the source has no such column. */
  readonly counterparty: Uint32Array;
  readonly walletOffsets: Uint32Array;
  readonly walletTrades: Uint32Array;
  readonly mintOffsets: Uint32Array;
  readonly mintTrades: Uint32Array;
  readonly createdTs: Float64Array;
  readonly launchTs: Float64Array;
  readonly walletNames: SharedStrings;
  readonly mintNames: SharedStrings;
}

export class TradeStore {
  /** The columns; index them by row, wallet id or mint id. */
  readonly columns: SharedTrades;
  readonly #wallets: StringTable;
  readonly #mints: StringTable;

  private constructor(columns: SharedTrades) {
    this.columns = columns;
    this.#wallets = new StringTable(columns.walletNames);
    this.#mints = new StringTable(columns.mintNames);
  }

  /** Opens, on any thread, what `share()` of another gave. Copies nothing. */
  static attach(columns: SharedTrades): TradeStore {
    return new TradeStore(columns);
  }

  share(): SharedTrades {
    return this.columns;
  }

  get tradeCount(): number {
    return this.columns.ts.length;
  }

  /** Ids run from 0 to this; those of wallets known only as a counterparty have no trades. */
  get walletIdCount(): number {
    return this.#wallets.count;
  }

  get tokenCount(): number {
    return this.#mints.count;
  }

  /** Unix seconds; NaN in an empty store. */
  get newestTs(): number {
    return this.columns.ts.length === 0 ? NaN : this.columns.ts[this.columns.ts.length - 1];
  }

  /** NO_ID when the store does not know the wallet. */
  walletId(wallet: string): number {
    return this.#wallets.find(wallet);
  }

  /** The wallet's part of `walletTrades`; empty for NO_ID. */
  walletRange(id: number): { start: number; end: number } {
    if (id === NO_ID) return { start: 0, end: 0 };
    return { start: this.columns.walletOffsets[id], end: this.columns.walletOffsets[id + 1] };
  }

  walletName(id: number): string {
    return this.#wallets.at(id);
  }

  mintName(id: number): string {
    return this.#mints.at(id);
  }

  /** Wallets with at least one trade. */
  get tradingWalletCount(): number {
    const { walletOffsets } = this.columns;
    let count = 0;
    for (let id = 0; id < this.walletIdCount; id++) if (walletOffsets[id + 1] > walletOffsets[id]) count++;
    return count;
  }

  /** Wallets with at least one trade, in the order of their first row in the source. */
  wallets(): string[] {
    const { walletOffsets } = this.columns;
    const names: string[] = [];
    for (let id = 0; id < this.walletIdCount; id++) {
      if (walletOffsets[id + 1] > walletOffsets[id]) names.push(this.walletName(id));
    }
    return names;
  }

  trade(row: number): Trade {
    const c = this.columns;
    const created = c.createdTs[c.mint[row]];
    const counterparty = c.counterparty.length === 0 ? NO_ID : c.counterparty[row];
    return {
      ts: c.ts[row],
      mint: this.mintName(c.mint[row]),
      wallet: this.walletName(c.wallet[row]),
      side: c.side[row] === BUY ? 'buy' : 'sell',
      sol: c.sol[row],
      tokens: c.tokens[row],
      token_created_ts: Number.isNaN(created) ? null : created,
      counterparty: counterparty === NO_ID ? null : this.walletName(counterparty),
    };
  }
}
