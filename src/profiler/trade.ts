/** One trade as the profiler knows it, and as sources may write it. */

export type Side = 'buy' | 'sell';

/**
 * A trade as an iterable or an NDJSON line gives it. Numbers may be numeric text.
 * `ts` and `token_created_ts`: unix seconds, unix milliseconds (from 1e11 on), ISO 8601 (UTC where no zone is named) or a Date.
 */
export interface TradeInput {
  ts: number | string | Date;
  /** Token. */
  mint: string;
  /** Any text of 1 to 1,024 bytes in UTF-8; it need not be base58. */
  wallet: string;
  /** In any case. */
  side: Side | Uppercase<Side>;
  /** SOL paid or received, >= 0. */
  sol: number | string;
  /** Tokens received or paid, >= 0. */
  tokens: number | string;
  price?: number | string | null;
  venue?: string | null;
  signature?: string | null;
  /** Launch of the token. Where rows of one token disagree, the earliest counts. */
  token_created_ts?: number | string | Date | null;
  /** Wallet on the other side, where the source knows it: an edge of the network by itself. */
  counterparty?: string | null;
}

/** A trade of the store, times in unix seconds. */
export interface Trade {
  ts: number;
  mint: string;
  wallet: string;
  side: Side;
  sol: number;
  tokens: number;
  token_created_ts: number | null;
  counterparty: string | null;
}

export interface MalformedRow {
  /** 1-based line of the file (the line where the record starts), or 1-based position in the iterable. */
  line: number;
  reason: string;
}

/** What `loadTrades` read and what it made of it. */
export interface TradeReport {
  format: 'csv' | 'ndjson' | 'objects';
  gzip: boolean;
  /** Rows seen: `trades + duplicates + malformed`. Header and blank lines are none. */
  rows: number;
  /** Trades in the store. */
  trades: number;
  /** Rows equal in every field to an earlier row; they count once. */
  duplicates: number;
  /** Rows not used. */
  malformed: number;
  /** malformed / rows, 0..1. */
  malformedShare: number;
  /** The first of them, at most `maxReportedRows`. */
  malformedRows: MalformedRow[];
  /** Wallets with at least one trade. */
  wallets: number;
  tokens: number;
  /** Unix seconds. */
  firstTs: number;
  lastTs: number;
  /** Tokens whose rows name different creation times; the earliest is used. */
  createdConflicts: number;
  /** The file ends without a line break and its last line was whole: used, but a file cut there would look the same. */
  lastLineUnterminated: boolean;
  /** Bytes of the file, as stored (compressed); 0 for an iterable. */
  bytesRead: number;
}
