/**
 * Which shapes (lists of keys) deserve a place in the next structure table.
 *
 * A shape is learned when it was seen twice; everything in the very first profile at once. A dictionary, whose keys are data
 * (wallets, dates, mints), is never learned. It shows in one of three ways: too many keys, keys that look like data, or one
 * place in the profile that keeps showing new shapes. Everything here is bounded; past a bound shapes travel as maps.
 *
 * Minting backs off: the n-th table waits for 2^n encodes (at most 1,024), so that many variants become one table and not many.
 */
import { MAX_KEYS_PER_STRUCTURE, RESERVED_KEYS, type Structure } from './table-bytes.ts';

const SIGHTINGS_TO_LEARN = 2;
/** Shapes that one place may show before it counts as a dictionary. */
const MAX_SHAPES_PER_PLACE = 64;
const MAX_PLACES = 1_024;
const MAX_CANDIDATES = 512;
const MAX_WAIT_ENCODES = 1_024;
const MAX_LEARNED_KEY_CHARS = 64;
/** From this length on, a key with a digit in it is taken for an address, a hash or a time. */
const DATA_KEY_CHARS = 26;

interface Candidate {
  keys: Structure;
  place: string;
  sightings: number;
}

export class ShapeLearner {
  readonly #candidates = new Map<string, Candidate>();
  /** New shapes seen at each place. */
  readonly #places = new Map<string, number>();
  #ready = 0;
  #mints = 0;
  #encodesSinceMint = 0;

  /** A table came from elsewhere: what is in it need not be learned, so nothing more is learned at first sight. */
  noteAdopted(): void {
    if (this.#mints > 0) return;
    this.#mints = 1;
    this.#ready = 0;
    for (const { sightings } of this.#candidates.values()) if (sightings >= SIGHTINGS_TO_LEARN) this.#ready++;
  }

  /** Called once for each encode. */
  countEncode(): void {
    this.#encodesSinceMint++;
  }

  /**
   * An object of a shape that the current table lacks; `key` is its shapeKey. Returns false where nothing will ever be learned:
   * the caller need not ask again at this place.
   */
  note(place: string, key: string, keys: Structure): boolean {
    const shapesHere = this.#places.get(place) ?? 0;
    if (shapesHere > MAX_SHAPES_PER_PLACE) return false;
    const candidate = this.#candidates.get(key);
    if (candidate !== undefined) {
      candidate.sightings++;
      if (this.#mints > 0 && candidate.sightings === SIGHTINGS_TO_LEARN) this.#ready++;
      return true;
    }
    if (shapesHere === 0 && this.#places.size >= MAX_PLACES) return false;
    this.#places.set(place, shapesHere + 1);
    if (shapesHere === MAX_SHAPES_PER_PLACE) {
      for (const [shape, { place: from }] of this.#candidates) if (from === place) this.#forget(shape);
      return false;
    }
    if (this.#candidates.size >= MAX_CANDIDATES) this.#forget(this.#candidates.keys().next().value!);
    this.#candidates.set(key, { keys: Object.freeze([...keys]), place, sightings: 1 });
    if (this.#mints === 0) this.#ready++;
    return true;
  }

  /** Whether it is time for a new table. */
  get due(): boolean {
    return this.#ready > 0 && (this.#mints === 0 || this.#encodesSinceMint >= Math.min(2 ** this.#mints, MAX_WAIT_ENCODES));
  }

  /** What to add to the current table, in order of first appearance. */
  takeReady(): Structure[] {
    const least = this.#mints === 0 ? 1 : SIGHTINGS_TO_LEARN;
    const taken: Structure[] = [];
    for (const [key, candidate] of this.#candidates) {
      if (candidate.sightings < least) continue;
      taken.push(candidate.keys);
      this.#candidates.delete(key);
    }
    this.#ready = 0;
    this.#encodesSinceMint = 0;
    this.#mints++;
    return taken;
  }

  #forget(key: string): void {
    const candidate = this.#candidates.get(key);
    if (candidate === undefined) return;
    this.#candidates.delete(key);
    if (candidate.sightings >= (this.#mints === 0 ? 1 : SIGHTINGS_TO_LEARN)) this.#ready--;
  }
}

/** Whether these keys read as field names rather than as data. */
export function looksLikeRecord(keys: Structure): boolean {
  if (keys.length === 0 || keys.length > MAX_KEYS_PER_STRUCTURE) return false;
  for (const key of keys) {
    if (RESERVED_KEYS.has(key)) return false;
    if (key.length > MAX_LEARNED_KEY_CHARS || /^\d/.test(key) || (key.length >= DATA_KEY_CHARS && /\d/.test(key)) || !key.isWellFormed()) return false;
  }
  return true;
}
