/** What it ran on: without that, figures are rumours. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

const root = new URL('../../', import.meta.url);
const PACKAGES = ['lru-cache', 'ioredis', 'msgpackr', 'lz4-napi', 'piscina'];

export const loadText = () => loadavg().map((load) => load.toFixed(1)).join(' ');

export function environmentText(): string {
  const versions = PACKAGES.map((name) => `${name} ${JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, root), 'utf8')).version}`);
  return [
    `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${cpus().length} cores, ${process.platform} ${process.arch}`,
    `Node ${process.versions.node} (V8 ${process.versions.v8}), ${versions.join(', ')}, Redis ${redisVersion()}`,
    `load average ${loadText()}; ${new Date().toISOString()}; commit ${commit()}`,
  ].join('\n');
}

function output(command: string, args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined; // Not installed, or no repository: the text says so.
  }
}

const redisVersion = () => /v=(\S+)/.exec(output('redis-server', ['--version']) ?? '')?.[1] ?? 'absent';

function commit(): string {
  const hash = output('git', ['rev-parse', '--short', 'HEAD']);
  if (hash === undefined) return 'unknown';
  return output('git', ['status', '--porcelain', '--untracked-files=no', 'src', 'workers', 'bench']) === '' ? hash : `${hash} with changes`;
}
