/** The README's first TypeScript example runs as it stands. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the repository, so that the package resolves by its own name.
const folder = mkdtempSync(join(root, 'test', '.readme-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the example of the README', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? '';
  expect(example).toContain('ProfileCache.open');
  const script = join(folder, 'example.mjs');
  writeFileSync(script, example);
  expect(Number(execFileSync(process.execPath, [script], { encoding: 'utf8', cwd: folder }).trim())).toBeGreaterThan(0);
});
