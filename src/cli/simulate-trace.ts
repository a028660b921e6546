/**
 * Key traces: text with one key a line, a column of a CSV, or little-endian u32; plain or gzip, told by content. Read as a stream;
 * kept are a number a request and, while reading, each different key once.
 */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type * as CsvParse from 'csv-parse/sync';
import { ProfileCacheError } from '../errors.ts';
import { onDemand } from '../on-demand.ts';
import type { Trace } from './simulate-replay.ts';

const csvParse = onDemand<typeof CsvParse>('csv-parse/sync');

export const TRACE_FORMATS = ['text', 'csv', 'u32'] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

export interface TraceSource {
  path: string;
  /** Guessed from the name when absent: `.u32` and `.csv`, before a `.gz`; text otherwise. */
  format?: TraceFormat;
  /** Of a CSV: a number from 1, or a name of its first line. The first column when absent. */
  column?: string;
  /** Column of a CSV that holds the size of each request in bytes. */
  sizeColumn?: string;
  /** A file with the size of each request: u32, or text with one number a line. */
  sizesPath?: string;
  signal?: AbortSignal;
}

export const MAX_REQUESTS = 200_000_000;
const CHUNK_BYTES = 256 * 1024;
const MAX_LINE_CHARS = 65_536;

/** @throws ERR_TRACE naming file and line */
export async function readTrace(source: TraceSource): Promise<Trace> {
  const { path, signal } = source;
  const format = source.format ?? formatOf(path);
  const ids = new Numbers();
  let sizes: Numbers | undefined;
  let uniqueKeys = 0;
  const push = <K>(known: Map<K, number>, key: K) => {
    let id = known.get(key);
    if (id === undefined) known.set(key, (id = uniqueKeys++));
    ids.push(id, path);
  };
  if (format === 'u32') {
    const known = new Map<number, number>();
    await eachWord(path, signal, (key) => push(known, key));
  } else {
    const known = new Map<string, number>();
    if (format === 'text') {
      await eachLine(path, signal, (line) => line !== '' && push(known, line));
    } else {
      if (source.sizeColumn !== undefined) sizes = new Numbers();
      await eachRow(source, (key, size, line) => {
        push(known, key);
        sizes?.push(sizeFrom(size, path, line), path);
      });
    }
  }
  if (source.sizesPath !== undefined) sizes = await readSizes(source.sizesPath, signal);
  if (ids.length === 0) throw new ProfileCacheError('ERR_TRACE', `${path}: holds no requests; it takes ${format === 'u32' ? 'little-endian 32-bit numbers' : format === 'csv' ? 'CSV with one request a line' : 'one key a line'} (--format)`);
  if (sizes !== undefined && sizes.length !== ids.length) {
    throw new ProfileCacheError('ERR_TRACE', `${source.sizesPath ?? path}: ${sizes.length} sizes for ${ids.length} requests; it takes one size for each request`);
  }
  return { ids: ids.taken(), sizes: sizes?.taken(), uniqueKeys };
}

function formatOf(path: string): TraceFormat {
  const name = path.toLowerCase().replace(/\.gz$/, '');
  return name.endsWith('.u32') ? 'u32' : name.endsWith('.csv') ? 'csv' : 'text';
}

async function readSizes(path: string, signal?: AbortSignal): Promise<Numbers> {
  const sizes = new Numbers();
  if (formatOf(path) === 'u32') await eachWord(path, signal, (size) => sizes.push(Math.max(1, size), path));
  else await eachLine(path, signal, (text, line) => text !== '' && sizes.push(sizeFrom(text, path, line), path));
  return sizes;
}

function sizeFrom(text: string, path: string, line: number): number {
  const size = Number(text);
  if (text.trim() === '' || !(size >= 0 && size <= 0xffff_ffff)) throw new ProfileCacheError('ERR_TRACE', `${path}: line ${line}: ${JSON.stringify(text.slice(0, 40))} is no size in bytes`, { line });
  // An object of no bytes still takes a place.
  return Math.max(1, Math.round(size));
}

async function eachWord(path: string, signal: AbortSignal | undefined, use: (word: number) => void): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of plainBytes(path, signal)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length & ~3;
    for (let at = 0; at < whole; at += 4) use(bytes.readUInt32LE(at));
    rest = bytes.subarray(whole);
  }
  if (rest.length > 0) throw new ProfileCacheError('ERR_TRACE', `${path}: ends in the middle of a 32-bit number; is it --format text or csv?`);
}

async function eachLine(path: string, signal: AbortSignal | undefined, use: (text: string, line: number) => void): Promise<void> {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let line = 0;
  const lines = (text: string, last: boolean) => {
    const parts = (rest + text).split('\n');
    rest = last ? '' : (parts.pop() as string);
    if (rest.length > MAX_LINE_CHARS) throw new ProfileCacheError('ERR_TRACE', `${path}: line ${line + 1} is longer than ${MAX_LINE_CHARS} characters; is it --format u32?`, { line: line + 1 });
    for (const part of parts) use(part.endsWith('\r') ? part.slice(0, -1) : part, ++line);
  };
  for await (const chunk of plainBytes(path, signal)) lines(decoder.decode(chunk, { stream: true }), false);
  lines(decoder.decode(), true);
}

async function eachRow(source: TraceSource, use: (key: string, size: string, line: number) => void): Promise<void> {
  const { path, column = '1', sizeColumn } = source;
  let keyAt = -1;
  let sizeAt = -1;
  // A trace has no line breaks inside its fields: what quotes hold is split by csv-parse, line by line.
  const split = (text: string, line: number): string[] => {
    if (!text.includes('"')) return text.split(',');
    try {
      return (csvParse().parse(text) as string[][])[0];
    } catch (error) {
      throw new ProfileCacheError('ERR_TRACE', `${path}: line ${line}: ${(error as Error).message}`, { line, cause: error });
    }
  };
  const place = (name: string, head: string[]): number => {
    const at = /^\d+$/.test(name) ? Number(name) - 1 : head.indexOf(name);
    if (at < 0 || at >= head.length) throw new ProfileCacheError('ERR_TRACE', `${path}: the first line has no column ${name}; it has ${head.join(', ')}`, { line: 1 });
    return at;
  };
  await eachLine(path, source.signal, (text, line) => {
    if (text === '') return;
    const fields = split(text, line);
    if (line === 1) {
      keyAt = place(column, fields);
      if (sizeColumn !== undefined) sizeAt = place(sizeColumn, fields);
      return;
    }
    const key = fields[keyAt];
    if (key === undefined || (sizeAt >= 0 && fields[sizeAt] === undefined)) throw new ProfileCacheError('ERR_TRACE', `${path}: line ${line} has ${fields.length} columns only`, { line });
    use(key, sizeAt < 0 ? '' : fields[sizeAt], line);
  });
}

async function* plainBytes(path: string, signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  try {
    const stored = (path === '-' ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES, signal }))[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
    let head: Buffer = Buffer.alloc(0);
    while (head.length < 2) {
      const { done, value } = await stored.next();
      if (done) break;
      head = Buffer.concat([head, value]);
    }
    const whole = async function* () {
      yield head;
      yield* stored;
    };
    if (!(head[0] === 0x1f && head[1] === 0x8b)) {
      yield* whole();
      return;
    }
    const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
    // A failure of either end destroys `gunzip` with it, so the loop below throws it: here it would be a second report.
    const piped = pipeline(whole(), gunzip).catch(() => undefined);
    yield* gunzip;
    await piped;
  } catch (error) {
    if (signal?.aborted) throw new ProfileCacheError('ERR_ABORTED', 'stopped while reading the trace', { cause: error });
    if (error instanceof ProfileCacheError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : code === 'EACCES' ? 'no permission to read it' : code?.startsWith('Z_') ? `the gzip is damaged or cut (${message})` : message;
    throw new ProfileCacheError('ERR_TRACE', `${path}: ${why}; simulate takes a file of keys`, { cause: error });
  }
}

/** A u32 array that grows. */
class Numbers {
  length = 0;
  private words = new Uint32Array(65_536);

  push(value: number, path: string): void {
    if (this.length === this.words.length) {
      if (this.length >= MAX_REQUESTS) throw new ProfileCacheError('ERR_TRACE', `${path}: more than ${MAX_REQUESTS} requests`);
      const larger = new Uint32Array(this.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    this.words[this.length++] = value;
  }

  taken(): Uint32Array {
    return this.words.subarray(0, this.length);
  }
}
