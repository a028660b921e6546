/** Model and code share one list of steps (native-notes/model/README.md); this holds list, model and code together, and runs the smallest of the models. */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CORRECT, MUTANTS, type Variant } from '../../bench/support/model-variants.ts';
import { checkModel, missingTool, surprise } from '../../bench/support/spin.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const folder = 'native-notes/model/';
const models = readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.pml')).map((name) => ({ name, text: read(folder + name) }));

interface Step { label: string; file?: string; name?: string; fragment?: string }
const steps: Step[] = [...read(`${folder}README.md`).matchAll(/^\| \[(\w+\.\d+)\] \| .*? \| (?:`(.*?)` `(.*?)` \| `(.*?)`|none: .*?\|) ?\|$/gm)]
  .map(([, label, file, name, fragment]) => ({ label, file, name, fragment }));

/** The lines of a function or method, found by the indentation of its end. */
function bodyOf(path: string, name: string): string {
  const found = new RegExp(`^( *)(?:(?:export|private|static|readonly|async|function) )*${name}\\b[^\\n]*\\{\\n[^]*?^\\1\\}`, 'm').exec(read(path));
  if (found === null) throw new Error(`${path} has no function ${name}`);
  return found[0];
}

describe('steps', () => {
  test('the list and the models name the same steps', () => {
    const inModels = new Set(models.flatMap(({ text }) => [...text.matchAll(/\[([a-z]+\.\d+)\]/g)].map(([, label]) => label)));
    expect(steps.length).toBeGreaterThan(30);
    expect(new Set(steps.map(({ label }) => label)).size).toBe(steps.length);
    expect([...inModels].sort()).toEqual(steps.map(({ label }) => label).sort());
  });

  test('each step stands in the function it names, in the order of the list', () => {
    let last = { place: '', end: 0 };
    for (const { label, file, name, fragment } of steps) {
      if (file === undefined || name === undefined || fragment === undefined) continue;
      const place = `${file} ${name}`;
      const from = place === last.place ? last.end : 0;
      const at = bodyOf(file, name).indexOf(fragment, from);
      expect(at, `[${label}]: ${place} has no ${fragment}${from > 0 ? ' after the step before' : ''}`).toBeGreaterThanOrEqual(0);
      last = { place, end: at + fragment.length };
    }
  });

  test('a slot changes in one order, wherever it does', () => {
    for (const [file, name] of [['src/l1/writer.ts', 'publish'], ['src/l1/writer.ts', 'emptySlot'], ['src/l1/arena.ts', 'move']]) {
      const body = bodyOf(file, name);
      const places = ['beginChange(', ...(name === 'move' ? [] : ['SLOT.version, ']), 'SLOT.offset, ', 'endChange('].map((text) => body.indexOf(text));
      expect(places.every((at, i) => at > (places[i - 1] ?? 0)), `${file} ${name}: ${places}`).toBe(true);
    }
    // Memory is taken again behind the fence only.
    for (const name of ['takeFree', 'reset']) expect(bodyOf('src/l1/arena.ts', name)).toContain('this.fence()');
  });

  test('a switch of a variant exists in its model', () => {
    for (const { model, defines } of [...CORRECT, ...MUTANTS]) {
      const { text } = models.find(({ name }) => name === `${model}.pml`) as { text: string };
      for (const define of defines) expect(text, define).toMatch(new RegExp(`#(ifn?def|if defined\\(|if|define) ?.*\\b${define.split('=')[0]}\\b`));
    }
  });
});

const missing = missingTool();
describe.skipIf(missing !== undefined)(`spin${missing === undefined ? '' : ` (skipped: ${missing} is not installed)`}`, () => {
  const correct: Variant[] = [
    { model: 'slot', name: 'smallest', defines: ['OPS=2'], why: '' },
    { model: 'slot', name: 'smallest, ARM64-like', defines: ['WEAK', 'OPS=1'], why: '' },
    { model: 'index', name: 'smallest', defines: ['OPS=1'], why: '' },
    { model: 'row', name: 'smallest', defines: ['SIGNS=1', 'PASSES=1', 'ROUNDS=1'], why: '' },
  ];
  const names = ['version raised before seq odd', 'ARM64-like: no fence at reuse', 'used before there is a waiter'];
  const mutants = names.map((name) => MUTANTS.find((variant) => variant.name === name) as Variant);
  test.each([...correct, ...mutants].map((variant) => [`${variant.model}: ${variant.name}`, variant] as const))('%s', (_, variant) => {
    expect(surprise(variant, checkModel(variant, false))).toBeUndefined();
  }, 60_000);
});
