/** What is wrong with an option is said in the same words for all of them, and without the value. */
import * as v from 'valibot';
import { afterEach, expect, expectTypeOf, test } from 'vitest';
import { abortSignal, amount, checked, list, positive, text, whole } from '../src/checked.ts';

const schema = v.strictObject({
  sizes: v.optional(v.strictObject({ entries: v.optional(whole(1, 10), 5), share: v.optional(positive(1)), ttl: v.optional(amount(0, 9.5), 1) }), {}),
  name: v.optional(text(4), 'abc'),
  password: v.optional(v.string()),
  mode: v.optional(v.picklist(['fast', 'safe']), 'fast'),
  nodes: v.optional(list(v.strictObject({ host: v.string(), port: v.optional(whole(1, 99), 7) }))),
  store: v.optional(v.variant('kind', [v.strictObject({ kind: v.literal('file'), path: v.string() }), v.strictObject({ kind: v.literal('none') })])),
  signal: v.optional(abortSignal),
});
const said = (input: unknown, at?: string): string | undefined => {
  try {
    checked(schema, input, at);
    return undefined;
  } catch (error) {
    const { message, cause } = error as Error;
    return `${message}${cause === undefined ? '' : ` (${(cause as Error).message})`}`;
  }
};
afterEach(() => v.deleteSchemaMessage());

test('defaults are filled in at every depth, and are checked as what is given', () => {
  expect(checked(schema, {})).toEqual({ sizes: { entries: 5, ttl: 1 }, name: 'abc', mode: 'fast' });
  expect(checked(schema, { nodes: [{ host: 'h' }], sizes: { entries: undefined } })).toMatchObject({ nodes: [{ host: 'h', port: 7 }], sizes: { entries: 5 } });
  expect(() => checked(v.object({ n: v.optional(whole(1, 2), 3) }), {})).toThrow('n: expected <=2, received 3');
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
  [5, 'options: expected Object, received number'],
  [null, 'options: expected Object, received null'],
  [{ sizes: { entries: '5' } }, 'sizes.entries: expected number, received string'],
  [{ sizes: { entries: Number.NaN } }, 'sizes.entries: expected number, received NaN'],
  [{ sizes: { entries: -Infinity } }, 'sizes.entries: expected >=1, received -Infinity'],
  [{ sizes: { entries: new Date(0) } }, 'sizes.entries: expected number, received Date'],
  [{ sizes: { entries: null } }, 'sizes.entries: expected number, received null'],
  [{ sizes: { entries: 1.5 } }, 'sizes.entries: is not a whole number'],
  [{ sizes: { entries: 0 } }, 'sizes.entries: expected >=1, received 0'],
  [{ sizes: { entries: 11 } }, 'sizes.entries: expected <=10, received 11'],
  [{ sizes: { ttl: 9.6 } }, 'sizes.ttl: expected <=9.5, received 9.6'],
  [{ sizes: { share: 0 } }, 'sizes.share: expected >0, received 0'],
  [{ sizes: { bogus: 1, more: 2 } }, 'sizes.bogus: is not an option'],
  [{ sizes: JSON.parse('{"__proto__":{"entries":1}}') as object }, 'sizes.__proto__: is not an option'],
  [{ sizes: { toString: 1 } }, 'sizes.toString: is not an option'],
  [{ name: '' }, 'name: is empty'],
  [{ name: 'abcde' }, 'name: has more than 4 characters'],
  [{ name: '\u{1f98a}'.repeat(5) }, 'name: has more than 4 characters'],
  [{ mode: 'slow' }, 'mode: expected ("fast" | "safe"), received string'],
  [{ nodes: {} }, 'nodes: expected Array, received Object'],
  [{ nodes: [{ host: 'h' }, { port: 1 }] }, 'nodes.1.host: is missing'],
  [{ store: 'file' }, 'store: expected Object, received string'],
  [{ store: { kind: 'toString' } }, 'store.kind: expected ("file" | "none"), received string'],
  [{ store: {} }, 'store.kind: expected ("file" | "none"), received undefined'],
  [{ store: { kind: 'none', path: 'x' } }, 'store.path: is not an option'],
  [{ signal: {} }, 'signal: expected AbortSignal, received Object'],
  [{ sizes: { entries: 0.5, ttl: -1 }, mode: 1 }, 'sizes.entries: expected >=1, received 0.5 (3 options are wrong in all)'],
])('%j: %s', (input, says) => {
  expect(said(input)).toBe(says);
});

test('a value is not repeated: it may be a password given in a wrong way', () => {
  expect(said({ password: 4711 })).toBe('password: expected string, received number');
  expect(said({ store: 'hunter2', mode: 'hunter2', sizes: 'hunter2' })).not.toContain('hunter2');
});

test('messages that an application sets for its own use of valibot are none of ours', () => {
  v.setSchemaMessage(({ received }) => `theirs: ${received}`);
  expect(said({ password: 4711 })).toBe('password: expected string, received number');
});

test('at names the option that holds the input', () => {
  expect(said({ mode: 1 }, 'l2')).toMatch(/^l2\.mode: /);
  expect(said(1, 'l2')).toMatch(/^l2: /);
});

test('four characters are four, whatever their width', () => expect(said({ name: '\u{1f98a}'.repeat(4) })).toBeUndefined());

test('a list is read only where it is given, and the reader’s own where it comes out', () => {
  const lists = list(text());
  expectTypeOf<v.InferInput<typeof lists>>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<v.InferOutput<typeof lists>>().toEqualTypeOf<string[]>();
});
