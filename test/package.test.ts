/** The package as its users get it: resolved by its own name, typed without settings of theirs, holding what its files need. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(root, 'test', '.package-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CONSUMER = `
import { ProfileCache, CachedWalletProfiler, ProfilerPool, UpdateRefusedError, WalletProfiler, loadTrades, type CacheStats, type WalletProfile } from 'profilecache';
const cache = await ProfileCache.open<WalletProfile>({ l2: 'redis://h', l1: { maxProfiles: 10 } });
const found: Map<string, WalletProfile> = await cache.bulkPrefetch(['w'], { signal: AbortSignal.timeout(1) });
const score: number | undefined = cache.getProfileSync('w')?.risk_score;
const stats: CacheStats = cache.getStats();
const { store } = await loadTrades('trades.csv');
const pooled = new CachedWalletProfiler(cache, await ProfilerPool.open(store));
const single = new CachedWalletProfiler(cache, new WalletProfiler(store));
for await (const change of cache.updates()) console.log(change.type, change.wallet);
cache.on('profileUpdated', ({ wallet, origin }) => console.log(wallet, origin));
console.log(found, score, stats.hitRate, UpdateRefusedError, await pooled.getProfile('w'), single);
// @ts-expect-error a profile is an object
await cache.updateProfile('w', 5);
// @ts-expect-error no such option
await ProfileCache.open({ maxProfiles: 5 });
`;

test('types: a strict consumer that skips no library check', () => {
  const file = join(folder, 'consumer.ts');
  writeFileSync(file, CONSUMER);
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  let output = '';
  try {
    execFileSync(process.execPath, [tsc, '--ignoreConfig', '--module', 'nodenext', '--target', 'es2022', '--strict', '--noEmit', file], { cwd: root, encoding: 'utf8' });
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  expect(output).toBe('');
});

test('what is published holds the thread entries, the command and the notes, and no tests', () => {
  const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(['dist/src/index.js', 'dist/src/index.d.ts', 'dist/src/cli/main.js', 'dist/workers/l2-io.js', 'dist/workers/profile.js', 'README.md', 'LICENSE', 'docker-compose.yml', 'native-notes/README.md']));
  expect(paths.filter((path) => /^(test|bench|src|workers)\//.test(path))).toEqual([]);
});
