/** `profilecache simulate`: reading traces, the table, --json and the plot. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Shell } from '../../src/cli/shell.ts';
import { capacities, registerSimulate } from '../../src/cli/simulate.ts';
import { plotSvg } from '../../src/cli/simulate-plot.ts';
import { readTrace } from '../../src/cli/simulate-trace.ts';
import { zipfTrace } from './support.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'simulate-'))));
afterAll(() => rm(folder, { recursive: true }));

const file = async (name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};
const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);

describe('traces', () => {
  test('text: one key a line, blank lines and line ends of any kind', async () => {
    const trace = await readTrace({ path: await file('t.txt', 'a\nb\r\n\na\né') });
    expect([...trace.ids]).toEqual([0, 1, 0, 2]);
    expect(trace.uniqueKeys).toBe(3);
  });

  test('u32, gzip by content and not by name, across chunks', async () => {
    const keys = Array.from({ length: 300_001 }, (_, i) => (i * 7) % 1_000);
    const trace = await readTrace({ path: await file('t.u32', gzipSync(Buffer.from(Uint32Array.from(keys).buffer))) });
    expect(trace.ids.length).toBe(300_001);
    expect(trace.uniqueKeys).toBe(1_000);
    expect(trace.ids[999]).toBe(999);
    expect(trace.ids[1_000]).toBe(0);
  });

  test('CSV: column by name, by number, in quotes; sizes from a column', async () => {
    const path = await file('t.csv', 'when,wallet,bytes\n1,x,10\n2,"y, ""z""",20\n3,x,0\n');
    const trace = await readTrace({ path, column: 'wallet', sizeColumn: 'bytes' });
    expect([...trace.ids]).toEqual([0, 1, 0]);
    expect([...(trace.sizes as Uint32Array)]).toEqual([10, 20, 1]);
    expect((await readTrace({ path, column: '1' })).uniqueKeys).toBe(3);
  });

  test('sizes from a file of their own', async () => {
    const path = await file('k.txt', 'a\nb\n');
    expect([...((await readTrace({ path, sizesPath: await file('s.u32', words(5, 6)) })).sizes as Uint32Array)]).toEqual([5, 6]);
    expect([...((await readTrace({ path, sizesPath: await file('s.txt', '5\n6\n') })).sizes as Uint32Array)]).toEqual([5, 6]);
  });

  test('what cannot be read is said, with the line', async () => {
    const refused = async (source: Parameters<typeof readTrace>[0], message: RegExp) => expect(await readTrace(source).catch((error: Error & { code: string }) => `${error.code} ${error.message}`)).toMatch(message);
    await refused({ path: join(folder, 'none') }, /ERR_TRACE.*no such file/);
    await refused({ path: folder }, /ERR_TRACE.*folder/);
    await refused({ path: await file('empty.txt', '') }, /ERR_TRACE.*holds no requests/);
    await refused({ path: await file('odd.u32', 'abcde') }, /ERR_TRACE.*middle of a 32-bit/);
    await refused({ path: await file('c.csv', 'a,b\n1,2\n'), column: 'wallet' }, /ERR_TRACE.*no column wallet; it has a, b/);
    await refused({ path: await file('d.csv', 'a,b\n1\n'), column: 'b' }, /ERR_TRACE.*line 2/);
    await refused({ path: await file('e.txt', 'a\nb\n'), sizesPath: await file('e.sz', '1\n') }, /ERR_TRACE.*1 sizes for 2 requests/);
    await refused({ path: await file('f.txt', 'a\n'), sizesPath: await file('f.sz', 'big\n') }, /ERR_TRACE.*line 1.*"big"/);
    await refused({ path: await file('cut.gz', gzipSync('a\nb\nc\n'.repeat(1_000)).subarray(0, 20)) }, /ERR_TRACE.*damaged or cut/);
  });
});

async function simulate(...args: string[]): Promise<string> {
  const shell = new Shell(['--quiet', ...args]);
  let out = '';
  vi.spyOn(shell, 'write').mockImplementation(async (text) => void (out += text));
  const program = new Command('profilecache').option('--json').option('-q, --quiet').exitOverride().configureOutput({ outputError: () => undefined });
  registerSimulate(program, shell);
  await program.parseAsync(['simulate', ...args], { from: 'user' });
  return out;
}

describe('the command', () => {
  const { ids } = zipfTrace(400, 6_000, 0.8, 3);

  test('prints a row for each policy and the optimum at each size', async () => {
    const path = await file('zipf.u32', words(...ids));
    const out = await simulate(path, '--capacities', '5%,100');
    for (const name of ['lru', 's3-fifo', 'w-tinylfu', 'adaptive', 'optimum (Belady)']) expect(out.split(name).length - 1, name).toBeGreaterThanOrEqual(2);
    expect(out).toContain('6,000 requests');
    expect(out).toContain('Cache of 100 entries');
    expect(out).toContain('gap closed');
  });

  test('--json: what is printed adds up, and nothing beats the optimum', async () => {
    const path = await file('zipf2.u32', words(...ids));
    const { cells, requests } = JSON.parse(await simulate(path, '--capacities', '2%,10%,50%', '--json'));
    expect(requests).toBe(6_000);
    expect(cells).toHaveLength(3);
    for (const cell of cells) {
      expect(cell.policies[0]).toMatchObject({ policy: 'lru', vsLru: 0, gapClosed: 0 });
      for (const row of cell.policies) {
        expect(row.misses).toBeGreaterThanOrEqual(cell.optimum.misses);
        expect(row.missRatio).toBeCloseTo(row.misses / requests, 12);
        expect(row.gapClosed).toBeCloseTo((cell.policies[0].misses - row.misses) / (cell.policies[0].misses - cell.optimum.misses), 12);
      }
    }
  });

  test('--bytes: bounds in bytes, GDSF and the bound', async () => {
    const path = await file('zipf3.u32', words(...ids));
    const sizes = await file('zipf3.sz.u32', words(...Array.from(ids, (id) => 10 + ((id * 7_919) % 500))));
    const { cells, bound } = JSON.parse(await simulate(path, '--sizes', sizes, '--bytes', '--capacities', '10%', '--json'));
    expect(bound).toBe('pfoo-l');
    const names = cells[0].policies.map((row: { policy: string }) => row.policy);
    expect(names).toContain('gdsf');
    for (const row of cells[0].policies) expect(row.misses).toBeGreaterThanOrEqual(cells[0].optimum.misses);
  });

  test('mistakes of the command line', async () => {
    const path = await file('one.txt', 'a\nb\n');
    await expect(simulate(path, '--bytes')).rejects.toMatchObject({ code: 'ERR_USAGE' });
    await expect(simulate(path, '--policies', 'clairvoyant')).rejects.toThrow(/no policy clairvoyant/);
    await expect(simulate(path, '--capacities', '0')).rejects.toThrow(/list such as/);
    await expect(simulate(path, '--plot', join(folder, 'no', 'p.svg'))).rejects.toMatchObject({ code: 'ERR_OUTPUT' });
    expect(capacities('0.1%, 5000')).toEqual([{ share: 0.001 }, { amount: 5_000 }]);
  });

  test('--plot writes an SVG with a line and a name for each policy', async () => {
    const plot = join(folder, 'p.svg');
    await simulate(await file('a<b&.u32', words(...ids)), '--capacities', '1%,10%,100%', '--plot', plot);
    const svg = await readFile(plot, 'utf8');
    for (const name of ['lru', 's3-fifo', 'w-tinylfu', 'adaptive', 'optimum (Belady)']) expect(svg).toContain(`>${name}</text>`);
    expect(svg).toContain('a&#60;b&#38;.u32');
    expect(svg).not.toContain('NaN');
  });

  test('a plot of one size, and of equal ratios, has no NaN either', () => {
    const svg = plotSvg('one', 'entries', [{ name: 'lru', points: [{ size: 5, label: '5', missRatio: 1 }] }]);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
