/** A folder of its own for one test, removed by the function that comes with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function makeTmpFolder(name = 'test'): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `profilecache-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
