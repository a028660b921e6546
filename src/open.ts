/** Composition root: options become L1, L2, workers and channel. The one file that wires. */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { ChannelSource } from './channel/source.ts';
import { UpdateChannel } from './channel/update-channel.ts';
import { ProfileCodec } from './codec/profile-codec.ts';
import { StructureTables } from './codec/structure-tables.ts';
import { preciseWallMs, systemClock } from './clock.ts';
import { POLICIES } from './eviction/index.ts';
import { checkHandle, type CacheHandle, type CacheSettings } from './handle.ts';
import { createRegion, openRegion, type Region } from './l1/region.ts';
import { ThreadRow } from './l1/thread-row.ts';
import { L1Writer } from './l1/writer.ts';
import { Attached, serveAttached } from './load/attached.ts';
import type { Backend } from './load/backend.ts';
import { Floors } from './load/floors.ts';
import { L1Owner } from './load/l1-owner.ts';
import { LoadMemory } from './load/load-memory.ts';
import { Owner, type OwnerEvents } from './load/owner.ts';
import { StructureSync } from './load/structure-sync.ts';
import { ThreadCache, type AccessSink } from './load/thread-cache.ts';
import { OwnerLink, ThreadLink } from './load/thread-link.ts';
import { VersionClock } from './load/version.ts';
import { parseOptions, type ProfileCacheOptions, type ResolvedOptions } from './options.ts';
import { COUNTER } from './stats/metrics.ts';
import { rememberedMs } from './l2/remembered.ts';
import { L2Client } from './workers-pool/l2-client.ts';

/** What the public class of a thread is made of. */
export interface CacheParts {
  handle: CacheHandle;
  region: Region;
  thread: ThreadCache;
  backend: Backend;
  /** Emits what happens to the cache; the public class passes it on. */
  events: EventEmitter;
  /** After the backend has closed. */
  release(): void;
}

/** Most floors kept beside those of resident profiles: at about 100 bytes each. */
const MIN_FLOORS = 20_000;
const EVENT_NAMES = ['updated', 'invalidated', 'l2Up', 'l2Down', 'channelGap', 'alert', 'error'] as const satisfies (keyof OwnerEvents)[];

export async function openOwner(input: ProfileCacheOptions | undefined): Promise<CacheParts> {
  const options = parseOptions(input);
  const publisher = randomUUID();
  const region = createRegion(options.l1.maxProfiles, options.l1.maxBytes);
  const client = options.l2.kind === 'none' ? undefined : await L2Client.open(options, {}, [region.hashKey0, region.hashKey1]);
  try {
    return await wireOwner(options, publisher, region, client);
  } catch (error) {
    await client?.close();
    throw error;
  }
}

async function wireOwner(options: ResolvedOptions, publisher: string, region: Region, client: L2Client | undefined): Promise<CacheParts> {
  const writer = new L1Writer(region, POLICIES[options.l1.eviction]);
  const row = ThreadRow.claim(region);
  const tables = new StructureTables({ learn: options.codec.format === 'structured' });
  const versions = new VersionClock(preciseWallMs);
  const settings = settingsOf(options);
  const graceMs = options.load.graceSeconds * 1000;
  const sink: AccessSink = {
    hits: writer.policy,
    expired: (slot, nowMs) => void (writer.removeExpired(slot, nowMs - graceMs) && row.count(COUNTER.expirations)),
  };
  const thread = makeThread(region, row, tables, settings, sink, true);
  writer.onSlotChange = thread.slotChanged;
  const floors = new Floors(Math.max(MIN_FLOORS, options.l1.maxProfiles * 2));
  const l1 = new L1Owner({ writer, floors, memory: new LoadMemory(options.load.maxNegatives), region, key: thread.key, row, clock: systemClock, tables });
  const structures = client && new StructureSync(client, tables);
  if (options.codec.format === 'structured') await structures?.adoptFirst();

  const events = new EventEmitter();
  const linkName = `profilecache:${publisher}`;
  // Declared before the owner that announces through it.
  let link: OwnerLink | undefined;
  const announce = (name: string, detail?: unknown) => {
    events.emit(name, detail);
    link?.announce(name, detail instanceof Error ? { message: detail.message, ...('toWire' in detail ? (detail.toWire as () => object)() : {}) } : detail);
  };
  const owner = new Owner({
    region, l1, thread, client, structures, versions, clock: systemClock, publisher,
    channel: client && options.channel.enabled ? new UpdateChannel(await makeSource(options), publisher, row) : undefined,
    publishes: options.channel.enabled,
    timeoutMs: options.l2TimeoutMs, buckets: settings.buckets, leaseMs: options.loadLeaseMs, graceMs, rememberedMs: rememberedMs(options), maxQueuedWrites: options.maxQueuedWrites,
    maxProfiles: options.l1.maxProfiles, maxBytes: options.l1.maxBytes,
    events: Object.fromEntries(EVENT_NAMES.map((name) => [name, (detail?: unknown) => announce(name, detail)])) as unknown as OwnerEvents,
  });
  try {
    await owner.listen();
  } catch (error) {
    await owner.close();
    throw error;
  }
  const { serve, onGone } = serveAttached(owner, thread);
  link = new OwnerLink(linkName, region, serve, onGone);
  return {
    handle: { kind: 'profilecache-handle', region: region.buffer, link: linkName, settings },
    region, thread, backend: owner, events,
    release: () => {
      link?.close();
      row.free();
    },
  };
}

/** Any other thread of the process: the same L1, everything else through the owner. */
export function openAttached(input: unknown): CacheParts {
  const handle = checkHandle(input);
  const region = openRegion(handle.region);
  const row = ThreadRow.claim(region);
  const tables = new StructureTables();
  // The owner finds expired entries by its own sweep.
  const sink: AccessSink = { hits: { touched: (slot) => row.pushHit(slot) }, expired: () => {} };
  const thread = makeThread(region, row, tables, handle.settings, sink, false);
  thread.readSchemaLog();
  const events = new EventEmitter();
  const link = new ThreadLink(handle.link, region, row.claimed, handle.settings.l2TimeoutMs, (name, detail) => events.emit(name, detail));
  return { handle, region, thread, backend: new Attached(link, thread, handle.settings.l2TimeoutMs), events, release: () => row.free() };
}

function makeThread(region: Region, row: ThreadRow, tables: StructureTables, settings: CacheSettings, sink: AccessSink, isOwner: boolean): ThreadCache {
  const codec = new ProfileCodec({ format: settings.format, maxProfileBytes: settings.maxProfileBytes, tables });
  return new ThreadCache({ region, row, codec, tables, clock: systemClock, sink, nearProfiles: settings.nearProfiles, pattern: settings.walletPattern, graceMs: settings.load.graceSeconds * 1000, isOwner });
}

function settingsOf(options: ResolvedOptions): CacheSettings {
  return {
    nearProfiles: options.l1.nearProfiles,
    maxBytes: options.l1.maxBytes,
    l2TtlSeconds: options.l2TtlSeconds,
    l2TtlJitter: options.l2TtlJitter,
    l2TimeoutMs: options.l2TimeoutMs,
    maxProfileBytes: options.maxProfileBytes,
    format: options.codec.format,
    walletPattern: options.walletPattern,
    load: options.load,
    hasL2: options.l2.kind !== 'none',
    buckets: options.l2.kind === 'redis' ? options.l2.buckets : 0,
  };
}

/** Loaded when needed: who uses the embedded store does not load a Redis client. */
async function makeSource(options: ResolvedOptions): Promise<ChannelSource> {
  const { l2 } = options;
  const channelName = options.channel.name;
  if (l2.kind === 'redis') {
    const { RedisSource } = await import('./channel/redis-source.ts');
    return new RedisSource(l2, { channelName, connectTimeoutMs: options.connectTimeoutMs });
  }
  if (l2.kind === 'embedded') {
    const { EmbeddedSource } = await import('./channel/embedded-source.ts');
    return new EmbeddedSource(l2, { channelName });
  }
  throw new Error('an L2 of kind none has no channel');
}
