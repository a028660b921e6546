/**
 * The one walk before packing. It refuses what cannot be carried (with the path), bounds the size before a byte is written,
 * finds the structure of every object, and tells the learner of shapes that the table lacks. It never changes the profile.
 *
 * Objects are numbered in the order in which msgpackr will meet them: `known[i]` answers, when object i is written, whether the
 * table has its structure. That keeps shapes that are not in the table out of msgpackr's caches, which grow with every new key.
 */
import { types } from 'node:util';
import { ProfileCacheError } from '../errors.ts';
import { DICTIONARY, hasKeys, UNKNOWN, type Shape, type ShapeIndex } from './shape-index.ts';
import { looksLikeRecord, type ShapeLearner } from './shape-learner.ts';
import { keyWork } from './key-work.ts';
import { RESERVED_KEYS, shapeKey } from './table-bytes.ts';
import { LATE_FIELD, MAX_KNOWN_NAME_BYTES, WORK, arrayWork, bigintWork, isNumbered } from './work-budget.ts';

/** Objects, arrays, Maps and Sets inside one another. */
export const MAX_DEPTH = 100;
/** A bigint takes at most so many bits; more are data, not a number. */
export const MAX_BIGINT_BITS = 8_192;
const BIGINT_LIMIT = 1n << BigInt(MAX_BIGINT_BITS - 1);
// oxlint-disable-next-line no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;
const I64_MIN = -(1n << 63n);
const U64_MAX = (1n << 64n) - 1n;

export interface WalkOptions {
  /** Only what other languages read from plain msgpack: no Map, no Set, no bigint beyond 64 bits, no invalid Date. */
  portable: boolean;
  maxProfileBytes: number;
}

export class ProfileWalk {
  readonly #portable: boolean;
  readonly #maxBytes: number;
  /** By number of the object; valid until the next walk. */
  known: Uint8Array = new Uint8Array(256);
  /** The profile holds a JavaScript Map. */
  hasMap = false;
  /** Some string, or a field name that is written out, is not ASCII. */
  hasUnicode = false;
  /** What `workAllowed` bounds. */
  work = 0;
  /** Field names written out so far that the reader will know when they come again. */
  readonly #names = new Set<string>();
  #objects = 0;
  #leastBytes = 0;
  /** Path of the first object with a field that msgpackr uses for itself. */
  #reservedAt: string | undefined;
  #index: ShapeIndex | undefined;
  #valueNumber = 0;
  #learner: ShapeLearner | undefined;
  /** Field name or element number on the way to the value under the walk, and the containers on that way. */
  readonly #way: Array<string | number> = [];
  readonly #containers: object[] = [];

  constructor(options: WalkOptions) {
    this.#portable = options.portable;
    this.#maxBytes = options.maxProfileBytes;
  }

  /** Throws ERR_PROFILE / ERR_PROFILE_TOO_LARGE. Without an index (portable, no table) no shapes are looked for. */
  run(profile: object, index: ShapeIndex | undefined, learner: ShapeLearner | undefined): void {
    this.hasMap = false;
    this.hasUnicode = false;
    this.#reservedAt = undefined;
    this.work = 0;
    if (this.#names.size > 0) this.#names.clear();
    this.#objects = 0;
    this.#leastBytes = 0;
    this.#index = index;
    this.#valueNumber = index?.nextValue() ?? 0;
    this.#learner = learner;
    const shape = this.#value(profile, 0, index?.root);
    if (index !== undefined) index.root = shape;
    this.#containers.length = 0;
    // Beside a Map, unknown shapes are inline records, and those cannot have a field that msgpackr uses for itself.
    if (this.hasMap && this.#reservedAt !== undefined) throw refusal(this.#reservedAt, `a field named ${[...RESERVED_KEYS].join(' or ')} beside a Map`);
  }

  #value(value: unknown, depth: number, hint: Shape | undefined): Shape | undefined {
    this.#leastBytes++;
    switch (typeof value) {
      case 'string':
        this.#leastBytes += value.length;
        if (NOT_ASCII.test(value)) {
          this.hasUnicode = true;
          this.work += WORK.unicodeString;
          if (!value.isWellFormed()) throw this.#refuse(depth, 'a string with a lone surrogate; toWellFormed() mends it');
        }
        break;
      case 'number':
      case 'boolean':
      case 'undefined':
        break;
      case 'object':
        if (value !== null) return this.#object(value, depth, hint);
        break;
      case 'bigint':
        this.#bigint(value, depth);
        break;
      default:
        throw this.#refuse(depth, `a ${typeof value}`);
    }
    return hint;
  }

  #object(value: object, depth: number, hint: Shape | undefined): Shape | undefined {
    if (this.#leastBytes > this.#maxBytes) throw tooLarge(this.#leastBytes, this.#maxBytes);
    if (depth >= MAX_DEPTH) throw this.#tooDeep(depth);
    this.#containers[depth] = value;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype) return this.#fields(value as Record<string, unknown>, depth, hint);
    if (Array.isArray(value)) return this.#elements(value, depth, hint);
    if (value instanceof Date && types.isDate(value)) {
      this.work += WORK.date;
      if (this.#portable && Number.isNaN(value.getTime())) throw this.#refuse(depth, 'an invalid Date (codec.format is portable)');
      return hint;
    }
    if (types.isMap(value)) return this.#map(value, depth);
    if (types.isSet(value)) return this.#set(value, depth);
    if (prototype === Uint8Array.prototype || prototype === Buffer.prototype) {
      this.#leastBytes += (value as Uint8Array).byteLength;
      this.work += WORK.binary;
      return hint;
    }
    const name = prototype === null ? undefined : notData(value);
    if (name !== undefined) throw this.#refuse(depth, name);
    return this.#fields(value as Record<string, unknown>, depth, hint);
  }

  #fields(object: Record<string, unknown>, depth: number, hint: Shape | undefined): Shape | undefined {
    const number = this.#objects++;
    if (number >= this.known.length) this.#grow();
    const keys = Object.keys(object);
    const index = this.#index;
    let shape = hint;
    if (index !== undefined) {
      if (shape === undefined || !hasKeys(shape, keys)) shape = this.#find(keys, depth, hint, index);
    }
    this.known[number] = shape === undefined || shape === UNKNOWN || shape === DICTIONARY ? 0 : 1;
    const inField = shape === undefined || shape === UNKNOWN || shape === DICTIONARY ? undefined : shape.inField;
    if (inField === undefined) this.#checkKeys(keys, depth);
    else {
      if (shape!.usedIn !== this.#valueNumber) this.work += index!.firstUse(shape!);
      this.work += shape!.work;
    }
    for (let i = 0; i < keys.length; i++) {
      this.#way[depth] = keys[i];
      const found = this.#value(object[keys[i]], depth + 1, inField?.[i]);
      if (inField !== undefined && inField[i] !== found) inField[i] = found;
    }
    return shape;
  }

  #elements(array: readonly unknown[], depth: number, hint: Shape | undefined): Shape | undefined {
    let shape = hint;
    this.work += arrayWork(array.length);
    for (let i = 0; i < array.length; i++) {
      this.#way[depth] = i;
      const value = array[i];
      if (value === undefined && !(i in array)) throw this.#refuse(depth + 1, 'a hole in an array; undefined or null can be carried');
      shape = this.#value(value, depth + 1, shape);
    }
    return shape;
  }

  #map(map: Map<unknown, unknown>, depth: number): undefined {
    // msgpackr goes by the constructor: a subclass with one of its own would be written as an object.
    if (this.#portable || map.constructor !== Map) throw this.#refuse(depth, this.#portable ? 'a Map (codec.format is portable)' : 'a subclass of Map');
    this.hasMap = true;
    this.#collection([...map.keys()]);
    let i = 0;
    for (const [key, value] of map) {
      this.#way[depth] = i++;
      this.#value(key, depth + 1, undefined);
      this.#value(value, depth + 1, undefined);
    }
  }

  #set(set: Set<unknown>, depth: number): undefined {
    if (this.#portable || !(set instanceof Set)) throw this.#refuse(depth, this.#portable ? 'a Set (codec.format is portable)' : 'a Set of another realm');
    // It travels as an array.
    this.work += arrayWork(set.size);
    this.#collection([...set]);
    let i = 0;
    for (const value of set) {
      this.#way[depth] = i++;
      this.#value(value, depth + 1, undefined);
    }
  }

  #collection(keys: readonly unknown[]): void {
    this.work += WORK.collection + keys.length * WORK.entry + keyWork(keys);
  }

  #bigint(value: bigint, depth: number): void {
    this.#leastBytes += 8;
    if (this.#portable ? value < I64_MIN || value > U64_MAX : value >= BIGINT_LIMIT || value < -BIGINT_LIMIT) {
      throw this.#refuse(depth, this.#portable ? 'a bigint beyond 64 bits (codec.format is portable)' : `a bigint of more than ${MAX_BIGINT_BITS} bits`);
    }
    // Two hexadecimal digits a byte, and up to eight bytes of padding.
    if (value < I64_MIN || value > U64_MAX) this.work += bigintWork((value.toString(16).length >> 1) + 8);
  }

  #find(keys: readonly string[], depth: number, hint: Shape | undefined, index: ShapeIndex): Shape {
    const found = index.find(keys);
    if (found !== undefined) return found;
    if (this.#learner === undefined || hint === DICTIONARY) return DICTIONARY;
    if (!looksLikeRecord(keys)) return UNKNOWN;
    return this.#learner.note(this.#place(depth), shapeKey(keys), keys) ? UNKNOWN : DICTIONARY;
  }

  /** Keys of a shape that is in a table were checked when the table was made. */
  #checkKeys(keys: readonly string[], depth: number): void {
    this.work += WORK.container;
    if (keys.some(isNumbered)) this.work += WORK.numberedField;
    for (let place = 0; place < keys.length; place++) {
      const key = keys[place];
      this.#leastBytes += key.length;
      this.work += WORK.namedField + this.#nameWork(key, place);
      if (key === '__proto__') throw this.#refuse(depth, 'a key named __proto__');
      if (RESERVED_KEYS.has(key)) this.#reservedAt ??= this.#path(depth);
      if (NOT_ASCII.test(key)) {
        this.hasUnicode = true;
        this.work += WORK.unicodeString;
      }
      if (!key.isWellFormed()) throw this.#refuse(depth, 'a key with a lone surrogate');
    }
  }

  /** What the reader pays for this name: it knows those that came before in the same value. */
  #nameWork(key: string, place: number): number {
    if (place >= LATE_FIELD) return WORK.newLateName;
    if (this.#names.has(key)) return 0;
    if (key.length > 0 && Buffer.byteLength(key) <= MAX_KNOWN_NAME_BYTES) this.#names.add(key);
    return WORK.newName;
  }

  #grow(): void {
    const larger = new Uint8Array(this.known.length * 2);
    larger.set(this.known);
    this.known = larger;
  }

  /** Where in the profile, element numbers and keys of dictionaries left out. */
  #place(depth: number): string {
    let place = '';
    for (let i = 0; i < depth; i++) {
      const step = this.#way[i];
      place += typeof step === 'number' ? '[]' : looksLikeRecord([step]) ? `.${step}` : '.*';
    }
    return place;
  }

  #path(depth: number): string {
    let path = '';
    for (let i = 0; i < depth; i++) {
      const step = this.#way[i];
      if (typeof step === 'number') path += `[${step}]`;
      else if (/^[A-Za-z_$][\w$]*$/.test(step)) path += path === '' ? step : `.${step}`;
      else path += `[${JSON.stringify(step)}]`;
    }
    return path;
  }

  #refuse(depth: number, what: string): ProfileCacheError {
    return refusal(this.#path(depth), what);
  }

  #tooDeep(depth: number): ProfileCacheError {
    for (let i = 0; i < depth; i++) {
      for (let j = i + 1; j < depth; j++) {
        if (this.#containers[i] === this.#containers[j]) return this.#refuse(j, 'a cycle');
      }
    }
    return this.#refuse(depth, `more than ${MAX_DEPTH} levels`);
  }
}

function refusal(path: string, what: string): ProfileCacheError {
  return new ProfileCacheError('ERR_PROFILE', `a profile cannot hold ${what}${path === '' ? '' : ` (at ${path})`}; leave it out or store its data`, { path });
}

export function tooLarge(bytes: number, maxProfileBytes: number): ProfileCacheError {
  return new ProfileCacheError('ERR_PROFILE_TOO_LARGE', `the profile takes at least ${bytes} bytes, over ${maxProfileBytes}; raise maxProfileBytes or store less`, {
    option: 'maxProfileBytes',
  });
}

/** What an object with its own prototype is, where its content is not in its fields. */
function notData(value: object): string | undefined {
  if (types.isNativeError(value) || value instanceof Error) return 'an Error';
  if (types.isRegExp(value)) return 'a RegExp';
  if (types.isPromise(value)) return 'a Promise';
  if (types.isWeakMap(value) || types.isWeakSet(value)) return 'a WeakMap or WeakSet';
  if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) return `a ${value.constructor?.name ?? 'buffer'}; only Uint8Array and Buffer can be carried`;
  if (types.isBoxedPrimitive(value)) return 'a boxed primitive';
  if (types.isDate(value)) return 'a Date of another realm';
  if (types.isProxy(value)) return 'a Proxy of a class instance';
  const tag = Object.prototype.toString.call(value);
  if (tag !== '[object Object]' && Object.keys(value).length === 0) return `a ${tag.slice(8, -1)}`;
  return undefined;
}
