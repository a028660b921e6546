/**
 * A simulated world: processes with the real L1, load, write and channel code and the real public class, around one L2 and one
 * update channel that are simulated (world-l2.ts). Time is virtual, and every request, effect, reply, message, loader and timer is
 * a step whose turn an `Order` decides.
 */
import { EventEmitter } from 'node:events';
import { UpdateChannel } from '../../src/channel/update-channel.ts';
import type { Clock } from '../../src/clock.ts';
import { ProfileCodec } from '../../src/codec/profile-codec.ts';
import { StructureTables } from '../../src/codec/structure-tables.ts';
import { ProfileCacheError } from '../../src/errors.ts';
import { POLICIES } from '../../src/eviction/index.ts';
import type { CacheSettings } from '../../src/handle.ts';
import { createRegion, type Region } from '../../src/l1/region.ts';
import { ThreadRow } from '../../src/l1/thread-row.ts';
import { L1Writer } from '../../src/l1/writer.ts';
import { Attached, serveAttached } from '../../src/load/attached.ts';
import type { Backend } from '../../src/load/backend.ts';
import { Floors } from '../../src/load/floors.ts';
import { L1Owner } from '../../src/load/l1-owner.ts';
import { LoadMemory } from '../../src/load/load-memory.ts';
import { Owner, type OwnerEvents } from '../../src/load/owner.ts';
import { StructureSync } from '../../src/load/structure-sync.ts';
import { ThreadCache } from '../../src/load/thread-cache.ts';
import type { Serve, ThreadLink } from '../../src/load/thread-link.ts';
import { VersionClock } from '../../src/load/version.ts';
import { parseOptions, type ProfileCacheOptions } from '../../src/options.ts';
import { ProfileCache } from '../../src/profile-cache.ts';
import type { L2Client } from '../../src/workers-pool/l2-client.ts';
import type { Order } from './world-order.ts';
import { TOMBSTONE_TTL_MS, WorldClient, WorldL2, WorldSource, type Fate, type MessageFate } from './world-l2.ts';
import { afterMicrotasks, settled, VirtualTime } from './world-time.ts';

/** A profile of the world: the number of the write that made it. */
export interface Numbered extends Record<string, unknown> {
  i: number;
}

export interface WorldOptions {
  /** Calendars of the processes against each other; as many processes as there are. */
  skewsMs: readonly number[];
  /** The calendar moves on in steps of this size. */
  calendarStepMs?: number;
  /** What becomes of the requests, in the order they are made; afterwards all is well. */
  fates?: readonly Fate[];
  /** Single messages get lost: processes send heartbeats and count. What becomes of the messages, in the order they are sent. */
  lossy?: boolean;
  messageFates?: readonly MessageFate[];
  zombies?: boolean;
  remembersClear?: boolean;
  /** Entries of L1. */
  maxProfiles?: number;
  timeoutMs?: number;
  leaseMs?: number;
  maxFloors?: number;
  /** Time may move on while other steps wait, after this many of them: replies come after their deadline then. Else it moves when nothing else can. */
  hurry?: number;
  /** Turns that a message, and a reply, needs to arrive: with many, others overtake it. */
  messageHops?: number;
  replyHops?: number;
  /** Life of a profile; an hour where absent: then nothing expires. */
  ttlSeconds?: number;
  load?: ProfileCacheOptions['load'];
  /** Breaks a process on purpose. */
  sabotage?: (node: WorldNode) => void;
}

const WALL_START_MS = Date.UTC(2026, 10, 22);
const TTL_SECONDS = 3_600;
const MAX_STEPS = 3_000;
/** Portable msgpack of `{i: n}`, n < 128, is four bytes. */
export const idOf = (raw: Uint8Array): number => raw[3];

/** What a process keeps from run to run, emptied, because making it costs more than a run. */
interface Home {
  region: Region;
  writer: L1Writer;
  rows: ThreadRow[];
  codec: ProfileCodec;
  tables: StructureTables;
}
const spare = new Map<number, Home[]>();

export class WorldNode {
  readonly name: string;
  readonly owner: Owner;
  readonly l1: L1Owner;
  readonly floors: Floors;
  readonly versions: VersionClock;
  readonly client: WorldClient;
  readonly source: WorldSource;
  readonly cache: ProfileCache<Numbered>;
  readonly thread: ThreadCache;
  readonly home: Home;
  private readonly world: World;
  private readonly settings: CacheSettings;
  private readonly clock: Clock;

  constructor(world: World, index: number, options: WorldOptions) {
    this.world = world;
    this.name = `n${index}`;
    const { time, order, l2 } = world;
    const maxProfiles = options.maxProfiles ?? 8;
    const timeoutMs = options.timeoutMs ?? 60;
    this.home = spare.get(maxProfiles)?.pop() ?? makeHome(maxProfiles);
    const { region, writer, rows } = this.home;
    const step = options.calendarStepMs ?? 0;
    const wallMs = () => {
      const nowMs = WALL_START_MS + options.skewsMs[index] + time.nowMs;
      return step === 0 ? nowMs : Math.floor(nowMs / step) * step;
    };
    const clock = { monotonicMs: () => time.nowMs, wallMs };
    this.clock = clock;
    this.settings = { nearProfiles: 4, maxBytes: 16 * 1024, l2TtlSeconds: options.ttlSeconds ?? TTL_SECONDS, l2TtlJitter: 0, load: loadSettings(options.load), l2TimeoutMs: timeoutMs, maxProfileBytes: 1_000, format: 'portable', walletPattern: undefined, hasL2: true, buckets: 0 };
    this.versions = new VersionClock(wallMs);
    this.thread = this.makeThread(true);
    this.home.writer.onSlotChange = this.thread.slotChanged;
    this.floors = new Floors(options.maxFloors ?? 64);
    const { tables } = this.home;
    this.l1 = new L1Owner({ writer, floors: this.floors, memory: new LoadMemory(1_000), region, key: this.thread.key, row: rows[0], clock, tables });
    this.client = new WorldClient({ name: this.name, l2, order, time, timeoutMs, nextFate: () => world.nextFate(), zombies: options.zombies === true, hops: options.replyHops ?? 1, graceMs: this.graceMs });
    this.source = new WorldSource(this.name, order, { hops: options.messageHops ?? 1, isLossy: options.lossy === true, nextFate: () => world.nextMessageFate() });
    l2.sources.push(this.source);
    const client = this.client as unknown as L2Client;
    const events = new EventEmitter();
    const on = (name: string) => (detail?: unknown) => void events.emit(name, detail);
    this.owner = new Owner({
      region, l1: this.l1, thread: this.thread, client, structures: new StructureSync(client, tables), versions: this.versions, clock, publisher: this.name,
      channel: new UpdateChannel(this.source, this.name, rows[0], clock), publishes: true,
      timeoutMs, buckets: 0, leaseMs: options.leaseMs ?? 2_000, graceMs: this.graceMs, rememberedMs: TOMBSTONE_TTL_MS, maxQueuedWrites: 1_000, maxProfiles, maxBytes: 16 * 1024,
      events: { updated: on('updated'), invalidated: on('invalidated'), l2Up: on('l2Up'), l2Down: on('l2Down'), channelGap: on('channelGap'), alert: on('alert'), error: on('error') } as unknown as OwnerEvents,
    });
    this.cache = this.makeCache(this.thread, this.owner, events);
    watchStamps(this.l1, world);
    options.sabotage?.(this);
    void this.owner.listen();
  }

  /** Another thread of the process: its own decoder and near cache on the same L1, and a link to the owner whose messages keep their order. */
  attach(): ProfileCache<Numbered> {
    const thread = this.makeThread(false);
    const link = makeLink(this.world, this.name, serveAttached(this.owner, this.thread).serve);
    return this.makeCache(thread, new Attached(link as unknown as ThreadLink, thread, this.settings.l2TimeoutMs), new EventEmitter());
  }

  get takesL2ForDead(): boolean {
    return (this.owner as unknown as { breaker: { open: boolean } }).breaker.open;
  }

  private get graceMs(): number {
    return this.settings.load.graceSeconds * 1000;
  }

  /** What must be empty when nothing is under way: name and size of each. */
  leftovers(): [string, number][] {
    const inside = <T>(object: unknown, name: string): T => (object as Record<string, T>)[name];
    const writes = inside<object>(this.owner, 'writes');
    return [
      ['fences', inside<Map<string, number>>(this.floors, 'fences').size],
      ['held wallets', inside<Map<string, unknown>>(this.floors, 'holds').size],
      ['loads under way', inside<number>(this.floors, 'loadsUnderWay')],
      ['turns', inside<{ count: number }>(this.owner, 'turns').count],
      ['queued writes', this.owner.queuedWrites],
      ['writes under way', inside<Set<unknown>>(writes, 'underWay').size],
      ['unsent writes', inside<unknown[]>(inside<object>(inside<object>(writes, 'l2'), 'sender'), 'batch').length],
      ['revalidations', inside<{ underWay: boolean }>(this.owner, 'revalidation').underWay ? 1 : 0],
      ['wallets looked at again', inside<Set<string>>(inside<object>(this.owner, 'again'), 'wallets').size],
    ];
  }

  private makeThread(isOwner: boolean): ThreadCache {
    const { region, writer, rows, codec, tables } = this.home;
    const sink = isOwner ? { hits: writer.policy, expired: (slot: number, nowMs: number) => void writer.removeExpired(slot, nowMs - this.graceMs) } : { hits: { touched: () => {} }, expired: () => {} };
    return new ThreadCache({ region, row: rows[isOwner ? 0 : 1], codec, tables, clock: this.clock, sink, nearProfiles: 4, pattern: undefined, graceMs: this.graceMs, isOwner });
  }

  private makeCache(thread: ThreadCache, backend: Backend, events: EventEmitter): ProfileCache<Numbered> {
    const handle = { kind: 'profilecache-handle', region: this.home.region.buffer, link: this.name, settings: this.settings };
    // The constructor is for `open` and `attach` alone; a test makes the parts itself.
    return Reflect.construct(ProfileCache, [{ handle, region: this.home.region, thread, backend, events, release: () => {} }]) as ProfileCache<Numbered>;
  }
}

const parsed = new Map<unknown, ReturnType<typeof parseOptions>['load']>();
/** Of a weather: the same for all of its runs. */
function loadSettings(load: ProfileCacheOptions['load']): ReturnType<typeof parseOptions>['load'] {
  let settings = parsed.get(load);
  if (settings === undefined) parsed.set(load, (settings = parseOptions({ load }).load));
  return settings;
}

export class World {
  readonly time = new VirtualTime();
  readonly order: Order;
  readonly l2: WorldL2;
  readonly nodes: WorldNode[] = [];
  /** Version stamps of each write, in the order given. */
  readonly stamps = new Map<number, number[]>();
  /** When each write expires, on the clock of the world. */
  readonly expiries = new Map<number, number>();
  readonly uncaught: unknown[] = [];
  /** Of a publisher that knows nothing of ours. */
  readonly foreignStamps = new VersionClock(() => WALL_START_MS + this.time.nowMs);
  steps = 0;
  hurry: number;
  private readonly broken: boolean;
  private clockWaits = false;
  private sinceClock = 0;
  private readonly fates: Fate[];
  private readonly messageFates: MessageFate[];
  private readonly onUncaught = (error: unknown) => void this.uncaught.push(error);

  constructor(order: Order, options: WorldOptions) {
    this.order = order;
    this.fates = [...(options.fates ?? [])];
    this.messageFates = [...(options.messageFates ?? [])];
    this.l2 = new WorldL2(this.time, options.remembersClear === true);
    this.time.install();
    process.on('unhandledRejection', this.onUncaught);
    for (let index = 0; index < options.skewsMs.length; index++) this.nodes.push(new WorldNode(this, index, options));
    this.hurry = options.hurry ?? Infinity;
    // What has been broken on purpose serves no other run.
    this.broken = options.sabotage !== undefined;
  }

  nextFate(): Fate {
    return this.fates.shift() ?? 'ok';
  }

  /** The next so many requests get lost. */
  losesRequests(count: number): void {
    this.fates.push(...Array.from({ length: count }, (): Fate => 'request-lost'));
  }

  nextMessageFate(): MessageFate {
    return this.messageFates.shift() ?? 'ok';
  }

  /** From now on every request is answered, and in time, and every message arrives. */
  calmDown(): void {
    this.fates.length = 0;
    this.messageFates.length = 0;
    this.hurry = Infinity;
    this.l2.catchUp();
  }

  /** Steps until `done`; false when that takes more than any run needs. */
  run(done: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      // Turn by turn of the event loop, without promises of our own at each of some eighty steps.
      const turn = (): void => {
        try {
          if (done()) resolve(true);
          else if (this.steps >= MAX_STEPS) resolve(false);
          else {
            this.begin();
            afterMicrotasks(turn);
          }
        } catch (error) {
          reject(error as Error);
        }
      };
      afterMicrotasks(turn);
    });
  }

  async step(): Promise<void> {
    this.begin();
    await settled();
  }

  private begin(): void {
    this.steps++;
    this.time.step();
    this.offerClock();
    // Its end is that of the step, which `settled` waits for.
    void this.order.next();
  }

  /** No request, message or loader is under way, no write waits, and L2 is not taken for dead. */
  get quiet(): boolean {
    if (this.order.pending() !== (this.clockWaits ? 1 : 0) || this.time.due) return false;
    return this.nodes.every((node) => !node.takesL2ForDead && node.leftovers().every(([, size]) => size === 0));
  }

  close(): void {
    VirtualTime.restore();
    process.off('unhandledRejection', this.onUncaught);
    for (const { home } of this.broken ? [] : this.nodes) {
      home.writer.clear();
      const { slotCount } = home.region;
      spare.set(slotCount, [...(spare.get(slotCount) ?? []), home]);
    }
  }

  private offerClock(): void {
    if (this.clockWaits) return;
    if (!this.time.due && this.order.pending() > 0 && ++this.sinceClock < this.hurry) return;
    this.sinceClock = 0;
    this.clockWaits = true;
    const { due } = this.time;
    void this.order.wait('clock').then(() => {
      this.clockWaits = false;
      // Time has passed meanwhile, and what was due has been fired.
      if (due && !this.time.due) return;
      this.time.fireNext();
    });
  }
}

function makeHome(maxProfiles: number): Home {
  const region = createRegion(maxProfiles, 16 * 1024);
  const tables = new StructureTables();
  return {
    region, writer: new L1Writer(region, POLICIES.lru), rows: [ThreadRow.claim(region), ThreadRow.claim(region)],
    tables, codec: new ProfileCodec({ format: 'portable', maxProfileBytes: 1_000, tables }),
  };
}

function watchStamps(l1: L1Owner, { stamps, expiries, time }: World): void {
  const store = l1.store.bind(l1);
  l1.store = (record) => {
    const id = idOf(record.raw);
    const given = stamps.get(id);
    if (given === undefined) {
      stamps.set(id, [record.version]);
      expiries.set(id, time.nowMs + record.ttlMs);
    }
    if (given !== undefined && given.at(-1) !== record.version) given.push(record.version);
    return store(record);
  };
}

/** In the place of ThreadLink: messages each way keep their order, as on a BroadcastChannel, and are copied. */
function makeLink(world: World, name: string, serve: Serve): { call(verb: string, args: unknown, deadlineMs: number): Promise<unknown>; close(): void } {
  const lane = (label: string) => {
    const queue: (() => void)[] = [];
    return (deliver: () => void): void => {
      queue.push(deliver);
      void world.order.wait(label).then(() => queue.shift()?.());
    };
  };
  const toOwner = lane(`${name} thread asks`);
  const toThread = lane(`${name} owner answers`);
  return {
    call: (verb, args, deadlineMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new ProfileCacheError('ERR_OWNER_GONE', 'no answer')), deadlineMs);
        const copy = structuredClone(args);
        toOwner(() => {
          serve(verb, copy, 1).then(
            (value) => {
              const answer = structuredClone(value);
              toThread(() => (clearTimeout(timer), resolve(answer)));
            },
            (error: unknown) => toThread(() => (clearTimeout(timer), reject(error as Error))),
          );
        });
      }),
    close: () => {},
  };
}
