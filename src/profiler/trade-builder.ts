/** Growing columns while a source is read; duplicates stop here. `freeze` sorts by time, once, into a TradeStore. */
import { freezeStrings, NO_ID, sharedFloat64, sharedUint32, sharedUint8 } from './string-table.ts';
import type { TradeRow } from './trade-row.ts';
import { BUY, SELL, TradeStore } from './trade-store.ts';

const FIRST_CAPACITY = 1_024;

export class TradeBuilder {
  createdConflicts = 0;
  #count = 0;
  #ts = new Float64Array(FIRST_CAPACITY);
  #sol = new Float64Array(FIRST_CAPACITY);
  #tokens = new Float64Array(FIRST_CAPACITY);
  #wallet = new Uint32Array(FIRST_CAPACITY);
  #mint = new Uint32Array(FIRST_CAPACITY);
  #side = new Uint8Array(FIRST_CAPACITY);
  /** Two hashes of the fingerprint: rows equal in all columns and in these 64 bits are duplicates. */
  #print1 = new Uint32Array(FIRST_CAPACITY);
  #print2 = new Uint32Array(FIRST_CAPACITY);
  /** Open addressing over rows: row + 1, 0 = free, load at most 1/2. */
  #seen = new Uint32Array(FIRST_CAPACITY * 2);
  readonly #counterparties: Map<number, number> = new Map();
  readonly #walletIds: Map<string, number> = new Map();
  readonly #mintIds: Map<string, number> = new Map();
  readonly #created: number[] = [];
  readonly #createdDiffers: boolean[] = [];

  get count(): number {
    return this.#count;
  }

  /** False when the row equals an earlier one in every field. */
  add(row: TradeRow): boolean {
    if (this.#count === this.#ts.length) this.#grow();
    const at = this.#count;
    this.#ts[at] = row.ts;
    this.#sol[at] = row.sol;
    this.#tokens[at] = row.tokens;
    this.#wallet[at] = intern(this.#walletIds, row.wallet);
    this.#mint[at] = intern(this.#mintIds, row.mint);
    this.#side[at] = row.side === 'buy' ? BUY : SELL;
    this.#hashFingerprint(at, row.fingerprint);
    if (!this.#claim(at)) return false;
    this.#count++;
    this.#noteCreated(this.#mint[at], row.createdTs);
    if (row.counterparty !== null) this.#counterparties.set(at, intern(this.#walletIds, row.counterparty));
    return true;
  }

  /** Whether this creation time contradicts what earlier rows of the token say. */
  contradictsCreated(mint: string, createdTs: number): boolean {
    const known = this.#created[this.#mintIds.get(mint) ?? -1];
    return known !== undefined && !Number.isNaN(known) && !Number.isNaN(createdTs) && known !== createdTs;
  }

  freeze(): TradeStore {
    const n = this.#count;
    const order = this.#timeOrder();
    const columns = {
      ts: sharedFloat64(n),
      sol: sharedFloat64(n),
      tokens: sharedFloat64(n),
      wallet: sharedUint32(n),
      mint: sharedUint32(n),
      side: sharedUint8(n),
      counterparty: sharedUint32(this.#counterparties.size === 0 ? 0 : n),
    };
    for (let row = 0; row < n; row++) {
      const from = order === undefined ? row : order[row];
      columns.ts[row] = this.#ts[from];
      columns.sol[row] = this.#sol[from];
      columns.tokens[row] = this.#tokens[from];
      columns.wallet[row] = this.#wallet[from];
      columns.mint[row] = this.#mint[from];
      columns.side[row] = this.#side[from];
      if (columns.counterparty.length > 0) columns.counterparty[row] = this.#counterparties.get(from) ?? NO_ID;
    }
    const [walletOffsets, walletTrades] = groupRows(columns.wallet, this.#walletIds.size);
    const [mintOffsets, mintTrades] = groupRows(columns.mint, this.#mintIds.size);
    const createdTs = sharedFloat64(this.#mintIds.size);
    const launchTs = sharedFloat64(this.#mintIds.size);
    for (let mint = 0; mint < createdTs.length; mint++) {
      createdTs[mint] = this.#created[mint];
      launchTs[mint] = Number.isNaN(createdTs[mint]) ? columns.ts[mintTrades[mintOffsets[mint]]] : createdTs[mint];
    }
    return TradeStore.attach({
      ...columns,
      walletOffsets,
      walletTrades,
      mintOffsets,
      mintTrades,
      createdTs,
      launchTs,
      walletNames: freezeStrings([...this.#walletIds.keys()]),
      mintNames: freezeStrings([...this.#mintIds.keys()]),
    });
  }

  /** Rows by time, ties as they came; undefined when they already are. */
  #timeOrder(): Uint32Array | undefined {
    const ts = this.#ts;
    let sorted = true;
    for (let row = 1; row < this.#count && sorted; row++) sorted = ts[row - 1] <= ts[row];
    if (sorted) return undefined;
    return Uint32Array.from({ length: this.#count }, (_, row) => row).sort((a, b) => ts[a] - ts[b] || a - b);
  }

  #noteCreated(mint: number, createdTs: number): void {
    const known = this.#created[mint];
    if (known === undefined || Number.isNaN(known)) this.#created[mint] = createdTs;
    else if (!Number.isNaN(createdTs) && createdTs !== known) {
      if (!this.#createdDiffers[mint]) this.createdConflicts++;
      this.#createdDiffers[mint] = true;
      // The earliest, so that the order of the rows does not matter.
      this.#created[mint] = Math.min(known, createdTs);
    }
  }

  #hashFingerprint(at: number, text: string): void {
    let h1 = 0x811c9dc5;
    let h2 = 0x9e3779b9;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      h1 = Math.imul(h1 ^ code, 0x01000193);
      h2 = Math.imul(h2 ^ code, 0x85ebca6b) + (h2 >>> 13);
    }
    this.#print1[at] = h1;
    this.#print2[at] = h2;
  }

  #slotOf(row: number): number {
    let h = this.#print1[row] ^ Math.imul(this.#wallet[row], 0x9e3779b1) ^ Math.imul(this.#mint[row], 0x85ebca77);
    h = mix(h ^ hashNumber(this.#ts[row]));
    h = mix(h ^ hashNumber(this.#sol[row]));
    h = mix(h ^ hashNumber(this.#tokens[row]) ^ this.#side[row]);
    return h & (this.#seen.length - 1);
  }

  #claim(row: number): boolean {
    const mask = this.#seen.length - 1;
    let slot = this.#slotOf(row);
    for (; this.#seen[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#same(this.#seen[slot] - 1, row)) return false;
    }
    this.#seen[slot] = row + 1;
    return true;
  }

  #same(a: number, b: number): boolean {
    return (
      this.#ts[a] === this.#ts[b] && this.#wallet[a] === this.#wallet[b] && this.#mint[a] === this.#mint[b] &&
      this.#side[a] === this.#side[b] && this.#sol[a] === this.#sol[b] && this.#tokens[a] === this.#tokens[b] &&
      this.#print1[a] === this.#print1[b] && this.#print2[a] === this.#print2[b]
    );
  }

  #grow(): void {
    const capacity = this.#ts.length * 2;
    const float = (old: Float64Array<ArrayBuffer>) => copyInto(new Float64Array(capacity), old);
    const uint = (old: Uint32Array<ArrayBuffer>) => copyInto(new Uint32Array(capacity), old);
    this.#ts = float(this.#ts);
    this.#sol = float(this.#sol);
    this.#tokens = float(this.#tokens);
    this.#wallet = uint(this.#wallet);
    this.#mint = uint(this.#mint);
    this.#print1 = uint(this.#print1);
    this.#print2 = uint(this.#print2);
    this.#side = copyInto(new Uint8Array(capacity), this.#side);
    this.#seen = new Uint32Array(capacity * 2);
    const mask = this.#seen.length - 1;
    for (let row = 0; row < this.#count; row++) {
      let slot = this.#slotOf(row);
      while (this.#seen[slot] !== 0) slot = (slot + 1) & mask;
      this.#seen[slot] = row + 1;
    }
  }
}

/** Rows of each id, in row order: a counting sort. */
function groupRows(ids: Uint32Array, idCount: number): [offsets: Uint32Array, rows: Uint32Array] {
  const offsets = sharedUint32(idCount + 1);
  for (const id of ids) offsets[id + 1]++;
  for (let id = 0; id < idCount; id++) offsets[id + 1] += offsets[id];
  const next = offsets.slice();
  const rows = sharedUint32(ids.length);
  for (let row = 0; row < ids.length; row++) rows[next[ids[row]]++] = row;
  return [offsets, rows];
}

function intern(ids: Map<string, number>, name: string): number {
  const known = ids.get(name);
  if (known !== undefined) return known;
  const id = ids.size;
  // A field cut from a line keeps the whole chunk of text alive: the key must be a string of its own.
  ids.set(Buffer.from(name).toString(), id);
  return id;
}

function copyInto<T extends Float64Array | Uint32Array | Uint8Array>(target: T, source: T): T {
  target.set(source);
  return target;
}

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

function hashNumber(value: number): number {
  float[0] = value;
  return Math.imul(words[0], 0xcc9e2d51) ^ Math.imul(words[1], 0x1b873593);
}

/** Finalizer of MurmurHash3 (Appleby). */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
