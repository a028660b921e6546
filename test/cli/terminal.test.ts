/** The bars on a pseudo terminal, through `script` (util-linux); skipped, by name, where that is not installed. */
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeSampleTrades } from '../../src/profiler/sample-write.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { MAIN } from './command.ts';

// Each test starts several processes; a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 60_000 });

const scriptIsUtilLinux = (() => {
  try {
    return /util-linux/.test(execFileSync('script', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return false;
  }
})();

const tmp = makeTmpFolder('cli');
beforeAll(() => writeSampleTrades(join(tmp.path, 'trades.csv'), { wallets: 200, trades: 2_000, tokens: 10, seed: 2 }).then(() => undefined));
afterAll(() => tmp.remove());

function onTerminal(args: string, env: Record<string, string>): Promise<{ code: number | null; screen: string }> {
  return new Promise((resolve) => {
    const child = spawn('script', ['-qec', `"${process.execPath}" "${MAIN}" ${args}`, '/dev/null'], {
      cwd: tmp.path, env: { PATH: process.env.PATH, HOME: tmp.path, TERM: 'xterm', ...env }, stdio: ['ignore', 'pipe', 'inherit'],
    });
    let screen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
    child.on('close', (code) => resolve({ code, screen }));
  });
}

describe.skipIf(!scriptIsUtilLinux)('on a terminal (needs `script` of util-linux)', () => {
  it('profile draws bars that end full, in blocks where the locale is UTF-8', async () => {
    const { code, screen } = await onTerminal('profile trades.csv --l2 none:', { LANG: 'C.UTF-8' });
    expect(code).toBe(0);
    expect(screen).toMatch(/Reading trades +█{10,24} 100% /);
    expect(screen).toMatch(/Profiling wallets +█{10,24} 100% +200 /);
    // The cursor comes back.
    expect(screen.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.lastIndexOf('\u001b[?25l'));
  });

  it('in plain characters elsewhere; none with --quiet, --json or a dumb terminal', async () => {
    expect((await onTerminal('profile trades.csv --l2 none:', { LC_ALL: 'C' })).screen).toMatch(/Profiling wallets +#{10,24} 100%/);
    for (const [flag, term] of [['--quiet', 'xterm'], ['--json', 'xterm'], ['', 'dumb']]) {
      const { code, screen } = await onTerminal(`profile trades.csv --l2 none: ${flag}`, { LC_ALL: 'C', TERM: term });
      expect(code).toBe(0);
      expect(screen).not.toMatch(/#####|\u001b\[\?25/);
    }
  });

  it('an error in the middle of a bar stands on a line of its own', async () => {
    const { code, screen } = await onTerminal('profile /proc/self/environ', { LC_ALL: 'C' });
    expect(code).toBe(4);
    expect(screen).toMatch(/[\r\n]\u001b?(\[K)?error: \/proc\/self\/environ/);
    expect(screen.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.lastIndexOf('\u001b[?25l'));
  });
});
