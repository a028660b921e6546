import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTrades, type LoadTradesOptions, type TradeInput } from '../../src/profiler/index.ts';
import { buy, sell, T0 } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'profilecache-trades-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(content: string | Uint8Array, name = 'trades.csv'): string {
  const path = join(folder, `${files++}-${name}`);
  writeFileSync(path, content);
  return path;
}
const load = (content: string | Uint8Array, options?: LoadTradesOptions) => loadTrades(file(content), options);
const HEADER = 'ts,mint,wallet,side,sol,tokens,price,venue,signature,token_created_ts';
const row = (i: number, more = '') => `${T0 + i},M,w${i},buy,1.5,100,,V,,${T0}${more}`;
const csv = (...rows: string[]) => [HEADER, ...rows, ''].join('\n');
const all = async (source: Parameters<typeof loadTrades>[0]) => {
  const { store } = await loadTrades(source);
  return Array.from({ length: store.tradeCount }, (_, i) => store.trade(i));
};

describe('forms of the same trades', () => {
  const trades: TradeInput[] = [buy('a', 'X', 0, 1.25, { token_created_ts: T0 }), sell('b', 'Y', 5, 0, { price: null }), buy('c', 'X', 9)];
  const ndjson = `${trades.map((t) => JSON.stringify(t)).join('\n')}\n`;
  const asCsv = [HEADER, ...trades.map((t) => [t.ts, t.mint, t.wallet, t.side, t.sol, t.tokens, '', '', '', t.token_created_ts ?? ''].join(',')), ''];

  test.each<[string, string | Uint8Array]>([
    ['csv', asCsv.join('\n')],
    ['csv with CRLF and a byte order mark', `\uFEFF${asCsv.join('\r\n')}`],
    ['csv without a last line break', asCsv.join('\n').trimEnd()],
    ['csv with blank lines', asCsv.join('\n\n')],
    ['csv in quotes', asCsv.map((line) => line.replace(/[^,]+/g, '"$&"')).join('\n')],
    ['tab-separated', asCsv.join('\n').replaceAll(',', '\t')],
    ['csv.gz', gzipSync(asCsv.join('\n'))],
    ['csv.gz of two members', Buffer.concat([gzipSync(asCsv.slice(0, 2).join('\n') + '\n'), gzipSync(asCsv.slice(2).join('\n'))])],
    ['ndjson', ndjson],
    ['ndjson.gz', gzipSync(ndjson)],
  ])('%s, whatever the name says', async (_, content) => {
    expect(await all(file(content, 'trades.bin'))).toEqual(await all(trades));
  });

  test('an async iterable', async () => {
    const source = (async function* () {
      yield* trades;
    })();
    expect(await all(source)).toEqual(await all(trades));
  });

  test('the header decides the order of the columns; unknown ones are let be', async () => {
    const content = `wallet,extra,TS,side, mint ,tokens,sol\nw,hello,${T0},SELL,M,7,0.5\n`;
    expect(await all(file(content))).toEqual([{ ts: T0, mint: 'M', wallet: 'w', side: 'sell', sol: 0.5, tokens: 7, token_created_ts: null, counterparty: null }]);
  });

  test('ts in seconds, milliseconds, ISO with and without a zone, Date', async () => {
    const forms = [T0, String(T0), T0 * 1_000, '2026-06-27T22:40:00Z', '2026-06-27 22:40:00', '2026-06-27T22:40:00.000', '2026-06-28T00:40:00+02:00', '2026-06-27 22:40:00 UTC', new Date(T0 * 1_000)];
    const got = await all(forms.map((ts, i) => ({ ...buy(`w${i}`, 'M', 0), ts })));
    expect(got.map((t) => t.ts)).toEqual(forms.map(() => T0));
    expect((await all([{ ...buy('w', 'M', 0), ts: '2026-06-27' }]))[0].ts).toBe(Date.UTC(2026, 5, 27) / 1_000);
    expect((await all([{ ...buy('w', 'M', 0), ts: T0 * 1_000 + 250 }]))[0].ts).toBe(T0 + 0.25);
  });

  test('rows out of order are sorted by time; equal times keep the order of the file', async () => {
    const got = await all([buy('c', 'M', 9), buy('a', 'M', 5), buy('b', 'M', 5), buy('d', 'M', 1)]);
    expect(got.map((t) => t.wallet)).toEqual(['d', 'a', 'b', 'c']);
  });

  test('names of any kind survive: not base58, emoji, __proto__', async () => {
    const names = ['RDCT-d4fb6b1f86', '🐋', '__proto__', 'constructor', 'a b', 'é'.repeat(512)];
    const { store } = await loadTrades(names.map((name, i) => buy(name, name, i)));
    expect(store.wallets()).toEqual(names);
    for (const name of names) expect(store.walletName(store.walletId(name))).toBe(name);
    expect(store.walletId('absent')).toBe(0xffff_ffff);
    expect(store.walletId('x'.repeat(5_000))).toBe(0xffff_ffff);
  });
});

describe('duplicates', () => {
  test('rows equal in every field count once; any difference keeps both', async () => {
    const base = buy('w', 'M', 0, 1, { signature: 's', venue: 'v', price: 1, token_created_ts: T0 });
    const others: TradeInput[] = [
      { ...base, signature: 't' }, { ...base, venue: 'u' }, { ...base, price: 2 }, { ...base, price: null }, { ...base, tokens: 5 },
      { ...base, sol: 2 }, { ...base, ts: T0 + 1 }, { ...base, wallet: 'x' }, { ...base, mint: 'N' }, { ...base, side: 'sell' },
    ];
    const { report } = await loadTrades([base, ...others, base, { ...base }, others[3]]);
    expect(report).toMatchObject({ rows: 14, trades: 11, duplicates: 3 });
  });

  test('a column that the profiler does not know still tells rows apart', async () => {
    const { report } = await load(`ts,mint,wallet,side,sol,tokens,index\n1,M,w,buy,1,1,0\n1,M,w,buy,1,1,1\n1,M,w,buy,1,1,1\n`);
    expect(report).toMatchObject({ trades: 2, duplicates: 1 });
  });

  test('thousands of rows that differ by their signature alone: near neighbours in the hash table are compared whole', async () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => buy('w', 'M', 0, 1, { signature: `s${i}` }));
    expect((await loadTrades(rows)).report).toMatchObject({ trades: 5_000, duplicates: 0 });
  });

  test('across the growth of the columns', async () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => buy(`w${i % 70}`, `M${i % 11}`, i));
    expect((await loadTrades([...rows, ...rows])).report).toMatchObject({ trades: 5_000, duplicates: 5_000 });
  });
});

describe('malformed rows', () => {
  test.each<[string, Partial<Record<keyof TradeInput, unknown>>]>([
    ['ts', { ts: 'yesterday' }], ['ts', { ts: -1 }], ['ts', { ts: NaN }], ['ts', { ts: '2026-02-30' }], ['ts', { ts: null }], ['ts', { ts: new Date(NaN) }],
    ['mint', { mint: '' }], ['wallet', { wallet: undefined }], ['wallet', { wallet: 7 }], ['wallet', { wallet: 'x'.repeat(1_025) }], ['wallet', { wallet: 'a\uD800' }],
    ['side', { side: 'hold' }], ['sol', { sol: -0.1 }], ['sol', { sol: '' }], ['sol', { sol: '0x10' }], ['sol', { sol: Infinity }], ['sol', { sol: '1e999' }],
    ['tokens', { tokens: 'many' }], ['price', { price: 'abc' }], ['token_created_ts', { token_created_ts: 'soon' }], ['venue', { venue: {} }],
    ['signature', { signature: 5 }], ['counterparty', { counterparty: ['x'] }],
  ])('a bad %s: %j', async (field, change) => {
    const bad = { ...buy('w', 'M', 1), ...change } as TradeInput;
    const { store, report } = await loadTrades([buy('w', 'M', 0), bad], { maxMalformedShare: 0.5 });
    expect(store.tradeCount).toBe(1);
    expect(report).toMatchObject({ rows: 2, malformed: 1, malformedShare: 0.5, malformedRows: [{ line: 2, reason: expect.stringMatching(new RegExp(`^${field} `)) }] });
  });

  test('are listed by their line, blank lines and header counted', async () => {
    const { report } = await load(csv(row(0), '', 'garbage', row(1), '1,2', `${row(2)},more`, row(3)), { maxMalformedShare: 0.6 });
    expect(report).toMatchObject({ trades: 3, malformed: 3 });
    expect(report.malformedRows).toEqual([
      { line: 4, reason: 'has 1 field, the header 10' },
      { line: 6, reason: 'has 2 fields, the header 10' },
      { line: 7, reason: 'has 11 fields, the header 10' },
    ]);
  });

  test('the list is bounded, the count is not', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => (i % 2 ? row(i) : 'bad'));
    const { report } = await load(csv(...rows), { maxMalformedShare: 0.5, maxReportedRows: 3 });
    expect(report.malformed).toBe(25);
    expect(report.malformedRows.map((r) => r.line)).toEqual([2, 4, 6]);
  });

  test('over maxMalformedShare at the end: ERR_TRADES_FORMAT with the first line; exactly at it passes', async () => {
    const rows = [...Array.from({ length: 19 }, (_, i) => row(i)), 'bad'];
    expect((await load(csv(...rows))).report.malformedShare).toBe(0.05);
    await expect(load(csv(...rows.slice(1)))).rejects.toMatchObject({ code: 'ERR_TRADES_FORMAT', option: 'maxMalformedShare', line: 20 });
    await expect(load(csv(...rows), { maxMalformedShare: 0 })).rejects.toMatchObject({ code: 'ERR_TRADES_FORMAT' });
  });

  test('clearly over it: stops before the end', async () => {
    let given = 0;
    const source = (function* () {
      for (; given < 1e6; given++) yield given % 2 ? buy('w', 'M', given) : ({} as TradeInput);
    })();
    await expect(loadTrades(source)).rejects.toMatchObject({ code: 'ERR_TRADES_FORMAT' });
    expect(given).toBeLessThan(2_000);
  });

  test('a stray quote costs its own line, not the rest of the file', async () => {
    const rows = Array.from({ length: 200 }, (_, i) => (i === 5 || i === 90 ? row(i).replace('w', '"w') : row(i)));
    const { report } = await load(csv(...rows));
    expect(report).toMatchObject({ trades: 198, malformed: 2 });
    expect(report.malformedRows.map((r) => r.line)).toEqual([7, 92]);
  });

  test('a quoted field may hold delimiters, quotes and line breaks', async () => {
    const { report, store } = await load(`ts,mint,wallet,side,sol,tokens,note\n1,M,"a,""b""",buy,1,1,"two\nlines"\n2,M,c,buy,1,1,x\nbad\n`, { maxMalformedShare: 0.5 });
    expect(store.wallets()).toEqual(['a,"b"', 'c']);
    expect(report.malformedRows).toEqual([{ line: 5, reason: 'has 1 field, the header 7' }]);
  });

  test('bytes that are no UTF-8 make no wallet', async () => {
    const content = Buffer.concat([Buffer.from(`${HEADER}\n${T0},M,`), Buffer.from([0xff, 0xfe]), Buffer.from(`,buy,1,1,,,,\n${row(1)}\n`)]);
    expect((await load(content, { maxMalformedShare: 0.5 })).report).toMatchObject({ trades: 1, malformed: 1 });
  });

  test('an endless line is one malformed row', async () => {
    const { report } = await load(csv(row(0), 'x'.repeat(3_000_000), row(1)), { maxMalformedShare: 0.5 });
    expect(report).toMatchObject({ trades: 2, malformed: 1, malformedRows: [{ line: 3 }] });
  });

  test('rows of one token that name different launches are used and counted', async () => {
    const rows = [100, 50, 70].map((at, i) => buy(`w${i}`, 'M', 200, 1, { token_created_ts: T0 + at }));
    const { store, report } = await loadTrades(rows);
    expect(report.createdConflicts).toBe(1);
    expect(store.trade(0).token_created_ts).toBe(T0 + 50);
  });
});

describe('files that are none', () => {
  test.each<[string, () => string, string]>([
    ['missing', () => join(folder, 'absent.csv'), 'ERR_TRADES_FILE'],
    ['a folder', () => folder, 'ERR_TRADES_FILE'],
    ['a cut gzip', () => file(gzipSync(csv(...Array.from({ length: 500 }, (_, i) => row(i)))).subarray(0, 900)), 'ERR_TRADES_FILE'],
    ['a gzip cut inside its header', () => file(gzipSync(csv(row(0))).subarray(0, 5)), 'ERR_TRADES_FILE'],
    ['a damaged gzip', () => {
      const bytes = gzipSync(csv(...Array.from({ length: 500 }, (_, i) => row(i))));
      return file(bytes.fill(0x55, 300, 600));
    }, 'ERR_TRADES_FILE'],
    ['csv cut inside its last line', () => file(csv(row(0), row(1)).slice(0, -30)), 'ERR_TRADES_FILE'],
    ['csv cut inside its last field', () => file(csv(row(0), row(1)).slice(0, -4)), 'ERR_TRADES_FILE'],
    ['csv cut inside a quoted field', () => file(`${HEADER}\n${row(0)}\n${T0},"M`), 'ERR_TRADES_FILE'],
    ['csv whose last line ends inside a number', () => file(`mint,wallet,side,tokens,ts,sol\nM,w,buy,1,1,1\nM,w,buy,1,2,1e`), 'ERR_TRADES_FILE'],
    ['ndjson cut inside its last line', () => file(`${JSON.stringify(buy('w', 'M', 0))}\n${JSON.stringify(buy('w', 'M', 1)).slice(0, -5)}`), 'ERR_TRADES_FILE'],
    ['empty', () => file(''), 'ERR_TRADES_FORMAT'],
    ['an empty gzip', () => file(gzipSync('')), 'ERR_TRADES_FORMAT'],
    ['a header alone', () => file(`${HEADER}\n`), 'ERR_TRADES_FORMAT'],
    ['another csv', () => file('address,cex_name\nabc,Binance\n'), 'ERR_TRADES_FORMAT'],
    ['a column twice', () => file(`${HEADER},ts\n`), 'ERR_TRADES_FORMAT'],
    ['a JSON array', () => file('[{"ts":1}]'), 'ERR_TRADES_FORMAT'],
    ['ndjson of something else', () => file('{"hello":1}\n{"hello":2}\n'), 'ERR_TRADES_FORMAT'],
    ['binary', () => file(Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 37) % 256))), 'ERR_TRADES_FORMAT'],
    ['one endless line', () => file('x'.repeat(2_000_000)), 'ERR_TRADES_FORMAT'],
  ])('%s', async (_, path, code) => {
    await expect(loadTrades(path())).rejects.toMatchObject({ name: 'ProfileCacheError', code });
  });

  test('a cut at any byte of the last line is an error, or the row is whole and the report says so', async () => {
    const whole = csv(row(0), row(1));
    const start = whole.indexOf(row(1));
    for (let at = start + 1; at < whole.length; at++) {
      const loaded = await load(whole.slice(0, at)).catch((error: { code: string }) => error.code);
      if (at === whole.length - 1) expect(loaded).toMatchObject({ report: { trades: 2, lastLineUnterminated: true } });
      else if (loaded !== 'ERR_TRADES_FILE') {
        // The last field, token_created_ts, is optional: cut right before it the row is whole.
        expect(whole[at - 1]).toBe(',');
        expect(loaded).toMatchObject({ report: { trades: 2, lastLineUnterminated: true } });
      }
    }
  });

  test('the message says what to do', async () => {
    await expect(loadTrades(join(folder, 'absent.csv'))).rejects.toThrow(/absent\.csv: there is no such file/);
    await expect(load('a,b\n1,2\n')).rejects.toThrow(/columns ts, mint, wallet, side, sol, tokens; it takes a header with/);
  });

  test('an iterable that fails, that is none, or that is too long', async () => {
    const failing = (function* (): Generator<TradeInput> {
      yield buy('w', 'M', 0);
      throw new Error('source lost');
    })();
    await expect(loadTrades(failing)).rejects.toMatchObject({ code: 'ERR_TRADES_FILE', message: 'source lost' });
    await expect(loadTrades(7 as never)).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(loadTrades([])).rejects.toMatchObject({ code: 'ERR_TRADES_FORMAT' });
    await expect(loadTrades([buy('a', 'M', 0), buy('b', 'M', 0)], { maxTrades: 1 })).rejects.toMatchObject({ code: 'ERR_TRADES_FORMAT', option: 'maxTrades' });
  });
});

describe('options', () => {
  test.each([{ maxMalformedShare: 1.5 }, { maxMalformedShare: NaN }, { maxReportedRows: -1 }, { maxTrades: 0 }, { onProgress: 5 }, { signal: {} }, { unknown: 1 }])('%j is refused', async (options) => {
    await expect(loadTrades([buy('w', 'M', 0)], options as never)).rejects.toMatchObject({ code: 'ERR_OPTION', option: Object.keys(options)[0] });
  });

  test('onProgress tells bytes and rows up to the end', async () => {
    const content = csv(...Array.from({ length: 20_000 }, (_, i) => row(i)));
    const seen: { bytesRead: number; bytesTotal: number | null; rows: number }[] = [];
    await load(content, { onProgress: (p) => seen.push({ ...p }) });
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.at(-1)).toEqual({ bytesRead: content.length, bytesTotal: content.length, rows: 20_000 });
    expect(seen.every((p, i) => i === 0 || p.bytesRead >= seen[i - 1].bytesRead)).toBe(true);
  });

  test('signal stops a file and an iterable; a generator left early may clean up', async () => {
    const controller = new AbortController();
    const content = csv(...Array.from({ length: 20_000 }, (_, i) => row(i)));
    await expect(load(content, { signal: controller.signal, onProgress: () => controller.abort('enough') })).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: 'enough' });
    let cleaned = false;
    const endless = (function* () {
      try {
        for (let i = 0; ; i++) yield buy('w', 'M', i);
      } finally {
        cleaned = true;
      }
    })();
    await expect(loadTrades(endless, { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(cleaned).toBe(true);
  });
});
