/** What is wrong with a value is said in the same words for all options; and types follow the schema. */
import { expect, expectTypeOf, test } from 'vitest';
import { anyOf, byKind, checked, flag, list, number, object, oneOf, partial, passing, text, whole, type InputOf, type OutputOf } from '../src/schema.ts';

const sizes = object({ entries: whole(1, 10).default(5), share: number({ above: 0, below: 1 }).optional(), ttl: number({ min: 0, max: 9.5 }).default(1) });
const schema = object({
  sizes: sizes.default({}),
  name: text({ min: 1, max: 4, matches: { pattern: /^[^{]*$/, text: 'may hold no {' } }).default('abc'),
  mode: oneOf('fast', 'safe').default('fast'),
  tls: anyOf(flag(), object({ ca: text().optional() })).default(false),
  nodes: list(object({ host: text(), port: whole(1, 99).default(7) }), 1).optional(),
  store: byKind({ file: object({ kind: oneOf('file'), path: text() }), none: object({ kind: oneOf('none') }) }).optional(),
  call: passing<() => void>((value) => typeof value === 'function', 'is not a function').optional(),
});
const said = (input: unknown, at?: string): string | undefined => {
  try {
    checked(schema, input, at);
    return undefined;
  } catch (error) {
    return `${(error as Error).message}${(error as Error).cause === undefined ? '' : ` (${((error as Error).cause as Error).message})`}`;
  }
};

test('defaults are filled in at every depth, and are checked as what is given', () => {
  expect(checked(schema, {})).toEqual({ sizes: { entries: 5, ttl: 1 }, name: 'abc', mode: 'fast', tls: false });
  expect(checked(schema, { nodes: [{ host: 'h' }], sizes: { entries: undefined } })).toMatchObject({ nodes: [{ host: 'h', port: 7 }], sizes: { entries: 5 } });
  expect(() => checked(object({ n: whole(1, 2).default(3) }), {})).toThrow('n: too big');
});

test('what is given is not kept: a caller that changes it later changes no option', () => {
  const given = { sizes: { entries: 3 }, nodes: [{ host: 'h' }] };
  const result = checked(schema, given);
  given.sizes.entries = 4;
  given.nodes[0].host = 'other';
  given.nodes.push({ host: 'more' });
  expect(result).toMatchObject({ sizes: { entries: 3 }, nodes: [{ host: 'h', port: 7 }] });
});

test.each<[unknown, string]>([
  [5, 'options: invalid input: expected object, received number'],
  [null, 'options: invalid input: expected object, received null'],
  [[], 'options: invalid input: expected object, received array'],
  [{ sizes: { entries: '5' } }, 'sizes.entries: invalid input: expected number, received string'],
  [{ sizes: { entries: Number.NaN } }, 'sizes.entries: invalid input: expected number, received NaN'],
  [{ sizes: { entries: -Infinity } }, 'sizes.entries: invalid input: expected number, received -Infinity'],
  [{ sizes: { entries: new Date(0) } }, 'sizes.entries: invalid input: expected number, received Date'],
  [{ sizes: { entries: null } }, 'sizes.entries: invalid input: expected number, received null'],
  [{ sizes: { entries: 1.5 } }, 'sizes.entries: invalid input: expected int, received number'],
  [{ sizes: { entries: 0 } }, 'sizes.entries: too small: expected number to be >=1'],
  [{ sizes: { entries: 11 } }, 'sizes.entries: too big: expected number to be <=10'],
  [{ sizes: { ttl: 9.6 } }, 'sizes.ttl: too big: expected number to be <=9.5'],
  [{ sizes: { share: 0 } }, 'sizes.share: too small: expected number to be >0'],
  [{ sizes: { share: 1 } }, 'sizes.share: too big: expected number to be <1'],
  [{ sizes: { bogus: 1, more: 2 } }, 'sizes.bogus: is not an option'],
  [{ sizes: JSON.parse('{"__proto__":{"entries":1}}') as object }, 'sizes.__proto__: is not an option'],
  [{ name: '' }, 'name: too small: expected string to have >=1 characters'],
  [{ name: 'abcde' }, 'name: too big: expected string to have <=4 characters'],
  [{ name: '\u{1f98a}'.repeat(5) }, 'name: too big: expected string to have <=4 characters'],
  [{ name: 'a{' }, 'name: may hold no {'],
  [{ mode: 'slow' }, 'mode: invalid option: expected one of "fast"|"safe"'],
  [{ tls: 'yes' }, 'tls: invalid input'],
  [{ tls: { ca: 1 } }, 'tls: invalid input'],
  [{ tls: { bogus: 1 } }, 'tls.bogus: is not an option'],
  [{ nodes: {} }, 'nodes: invalid input: expected array, received object'],
  [{ nodes: [] }, 'nodes: too small: expected array to have >=1 items'],
  [{ nodes: [{ host: 'h' }, { port: 1 }] }, 'nodes.1.host: invalid input: expected string, received undefined'],
  [{ store: 'file' }, 'store: invalid input: expected object, received string'],
  [{ store: { kind: 'toString' } }, "store.kind: invalid discriminator value. Expected 'file' | 'none'"],
  [{ store: { kind: 'none', path: 'x' } }, 'store.path: is not an option'],
  [{ call: 1 }, 'call: is not a function'],
  [{ sizes: { entries: 0, ttl: -1 }, mode: 1 }, 'sizes.entries: too small: expected number to be >=1 (3 options are wrong in all)'],
])('%j: %s', (input, says) => {
  expect(said(input)).toBe(says);
});

test('an object of some class is an object', () => expect(said(new Map())).toBeUndefined());

test('at names the option that holds the input', () => {
  expect(said({ mode: 1 }, 'l2')).toMatch(/^l2\.mode: /);
  expect(said(1, 'l2')).toMatch(/^l2: /);
});

test('four characters are four, whatever their width', () => expect(said({ name: '\u{1f98a}'.repeat(4) })).toBeUndefined());

test('a bound on the whole is looked at when all parts are of the right kind', () => {
  const range = object({ low: number(), high: number({ max: 5 }) }).refine(({ low, high }) => low <= high, 'is at most high', ['low']);
  expect(() => checked(range, { low: 3, high: 2 })).toThrow('low: is at most high');
  expect(() => checked(range, { low: 'x', high: 2 })).toThrow('low: invalid input: expected number');
  expect(() => checked(range, { low: 7, high: 6 })).toThrow(expect.objectContaining({ option: 'high', cause: expect.objectContaining({ message: '2 options are wrong in all' }) as Error }) as Error);
  expect(checked(range, { low: 2, high: 2 })).toEqual({ low: 2, high: 2 });
});

test('other names: refused, dropped, kept', () => {
  const given = { a: 1, other: 2 };
  expect(() => checked(object({ a: number() }), given)).toThrow('other: is not an option');
  expect(checked(object(partial({ a: number(), b: text() }), 'dropped'), given)).toEqual({ a: 1 });
  expect(checked(object({ a: number() }, 'kept'), given)).toEqual(given);
  const hostile = checked(object({ a: number() }, 'kept'), JSON.parse('{"a":1,"__proto__":{"polluted":1}}'));
  expect((hostile as unknown as { polluted?: number }).polluted).toBeUndefined();
});

test('types: what may be left out, and what is there afterwards', () => {
  expectTypeOf<InputOf<typeof sizes>>().toEqualTypeOf<{ entries?: number; share?: number; ttl?: number }>();
  expectTypeOf<OutputOf<typeof sizes>>().toEqualTypeOf<{ entries: number; ttl: number; share?: number }>();
  expectTypeOf<OutputOf<typeof schema>['mode']>().toEqualTypeOf<'fast' | 'safe'>();
  expectTypeOf<NonNullable<InputOf<typeof schema>['nodes']>>().toEqualTypeOf<readonly { host: string; port?: number }[]>();
  expectTypeOf<OutputOf<typeof schema>['store']>().toEqualTypeOf<{ kind: 'file'; path: string } | { kind: 'none' } | undefined>();
});
