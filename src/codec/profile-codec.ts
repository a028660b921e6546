/**
 * Profile <-> msgpack, on the thread that owns profiles. Encoding is msgpackr's, with one frozen structure table for each schema
 * id; decoding is the strict reader of value-reader.ts.
 *
 * What becomes of values: -0 becomes 0; NaN and the infinities stay; keys that are symbols and fields that are not enumerable are
 * left out; getters are read twice and must not change their mind; class instances and objects without a prototype come back as plain objects, arrays of a subclass as arrays. A string
 * with a lone surrogate is refused. Buffer comes back as Buffer, Uint8Array as Uint8Array (portable: always Uint8Array).
 */
import { Packr, RESERVE_START_SPACE } from 'msgpackr/pack';
import { ProfileCacheError } from '../errors.ts';
import { corrupt } from './corrupt.ts';
import { PlainWriter } from './plain-writer.ts';
import { ProfileWalk, tooLarge } from './profile-walk.ts';
import { ShapeIndex } from './shape-index.ts';
import { SCHEMA_INLINE, SCHEMA_PORTABLE, type StructureTable, type StructureTables } from './structure-tables.ts';
import { readerOf } from './shared-readers.ts';
import { PREFIX, PREFIX_BYTES, PREFIX_MAPS, PREFIX_UNICODE } from './value-prefix.ts';
import { ValueReader } from './value-reader.ts';
import { workAllowed } from './work-budget.ts';

/** Record numbers for shapes defined inside one value; they are used round robin. */
const INLINE_RECORDS = 32;

export interface EncodedProfile {
  /** A view, valid until the next encode. */
  bytes: Uint8Array;
  schemaId: number;
}

interface Schema {
  index: ShapeIndex | undefined;
  /** Writes objects whose structure the table has as records, all others as maps. */
  packr: Packr;
  /** For profiles that hold a Map: maps are Maps, shapes that the table lacks are inline records. */
  mapPackr: Packr | undefined;
  reader: ValueReader;
}

export class ProfileCodec {
  /** The last decoded profile holds a Uint8Array or Buffer, which cannot be frozen: do not hand it out twice. */
  lastDecodeHadBinary = false;
  readonly #portable: boolean;
  readonly #maxBytes: number;
  readonly #tables: StructureTables;
  readonly #walk: ProfileWalk;
  readonly #plain = new PlainWriter();
  readonly #schemas = new Map<number, Schema>();
  /** Of the last decode: nearly always that of the next one, too. */
  #lastId = -1;
  #last: Schema | undefined;
  #nextObject = 0;
  #busy = false;

  constructor(options: { format: 'structured' | 'portable'; maxProfileBytes: number; tables: StructureTables }) {
    this.#portable = options.format === 'portable';
    this.#maxBytes = options.maxProfileBytes;
    this.#tables = options.tables;
    this.#walk = new ProfileWalk({ portable: this.#portable, maxProfileBytes: options.maxProfileBytes });
  }

  /**
   * Throws ERR_PROFILE (`path` says where) for what cannot be carried and ERR_PROFILE_TOO_LARGE over maxProfileBytes; nothing has
   * been changed then. May mint a structure table first (see StructureTables): look at `tables.current` afterwards.
   */
  encode(profile: unknown): EncodedProfile {
    if (!isProfile(profile)) {
      throw new ProfileCacheError('ERR_PROFILE', 'a profile is a plain object or a class instance; wrap anything else in one', { path: '' });
    }
    if (this.#busy) throw new ProfileCacheError('ERR_PROFILE', 'a getter of the profile stored another profile; store plain data', { path: '' });
    this.#busy = true;
    try {
      return this.#encode(profile);
    } catch (error) {
      // A getter or a Proxy of the caller threw, or msgpackr did.
      throw ProfileCacheError.from(error, 'ERR_PROFILE', { path: '' });
    } finally {
      this.#busy = false;
    }
  }

  /** What nearly every profile is, in one pass; undefined for what it is not. */
  #encodePlain(profile: object): EncodedProfile | undefined {
    const { current, full, learner } = this.#tables;
    if (current === undefined || this.#portable) return undefined;
    const length = this.#plain.write(profile, this.#schema(current.id)!.index!);
    if (length === 0 || length > this.#maxBytes) return undefined;
    if (learner !== undefined && !full) {
      learner.countEncode();
      // The long way makes the new table.
      if (learner.due) return undefined;
    }
    return { bytes: this.#plain.bytes.subarray(0, length), schemaId: current.id };
  }

  #encode(profile: object): EncodedProfile {
    const plain = this.#encodePlain(profile);
    if (plain !== undefined) return plain;
    const schemaId = this.#portable ? SCHEMA_PORTABLE : this.#learnAndChoose(profile);
    const schema = this.#schema(schemaId)!;
    if (this.#portable || schemaId === SCHEMA_INLINE) this.#walk.run(profile, schema.index, undefined);
    const { hasMap, hasUnicode } = this.#walk;
    let packr = schema.packr;
    if (hasMap) packr = schema.mapPackr ??= mapPackr(this.#tables.get(schemaId));
    this.#nextObject = 0;
    const flags = this.#portable ? 0 : (hasMap ? PREFIX_MAPS : 0) | (hasUnicode ? PREFIX_UNICODE : 0);
    const bytes = packr.pack(profile, flags === 0 ? 0 : RESERVE_START_SPACE + PREFIX_BYTES);
    if (flags !== 0) {
      bytes[0] = PREFIX;
      bytes[1] = flags;
    }
    if (bytes.length > this.#maxBytes) throw tooLarge(bytes.length, this.#maxBytes);
    const allowed = workAllowed(bytes.length);
    if (this.#walk.work > allowed) {
      throw new ProfileCacheError('ERR_PROFILE_TOO_LARGE', `the profile costs ${this.#walk.work} units to read (objects, Dates, new field names), over ${allowed} for its ${bytes.length} bytes; keep long lists of tiny objects as arrays of numbers, and large dictionaries as Maps`, { path: '' });
    }
    return { bytes, schemaId };
  }

  /**
   * `bytes[start..end)` must be private memory: native code that reads bytes which another thread writes ends the process.
   * The result shares nothing with it and is deeply frozen. Throws ERR_L2_CORRUPT; an unknown table has `path` 'schema'.
   */
  decode(bytes: Uint8Array, start: number, end: number, schemaId: number): object {
    const schema = schemaId === this.#lastId ? this.#last : this.#schema(schemaId);
    if (schema === undefined) throw corrupt(`structure table ${schemaId} is not known here`, 'schema');
    if (!(start >= 0 && start < end && end <= bytes.length)) throw corrupt('no bytes', 'value');
    if (end - start > this.#maxBytes) throw corrupt(`${end - start} bytes are over the cap of ${this.#maxBytes}`, 'value');
    this.#lastId = schemaId;
    this.#last = schema;
    const value = schema.reader.read(bytes, start, end);
    this.lastDecodeHadBinary = schema.reader.hadBinary;
    return value;
  }

  canDecode(schemaId: number): boolean {
    return schemaId === this.#lastId || schemaId === SCHEMA_PORTABLE || schemaId === SCHEMA_INLINE || this.#tables.get(schemaId) !== undefined;
  }

  /** Walks the profile against the current table; where that brings a new table about, walks again against the new one. */
  #learnAndChoose(profile: object): number {
    const tables = this.#tables;
    const learner = tables.full ? undefined : tables.learner;
    let table = tables.current;
    if (table === undefined && learner === undefined) return SCHEMA_INLINE;
    this.#walk.run(profile, table === undefined ? new ShapeIndex([]) : this.#schema(table.id)!.index, learner);
    learner?.countEncode();
    if (learner?.due && tables.mint() !== undefined) {
      table = tables.current!;
      this.#walk.run(profile, this.#schema(table.id)!.index, undefined);
    }
    return table?.id ?? this.#withoutTable(profile);
  }

  #withoutTable(profile: object): number {
    this.#walk.run(profile, undefined, undefined);
    return SCHEMA_INLINE;
  }

  #schema(schemaId: number): Schema | undefined {
    const known = this.#schemas.get(schemaId);
    if (known !== undefined) return known;
    const table = this.#tables.get(schemaId);
    if (table === undefined && schemaId !== SCHEMA_PORTABLE && schemaId !== SCHEMA_INLINE) return undefined;
    const schema = this.#newSchema(schemaId, table);
    this.#schemas.set(schemaId, schema);
    return schema;
  }

  #newSchema(schemaId: number, table: StructureTable | undefined): Schema {
    if (schemaId === SCHEMA_PORTABLE) {
      const packr = new Packr({ useRecords: false, variableMapSize: true, ...PLAIN });
      return { index: undefined, packr, mapPackr: undefined, reader: new ValueReader(undefined, true) };
    }
    const structures = table === undefined ? [] : table.structures.map((keys) => [...keys]);
    return {
      index: table === undefined ? undefined : new ShapeIndex(table.structures),
      packr: new Packr({
        structures,
        maxSharedStructures: structures.length,
        maxOwnStructures: 0,
        useRecords: () => this.#walk.known[this.#nextObject++] === 1,
        variableMapSize: true,
        moreTypes: true,
        ...PLAIN,
      } as ConstructorParameters<typeof Packr>[0]),
      mapPackr: undefined,
      reader: readerOf(table),
    };
  }
}

/** toJSON of class instances is no business of ours: their fields are what is stored. */
const PLAIN = { useToJSON: false, structuredClone: false } as object;

function mapPackr(table: StructureTable | undefined): Packr {
  const structures = table === undefined ? [] : table.structures.map((keys) => [...keys]);
  return new Packr({
    structures,
    maxSharedStructures: structures.length,
    maxOwnStructures: INLINE_RECORDS,
    moreTypes: true,
    ...PLAIN,
  } as ConstructorParameters<typeof Packr>[0]);
}

function isProfile(profile: unknown): profile is object {
  if (typeof profile !== 'object' || profile === null || Array.isArray(profile)) return false;
  return !(profile instanceof Map || profile instanceof Set || profile instanceof Date || ArrayBuffer.isView(profile));
}
