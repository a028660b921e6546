/**
 * Where the newest record of each key lies: an open-addressing table in columns, about 60 bytes a key and no object for the
 * garbage collector. A key is known by 64 bits of a seeded hash; the record that is read from disk has the whole key, and whoever
 * reads it compares. Two keys that collide (one pair in 3.7e7 tables of a million keys) cost one of them its record, never a wrong one.
 *
 * A slot is empty (segment 0), removed (segment 0xFFFFFFFF) or live. Linear probing, at most 70 % of the slots taken.
 */
const EMPTY = 0;
const REMOVED = 0xffff_ffff;
const START_SLOTS = 1_024;
const MAX_FILL = 0.7;

export class KeyIndex {
  readonly seedA: number;
  readonly seedB: number;
  #mask = 0;
  #taken = 0;
  /** Live keys. */
  size = 0;
  hashA!: Uint32Array;
  hashB!: Uint32Array;
  segment!: Uint32Array;
  offset!: Uint32Array;
  /** Whole frame. */
  bytes!: Uint32Array;
  kind!: Uint8Array;
  version!: Float64Array;
  expiresMs!: Float64Array;
  writtenMs!: Float64Array;
  /** Result of the last `hash`. */
  #a = 0;
  #b = 0;

  /** @param keys so many fit without a rehash. */
  constructor(seedA: number, seedB: number, keys = 0) {
    this.seedA = seedA | 0;
    this.seedB = seedB | 0;
    let slots = START_SLOTS;
    while (keys + 1 > slots * MAX_FILL) slots *= 2;
    this.#allocate(slots);
  }

  get slots(): number {
    return this.#mask + 1;
  }

  isLive(slot: number): boolean {
    const segment = this.segment[slot];
    return segment !== EMPTY && segment !== REMOVED;
  }

  /** Slot of the key in `from[start, end)`, or -1. */
  find(from: Uint8Array, start: number, end: number): number {
    this.#hash(from, start, end);
    return this.#find();
  }

  /** Slot of the key, taken for it if it has none (then `segment` is not set: the caller sets all columns). May move all slots. */
  claim(from: Uint8Array, start: number, end: number): number {
    this.#hash(from, start, end);
    return this.#claim();
  }

  /** The same for a key whose hash, made with the same seeds, is known. */
  claimHashed(a: number, b: number): number {
    this.#a = a;
    this.#b = b;
    return this.#claim();
  }

  #claim(): number {
    const found = this.#find();
    if (found >= 0) return found;
    if (this.#taken + 1 > this.slots * MAX_FILL) this.#rehash();
    let slot = this.#a & this.#mask;
    while (this.segment[slot] !== EMPTY && this.segment[slot] !== REMOVED) slot = (slot + 1) & this.#mask;
    if (this.segment[slot] === EMPTY) this.#taken++;
    this.size++;
    this.hashA[slot] = this.#a;
    this.hashB[slot] = this.#b;
    return slot;
  }

  remove(slot: number): void {
    this.segment[slot] = REMOVED;
    this.size--;
  }

  #find(): number {
    let slot = this.#a & this.#mask;
    for (;;) {
      const segment = this.segment[slot];
      if (segment === EMPTY) return -1;
      if (segment !== REMOVED && this.hashA[slot] === this.#a && this.hashB[slot] === this.#b) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  /** Two seeded lanes with unlike multipliers, each mixed at every byte. */
  #hash(from: Uint8Array, start: number, end: number): void {
    let a = this.seedA ^ (end - start);
    let b = this.seedB;
    for (let i = start; i < end; i++) {
      const byte = from[i];
      a = Math.imul(a ^ byte, 0x85ebca6b);
      a ^= a >>> 13;
      b = Math.imul(b ^ byte, 0xc2b2ae35);
      b ^= b >>> 16;
    }
    a = Math.imul(a ^ (a >>> 16), 0x9e3779b1);
    b = Math.imul(b ^ (b >>> 15), 0x27d4eb2f);
    this.#a = (a ^ (a >>> 15)) >>> 0;
    this.#b = (b ^ (b >>> 13)) >>> 0;
  }

  #allocate(slots: number): void {
    this.#mask = slots - 1;
    this.#taken = 0;
    this.size = 0;
    this.hashA = new Uint32Array(slots);
    this.hashB = new Uint32Array(slots);
    this.segment = new Uint32Array(slots);
    this.offset = new Uint32Array(slots);
    this.bytes = new Uint32Array(slots);
    this.kind = new Uint8Array(slots);
    this.version = new Float64Array(slots);
    this.expiresMs = new Float64Array(slots);
    this.writtenMs = new Float64Array(slots);
  }

  #rehash(): void {
    const old = { a: this.hashA, b: this.hashB, segment: this.segment, offset: this.offset, bytes: this.bytes, kind: this.kind, version: this.version, expiresMs: this.expiresMs, writtenMs: this.writtenMs };
    // Many removed slots: the same size again is enough.
    this.#allocate(this.size > (this.slots * MAX_FILL) / 2 ? this.slots * 2 : this.slots);
    for (let from = 0; from < old.segment.length; from++) {
      if (old.segment[from] === EMPTY || old.segment[from] === REMOVED) continue;
      let slot = old.a[from] & this.#mask;
      while (this.segment[slot] !== EMPTY) slot = (slot + 1) & this.#mask;
      this.hashA[slot] = old.a[from];
      this.hashB[slot] = old.b[from];
      this.segment[slot] = old.segment[from];
      this.offset[slot] = old.offset[from];
      this.bytes[slot] = old.bytes[from];
      this.kind[slot] = old.kind[from];
      this.version[slot] = old.version[from];
      this.expiresMs[slot] = old.expiresMs[from];
      this.writtenMs[slot] = old.writtenMs[from];
      this.#taken++;
      this.size++;
    }
  }
}
