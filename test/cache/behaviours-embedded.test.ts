import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { behaviours } from './behaviours.ts';

const home = mkdtempSync(join(tmpdir(), 'profilecache-behave-'));
let folders = 0;
afterAll(() => rmSync(home, { recursive: true, force: true }));

behaviours('embedded store', () => ({ kind: 'embedded', path: join(home, String(++folders)) }));
