/**
 * One row of a source -> one checked trade, or the reason why not. The same rules for a CSV record, an NDJSON line and an
 * object of an iterable; nothing is guessed, nothing is repaired.
 */
import type { Side } from './trade.ts';

/** A checked row. Times in unix seconds. `fingerprint` holds every field that the store does not. */
export interface TradeRow {
  ts: number;
  mint: string;
  wallet: string;
  side: Side;
  sol: number;
  tokens: number;
  /** NaN where the row has none. */
  createdTs: number;
  counterparty: string | null;
  /** Price, venue, signature, creation time and unknown columns as one text: it tells exact duplicates from near ones. */
  fingerprint: string;
}

export type RawRow = Record<string, unknown>;

export const REQUIRED_COLUMNS = ['ts', 'mint', 'wallet', 'side', 'sol', 'tokens'] as const;
export const OPTIONAL_COLUMNS = ['price', 'venue', 'signature', 'token_created_ts', 'counterparty'] as const;

const KNOWN_COLUMNS: ReadonlySet<string> = new Set([...REQUIRED_COLUMNS, ...OPTIONAL_COLUMNS]);
/** The cache takes no longer key. */
const MAX_NAME_BYTES = 1_024;
/** As seconds this is the year 5138, as milliseconds 1973: no trade of either unit is on the wrong side. */
const FIRST_MILLISECONDS = 1e11;
/** 10,000-01-01: past it a Date has no plain ISO form. */
const MAX_TS = 253_402_300_800;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z| ?UTC|[+-]\d\d:\d\d)?)?$/i;
const NULL_WORDS: ReadonlySet<string> = new Set(['', 'null', 'none', 'nan']);

/** The reason as text when the row is malformed. */
export function parseTradeRow(raw: RawRow): TradeRow | string {
  const ts = timestamp(raw.ts);
  if (Number.isNaN(ts)) return `ts is no time: ${show(raw.ts)}`;
  const mint = name(raw.mint);
  if (mint === undefined) return `mint is no name of 1 to ${MAX_NAME_BYTES} bytes: ${show(raw.mint)}`;
  const wallet = name(raw.wallet);
  if (wallet === undefined) return `wallet is no name of 1 to ${MAX_NAME_BYTES} bytes: ${show(raw.wallet)}`;
  const side = parseSide(raw.side);
  if (side === undefined) return `side is neither buy nor sell: ${show(raw.side)}`;
  const sol = amount(raw.sol);
  if (Number.isNaN(sol)) return `sol is no number >= 0: ${show(raw.sol)}`;
  const tokens = amount(raw.tokens);
  if (Number.isNaN(tokens)) return `tokens is no number >= 0: ${show(raw.tokens)}`;

  const noPrice = isNull(raw.price);
  const price = noPrice ? NaN : amount(raw.price);
  if (!noPrice && Number.isNaN(price)) return `price is no number >= 0: ${show(raw.price)}`;
  const noCreated = isNull(raw.token_created_ts);
  const createdTs = noCreated ? NaN : timestamp(raw.token_created_ts);
  if (!noCreated && Number.isNaN(createdTs)) return `token_created_ts is no time: ${show(raw.token_created_ts)}`;
  const venue = optionalText(raw.venue);
  if (venue === undefined) return `venue is no text: ${show(raw.venue)}`;
  const signature = optionalText(raw.signature);
  if (signature === undefined) return `signature is no text: ${show(raw.signature)}`;
  const counterparty = isNull(raw.counterparty) ? null : name(raw.counterparty);
  if (counterparty === undefined) return `counterparty is no name of 1 to ${MAX_NAME_BYTES} bytes: ${show(raw.counterparty)}`;

  let fingerprint = `${price}\n${venue}\n${signature}\n${createdTs}\n${counterparty ?? ''}`;
  for (const column in raw) {
    if (!KNOWN_COLUMNS.has(column)) fingerprint += `\n${column}\n${extra(raw[column])}`;
  }
  return { ts, mint, wallet, side, sol, tokens, createdTs, counterparty, fingerprint };
}

const isNull = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'string' && value.length <= 4 && NULL_WORDS.has(value.toLowerCase()));

/** NaN when it is none. */
function amount(value: unknown): number {
  const number = typeof value === 'number' ? value : typeof value === 'string' && DECIMAL.test(value) ? Number(value) : NaN;
  // -0 is >= 0; adding 0 makes it 0, so that it equals itself in the duplicates' hash.
  return number >= 0 && number < Infinity ? number + 0 : NaN;
}

function timestamp(value: unknown): number {
  let seconds = NaN;
  if (value instanceof Date) seconds = value.getTime() / 1_000;
  else {
    const number = amount(value);
    if (!Number.isNaN(number)) seconds = number < FIRST_MILLISECONDS ? number : number / 1_000;
    else if (typeof value === 'string') seconds = isoSeconds(value);
  }
  return seconds >= 0 && seconds < MAX_TS ? seconds : NaN;
}

function isoSeconds(text: string): number {
  const match = ISO.exec(text);
  if (!match) return NaN;
  // Date.parse takes the 30th of February for the 2nd of March.
  const [, year, month, day, zone] = match;
  if (Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()) return NaN;
  // Without a zone Date.parse would take the machine's own: the same file must read the same everywhere.
  const zoned = zone === undefined && text.length > 10 ? `${text}Z` : text.replace(/ ?UTC$/i, 'Z');
  return Date.parse(zoned.replace(' ', 'T').toUpperCase()) / 1_000;
}

function name(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  // A replacement character says that the bytes were no UTF-8: two different wallets could look the same.
  if (!value.isWellFormed() || value.includes('\uFFFD')) return undefined;
  return value.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(value) <= MAX_NAME_BYTES ? value : undefined;
}

function parseSide(value: unknown): Side | undefined {
  if (value === 'buy' || value === 'sell') return value;
  const lower = typeof value === 'string' ? value.toLowerCase() : undefined;
  return lower === 'buy' || lower === 'sell' ? lower : undefined;
}

function optionalText(value: unknown): string | undefined {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : undefined;
}

function extra(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    // A cycle or a bigint: such a column cannot tell rows apart.
    return '';
  }
}

const MAX_SHOWN = 40;

function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_SHOWN));
  return value === null || typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a value of type ${typeof value}`;
}
