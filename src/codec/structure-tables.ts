/**
 * The structure tables this thread knows: the field names that records leave out. A table never changes; what grows is the set
 * of tables. `current` is the one to encode with.
 *
 * Which table is current is the same decision everywhere: the one with more structures, then the one with the smaller id. So
 * processes that diverged agree as soon as they have seen each other's tables, and go on from there.
 */
import { corrupt } from './corrupt.ts';
import { ShapeLearner } from './shape-learner.ts';
import { MAX_KEYS_PER_STRUCTURE, MAX_TABLE_KEYS, readTable, shapeKey, writeTable, type Structure } from './table-bytes.ts';

/** Plain msgpack maps, no extension of our own: what other languages read. */
export const SCHEMA_PORTABLE = 0;
/** msgpack that needs no table: every shape is written inside the value. */
export const SCHEMA_INLINE = 1;

const DEFAULT_MAX_TABLES = 64;
const DEFAULT_MAX_STRUCTURES = 512;

export interface StructureTable {
  /** u32 >= 16, hash of the content: the same table has the same id in every process. */
  id: number;
  /** What is persisted in L2 and in the shared region; layout in table-bytes.ts. */
  bytes: Uint8Array;
  structures: readonly (readonly string[])[];
}

export class StructureTables {
  /** Takes note of shapes that `current` lacks; undefined in a thread that only uses what others learned. */
  readonly learner: ShapeLearner | undefined;
  readonly #byId = new Map<number, StructureTable>();
  readonly #maxTables: number;
  readonly #maxStructures: number;
  #current: StructureTable | undefined;
  #currentKeys = 0;

  constructor(options: { learn?: boolean; maxTables?: number; maxStructures?: number } = {}) {
    this.#maxTables = options.maxTables ?? DEFAULT_MAX_TABLES;
    this.#maxStructures = options.maxStructures ?? DEFAULT_MAX_STRUCTURES;
    this.learner = options.learn === true ? new ShapeLearner() : undefined;
  }

  get current(): StructureTable | undefined {
    return this.#current;
  }

  get(schemaId: number): StructureTable | undefined {
    return this.#byId.get(schemaId);
  }

  ids(): number[] {
    return [...this.#byId.keys()];
  }

  /**
   * Takes a table from another process or thread, and makes it current where it is the better one. Throws ERR_L2_CORRUPT for
   * damaged bytes, for a known id with other content, and past `maxTables`.
   */
  add(bytes: Uint8Array): StructureTable {
    const { id, structures } = readTable(bytes, this.#maxStructures);
    const known = this.#byId.get(id);
    if (known !== undefined) {
      if (!Buffer.from(known.bytes).equals(bytes)) throw corrupt('structure table: another table has the same id', 'schema');
      return known;
    }
    if (this.#byId.size >= this.#maxTables) throw corrupt(`structure table: ${this.#maxTables} tables are known already`, 'schema');
    this.learner?.noteAdopted();
    return this.#take({ id, bytes: new Uint8Array(bytes), structures });
  }

  /** Appends what the learner wants to `current`. Undefined where there is nothing to add or a bound is reached. */
  mint(): StructureTable | undefined {
    if (this.learner === undefined || this.#byId.size >= this.#maxTables) return undefined;
    const before = this.#current?.structures ?? [];
    const known = new Set(before.map(shapeKey));
    const added = this.learner.takeReady().filter((keys) => !known.has(shapeKey(keys)));
    const room = this.#maxStructures - before.length;
    if (added.length === 0 || room <= 0) return undefined;
    let keysLeft = MAX_TABLE_KEYS - this.#currentKeys;
    const structures: Structure[] = [...before];
    for (const keys of added.slice(0, room)) if ((keysLeft -= keys.length) >= 0) structures.push(Object.freeze([...keys]));
    const { id, bytes } = writeTable(structures);
    if (this.#byId.has(id)) return undefined;
    return this.#take({ id, bytes, structures });
  }

  /** Whether `mint` could still add anything. */
  get full(): boolean {
    return this.#byId.size >= this.#maxTables || (this.#current?.structures.length ?? 0) >= this.#maxStructures || this.#currentKeys > MAX_TABLE_KEYS - MAX_KEYS_PER_STRUCTURE;
  }

  #take(table: StructureTable): StructureTable {
    const frozen = Object.freeze({ ...table, structures: Object.freeze(table.structures) });
    this.#byId.set(frozen.id, frozen);
    if (isBetter(frozen, this.#current)) {
      this.#current = frozen;
      this.#currentKeys = keyCount(frozen.structures);
    }
    return frozen;
  }
}

const keyCount = (structures: readonly Structure[]) => structures.reduce((sum, keys) => sum + keys.length, 0);

function isBetter(table: StructureTable, than: StructureTable | undefined): boolean {
  if (than === undefined) return true;
  const more = table.structures.length - than.structures.length;
  return more > 0 || (more === 0 && table.id < than.id);
}
