/** get, invalidate, stats and watch on the embedded store; sample-trades; demo. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeSampleTrades } from '../../src/profiler/sample-write.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { lines, run, start, type JsonError } from './command.ts';

// Each test starts several processes; a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 60_000 });

let tmp: { path: string; remove: () => void };
let folder: string;
let wallet: string;

beforeEach(async () => {
  tmp = makeTmpFolder('cli');
  folder = tmp.path;
  await writeSampleTrades(join(folder, 'trades.csv'), { wallets: 20, trades: 200, tokens: 3, seed: 5 });
  wallet = readFileSync(join(folder, 'trades.csv'), 'utf8').split('\n')[1].split(',')[2];
});
afterEach(() => tmp.remove());

describe('get', () => {
  it('prints the profile, then after invalidate says that there is none', async () => {
    await run(['profile', 'trades.csv', '-q'], folder);
    const found = await run(['get', wallet], folder);
    expect(found.code).toBe(0);
    expect(JSON.parse(found.stdout)).toMatchObject({ wallet_address: wallet, source: 'trades' });
    expect(found.stderr).toMatch(/expires in (4 min|5 min)/);
    const json = JSON.parse((await run(['get', wallet, '--json'], folder)).stdout) as { ttlMs: number };
    expect(json).toMatchObject({ wallet, found: true, l2: 'file:.profilecache', profile: { wallet_address: wallet } });
    expect(json.ttlMs).toBeGreaterThan(200_000);

    const gone = await run(['invalidate', wallet, wallet, 'Unknown1'], folder);
    expect(gone).toMatchObject({ code: 0, stdout: '2 wallets invalidated in file:.profilecache\n' });
    const missing = await run(['get', wallet], folder);
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toMatch(new RegExp(`no profile of ${wallet} in file:\\.profilecache`));
    expect(JSON.parse((await run(['get', wallet, '--json'], folder)).stdout)).toMatchObject({ wallet, found: false });
  });

  it('takes odd wallets as they are: a leading dash after --, emoji, __proto__', async () => {
    const odd = ['-dash', '🦊', '__proto__', '{a}b'];
    writeFileSync(join(folder, 'list'), odd.join('\n'));
    await run(['profile', 'trades.csv', '--wallets', 'list', '-q'], folder);
    for (const name of odd) expect(JSON.parse((await run(['get', '--', name], folder)).stdout)).toMatchObject({ wallet_address: name });
  });

  it('refuses a wallet that is none, and an L2 that keeps nothing', async () => {
    expect((await run(['get', ''], folder))).toMatchObject({ code: 2, stderr: expect.stringMatching(/ERR_WALLET\)\n$/) as string });
    for (const args of [['get', 'w'], ['invalidate', 'w'], ['stats'], ['watch']]) {
      expect(await run([...args, '--l2', 'none:'], folder)).toMatchObject({ code: 2, stderr: expect.stringMatching(/keeps nothing.*\(ERR_USAGE\)/) as string });
    }
  });
});

describe('stats', () => {
  it('shows the store and its size', async () => {
    await run(['profile', 'trades.csv', '-q'], folder);
    const { code, stdout } = await run(['stats'], folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(/L2\s+file:\.profilecache/);
    expect(stdout).toMatch(/answers\s+yes/);
    const json = JSON.parse((await run(['stats', '--json'], folder)).stdout) as { bytes: number };
    expect(json).toMatchObject({ l2: 'file:.profilecache', kind: 'embedded', reachable: true, nodes: [{ role: 'embedded', reachable: true }] });
    expect(json.bytes).toBeGreaterThan(0);
  });

  it('takes the L2 from PROFILECACHE_L2 where --l2 is absent', async () => {
    expect(JSON.parse((await run(['stats', '--json'], folder, { env: { PROFILECACHE_L2: 'file:./other' } })).stdout)).toMatchObject({ l2: 'file:./other' });
    expect(JSON.parse((await run(['stats', '--json', '--l2', 'file:./mine'], folder, { env: { PROFILECACHE_L2: 'file:./other' } })).stdout)).toMatchObject({ l2: 'file:./mine' });
  });
});

describe('watch', () => {
  it('shows updates and invalidations of other processes, one a line, until Ctrl-C', async () => {
    const watching = start(['watch'], folder);
    await watching.saw(/watching file:\.profilecache/);
    await run(['profile', 'trades.csv', '-q'], folder);
    await run(['invalidate', wallet], folder);
    await watching.saw(/invalidated/);
    watching.child.kill('SIGINT');
    const { code, stdout, stderr } = await watching.ended;
    expect(code).toBe(130);
    expect(lines(stdout).filter((line) => /^\d{4}-.*Z {2}updated {6}\S+$/.test(line))).toHaveLength(20);
    expect(stdout).toMatch(new RegExp(`Z {2}invalidated {2}${wallet}$`, 'm'));
    expect(stderr).toMatch(/21 events seen/);
  });

  it('--json: an object a line; --count ends by itself with 0', async () => {
    // The store must be there before the watcher can say, through --json, nothing at all.
    await run(['stats', '-q'], folder);
    const watching = start(['watch', '--json', '--count', '1'], folder);
    // Silent by design: repeat the update until it has been seen.
    let ended = false;
    void watching.ended.then(() => (ended = true));
    while (!ended) await run(['invalidate', wallet], folder);
    const { code, stdout } = await watching.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'invalidated', wallet });
  });
});

describe('sample-trades', () => {
  it('the same seed gives the same file', async () => {
    const args = ['--seed', '9', '--wallets', '30', '--trades', '400', '--tokens', '4'];
    const first = await run(['sample-trades', 'a.csv', ...args], folder);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^a\.csv: 400 trades of 30 wallets, /);
    expect(JSON.parse((await run(['sample-trades', 'b.csv', ...args, '--json'], folder)).stdout)).toMatchObject({ out: 'b.csv', rows: 400, seed: 9 });
    expect(readFileSync(join(folder, 'a.csv'))).toEqual(readFileSync(join(folder, 'b.csv')));
    await run(['sample-trades', 'c.ndjson.gz', ...args], folder);
    expect(JSON.parse((await run(['profile', 'c.ndjson.gz', '--json', '--l2', 'none:'], folder)).stdout)).toMatchObject({ wallets: 30, trades: { format: 'ndjson', gzip: true } });
  });

  it('cannot be written: exit code 1, ERR_OUTPUT', async () => {
    mkdirSync(join(folder, 'd'));
    expect(await run(['sample-trades', 'd'], folder)).toMatchObject({ code: 1, stderr: expect.stringMatching(/error: .*\(ERR_OUTPUT\)/) as string });
    expect(await run(['sample-trades', 'a.csv', '--trades', '-5'], folder)).toMatchObject({ code: 2 });
  });
});

describe('demo', () => {
  const args = ['demo', '--wallets', '400', '--trades', '4000'];

  it('the first run profiles, the second finds everything in L2 and compares; both show near cache and L1', async () => {
    const first = await run(args, folder);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stderr).toMatch(/Making trades.*\n[^]*Reading trades.*\n[^]*Profiling wallets/);
    expect(first.stdout).toMatch(/profiler\s+400/);
    expect(first.stdout).toMatch(/near cache\s+[1-9]/);
    expect(first.stdout).toMatch(/L1\s+[1-9]/);
    expect(first.stdout).toMatch(/Run this again/);
    const second = await run(args, folder);
    expect(second.code).toBe(0);
    expect(second.stderr).not.toMatch(/Making|Reading trades|Profiling/);
    expect(second.stdout).toMatch(/L2\s+400/);
    expect(second.stdout).toMatch(/All 400 wallets were in L2: answered in .*times as fast as the first run/);
    const third = JSON.parse((await run([...args, '--json'], folder)).stdout) as { answeredBy: { near: number; l1: number }; secondPass: { other: number } };
    expect(third).toMatchObject({ wallets: 400, answeredBy: { l2: 400, profiler: 0 }, secondPass: { other: 0 } });
    expect(third.answeredBy.near + third.answeredBy.l1).toBe(4_000);
    // What demo has kept is where the other commands look by default.
    const name = lines(readFileSync(join(folder, '.profilecache/demo/trades-1-400-4000.wallets.txt'), 'utf8'))[7];
    expect((await run(['get', name], folder)).code).toBe(0);
  });
});

describe('Redis that cannot be had', () => {
  it('unreachable: exit code 3 and the command that starts one', { timeout: 60_000 }, async () => {
    for (const args of [['profile', 'trades.csv'], ['get', 'w'], ['invalidate', 'w'], ['stats'], ['watch'], ['demo', '--wallets', '10', '--trades', '100']]) {
      const { code, stderr } = await run([...args, '--l2', 'redis://user:hunter2@127.0.0.1:1'], folder);
      expect({ args, code }).toEqual({ args, code: 3 });
      expect(stderr).toMatch(/error: .*profilecache cluster up.*\(ERR_L2_CONNECT\)/);
      expect(stderr).not.toContain('hunter2');
    }
    const json = await run(['stats', '--json', '--l2', 'redis://user:hunter2@127.0.0.1:1'], folder);
    expect((JSON.parse(json.stdout) as JsonError).error).toMatchObject({ code: 'ERR_L2_CONNECT', exitCode: 3 });
    expect(json.stdout).not.toContain('hunter2');
  });
});
