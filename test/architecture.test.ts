/** The code as data: imports point one way, files stay small, and nothing names a machine. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** From the top down: a part may import parts further down, and its own. */
const LAYERS: string[][] = [
  ['src/cli', 'src/dashboard', 'workers'],
  ['src/index.ts'],
  ['src/profiler'],
  ['src/profile-cache.ts'],
  ['src/open.ts', 'src/cache-api.ts'],
  ['src/load'],
  ['src/handle.ts'],
  ['src/workers-pool', 'src/channel'],
  ['src/l1'],
  ['src/l2'],
  ['src/codec', 'src/eviction', 'src/stats'],
  ['src/options.ts'],
  ['src/checked.ts'],
  ['src/errors.ts', 'src/clock.ts', 'src/on-demand.ts'],
];

const files = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : path.endsWith('.ts') ? [path] : [];
  });

const sources = [...files('src'), ...files('workers')];

const layerOf = (path: string): { name: string; level: number } => {
  const level = LAYERS.findIndex((names) => names.some((name) => path === name || path.startsWith(`${name}/`)));
  const name = LAYERS[level]?.find((candidate) => path === candidate || path.startsWith(`${candidate}/`));
  if (name === undefined) throw new Error(`${path} belongs to no layer: add it to LAYERS`);
  return { name, level };
};

const importsOf = (path: string): string[] =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => relative(root, join(root, dirname(path), match[1])));

/** Without types, which cost nothing, and without `import(…)`, which waits. */
const loadedBy = (path: string): string[] =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/^(?:import|export)\b(?! type\b)(?:[^'"`;]*?\bfrom)?\s*'([^']+)'/gm)].map((match) => match[1]);

describe('architecture', () => {
  test('imports point one way', () => {
    const wrong: string[] = [];
    for (const path of sources) {
      const from = layerOf(path);
      for (const target of importsOf(path)) {
        const to = layerOf(target);
        if (to.name !== from.name && to.level <= from.level) wrong.push(`${path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('shared memory is touched by L1 and the inbox alone', () => {
    const allowed = /^src\/(l1\/|workers-pool\/inbox|profiler\/|handle\.ts)/;
    const wrong = sources.filter((path) => !allowed.test(path) && /new SharedArrayBuffer|Atomics\./.test(readFileSync(join(root, path), 'utf8')));
    expect(wrong).toEqual([]);
  });

  // What few calls need comes when it is needed: each of these packages is 10 to 60 ms of every process, or of every thread.
  test.each<[entry: string, packages: string[]]>([
    ['src/index.ts', ['lz4-napi', 'msgpackr/pack', 'piscina', 'valibot']],
    ['workers/l2-io.ts', ['lz4-napi']],
    ['workers/profile.ts', ['msgpackr/pack', 'valibot']],
    ['src/cli/main.ts', ['commander']],
    ['src/cli/commands/get.ts', ['commander']],
  ])('%s loads no more packages at its start than %j', (entry, packages) => {
    const seen = new Set([entry]);
    const found = new Set<string>();
    for (const path of seen) {
      for (const target of loadedBy(path)) {
        if (target.startsWith('.')) seen.add(relative(root, join(root, dirname(path), target)));
        else if (!target.startsWith('node:')) found.add(target);
      }
    }
    expect([...found].sort()).toEqual(packages);
  });

  test('an eviction policy sees no keys, no values and no shared memory', () => {
    for (const path of files('src/eviction')) expect(importsOf(path).every((target) => target.startsWith('src/eviction/')), path).toBe(true);
  });

  test('no file has more than 450 lines', () => {
    expect(sources.filter((path) => readFileSync(join(root, path), 'utf8').split('\n').length > 450)).toEqual([]);
  });

  test('nothing names a machine or its tools', () => {
    const told = /\/work\/|\/root\/|\/tmp\/x|registry\.npmjs/;
    const all = [...sources, ...files('test'), ...files('bench'), 'README.md', 'package.json'].filter((path) => path !== join('test', 'architecture.test.ts'));
    expect(all.filter((path) => told.test(readFileSync(join(root, path), 'utf8')))).toEqual([]);
  });
});
