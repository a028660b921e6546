/**
 * L2 and the update channel of a simulated world: one store that keeps the rules of src/l2/store.ts, and a client for each process
 * whose requests, effects and replies are steps that happen in any order, late, or not at all.
 */
import { SCHEMA_PORTABLE } from '../../src/codec/structure-tables.ts';
import { isHeartbeat } from '../../src/channel/heartbeat.ts';
import { parseEvent } from '../../src/channel/update-event.ts';
import type { ChannelListener, ChannelSource } from '../../src/channel/source.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import type { StoreHealth } from '../../src/l2/store.ts';
import type { FetchResult, FetchedRecord, StoreDelete, StoreWrite, WriteOutcome } from '../../src/workers-pool/l2-client.ts';
import type { Order } from './world-order.ts';
import type { VirtualTime } from './world-time.ts';

export interface Row {
  version: number;
  /** Undefined: a tombstone. */
  raw: Uint8Array | undefined;
  schemaId: number;
  createdAtMs: number;
  /** From then on it is stale. */
  expiresAtMs: number;
  /** From then on it is not there; `expiresAtMs` where absent. */
  goneAtMs?: number;
}

/** What becomes of one request. `late`: the caller gives up before it takes effect. */
export type Fate = 'ok' | 'request-lost' | 'reply-lost' | 'refused';

/** What becomes of one message on its way to one process. */
export type MessageFate = 'ok' | 'lost' | 'twice';

export const TOMBSTONE_TTL_MS = 600_000;

export class WorldL2 {
  readonly rows = new Map<string, Row>();
  readonly leases = new Map<string, { token: string; untilMs: number }>();
  /** Every write that took effect: wallet, version, and the profile's bytes. */
  readonly landed: { wallet: string; version: number; raw: Uint8Array | undefined }[] = [];
  readonly sources: WorldSource[] = [];
  /** Nothing older is written any more. The embedded store tells it to who reads, too; Redis does not. */
  clearFloor = 0;
  readonly remembersClear: boolean;
  private readonly time: VirtualTime;
  private lagging: Map<string, Row> | undefined;
  private saved: Map<string, Row> | undefined;

  constructor(time: VirtualTime, remembersClear: boolean) {
    this.time = time;
    this.remembersClear = remembersClear;
  }

  row(wallet: string): Row | undefined {
    const row = this.rows.get(wallet);
    return row === undefined || (row.goneAtMs ?? row.expiresAtMs) <= this.time.nowMs ? undefined : row;
  }

  /** What a reader sees: while replicas lag, the past. */
  read(wallet: string): Row | undefined {
    const row = (this.lagging ?? this.rows).get(wallet);
    return row === undefined || (row.goneAtMs ?? row.expiresAtMs) <= this.time.nowMs ? undefined : row;
  }

  write(wallet: string, row: Row, event: string | undefined, knows = Infinity): WriteOutcome {
    const storedVersion = this.row(wallet)?.version ?? 0;
    if (knows < this.clearFloor || (row.version <= this.clearFloor && storedVersion <= this.clearFloor)) return { status: 'older', storedVersion: this.clearFloor, cleared: true };
    if (storedVersion >= row.version) return { status: 'older', storedVersion };
    this.rows.set(wallet, row);
    this.landed.push({ wallet, version: row.version, raw: row.raw });
    if (event !== undefined) this.publish(event);
    return { status: 'stored' };
  }

  /** A foreign program replaces the profile, and its event says only that the wallet has changed. */
  writeForeign(wallet: string, version: number, raw: Uint8Array): number {
    const newest = Math.max(version, (this.rows.get(wallet)?.version ?? 0) + 1);
    const event = JSON.stringify({ wallet, timestamp: new Date(0).toISOString() });
    this.write(wallet, { version: newest, raw, schemaId: SCHEMA_PORTABLE, createdAtMs: this.time.nowMs, expiresAtMs: this.time.nowMs + TOMBSTONE_TTL_MS }, event);
    return newest;
  }

  clear(version: number, event: string | undefined): number {
    const newerClear = this.clearFloor > version ? this.clearFloor : 0;
    this.clearFloor = Math.max(this.clearFloor, version);
    for (const [wallet, row] of this.rows) if (row.version <= version && row.raw !== undefined) this.rows.delete(wallet);
    if (event !== undefined) this.publish(event);
    return Math.max(newerClear, ...[...this.rows.values()].filter(({ raw }) => raw !== undefined).map((row) => row.version));
  }

  publish(event: string): void {
    const parsed = isHeartbeat(event) ? undefined : parseEvent(event);
    const what = parsed === undefined ? 'a heartbeat' : `${parsed.type} ${parsed.wallet}@${parsed.version}`;
    for (const source of this.sources) source.post(event, what);
  }

  /** From now on reads see the present state, whatever is written, until the replicas catch up. */
  lag(): void {
    this.lagging ??= new Map(this.rows);
  }

  catchUp(): void {
    this.lagging = undefined;
  }

  /** What an old master has when it takes over. */
  save(): void {
    this.saved = new Map(this.rows);
  }

  failover(): void {
    if (this.saved === undefined) return;
    this.rows.clear();
    for (const [wallet, row] of this.saved) this.rows.set(wallet, row);
  }

  acquire(wallet: string, token: string, ttlMs: number): boolean {
    const held = this.leases.get(wallet);
    if (held !== undefined && held.untilMs > this.time.nowMs && held.token !== token) return false;
    this.leases.set(wallet, { token, untilMs: this.time.nowMs + ttlMs });
    return true;
  }

  release(wallet: string, token: string): void {
    if (this.leases.get(wallet)?.token === token) this.leases.delete(wallet);
  }
}

/** The subscription of one process. Messages arrive in any order; while it is broken they are lost, and then a gap is told of. */
export class WorldSource implements ChannelSource {
  private readonly name: string;
  private readonly order: Order;
  readonly isLossy: boolean;
  private readonly hops: number;
  private readonly nextFate: () => MessageFate;
  private listener: ChannelListener | undefined;
  private subscription = 1;
  private broken = false;

  /** @param hops turns that a message needs to arrive: with many, others overtake it. */
  constructor(name: string, order: Order, parts: { hops: number; isLossy: boolean; nextFate: () => MessageFate }) {
    this.name = name;
    this.order = order;
    this.hops = parts.hops;
    this.isLossy = parts.isLossy;
    this.nextFate = parts.nextFate;
  }

  get isListening(): boolean {
    return !this.broken;
  }

  renew(): void {
    this.break();
  }

  start(listener: ChannelListener): Promise<void> {
    this.listener = listener;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** @param what it says, for the names of the steps. */
  post(text: string, what: string): void {
    if (this.broken) return;
    const fate = this.isLossy ? this.nextFate() : 'ok';
    if (fate === 'lost') return;
    const { subscription } = this;
    const label = `${this.name} hears ${what}`;
    for (let times = fate === 'twice' ? 2 : 1; times > 0; times--) {
      void hop(this.order, this.hops, label).then(() => {
        if (subscription === this.subscription) this.listener?.onMessage(text);
      });
    }
  }

  /** What is under way is lost, and what is published before the new subscription stands. */
  break(): void {
    if (this.broken) return;
    this.broken = true;
    this.subscription++;
    void this.order.wait(`${this.name} subscribes again`).then(() => {
      this.broken = false;
      this.listener?.onGap('the subscription broke');
    });
  }
}

function hop(order: Order, hops: number, label: string): Promise<void> {
  return hops === 1 ? order.wait(label) : hopOn(order, hops, label);
}

async function hopOn(order: Order, hops: number, label: string): Promise<void> {
  for (let i = 0; i < hops; i++) await order.wait(label);
}

const timeout = () => new ProfileCacheError('ERR_L2_TIMEOUT', 'no answer in time');

/** In the place of L2Client. */
export class WorldClient {
  private readonly name: string;
  private readonly l2: WorldL2;
  private readonly order: Order;
  private readonly time: VirtualTime;
  private readonly timeoutMs: number;
  private readonly nextFate: () => Fate;
  /** A request may take effect after its caller gave up; else it is withdrawn then. */
  private readonly zombies: boolean;
  /** Turns that a reply needs to arrive. */
  private readonly hops: number;
  private readonly graceMs: number;
  requests = 0;

  constructor(parts: { name: string; l2: WorldL2; order: Order; time: VirtualTime; timeoutMs: number; nextFate: () => Fate; zombies: boolean; hops: number; graceMs: number }) {
    this.name = parts.name;
    this.l2 = parts.l2;
    this.order = parts.order;
    this.time = parts.time;
    this.timeoutMs = parts.timeoutMs;
    this.nextFate = parts.nextFate;
    this.zombies = parts.zombies;
    this.hops = parts.hops;
    this.graceMs = parts.graceMs;
  }

  inParts(wallets: readonly string[], partWallets: number): readonly string[][] {
    const parts: string[][] = [];
    for (let from = 0; from < wallets.length; from += partWallets) parts.push(wallets.slice(from, from + partWallets));
    return parts;
  }

  async fetchMany(wallets: readonly string[], visit: (record: FetchedRecord) => void, graceMs = 0): Promise<FetchResult> {
    const result: FetchResult = { found: 0, missing: [], floors: new Map(), failed: new Map(), corrupt: [] };
    await Promise.all(wallets.map(async (wallet) => {
      let row: Row | undefined;
      try {
        row = await this.request(`get ${wallet}`, () => this.l2.read(wallet));
      } catch (error) {
        result.failed.set(wallet, error as ProfileCacheError);
        return;
      }
      const ttlMs = (row?.expiresAtMs ?? 0) - this.time.nowMs;
      if (row?.raw === undefined || ttlMs <= -graceMs) {
        result.missing.push(wallet);
        const floor = Math.max(row?.version ?? 0, this.l2.remembersClear ? this.l2.clearFloor : 0);
        if (floor > 0) result.floors.set(wallet, floor);
        return;
      }
      if (ttlMs > 0) result.found++;
      else result.missing.push(wallet);
      // As the inbox: good during the visit alone.
      const raw = new Uint8Array(row.raw);
      visit({ wallet, raw, schemaId: row.schemaId, version: row.version, createdAtMs: row.createdAtMs, ttlMs });
      raw.fill(0xc1);
    }));
    return result;
  }

  setMany(writes: readonly StoreWrite[], knows?: number): Promise<WriteOutcome[]> {
    return Promise.all(writes.map(({ wallet, raw, schemaId, version, ttlMs, event }) => {
      const row = { raw: new Uint8Array(raw), schemaId, version, createdAtMs: this.time.nowMs, expiresAtMs: this.time.nowMs + ttlMs, goneAtMs: this.time.nowMs + ttlMs + this.graceMs };
      return this.outcome(`set ${wallet}@${version}`, () => this.l2.write(wallet, row, event, knows));
    }));
  }

  deleteMany(deletes: readonly StoreDelete[], knows?: number): Promise<WriteOutcome[]> {
    return Promise.all(deletes.map(({ wallet, version, event }) => {
      const row = { raw: undefined, schemaId: 0, version, createdAtMs: this.time.nowMs, expiresAtMs: this.time.nowMs + TOMBSTONE_TTL_MS };
      return this.outcome(`delete ${wallet}@${version}`, () => this.l2.write(wallet, row, event, knows));
    }));
  }

  /** Asked when a process starts, before the plan begins. */
  clearFloor(): Promise<number> {
    return Promise.resolve(this.l2.clearFloor);
  }

  clear(version: number, event?: string): Promise<number> {
    return this.request(`clear@${version}`, () => this.l2.clear(version, event));
  }

  acquireLease(wallet: string, token: string, ttlMs: number): Promise<boolean> {
    return this.request(`lease ${wallet}`, () => this.l2.acquire(wallet, token, ttlMs));
  }

  releaseLease(wallet: string, token: string): Promise<void> {
    return this.request(`release ${wallet}`, () => this.l2.release(wallet, token));
  }

  publish(text: string): Promise<void> {
    return this.request('publish', () => this.l2.publish(text));
  }

  getBlob(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  putBlobIfAbsent(_name: string, bytes: Uint8Array): Promise<Uint8Array> {
    return Promise.resolve(bytes);
  }

  health(): Promise<StoreHealth> {
    return this.request('ping', () => ({ kind: 'redis', reachable: true, slotsCovered: 16_384, nodes: [] }));
  }

  isReachable(): Promise<boolean> {
    return this.request('ping', () => true);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private outcome(label: string, effect: () => WriteOutcome): Promise<WriteOutcome> {
    return this.request(label, effect).catch((error: ProfileCacheError) => ({ status: 'failed', error }));
  }

  /** Two steps: the request arrives and takes effect, the reply arrives. */
  private request<T>(label: string, effect: () => T): Promise<T> {
    this.requests++;
    const fate = this.nextFate();
    return new Promise<T>((resolve, reject) => {
      let open = true;
      const timer = setTimeout(() => {
        open = false;
        reject(timeout());
      }, this.timeoutMs);
      const work = async () => {
        await this.order.wait(`${this.name} ${label}`);
        if (fate === 'request-lost' || (!open && !this.zombies)) return;
        const result = fate === 'refused' ? undefined : effect();
        if (fate === 'reply-lost') return;
        await hop(this.order, this.hops, `${this.name} answer to ${label}`);
        if (!open) return;
        clearTimeout(timer);
        if (fate === 'refused') reject(new ProfileCacheError('ERR_L2_UNAVAILABLE', 'this node is down'));
        else resolve(result as T);
      };
      work().catch(reject);
    });
  }
}
