/** Flipped bits, zeroed pages and cut files, at open and while open: no crash, no wrong bytes, the service goes on. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const CASES = Number(process.env.PROFILECACHE_DAMAGE_CASES ?? 20);
const childFile = fileURLToPath(new URL('./embedded-child.mjs', import.meta.url));

interface Sum {
  hit: number;
  miss: number;
  failed: number;
  wrong: number;
  setAside: number;
  refused: number;
}

describe('embedded store, damaged', () => {
  for (const when of ['closed', 'open']) {
    for (const kind of ['flip', 'zero', 'truncate']) {
      it(`${kind} while ${when}: ${CASES} random places`, { timeout: 30_000 + CASES * 1_000 }, () => {
        const seed = Number(process.env.PROFILECACHE_SEED ?? Date.now() % 1e9);
        // In a process of its own, so that a crash is an exit code and not the end of the test.
        const child = spawnSync(process.execPath, [childFile, 'damage', kind, when, String(CASES), String(seed)], { encoding: 'utf8' });
        expect({ status: child.status, signal: child.signal, stderr: child.stderr }, `seed ${seed}`).toEqual({ status: 0, signal: null, stderr: '' });
        const sum = JSON.parse(child.stdout) as Sum;
        expect({ wrong: sum.wrong, failed: sum.failed, refused: sum.refused }, `seed ${seed}: ${child.stdout}`).toEqual({ wrong: 0, failed: 0, refused: 0 });
        // Only what was hit is lost: a flip costs a record, not a file.
        expect(sum.hit / (sum.hit + sum.miss), child.stdout).toBeGreaterThan(kind === 'flip' ? 0.85 : 0.3);
        if (kind === 'zero') expect(sum.setAside).toBeGreaterThan(0);
      });
    }
  }
});
