/**
 * The command on real pump.fun trades, which are not part of the repository: `pumpfun-swaps.csv.gz` in the folder PROFILECACHE_DATA,
 * else in ../shared/data beside the repository. Skipped, by name, where it is absent.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { makeTmpFolder } from '../support/tmp.ts';
import { lines, run } from './command.ts';

const FILE = join(process.env.PROFILECACHE_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url)), 'pumpfun-swaps.csv.gz');
const WALLETS = 3_528;
const tmp = makeTmpFolder('cli');
afterAll(() => tmp.remove());

describe.skipIf(!existsSync(FILE))('real trades (needs pumpfun-swaps.csv.gz, see PROFILECACHE_DATA)', () => {
  it(`gives a profile for each of the ${WALLETS} wallets; the second run is answered from L2`, { timeout: 120_000 }, async () => {
    const first = await run(['profile', FILE, '--out', 'a.ndjson', '--json', '--ttl', '600'], tmp.path);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(first.stdout)).toMatchObject({ wallets: WALLETS, answeredBy: { near: 0, l1: 0, l2: 0, profiler: WALLETS } });
    const second = await run(['profile', FILE, '--out', 'b.ndjson', '--json', '--ttl', '600'], tmp.path);
    expect(JSON.parse(second.stdout)).toMatchObject({ wallets: WALLETS, answeredBy: { near: 0, l1: 0, l2: WALLETS, profiler: 0 }, saved: { measuredIn: 'an earlier run' } });
    const text = readFileSync(join(tmp.path, 'a.ndjson'), 'utf8');
    expect(new Set(lines(text).map((line) => (JSON.parse(line) as { wallet_address: string }).wallet_address)).size).toBe(WALLETS);
    expect(readFileSync(join(tmp.path, 'b.ndjson'), 'utf8')).toBe(text);
  });
});
