/** Options are checked by valibot and told of in our words; with the few kinds of value that most of them have. */
import * as v from 'valibot';
import { ProfileCacheError } from './errors.ts';

// Typed as GenericSchema, so that the declarations of this package say what an option takes and not how that is checked.
export const amount = (min: number, max: number): v.GenericSchema<number> => v.pipe(v.number(), v.minValue(min), v.maxValue(max));

/** Above 0. */
export const positive = (max: number): v.GenericSchema<number> => v.pipe(v.number(), v.gtValue(0), v.maxValue(max));

export const whole = (min: number, max: number): v.GenericSchema<number> => v.pipe(amount(min, max), v.integer('is not a whole number'));

/** Not empty, and of at most so many characters, not UTF-16 units. */
export const text = (max = Infinity): v.GenericSchema<string> => v.pipe(v.string(), v.nonEmpty('is empty'), v.maxCodePoints(max, `has more than ${max} characters`));

/** Named options and no others. valibot alone takes an array for an object. */
export function named<Entries extends v.ObjectEntries>(
  entries: Entries,
): v.GenericSchema<v.InferInput<v.StrictObjectSchema<Entries, undefined>>, v.InferOutput<v.StrictObjectSchema<Entries, undefined>>> {
  const schema = v.strictObject(entries);
  return v.pipe(v.custom<v.InferInput<typeof schema>>((value) => !Array.isArray(value), 'expected Object, received Array'), schema);
}

export const list = <In, Out>(item: v.GenericSchema<In, Out>): v.GenericSchema<readonly In[], Out[]> => v.array(item);

export const abortSignal: v.GenericSchema<AbortSignal> = v.instance(AbortSignal);

/** Throws ERR_OPTION that names the first option that is wrong and says what it takes. @param at the option that holds the input, '' for the options themselves */
export function checked<Out>(schema: v.GenericSchema<unknown, Out>, input: unknown, at = ''): Out {
  // A language of our own: messages that the application sets for its use of valibot are none of ours.
  const { success, output, issues } = v.safeParse(schema, input, { abortPipeEarly: true, lang: 'profilecache', message: problemOf });
  if (success) return output;
  const [first] = issues;
  const option = [at, v.getDotPath(first)].filter(Boolean).join('.') || 'options';
  throw new ProfileCacheError('ERR_OPTION', `${option}: ${first.message}`, {
    option, path: option, cause: issues.length > 1 ? new Error(`${issues.length} options are wrong in all`) : undefined,
  });
}

/** valibot's own words repeat what was given, and that may be a password. */
function problemOf({ kind, expected, received, input, path }: v.BaseIssue<unknown>): string {
  if (path?.at(-1)?.origin === 'key') return expected === 'never' ? 'is not an option' : 'is missing';
  const isSafe = kind === 'validation' || /^[a-z]+$/i.test(received);
  return `expected ${expected}, received ${isSafe ? received : typeof input}`;
}
