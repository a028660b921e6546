/** `profile` on the embedded store, in a pipe and with --json. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeSampleTrades } from '../../src/profiler/sample-write.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { lines, MAIN, run, start, type JsonError } from './command.ts';

// Each test starts several processes; a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 60_000 });

const WALLETS = 60;
/** Several batches for each thread: their profiles come back in any order. */
const MANY_WALLETS = 300;

let tmp: { path: string; remove: () => void };
let folder: string;

/** Made once; each test gets a copy in a folder of its own. */
let samples: { path: string; remove: () => void };
beforeAll(async () => {
  samples = makeTmpFolder('cli-samples');
  await writeSampleTrades(join(samples.path, 'trades.csv'), { wallets: WALLETS, trades: 600, tokens: 20, seed: 5 });
  await writeSampleTrades(join(samples.path, 'many.csv'), { wallets: MANY_WALLETS, trades: 3_000, tokens: 20, seed: 5 });
  await writeSampleTrades(join(samples.path, 'big.csv'), { wallets: 4_000, trades: 24_000, tokens: 100, seed: 6 });
});
afterAll(() => samples.remove());

beforeEach(() => {
  tmp = makeTmpFolder('cli');
  folder = tmp.path;
  copyFileSync(join(samples.path, 'trades.csv'), join(folder, 'trades.csv'));
});
afterEach(() => tmp.remove());

const object = (text: string) => JSON.parse(text) as { [key: string]: never };
const answered = (text: string) => object(text).answeredBy as { near: number; l1: number; l2: number; profiler: number };
const walletsOfTrades = (file = 'trades.csv') => [...new Set(lines(readFileSync(join(folder, file), 'utf8')).slice(1).map((line) => line.split(',')[2]))];

describe('profile', () => {
  it('profiles every wallet in the order of the trades, and finds all of them in L2 the second time', async () => {
    copyFileSync(join(samples.path, 'many.csv'), join(folder, 'many.csv'));
    const first = await run(['profile', 'many.csv', '--out', 'profiles.ndjson'], folder);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^300 profiles in /);
    expect(first.stdout).toMatch(/profiler\s+300\s+100\.0 %/);
    expect(first.stdout).toMatch(/nothing yet: all had to be profiled/);
    expect(first.stderr).toMatch(/Reading trades: .* 3,000 trades of 300 wallets/);
    const written = lines(readFileSync(join(folder, 'profiles.ndjson'), 'utf8')).map((line) => JSON.parse(line) as { wallet_address: string });
    expect(written.map((profile) => profile.wallet_address)).toEqual(walletsOfTrades('many.csv'));

    const second = await run(['profile', 'many.csv', '--out', 'again.ndjson'], folder);
    expect(second).toMatchObject({ code: 0 });
    expect(second.stdout).toMatch(/L2\s+300\s+100\.0 %/);
    expect(second.stdout).toMatch(/saved +(about|nothing: the cache took).*\n +profiler .* a wallet .*\(an earlier run\)/);
    expect(second.stderr).not.toMatch(/Profiling/);
    expect(readFileSync(join(folder, 'again.ndjson'), 'utf8')).toBe(readFileSync(join(folder, 'profiles.ndjson'), 'utf8'));
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('--json: one object on stdout, nothing on stderr', async () => {
    const { code, stdout, stderr } = await run(['--json', 'profile', 'trades.csv', '--ttl', '60'], folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines(stdout)).toHaveLength(1);
    expect(object(stdout)).toMatchObject({
      wallets: WALLETS, done: WALLETS, complete: true, stopped: null, answeredBy: { near: 0, l1: 0, l2: 0, profiler: WALLETS },
      l2: { url: 'file:.profilecache', ttlSeconds: 60, failures: 0, unsavedWrites: 0 }, trades: { trades: 600, malformed: 0 },
    });
    const severities = Object.values(object(stdout).severities as Record<string, number>);
    expect(severities.reduce((a, b) => a + b, 0)).toBe(WALLETS);
  });

  it('--quiet says nothing at all when all is well', async () => {
    expect(await run(['profile', 'trades.csv', '-q', '--out', 'p.ndjson'], folder)).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(lines(readFileSync(join(folder, 'p.ndjson'), 'utf8'))).toHaveLength(WALLETS);
  });

  it('--wallets: their order, comments and duplicates, an unknown wallet too; trades are not read when the cache has them all', async () => {
    const [a, b] = walletsOfTrades();
    writeFileSync(join(folder, 'list.txt'), `\ufeff# hot\n${b}\r\n\n  ${a}\nNobody1\n${b}\n`);
    const first = await run(['profile', 'trades.csv', '--wallets', 'list.txt', '--out', '-'], folder);
    expect(first.code).toBe(0);
    const profiles = lines(first.stdout).map((line) => JSON.parse(line) as { wallet_address: string; source: string });
    expect(profiles.map((profile) => [profile.wallet_address, profile.source])).toEqual([[b, 'trades'], [a, 'trades'], ['Nobody1', 'no-trades']]);
    expect(first.stderr).toMatch(/3 profiles in/);
    const second = await run(['profile', 'trades.csv', '--wallets', 'list.txt'], folder);
    expect(second.stdout).toMatch(/not read: the cache had every wallet/);
    expect(second.stderr).not.toMatch(/Reading trades/);
    expect((await run(['profile', 'gone.csv', '--wallets', 'list.txt'], folder)).code).toBe(4);
  });

  it('takes trades and wallets from stdin', async () => {
    const piped = execFileSync('sh', ['-c', `cat trades.csv | "${process.execPath}" "${MAIN}" profile - --json --l2 none:`], { cwd: folder, encoding: 'utf8' });
    expect(answered(piped).profiler).toBe(WALLETS);
    expect(answered((await run(['profile', 'trades.csv', '--wallets', '-', '--json', '--l2', 'none:'], folder, { input: 'A\nB\n' })).stdout).profiler).toBe(2);
  });

  it('--refresh profiles anew what L2 holds', async () => {
    await run(['profile', 'trades.csv', '-q'], folder);
    expect(answered((await run(['profile', 'trades.csv', '--json', '--refresh'], folder)).stdout)).toEqual({ near: 0, l1: 0, l2: 0, profiler: WALLETS });
    expect(answered((await run(['profile', 'trades.csv', '--json'], folder)).stdout).l2).toBe(WALLETS);
  });

  it('--ttl: profiles expire', async () => {
    await run(['profile', 'trades.csv', '-q', '--ttl', '0.2'], folder);
    expect(answered((await run(['profile', 'trades.csv', '--json'], folder)).stdout)).toMatchObject({ l2: 0, profiler: WALLETS });
  });

  it('names malformed rows by line and counts duplicates', async () => {
    const rows = lines(readFileSync(join(folder, 'trades.csv'), 'utf8'));
    rows.splice(10, 0, rows[9]);
    rows.splice(5, 0, rows[4].replace(/buy|sell/, 'gift'));
    writeFileSync(join(folder, 'odd.csv'), `${rows.join('\n')}\n`);
    const { code, stdout } = await run(['profile', 'odd.csv'], folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(/602 rows, of which 1 duplicate and 1 malformed/);
    expect(stdout).toMatch(/line 6: side/);
  });

  it('ends quietly when the reader of its output has gone', async () => {
    const running = start(['profile', 'trades.csv', '--out', '-', '--l2', 'none:'], folder);
    running.child.stdout?.destroy();
    const { code, stderr } = await running.ended;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/error|EPIPE|at .*\.js/);
  });

  it('writes to a device as it is, without replacing it', async () => {
    expect(await run(['profile', 'trades.csv', '-q', '--out', '/dev/null', '--l2', 'none:'], folder)).toMatchObject({ code: 0, stderr: '' });
    expect(existsSync('/dev/null')).toBe(true);
  });
});

describe('profile, stopped', () => {
  beforeEach(() => copyFileSync(join(samples.path, 'big.csv'), join(folder, 'big.csv')));

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal}: finishes what is in flight, leaves no half file, and the same command goes on from there`, { timeout: 60_000 }, async () => {
      // One batch at a time, so that the signal surely comes in the middle.
      const running = start(['profile', 'big.csv', '--out', 'big.ndjson', '--concurrency', '1', '--threads', '1', '--ttl', '600'], folder);
      await running.saw(/Starting profiler: .*\n/);
      running.child.kill(signal);
      const { code, stdout, stderr } = await running.ended;
      expect(code).toBe(130);
      expect(stderr).toMatch(/finishing what is in flight/);
      expect(stdout).toMatch(/^Stopped: [\d,]+ of 4,000 wallets done/m);
      const kept = Number(/([\d,]+) profiles? of 4,000 are in file:\.profilecache: the same command goes on from there/.exec(stderr)?.[1].replaceAll(',', ''));
      expect(kept).toBeGreaterThan(0);
      expect(kept).toBeLessThan(4_000);
      expect(readdirSync(folder).filter((name) => name.startsWith('big.ndjson'))).toEqual([]);

      const again = await run(['profile', 'big.csv', '--json', '--out', 'big.ndjson', '--ttl', '600'], folder);
      expect(again.code).toBe(0);
      expect(answered(again.stdout)).toEqual({ near: 0, l1: 0, l2: kept, profiler: 4_000 - kept });
      expect(lines(readFileSync(join(folder, 'big.ndjson'), 'utf8'))).toHaveLength(4_000);
    });
  }

  it('a second Ctrl-C ends at once and leaves no half file', async () => {
    const running = start(['profile', 'big.csv', '--out', 'big.ndjson', '--concurrency', '1', '--threads', '1'], folder);
    await running.saw(/Starting profiler: .*\n/);
    running.child.kill('SIGINT');
    await running.saw(/Ctrl-C again ends at once/);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect(readdirSync(folder).filter((name) => name.startsWith('big.ndjson'))).toEqual([]);
  });

  it('Ctrl-C while the trades are read: exit code 130 and no profile', async () => {
    // A file that never ends, without a line break.
    const running = start(['profile', '/dev/zero', '--l2', 'none:'], folder);
    await running.saw(/Reading trades: .*rows/);
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/\(ERR_ABORTED\)/);
  });
});

describe('profile, bad input', () => {
  const failing: Array<[name: string, args: string[], code: number, error: string, message: RegExp, prepare?: () => void]> = [
    ['a file that is not there', ['profile', 'gone.csv'], 4, 'ERR_TRADES_FILE', /gone\.csv: there is no such file/],
    ['a folder', ['profile', '.'], 4, 'ERR_TRADES_FILE', /it is a folder/],
    ['no trades', ['profile', 'x'], 4, 'ERR_TRADES_FORMAT', /x/, () => writeFileSync(join(folder, 'x'), 'hello\nworld\n')],
    ['an empty file', ['profile', 'x'], 4, 'ERR_TRADES_FORMAT', /holds no trades/, () => writeFileSync(join(folder, 'x'), '')],
    ['a gzip that is cut', ['profile', 'x.gz'], 4, 'ERR_TRADES_FILE', /cut in the middle/, () => {
      const whole = gzipSync(readFileSync(join(folder, 'trades.csv')));
      writeFileSync(join(folder, 'x.gz'), whole.subarray(0, whole.length / 2));
    }],
    ['too many malformed rows', ['profile', 'x', '--max-malformed', '0.01'], 4, 'ERR_TRADES_FORMAT', /malformed/, () =>
      writeFileSync(join(folder, 'x'), readFileSync(join(folder, 'trades.csv'), 'utf8').replace(/,buy,/g, ',gift,'))],
    ['a list of wallets that is not there', ['profile', 'trades.csv', '--wallets', 'gone.txt'], 4, 'ERR_WALLETS_FILE', /gone\.txt: there is no such file/],
    ['an empty list', ['profile', 'trades.csv', '--wallets', 'x'], 4, 'ERR_WALLETS_FILE', /holds no wallets/, () => writeFileSync(join(folder, 'x'), '# none\n')],
    ['a list with an over-long line', ['profile', 'trades.csv', '--wallets', 'x'], 4, 'ERR_WALLETS_FILE', /line 2/, () => writeFileSync(join(folder, 'x'), `ok\n${'w'.repeat(1_025)}\n`)],
    ['a list that is no text', ['profile', 'trades.csv', '--wallets', 'x'], 4, 'ERR_WALLETS_FILE', /line 1/, () => writeFileSync(join(folder, 'x'), Buffer.from([0xff, 0x00, 0xfe]))],
    ['--out in a folder that is not there', ['profile', 'trades.csv', '--out', 'no/such/p'], 1, 'ERR_OUTPUT', /its folder does not exist/],
    ['--out that is a folder', ['profile', 'trades.csv', '--out', 'd'], 1, 'ERR_OUTPUT', /it is a folder/, () => mkdirSync(join(folder, 'd'))],
    ['a store that is a file', ['profile', 'trades.csv', '--l2', 'file:trades.csv'], 3, 'ERR_L2_STORAGE', /not a folder/],
    ['--ttl of nothing', ['profile', 'trades.csv', '--ttl', '0'], 2, 'ERR_USAGE', /--ttl.*It is a number from/],
    ['--threads that is no number', ['profile', 'trades.csv', '--threads', 'two'], 2, 'ERR_USAGE', /--threads.*It is a whole number from 1 to 64/],
    ['no trades named', ['profile'], 2, 'ERR_USAGE', /missing required argument 'trades'/],
  ];
  // The same errors in the other form: one for each code, and one of those that the parser of the command line finds.
  const alsoAsJson = [
    'a file that is not there', 'too many malformed rows', 'a list with an over-long line', '--out that is a folder', 'a store that is a file', '--ttl of nothing', 'no trades named',
  ];
  it('every error code is looked at as JSON too', () => {
    const codesOf = (rows: typeof failing) => new Set(rows.map(([, , code, error]) => `${code} ${error}`));
    expect(codesOf(failing.filter(([name]) => alsoAsJson.includes(name)))).toEqual(codesOf(failing));
  });

  for (const [name, args, code, error, message, prepare] of failing) {
    it(`${name}: exit code ${code}, ${error}`, async () => {
      prepare?.();
      const plain = await run(args, folder);
      const errors = lines(plain.stderr).filter((line) => line.startsWith('error: '));
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatch(message);
      expect(errors[0].endsWith(`(${error})`)).toBe(true);
      expect(plain).toMatchObject({ code, stdout: '' });
      expect(plain.stderr).not.toMatch(/\n\s+at /);
      if (alsoAsJson.includes(name)) {
        const json = await run([...args, '--json'], folder);
        expect(json).toMatchObject({ code, stderr: '' });
        expect((JSON.parse(json.stdout) as JsonError).error).toMatchObject({ code: error, exitCode: code });
      }
      expect(readdirSync(folder).filter((file) => file.includes('partial'))).toEqual([]);
    });
  }

  it('--out - with --json is refused: both want stdout', async () => {
    const { code, stdout } = await run(['profile', 'trades.csv', '--out', '-', '--json'], folder);
    expect(code).toBe(2);
    expect((JSON.parse(stdout) as JsonError).error.code).toBe('ERR_USAGE');
  });

  it('shows a stack only when asked for by PROFILECACHE_DEBUG=1', async () => {
    const { stderr } = await run(['profile', 'gone.csv'], folder, { env: { PROFILECACHE_DEBUG: '1' } });
    expect(stderr).toMatch(/\n\s+at /);
  });
});
