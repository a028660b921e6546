/** Help, version, mistakes on the command line, and that no password leaves the command. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { DEFAULT_BASE_PORT } from '../../src/cli/commands/cluster.ts';
import { Redactor } from '../../src/cli/redact.ts';
import { LOCAL_CLUSTER_BASE_PORT } from '../../src/l2/local-cluster.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { run, type JsonError } from './command.ts';

// Each test starts several processes; a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 60_000 });

const tmp = makeTmpFolder('cli');
afterAll(() => tmp.remove());
const COMMANDS = ['profile', 'get', 'invalidate', 'stats', 'watch', 'sample-trades', 'cluster', 'demo'];

describe('help and version', () => {
  it('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(await run(['--version'], tmp.path)).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('--help names every command and every exit code; each command has help with an example', async () => {
    const { code, stdout } = await run(['--help'], tmp.path);
    expect(code).toBe(0);
    for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
    for (const exit of ['0', '1', '2', '3', '4', '130']) expect(stdout).toMatch(new RegExp(`^ {2}${exit} `, 'm'));
    for (const name of COMMANDS) {
      const help = await run(['help', name], tmp.path);
      expect({ name, code: help.code, stderr: help.stderr }).toEqual({ name, code: 0, stderr: '' });
      expect(help.stdout).toMatch(/\$ profilecache /);
      expect((await run([name, '--help'], tmp.path)).stdout).toBe(help.stdout);
    }
  });

  it('no command: help on stderr, exit code 2', async () => {
    expect(await run([], tmp.path)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^Usage: profilecache/) as string });
  });
});

it('the base port in the help is that of the local cluster', () => expect(DEFAULT_BASE_PORT).toBe(LOCAL_CLUSTER_BASE_PORT));

describe('mistakes', () => {
  const mistakes: Array<[args: string[], says: RegExp]> = [
    [['profil', 'x'], /unknown command 'profil'.*profile/],
    [['--bogus', 'stats'], /unknown option '--bogus'/],
    [['profile', 'x', '--bogus'], /unknown option '--bogus'/],
    [['profile', 'x', 'y'], /too many arguments/],
    [['stats', '--l2'], /argument missing/],
    [['cluster', 'sideways'], /unknown command 'sideways'/],
    [['cluster', 'up', '--base-port', '80'], /whole number from 1024/],
    [['help', 'bogus'], /bogus/],
  ];
  for (const [args, says] of mistakes) {
    it(`${args.join(' ')}: exit code 2`, async () => {
      const plain = await run(args, tmp.path);
      expect(plain).toMatchObject({ code: 2, stdout: '' });
      expect(plain.stderr).toMatch(says);
      expect(plain.stderr).toMatch(/^error: [^\n]*\(ERR_USAGE\)\n$/);
      expect((JSON.parse((await run([...args, '--json'], tmp.path)).stdout) as JsonError).error).toMatchObject({ code: 'ERR_USAGE', exitCode: 2 });
    });
  }

  it.each(['http://localhost', 'redis:/h:1', 'redis://', 'file:', 'redis://u:hunter2@h:p', 'redis://h:99999', 'redis://h:1?bogus=1'])('L2 %s: exit code 2, ERR_OPTION', async (url) => {
    const { code, stderr } = await run(['stats', '--l2', url], tmp.path);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: l2.*\(ERR_OPTION\)\n$/);
    expect(stderr).not.toContain('hunter2');
  });
});

describe('secrets', () => {
  it('a password is in no output, also where the command line is wrong', async () => {
    const url = 'rediss://app:hunter2%40x@127.0.0.1:1';
    for (const args of [['stats', `--bogus=${url}`], [url], ['profile', 'x', url], ['stats', '--l2', url, '--l2-timeout', url]]) {
      for (const form of [[], ['--json']]) {
        const { stdout, stderr } = await run([...args, ...form], tmp.path, { env: { PROFILECACHE_DEBUG: '1' } });
        expect(stdout + stderr).not.toMatch(/hunter2/);
        expect((stdout + stderr).length).toBeGreaterThan(0);
      }
    }
  });

  it('is removed as written and as decoded, and ordinary words stay', () => {
    const redactor = new Redactor();
    redactor.addUrl('redis://app:p%40ss@h:1,h:2');
    redactor.addUrl('redis://h:1?password=other');
    expect(redactor.clean('p%40ss p@ss other at redis://app:p@ss@h:1')).toBe('*** *** *** at redis://***@h:1');
    expect(redactor.clean('redis://h:1,h:2 file:./x')).toBe('redis://h:1,h:2 file:./x');
  });
});
