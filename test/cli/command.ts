/**
 * Runs the built command (`npm run build`, or `npx tsc -p tsconfig.build.json`) as a child process, as a user would.
 * Each run has an environment and a home for its notes of its own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  ended: Promise<Ran>;
  stdout(): string;
  stderr(): string;
  /** Until stdout and stderr together match. */
  saw(pattern: RegExp): Promise<void>;
}

const DEADLINE_MS = 60_000;

export function start(args: string[], folder: string, more: { env?: Record<string, string>; input?: string } = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, XDG_CACHE_HOME: `${folder}/.cache`, ...more.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  const changed = () => watchers.forEach((look) => look());
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; changed(); });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; changed(); });
  child.stdin.on('error', () => undefined); // A command that does not read stdin may end before it is written.
  child.stdin.end(more.input ?? '');
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const ended = new Promise<Ran>((resolve) => child.on('close', (code, signal) => {
    clearTimeout(deadline);
    resolve({ code, signal, stdout, stderr });
    changed();
  }));
  const saw = (pattern: RegExp) => new Promise<void>((resolve, reject) => {
    const look = () => {
      if (pattern.test(stdout + stderr)) resolve();
      else if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`ended without ${pattern}: ${stdout}${stderr}`));
      else return;
      watchers.delete(look);
    };
    watchers.add(look);
    look();
  });
  return { child, ended, stdout: () => stdout, stderr: () => stderr, saw };
}

export const run = (args: string[], folder: string, more: { env?: Record<string, string>; input?: string } = {}): Promise<Ran> => start(args, folder, more).ended;

export interface JsonError {
  error: { code: string; message: string; exitCode: number; option?: string; line?: number };
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
