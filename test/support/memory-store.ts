/**
 * An L2 store for tests that lives in shared memory, so that every worker thread sees the same records, and that misbehaves
 * on request: by the first part of a wallet, or by commands in a shared control word.
 *
 *   slow:<ms>:…   answers late          fail:…    this wallet fails        hang:…    never answers
 *   crash:<how>:… kills the thread that touches it, `how` as below; `crash-once:<how>:…` only the first time in the pool
 *   how: exit | throw | spin | oom
 */
import type { DeleteRequest, GetOutcome, L2Store, SetOutcome, SetRequest, StoreHealth } from '../../src/l2/store.ts';

export interface MemoryStoreData {
  /** Log of all writes: see `SharedLog`. */
  log: SharedArrayBuffer;
  /** Int32 cells, see CONTROL. */
  control: SharedArrayBuffer;
  /** `open` of the n-th store of the process fails with this code, for each n in the list (0 is the first). */
  failOpen?: { code: string; nths: number[] };
  openMs?: number;
}

/** From `getsOf` on a cell for each of the stores that were opened first. */
export const CONTROL = { opened: 0, closed: 1, crashes: 2, gets: 3, getsOf: 8, cells: 16 } as const;

export function makeMemoryStoreData(logBytes = 8 * 1024 * 1024): MemoryStoreData {
  return { log: new SharedArrayBuffer(logBytes), control: new SharedArrayBuffer(CONTROL.cells * 4) };
}

interface Row {
  envelope: Uint8Array;
  version: number;
  tombstone: boolean;
}

class StoreError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Appended under a lock, read by everybody: int32 0 lock, 1 end; then rows of [bytes, walletBytes, flags, pad][f64 version][wallet][envelope]. */
class SharedLog {
  readonly #ints: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #rows = new Map<string, Row>();
  #seen = 16;

  constructor(log: SharedArrayBuffer) {
    this.#ints = new Int32Array(log);
    this.#bytes = new Uint8Array(log);
  }

  row(wallet: string): Row | undefined {
    this.#catchUp();
    return this.#rows.get(wallet);
  }

  rows(): Map<string, Row> {
    this.#catchUp();
    return this.#rows;
  }

  /** Compare-and-set on the version. */
  put(wallet: string, row: Row): Row | undefined {
    while (Atomics.compareExchange(this.#ints, 0, 0, 1) !== 0) Atomics.wait(this.#ints, 0, 1, 1);
    try {
      this.#catchUp();
      const stored = this.#rows.get(wallet);
      if (stored && stored.version >= row.version) return stored;
      const name = Buffer.from(wallet);
      const at = Math.max(16, Atomics.load(this.#ints, 1));
      const bytes = (24 + name.length + row.envelope.length + 7) & ~7;
      if (at + bytes > this.#bytes.length) throw new StoreError('ERR_L2_STORAGE', 'the log of the memory store is full');
      const head = new DataView(this.#bytes.buffer, at, 24);
      head.setUint32(0, bytes);
      head.setUint32(4, name.length);
      head.setUint32(8, row.envelope.length);
      head.setUint32(12, row.tombstone ? 1 : 0);
      head.setFloat64(16, row.version);
      this.#bytes.set(name, at + 24);
      this.#bytes.set(row.envelope, at + 24 + name.length);
      Atomics.store(this.#ints, 1, at + bytes);
      return undefined;
    } finally {
      Atomics.store(this.#ints, 0, 0);
      Atomics.notify(this.#ints, 0);
    }
  }

  #catchUp(): void {
    const end = Atomics.load(this.#ints, 1);
    while (this.#seen < end) {
      const head = new DataView(this.#bytes.buffer, this.#seen, 24);
      const nameFrom = this.#seen + 24;
      const envelopeFrom = nameFrom + head.getUint32(4);
      // `slice` copies out of shared memory; text must not be decoded in it.
      const wallet = Buffer.from(this.#bytes.slice(nameFrom, envelopeFrom)).toString();
      const envelope = this.#bytes.slice(envelopeFrom, envelopeFrom + head.getUint32(8));
      this.#rows.set(wallet, { envelope, version: head.getFloat64(16), tombstone: head.getUint32(12) === 1 });
      this.#seen += head.getUint32(0);
    }
  }
}

export class MemoryStore implements L2Store {
  readonly kind = 'embedded';
  readonly #data: MemoryStoreData;
  readonly #control: Int32Array;
  #getsAt: number = CONTROL.cells;
  readonly #log: SharedLog;

  constructor(data: MemoryStoreData) {
    this.#data = data;
    this.#control = new Int32Array(data.control);
    this.#log = new SharedLog(data.log);
  }

  async open(): Promise<void> {
    const nth = Atomics.add(this.#control, CONTROL.opened, 1);
    this.#getsAt = CONTROL.getsOf + nth;
    if (this.#data.openMs) await sleep(this.#data.openMs);
    const { failOpen } = this.#data;
    if (failOpen?.nths.includes(nth)) throw new StoreError(failOpen.code, 'refused, as the test asked');
  }

  nowMs(): number {
    return Date.now();
  }

  async getMany(wallets: readonly string[]): Promise<GetOutcome[]> {
    Atomics.add(this.#control, CONTROL.gets, 1);
    if (this.#getsAt < CONTROL.cells) Atomics.add(this.#control, this.#getsAt, 1);
    await this.#misbehave(wallets);
    return wallets.map((wallet): GetOutcome => {
      const row = this.#log.row(wallet);
      if (wallet.startsWith('fail:')) return { status: 'failed', error: new StoreError('ERR_L2_UNAVAILABLE', 'this wallet fails') as never };
      if (!row) return { status: 'miss' };
      return row.tombstone ? { status: 'miss', floor: row.version } : { status: 'hit', envelope: row.envelope };
    });
  }

  async setMany(requests: readonly SetRequest[]): Promise<SetOutcome[]> {
    const outcomes = requests.map(({ wallet, envelope, version }) => this.#put(wallet, { envelope, version, tombstone: false }));
    // After the write, so that a crash tests the retry of a write that took effect.
    await this.#misbehave(requests.map(({ wallet }) => wallet));
    return outcomes;
  }

  async deleteMany(requests: readonly DeleteRequest[]): Promise<SetOutcome[]> {
    const outcomes = requests.map(({ wallet, tombstone, version }) => this.#put(wallet, { envelope: tombstone, version, tombstone: true }));
    await this.#misbehave(requests.map(({ wallet }) => wallet));
    return outcomes;
  }

  #put(wallet: string, row: Row): SetOutcome {
    if (wallet.startsWith('fail:')) return { status: 'failed', error: new StoreError('ERR_L2_UNAVAILABLE', 'this wallet fails') as never };
    const newer = this.#log.put(wallet, row);
    return newer ? { status: 'older', storedVersion: newer.version } : { status: 'stored' };
  }

  async #misbehave(wallets: readonly string[]): Promise<void> {
    for (const wallet of wallets) {
      const [what, how] = wallet.split(':', 2);
      if (what === 'slow') await sleep(Number(how));
      else if (what === 'hang') await new Promise(() => undefined);
      else if (what === 'crash') await this.#crash(how);
      else if (what === 'crash-once' && Atomics.compareExchange(this.#control, CONTROL.crashes, 0, 1) === 0) await this.#crash(how);
    }
  }

  async #crash(how: string): Promise<void> {
    if (how === 'exit') process.exit(3);
    if (how === 'throw') {
      setImmediate(() => {
        throw new Error('thrown in the worker, as the test asked');
      });
      await new Promise(() => undefined);
    }
    if (how === 'spin') for (;;);
    if (how === 'oom') for (const hoard: number[][] = []; ; ) hoard.push(Array<number>(1_000_000).fill(hoard.length));
  }

  async clear(version: number): Promise<number> {
    for (const [wallet, row] of this.#log.rows()) if (row.version <= version && !row.tombstone) this.#put(wallet, { envelope: new Uint8Array(0), version: version + 1, tombstone: true });
    return Math.max(0, ...[...this.#log.rows().values()].filter((row) => !row.tombstone).map((row) => row.version));
  }
  async clearFloor(): Promise<number> {
    return 0;
  }
  async publish(event: string): Promise<void> {
    this.#log.put(`event:${event}`, { envelope: Buffer.from(event), version: 1, tombstone: false });
  }
  async getBlob(name: string): Promise<Uint8Array | undefined> {
    if (name.startsWith('crash')) await this.#misbehave([name]);
    return this.#log.row(`blob:${name}`)?.envelope;
  }
  async putBlobIfAbsent(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#log.put(`blob:${name}`, { envelope: bytes, version: 1, tombstone: false })?.envelope ?? bytes;
  }
  async acquireLease(wallet: string, token: string): Promise<boolean> {
    const holder = this.#log.put(`lease:${wallet}`, { envelope: Buffer.from(token), version: 1, tombstone: false })?.envelope;
    return holder === undefined || Buffer.from(holder).toString() === token;
  }
  async releaseLease(wallet: string, token: string): Promise<void> {
    const row = this.#log.row(`lease:${wallet}`);
    if (row && Buffer.from(row.envelope).toString() === token) this.#log.put(`lease:${wallet}:released`, { ...row, version: row.version + 1 });
  }
  async health(): Promise<StoreHealth> {
    return { kind: 'embedded', reachable: true, slotsCovered: 16_384, nodes: [{ node: 'memory', reachable: true, role: 'embedded', slotsCovered: 16_384 }] };
  }
  async close(): Promise<void> {
    Atomics.add(this.#control, CONTROL.closed, 1);
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a worker thread calls; see `storeModule` in src/workers-pool/protocol.ts. */
export const createStore = ({ storeData }: { storeData?: unknown }): L2Store => new MemoryStore(storeData as MemoryStoreData);
