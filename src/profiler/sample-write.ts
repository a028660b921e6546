/** Sample trades -> a file: CSV, or NDJSON by its name; gzip when the name ends in .gz. */
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { ProfileCacheError } from '../errors.ts';
import { generateSampleTrades, type SampleTradesOptions } from './sample-trades.ts';
import type { TradeInput } from './trade.ts';
import { throwIfAborted } from './trades-text.ts';

const ROWS_PER_CHUNK = 1_000;
const COLUMNS = ['ts', 'mint', 'wallet', 'side', 'sol', 'tokens', 'price', 'venue', 'signature', 'token_created_ts'] as const;

export interface SampleWriteOptions extends SampleTradesOptions {
  onProgress?: (progress: { rows: number; rowsTotal: number }) => void;
  signal?: AbortSignal;
}

/**
 * Writes beside the target first and renames: a file of that name is whole, or not there.
 * Errors: ERR_OPTION; ERR_TRADES_FILE when it cannot be written; ERR_ABORTED.
 */
export async function writeSampleTrades(path: string, options: SampleWriteOptions = {}): Promise<{ rows: number; bytes: number }> {
  const { onProgress, signal, ...sample } = options;
  const trades = generateSampleTrades(sample);
  const lines = /\.(ndjson|jsonl)(\.gz)?$/i.test(path) ? ndjson(trades) : csv(trades);
  let rows = 0;
  const chunks = function* () {
    let text = '';
    for (const line of lines) {
      text += line.text;
      if (line.isTrade && ++rows % ROWS_PER_CHUNK === 0) {
        yield text;
        text = '';
        onProgress?.({ rows, rowsTotal: sample.trades ?? rows });
      }
    }
    yield text;
  };
  const partial = `${path}.${process.pid}.partial`;
  try {
    const source = Readable.from(chunks());
    const target = createWriteStream(partial);
    await (/\.gz$/i.test(path) ? pipeline(source, createGzip(), target, { signal }) : pipeline(source, target, { signal }));
    await rename(partial, path);
    return { rows, bytes: (await stat(path)).size };
  } catch (error) {
    await rm(partial, { force: true });
    throwIfAborted(signal);
    throw new ProfileCacheError('ERR_TRADES_FILE', `${path}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

interface Line {
  text: string;
  isTrade: boolean;
}

function* csv(trades: Iterable<TradeInput>): Generator<Line, void, undefined> {
  yield { text: `${COLUMNS.join(',')}\n`, isTrade: false };
  for (const trade of trades) yield { text: `${COLUMNS.map((column) => trade[column] ?? '').join(',')}\n`, isTrade: true };
}

function* ndjson(trades: Iterable<TradeInput>): Generator<Line, void, undefined> {
  for (const trade of trades) yield { text: `${JSON.stringify(trade)}\n`, isTrade: true };
}
