import fc from 'fast-check';

/** Field names as they come, awkward ones included; `__proto__` is refused, and `__keys__` beside a Map: they have their own tests. */
const anyKey = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'risk_score', 'volumes', 'x y', 'é', '0', '17', '', '__keys__', 'constructor', 'toString', 'hasOwnProperty', 'length') },
  { weight: 1, arbitrary: fc.string({ maxLength: 40 }).filter((text) => text !== '__proto__') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 10 }).filter((text) => text !== '__proto__') },
);

const number = fc.oneof(fc.integer(), fc.integer({ min: -200, max: 300 }), fc.maxSafeInteger(), fc.double(), fc.float()).map((n) => (Object.is(n, -0) ? 0 : n));
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 60, maxLength: 300 }), fc.constantFrom('HIGH', '', '😀', 'naïve'));
const bytes = fc.uint8Array({ maxLength: 300 });
const date = (noInvalidDate: boolean) => fc.date({ noInvalidDate });
const bigint64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n });
const bigint = fc.oneof(bigint64, fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), fc.constantFrom(2n ** 8190n, -(2n ** 8191n), 2n ** 8191n - 1n, 2n ** 64n, -(2n ** 63n) - 1n, -(2n ** 64n)));

class Instance {
  constructor(fields: object) {
    Object.assign(this, fields);
  }
}

/** A value and what it is expected to come back as. */
export interface Sample {
  given: unknown;
  expected: unknown;
}

const same = (value: unknown): Sample => ({ given: value, expected: value });

function samples(portable: boolean) {
  const key = portable ? anyKey : anyKey.filter((name) => name !== '__keys__' && name !== 'hasOwnProperty');
  return fc.letrec<{ value: Sample; object: Sample }>((tie) => {
    const fields = fc.uniqueArray(fc.tuple(key, tie('value')), { selector: ([name]) => name, maxLength: 8, depthIdentifier: 'codec' });
    const list = fc.array(tie('value'), { maxLength: 6, depthIdentifier: 'codec' });
    const build = (entries: Array<[string, Sample]>, side: 'given' | 'expected') => Object.fromEntries(entries.map(([name, value]) => [name, value[side]]));
    const object = fc.tuple(fields, fc.constantFrom('plain', 'plain', 'plain', 'class', 'null')).map(([entries, kind]): Sample => {
      const given = build(entries, 'given');
      const expected = build(entries, 'expected');
      if (kind === 'class') return { given: new Instance(given), expected };
      return { given: kind === 'null' ? Object.assign(Object.create(null), given) : given, expected };
    });
    const array = list.map((items): Sample => ({ given: items.map((i) => i.given), expected: items.map((i) => i.expected) }));
    const sameShapes = fc.tuple(tie('object'), fc.integer({ min: 1, max: 5 })).map(([one, n]): Sample => ({
      given: Array.from({ length: n }, () => one.given),
      expected: Array.from({ length: n }, () => one.expected),
    }));
    const common = [
      number.map(same),
      text.map(same),
      fc.constantFrom(null, undefined, true, false).map(same),
      date(portable).map(same),
      bytes.map(same),
      portable ? bytes.map((b) => ({ given: Buffer.from(b), expected: b })) : bytes.map((b) => same(Buffer.from(b))),
      (portable ? bigint64 : bigint).map(same),
      array,
      sameShapes,
      object,
    ];
    const map = fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4, depthIdentifier: 'codec' }).map((entries): Sample => ({
      given: new Map(entries.map(([k, v]) => [k.given, v.given])),
      expected: new Map(entries.map(([k, v]) => [k.expected, v.expected])),
    }));
    const set = list.map((items): Sample => ({ given: new Set(items.map((i) => i.given)), expected: new Set(items.map((i) => i.expected)) }));
    return { value: fc.oneof({ maxDepth: 5, depthIdentifier: 'codec' }, ...common, ...(portable ? [] : [map, set])), object };
  }).object;
}

export const structuredProfile = samples(false);
export const portableProfile = samples(true);
