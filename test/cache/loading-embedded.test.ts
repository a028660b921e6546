import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { loadingBehaviours } from './loading-behaviours.ts';

const home = mkdtempSync(join(tmpdir(), 'profilecache-loading-'));
let folders = 0;
afterAll(() => rmSync(home, { recursive: true, force: true }));

loadingBehaviours('embedded store', () => ({ kind: 'embedded', path: join(home, String(++folders)) }));
