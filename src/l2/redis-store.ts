/**
 * The L2 store over Redis Cluster or one Redis. Composition only: redis-topology knows who serves what, redis-batch moves
 * keys, redis-scripts is what runs inside Redis, slots names the keys.
 *
 * Connections are ioredis ones: for each node one that reads and, behind the first write, one that writes. ioredis' own Cluster class is
 * not used, because it gives nodes an offline queue that cannot be turned off, and a command in it is sent after it was reported as timed out.
 */
import { ENVELOPE, isTombstone } from '../codec/envelope.ts';
import { systemClock } from '../clock.ts';
import { ProfileCacheError } from '../errors.ts';
import type { RedisL2Options } from '../options.ts';
import type { DeleteRequest, GetOutcome, L2Store, LeaseAnswer, ReadVisitor, SetOutcome, SetRequest, StoreHealth } from './store.ts';
import { BatchRun } from './redis-batch.ts';
import { clearProfiles, floorOf, floorSlots, raiseFloors } from './redis-clear.ts';
import { replyError } from './redis-errors.ts';
import { redisHealth } from './redis-health.ts';
import type { Arg, RedisNode } from './redis-node.ts';
import { FLOOR_SCRIPT, LEASE_SCRIPT, RELEASE_SCRIPT, WRITE_SCRIPT } from './redis-scripts.ts';
import type { Script } from './redis-scripts.ts';
import { RedisTopology } from './redis-topology.ts';
import { MIN_REMEMBERED_MS } from './remembered.ts';
import { argHead, commandHead } from './resp-command.ts';
import { keyLayout, keySlot } from './slots.ts';
import type { KeyLayout } from './slots.ts';

/** The most that the option maxProfileBytes allows. */
const MAX_PROFILE_BYTES = 64 * 1024 * 1024;
/** Replies are built in the memory of Redis before they go out. */
const READ_MAX_KEYS = 128;
/** A script blocks its node while it runs: about 5 us a key. */
const WRITE_MAX_KEYS = 64;
const WRITE_MAX_BYTES = 256 * 1024;
/** Longer than who waits for a lease takes from one look to the next (load-turns.ts). */
const GIVEN_BACK_MS = 2_000;
/** Between the deadline inside the script and ours, on top of what the clocks may differ by. */
const DEADLINE_MARGIN_MS = 2;

export interface RedisStoreContext {
  connectTimeoutMs: number;
  /** Longest wait of every call but open and clear. */
  commandTimeoutMs: number;
  channelName: string;
  /** Longest record that this cache would store; a larger value is corrupt, and is not taken in. */
  maxProfileBytes?: number;
  /** How long a clear is remembered. */
  rememberedMs?: number;
}

export interface RedisStoreCounters {
  /** Values of another type found at a key of ours and removed. */
  repaired: number;
  /** Writes that reached their node past their deadline and did nothing. */
  refusedLate: number;
}

interface WriteItem {
  wallet: string;
  envelope: Uint8Array;
  ttlMs: number;
  event: string;
}

export class RedisStore implements L2Store {
  readonly kind = 'redis';
  readonly counters: RedisStoreCounters = { repaired: 0, refusedLate: 0 };
  readonly #options: RedisL2Options;
  readonly #context: RedisStoreContext;
  readonly #layout: KeyLayout;
  readonly #topology: RedisTopology;
  #turn = 0;
  #closed = false;
  #underWay = 0;
  #idle: (() => void) | undefined;

  constructor(options: RedisL2Options, context: RedisStoreContext) {
    this.#options = options;
    this.#context = context;
    this.#layout = keyLayout(options.keyPrefix, options.buckets);
    this.#topology = new RedisTopology({ redis: options, connectTimeoutMs: context.connectTimeoutMs, commandTimeoutMs: context.commandTimeoutMs, maxValueBytes: (context.maxProfileBytes ?? MAX_PROFILE_BYTES) + ENVELOPE.headerBytes + ENVELOPE.maxKeyBytes });
  }

  async open(): Promise<void> {
    this.#requireOpen();
    try {
      await this.#topology.open();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** The median of the clocks of all nodes: one that is wrong does not carry it along. */
  nowMs(): number {
    const offsets = this.#topology.nodes().flatMap((node) => node.clock.offsetMs ?? []).sort((a, b) => a - b);
    if (offsets.length === 0) return systemClock.wallMs();
    return systemClock.monotonicMs() + offsets[offsets.length >> 1];
  }

  async getMany(wallets: readonly string[], deadlineMs?: number): Promise<GetOutcome[]> {
    const outcomes = new Array<GetOutcome>(wallets.length);
    await this.readMany(wallets, {
      found: (i, bytes, start, end) => (outcomes[i] = getOutcome(bytes.subarray(start, end))),
      missing: (i) => (outcomes[i] = { status: 'miss' }),
      tooLarge: (i) => (outcomes[i] = { status: 'failed', error: new ProfileCacheError('ERR_L2_CORRUPT', 'what lies at the key is larger than any record', { wallet: wallets[i] }) }),
      failed: (i, error) => (outcomes[i] = { status: 'failed', error }),
    }, deadlineMs);
    return outcomes;
  }

  async readMany(wallets: readonly string[], visitor: ReadVisitor, deadlineMs?: number): Promise<void> {
    const { keys, keyBytes, slots } = this.#layout.place(wallets);
    await this.#batch({
      count: wallets.length,
      slotOf: (i) => slots[i],
      maxKeys: READ_MAX_KEYS,
      maxBytes: Infinity,
      idempotent: true,
      pick: (slot) => this.#reader(slot),
      how: {
        // MGET for one key as well: it answers nil, not an error, for a value of another type.
        mget: (indices) => encodeMget(indices, keys, keyBytes),
        value: (i, bytes, start, end) => visitor.found(i, bytes, start, end),
        nil: (i) => visitor.missing(i),
        tooLarge: (i) => visitor.tooLarge(i),
      },
      fail: (i, error) => visitor.failed(i, error),
    }, deadlineMs);
  }

  setMany(requests: readonly SetRequest[], deadlineMs?: number, knows?: number): Promise<SetOutcome[]> {
    return this.#write(requests.map(({ wallet, envelope, ttlMs, event = '' }) => ({ wallet, envelope, ttlMs, event })), deadlineMs, knows);
  }

  deleteMany(requests: readonly DeleteRequest[], deadlineMs?: number, knows?: number): Promise<SetOutcome[]> {
    return this.#write(requests.map(({ wallet, tombstone, tombstoneTtlMs, event = '' }) => ({ wallet, envelope: tombstone, ttlMs: tombstoneTtlMs, event })), deadlineMs, knows);
  }

  async #write(items: readonly WriteItem[], deadlineMs: number | undefined, knows: number | undefined): Promise<SetOutcome[]> {
    const outcomes = new Array<SetOutcome>(items.length);
    const { keys, slots } = this.#layout.place(items.map((item) => item.wallet));
    await this.#batch({
      count: items.length,
      slotOf: (i) => slots[i],
      maxKeys: WRITE_MAX_KEYS,
      maxBytes: WRITE_MAX_BYTES,
      bytesOf: (i) => items[i].envelope.length,
      idempotent: false,
      pick: (slot) => this.#topology.ownersOf(slot)?.master.forWrites,
      how: { command: (indices, node, remainingMs, wholeScript) => {
        const leftMs = remainingMs - DEADLINE_MARGIN_MS - Math.min(node.clock.uncertaintyMs, remainingMs / 4);
        if (!(leftMs > 0)) return undefined;
        const args: Arg[] = [wholeScript ? WRITE_SCRIPT.text : WRITE_SCRIPT.sha, indices.length];
        for (const i of indices) args.push(keys[i]);
        const floorKey = this.#layout.floorKeyOf(this.#topology.standalone ? 0 : slots[indices[0]]);
        args.push((node.clock.nowMs() + leftMs).toFixed(3), this.#context.channelName, floorKey, knows ?? '');
        for (const i of indices) {
          const { envelope, ttlMs, event } = items[i];
          args.push(envelope, Math.max(1, Math.ceil(ttlMs)), event);
        }
        return { name: wholeScript ? 'eval' : 'evalsha', args };
      },
      take: (indices, reply, node) => this.#takeWrites(indices, reply, node, outcomes) },
      fail: (i, error) => {
        outcomes[i] = { status: 'failed', error };
      },
    }, deadlineMs);
    return outcomes;
  }

  #takeWrites(indices: readonly number[], reply: unknown, node: RedisNode, outcomes: SetOutcome[]): { again: number[]; pause: boolean } | undefined {
    if (reply === indices.length) {
      for (const index of indices) outcomes[index] = STORED;
      return undefined;
    }
    if (!Array.isArray(reply)) {
      // 'L': past its deadline by the clock of the node. Either it is late, or that clock was set: ask for it again.
      this.counters.refusedLate += indices.length;
      node.clock.sample().catch(() => undefined); // The lost connection reports itself.
      return { again: [...indices], pause: true };
    }
    const again: number[] = [];
    for (let k = 0; k < indices.length; k++) {
      const one = (reply as Array<number | Buffer>)[k];
      const index = indices[k];
      if (one === 1) {
        outcomes[index] = STORED;
      } else if (one === 2) {
        this.counters.repaired++;
        outcomes[index] = STORED;
      } else if (Buffer.isBuffer(one) && one[0] === OLDER && one.length === 9) {
        outcomes[index] = { status: 'older', storedVersion: one.readDoubleLE(1) };
      } else if (Buffer.isBuffer(one) && one[0] === CLEARED && one.length === 9) {
        outcomes[index] = { status: 'older', storedVersion: one.readDoubleLE(1), cleared: true };
      } else {
        const text = Buffer.isBuffer(one) ? one.toString('utf8', 1) : String(one);
        if (text.includes('READONLY')) again.push(index);
        else outcomes[index] = { status: 'failed', error: replyError(text, node.name) };
      }
    }
    if (again.length === 0) return undefined;
    this.#topology.refreshSoon();
    return { again, pause: true };
  }

  #reader(slot: number): RedisNode | undefined {
    const owners = this.#topology.ownersOf(slot);
    if (!owners || this.#options.readMode === 'master' || this.#topology.standalone) return owners?.master;
    const usable = owners.replicas.filter((node) => node.usable);
    if (usable.length > 0) return usable[this.#turn++ % usable.length];
    return this.#options.readMode === 'replica-preferred' ? owners.master : owners.replicas[0];
  }

  async clear(version: number, event?: string, deadlineMs?: number): Promise<number> {
    this.#requireOpen();
    const lifeMs = this.#context.rememberedMs ?? MIN_REMEMBERED_MS;
    const floor = await this.#counted(() => raiseFloors(this.#layout, this.#topology.standalone, version, lifeMs, (slot, args) => this.#single(slot, FLOOR_SCRIPT, args, deadlineMs)));
    const left = await this.#counted(() => clearProfiles(this.#topology, this.#layout, version, () => this.#timeoutMs(deadlineMs)));
    if (event !== undefined) await this.publish(event, deadlineMs);
    return floor > version ? Math.max(left, floor) : left;
  }

  async clearFloor(deadlineMs?: number): Promise<number> {
    this.#requireOpen();
    // A clear raises all of them before it removes anything.
    const [slot] = floorSlots(this.#layout, this.#topology.standalone);
    return floorOf(await this.#counted(() => this.#single(slot, 'get', [this.#layout.floorKeyOf(slot)], deadlineMs)));
  }

  async publish(event: string, deadlineMs?: number): Promise<void> {
    this.#requireOpen();
    // Any node will do, the cluster passes it on. Always the same one while it can be used, so that events keep their order.
    const slot = keySlot(this.#context.channelName);
    const pick = () => {
      const master = this.#topology.ownersOf(slot)?.master;
      return (master?.usable ? master : (this.#topology.nodes().find((node) => node.usable) ?? master))?.forWrites;
    };
    await this.#counted(() => this.#single(slot, 'publish', [this.#context.channelName, event], deadlineMs, pick));
  }

  /** From whichever copy is there first: one on a shard that is gone, or hangs, is not waited for. */
  async getBlob(name: string, deadlineMs?: number): Promise<Uint8Array | undefined> {
    this.#requireOpen();
    return firstFound(this.#layout.blobKeysOf(name).map((key) => this.#getOne(key, deadlineMs)));
  }

  /** Rejects only when no copy could be stored. */
  async putBlobIfAbsent(name: string, bytes: Uint8Array, deadlineMs?: number): Promise<Uint8Array> {
    this.#requireOpen();
    const [key, ...copies] = this.#layout.blobKeysOf(name);
    // All copies say what the first one says.
    const first = await settled(this.#putOne(key, bytes, deadlineMs));
    const stands = first.status === 'fulfilled' ? first.value : bytes;
    const rest = await Promise.allSettled(copies.map((copy) => this.#putOne(copy, stands, deadlineMs)));
    if (first.status === 'fulfilled') return first.value;
    const stored = rest.find((one) => one.status === 'fulfilled');
    if (stored === undefined) throw first.reason;
    return stored.value;
  }

  async #getOne(key: string, deadlineMs: number | undefined): Promise<Uint8Array | undefined> {
    const reply = await this.#counted(() => this.#single(keySlot(key), 'get', [key], deadlineMs));
    return Buffer.isBuffer(reply) ? privateCopy(reply) : undefined;
  }

  async #putOne(key: string, bytes: Uint8Array, deadlineMs: number | undefined): Promise<Uint8Array> {
    const reply = await this.#counted(() => this.#single(keySlot(key), 'set', [key, Buffer.from(bytes), 'NX'], deadlineMs));
    if (reply !== null) return bytes.slice();
    return (await this.#getOne(key, deadlineMs)) ?? this.#putOne(key, bytes, deadlineMs);
  }

  async acquireLease(wallet: string, token: string, ttlMs: number, deadlineMs?: number, waited = false): Promise<LeaseAnswer> {
    this.#requireOpen();
    const key = this.#layout.leaseKeyOf(wallet);
    const lifeMs = Math.max(1, Math.ceil(ttlMs));
    // Mostly nobody holds it: one plain command, where a script may have to be sent twice.
    if (!waited && (await this.#counted(() => this.#single(keySlot(key), 'set', [key, token, 'PX', lifeMs, 'NX'], deadlineMs))) !== null) return true;
    const reply = await this.#counted(() => this.#single(keySlot(key), LEASE_SCRIPT, [1, key, token, lifeMs, waited ? 0 : 1], deadlineMs));
    return reply === 2 ? 'lost' : reply === 1;
  }

  async releaseLease(wallet: string, token: string, deadlineMs?: number): Promise<void> {
    this.#requireOpen();
    const key = this.#layout.leaseKeyOf(wallet);
    await this.#counted(() => this.#single(keySlot(key), RELEASE_SCRIPT, [1, key, token, GIVEN_BACK_MS], deadlineMs));
  }

  /** One command for one slot, with the redirects and the deadline of a batch of one. */
  async #single(slot: number, what: string | Script, args: Arg[], deadlineMs: number | undefined, pick = this.#pickOf(slot, what)): Promise<unknown> {
    let answer: unknown;
    let problem: ProfileCacheError | undefined;
    await new BatchRun(this.#topology, {
      count: 1,
      slotOf: () => slot,
      maxKeys: 1,
      maxBytes: Infinity,
      idempotent: what === 'get',
      pick,
      how: { command: (_indices, _node, remainingMs, wholeScript) => {
        if (remainingMs <= 0) return undefined;
        if (typeof what === 'string') return { name: what, args };
        return wholeScript ? { name: 'eval', args: [what.text, ...args] } : { name: 'evalsha', args: [what.sha, ...args] };
      },
      take: (_indices, reply) => {
        answer = reply;
        return undefined;
      } },
      fail: (_index, error) => {
        problem = error;
      },
    }, this.#timeoutMs(deadlineMs)).run();
    if (problem) throw problem;
    return answer;
  }

  #pickOf(slot: number, what: string | Script): () => RedisNode | undefined {
    const master = () => this.#topology.ownersOf(slot)?.master;
    return what === 'get' ? master : () => master()?.forWrites;
  }

  async #batch(plan: ConstructorParameters<typeof BatchRun>[1], deadlineMs: number | undefined): Promise<void> {
    if (this.#closed) {
      const error = closedError();
      for (let i = 0; i < plan.count; i++) plan.fail(i, error);
      return;
    }
    await this.#counted(() => new BatchRun(this.#topology, plan, this.#timeoutMs(deadlineMs)).run());
  }

  /** Whoever asked may have been waiting in a queue for most of his time. */
  #timeoutMs(deadlineMs = Infinity): number {
    return Math.max(0, Math.min(this.#context.commandTimeoutMs, deadlineMs - systemClock.monotonicMs()));
  }

  async #counted<T>(run: () => Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await run();
    } finally {
      if (--this.#underWay === 0) this.#idle?.();
    }
  }

  async health(deadlineMs?: number): Promise<StoreHealth> {
    if (this.#closed) return { kind: 'redis', reachable: false, slotsCovered: 0, nodes: [] };
    return redisHealth(this.#topology, this.#timeoutMs(deadlineMs));
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      // Every call under way has its own deadline, so this ends.
      if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    }
    this.#topology.close();
  }

  #requireOpen(): void {
    if (this.#closed) throw closedError();
  }
}

/** Of several lookups of the same thing: the first that has it; undefined when none has; rejects when none has and one could not tell. */
function firstFound<T>(lookups: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    for (const lookup of lookups) lookup.then((found) => void (found !== undefined && resolve(found)), () => {});
void Promise.allSettled(lookups).then((all) => {
      const failure = all.find((one) => one.status === 'rejected');
      if (failure === undefined) resolve(undefined);
      else reject(failure.reason);
    });
  });
}

const settled = async <T>(work: Promise<T>): Promise<PromiseSettledResult<T>> => (await Promise.allSettled([work]))[0];

/** First bytes of replies of WRITE_SCRIPT: O, C. */
const OLDER = 0x4f;
const CLEARED = 0x43;
const STORED: SetOutcome = Object.freeze({ status: 'stored' });

const closedError = (): ProfileCacheError => new ProfileCacheError('ERR_CLOSED', 'the store is closed; open a new one');

function getOutcome(bytes: Uint8Array): GetOutcome {
  const envelope = privateCopy(bytes);
  if (!isTombstone(envelope)) return { status: 'hit', envelope };
  return { status: 'miss', floor: new DataView(envelope.buffer).getFloat64(ENVELOPE.versionOffset, true) };
}

function encodeMget(indices: readonly number[], keys: readonly string[], keyBytes: Uint16Array): { text: string; ascii: boolean } {
  let text = `${commandHead(indices.length + 1)}$4\r\nMGET\r\n`;
  let ascii = true;
  for (const i of indices) {
    text += `${argHead(keyBytes[i])}${keys[i]}\r\n`;
    if (keyBytes[i] !== keys[i].length) ascii = false;
  }
  return { text, ascii };
}

/** Not `slice`: of a Buffer that is another Buffer, whose own `slice` no longer copies. */
const privateCopy = (view: Uint8Array): Uint8Array => new Uint8Array(view);
