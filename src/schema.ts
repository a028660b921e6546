/**
 * What an option takes, said once: its check, its default, and the types of what is given and of what comes out. The few kinds of value that
 * our options have, and no more: a general library for this was a third of the time that importing this package took (native-notes/decisions.md).
 */
import { ProfileCacheError } from './errors.ts';

interface Problem {
  /** From the value that was checked down to the one that is wrong. */
  path: string[];
  text: string;
  /** The value is of another kind than asked for, so nothing more can be said of it; else of the right kind, and out of its bounds. */
  otherKind: boolean;
}

type Read<Out> = (value: unknown, problems: Problem[]) => Out;

export class Schema<Out, In = Out> {
  /** What may be given; for the compiler only. */
  declare readonly input: In;
  /** Adds what is wrong to the list; the result is good when nothing was added. */
  readonly read: Read<Out>;

  constructor(read: Read<Out>) {
    this.read = read;
  }

  optional(): Schema<Out | undefined, In | undefined> {
    return new Schema((value, problems) => (value === undefined ? undefined : this.read(value, problems)));
  }

  /** What holds where nothing, or undefined, is given. */
  default(value: In): Schema<Out, In | undefined> {
    return new Schema((given, problems) => this.read(given === undefined ? value : given, problems));
  }

  /** A bound on the value as a whole; looked at when all its parts are of the right kind. */
  refine(holds: (value: Out) => boolean, text: string, path: readonly string[]): Schema<Out, In> {
    return new Schema((value, problems) => {
      const before = problems.length;
      const result = this.read(value, problems);
      if (isUsable(problems, before) && !holds(result)) problems.push({ path: [...path], text, otherKind: false });
      return result;
    });
  }
}

export type InputOf<S extends Schema<unknown, unknown>> = S['input'];
export type OutputOf<S extends Schema<unknown, unknown>> = ReturnType<S['read']>;

/** `above` and `below` exclude the bound itself, `min` and `max` include it. */
export interface NumberBounds {
  min?: number;
  max?: number;
  above?: number;
  below?: number;
}

/** A finite number. */
export function number({ min = -Infinity, max = Infinity, above = -Infinity, below = Infinity }: NumberBounds = {}): Schema<number> {
  return new Schema((value, problems) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return wrongKind('number', value, problems);
    if (value < min) problems.push(outOfBounds(`Too small: expected number to be >=${min}`));
    else if (!(value > above)) problems.push(outOfBounds(`Too small: expected number to be >${above}`));
    if (value > max) problems.push(outOfBounds(`Too big: expected number to be <=${max}`));
    else if (!(value < below)) problems.push(outOfBounds(`Too big: expected number to be <${below}`));
    return value;
  });
}

export function whole(min: number, max: number): Schema<number> {
  const within = number({ min, max });
  return new Schema((value, problems) => {
    if (typeof value === 'number' && Number.isFinite(value) && !Number.isInteger(value)) return wrongKind('int', value, problems);
    return within.read(value, problems);
  });
}

export interface TextBounds {
  /** Characters, not UTF-16 units; as `max`. */
  min?: number;
  max?: number;
  matches?: { pattern: RegExp; text: string };
}

export function text({ min = 0, max = Infinity, matches }: TextBounds = {}): Schema<string> {
  return new Schema((value, problems) => {
    if (typeof value !== 'string') return wrongKind('string', value, problems);
    let characters = 0;
    for (const _ of value) characters++;
    if (characters < min) problems.push(outOfBounds(`Too small: expected string to have >=${min} characters`));
    if (characters > max) problems.push(outOfBounds(`Too big: expected string to have <=${max} characters`));
    if (matches !== undefined && !matches.pattern.test(value)) problems.push(outOfBounds(matches.text));
    return value;
  });
}

export const flag = (): Schema<boolean> => new Schema((value, problems) => (typeof value === 'boolean' ? value : wrongKind('boolean', value, problems)));

export function oneOf<const T extends string>(...values: T[]): Schema<T> {
  const quoted = values.map((value) => `"${value}"`).join('|');
  const problem = values.length === 1 ? `Invalid input: expected ${quoted}` : `Invalid option: expected one of ${quoted}`;
  return passing((value) => values.includes(value as T), problem);
}

/** What has no parts to look at: a function, an object of some class. */
export function passing<T>(passes: (value: unknown) => boolean, problem: string): Schema<T> {
  return new Schema((value, problems) => {
    if (!passes(value)) problems.push({ path: [], text: problem, otherKind: true });
    return value as T;
  });
}

export const abortSignal = (): Schema<AbortSignal> => passing((value) => value instanceof AbortSignal, 'is not an AbortSignal');

export function list<Out, In>(item: Schema<Out, In>, min = 0): Schema<Out[], readonly In[]> {
  return new Schema((value, problems) => {
    if (!Array.isArray(value)) return wrongKind('array', value, problems);
    if (value.length < min) problems.push(outOfBounds(`Too small: expected array to have >=${min} items`));
    return Array.from(value, (part: unknown, at) => readPart(item, part, String(at), problems));
  });
}

type Fields = Readonly<Record<string, Schema<unknown, unknown>>>;
type Flat<T> = { [K in keyof T]: T[K] };
/** A key whose value may be undefined may be left out. */
type Loose<T> = Flat<{ [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & { [K in keyof T as undefined extends T[K] ? K : never]?: T[K] }>;
type OutputsOf<F extends Fields> = Loose<{ [K in keyof F]: OutputOf<F[K]> }>;
type InputsOf<F extends Fields> = Loose<{ [K in keyof F]: InputOf<F[K]> }>;

/** Names that are not among the fields are refused, dropped or kept. */
export function object<F extends Fields>(fields: F, others: 'refused' | 'dropped' | 'kept' = 'refused'): Schema<OutputsOf<F>, InputsOf<F>> {
  const names = Object.keys(fields);
  return new Schema((value, problems) => {
    if (!isObject(value)) return wrongKind('object', value, problems);
    const result: Record<string, unknown> = {};
    for (const name of names) {
      const part = readPart(fields[name], value[name], name, problems);
      if (part !== undefined || name in value) result[name] = part;
    }
    if (others === 'dropped') return result as OutputsOf<F>;
    let refused = false;
    for (const name in value) {
      if (Object.hasOwn(fields, name)) continue;
      if (others === 'kept' && name !== '__proto__') result[name] = value[name];
      // The first of them: one line tells of one mistake.
      if (others === 'refused' && !refused) refused = problems.push({ path: [name], text: NOT_AN_OPTION, otherKind: false }) > 0;
    }
    return result as OutputsOf<F>;
  });
}

type Partial<F extends Fields> = { [K in keyof F]: Schema<OutputOf<F[K]> | undefined, InputOf<F[K]> | undefined> };

/** The same fields, each of which may be left out. */
export const partial = <F extends Fields>(fields: F): Partial<F> =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.optional()])) as unknown as Partial<F>;

/** The first that takes the value; where none does, but for one it was of the right kind, what that one says. */
export function anyOf<Out1, In1, Out2, In2>(first: Schema<Out1, In1>, second: Schema<Out2, In2>): Schema<Out1 | Out2, In1 | In2> {
  return new Schema((value, problems) => {
    const results = [first, second].map((schema: Schema<Out1 | Out2, unknown>) => {
      const found: Problem[] = [];
      return { result: schema.read(value, found), found };
    });
    const taken = results.find(({ found }) => found.length === 0);
    if (taken !== undefined) return taken.result;
    const near = results.filter(({ found }) => isUsable(found, 0));
    problems.push(...(near.length === 1 ? near[0].found : [{ path: [], text: 'Invalid input', otherKind: true }]));
    return value as Out1 | Out2;
  });
}

/** The object's `kind` says which of the schemas it has to pass. */
export function byKind<S extends Readonly<Record<string, Schema<unknown, unknown>>>>(kinds: S): Schema<OutputOf<S[keyof S]>, InputOf<S[keyof S]>> {
  const quoted = Object.keys(kinds).map((kind) => `'${kind}'`).join(' | ');
  return new Schema((value, problems) => {
    if (!isObject(value)) return wrongKind('object', value, problems);
    const { kind } = value;
    if (typeof kind === 'string' && Object.hasOwn(kinds, kind)) return kinds[kind].read(value, problems) as OutputOf<S[keyof S]>;
    problems.push({ path: ['kind'], text: `Invalid discriminator value. Expected ${quoted}`, otherKind: true });
    return value as OutputOf<S[keyof S]>;
  });
}

/** Throws ERR_OPTION that names the first option that is wrong and says what it takes. @param at the option that holds the input, '' for the options themselves */
export function checked<Out>(schema: Schema<Out, unknown>, input: unknown, at = ''): Out {
  const problems: Problem[] = [];
  const result = schema.read(input, problems);
  if (problems.length === 0) return result;
  const [{ path, text: problem }] = problems;
  const option = [...(at === '' ? [] : [at]), ...path].join('.') || 'options';
  throw new ProfileCacheError('ERR_OPTION', `${option}: ${problem.charAt(0).toLowerCase()}${problem.slice(1)}`, {
    option, path: option, cause: problems.length > 1 ? new Error(`${problems.length} options are wrong in all`) : undefined,
  });
}

const NOT_AN_OPTION = 'is not an option';

function readPart<Out>(schema: Schema<Out, unknown>, value: unknown, name: string, problems: Problem[]): Out {
  const before = problems.length;
  const result = schema.read(value, problems);
  for (let at = before; at < problems.length; at++) problems[at].path.unshift(name);
  return result;
}

const isUsable = (problems: readonly Problem[], from: number): boolean => problems.slice(from).every(({ otherKind }) => !otherKind);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const outOfBounds = (problem: string): Problem => ({ path: [], text: problem, otherKind: false });

function wrongKind(expected: string, value: unknown, problems: Problem[]): never {
  problems.push({ path: [], text: `Invalid input: expected ${expected}, received ${kindOf(value)}`, otherKind: true });
  // Never used: a value with problems is not handed on.
  return value as never;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value !== 'object' || Object.getPrototypeOf(value) === Object.prototype) return typeof value;
  return typeof value.constructor === 'function' ? value.constructor.name : 'object';
}
