/**
 * Every option: name, unit, default, bounds. The only home of defaults; `parseOptions` is the only way in.
 */
import * as v from 'valibot';
import { amount, checked, list, named, text, whole } from './checked.ts';
import { ProfileCacheError } from './errors.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const positiveMs = (max: number) => whole(1, max);
const DAY_SECONDS = 86_400;

const l1Schema = named({
  /** Most profiles resident at once. */
  maxProfiles: v.optional(whole(1, 16_000_000), 5_000),
  /** Bytes of the arena: record headers, keys and payloads together never exceed it. */
  maxBytes: v.optional(whole(16 * KIB, 16 * GIB), 64 * MIB),
  /** Which entry goes when L1 is full: `adaptive` learns it from the requests, `lru` is exact for the thread that owns the cache. */
  eviction: v.optional(v.picklist(['lru', 's3-fifo', 'w-tinylfu', 'adaptive']), 'adaptive'),
  /**
   * Decoded profiles that each thread keeps at hand: a hit on one costs 0.1 us, on any other it is decoded, 4 to 6 us. The default covers
   * the default L1; 5,000 profiles of 2 KB are about 20 MB of each thread's heap. 0 turns the near cache off.
   */
  nearProfiles: v.optional(whole(0, 16_000_000), 5_000),
});

const tlsObject = named({
  /** PEM texts. */
  ca: v.optional(v.string()),
  cert: v.optional(v.string()),
  key: v.optional(v.string()),
  servername: v.optional(v.string()),
  rejectUnauthorized: v.optional(v.boolean()),
});
/** Not a union, which would not say which name of the object is wrong. */
const tlsSchema = v.lazy((given) => (typeof given === 'object' ? tlsObject : v.boolean()));

const redisSchema = v.strictObject({
  kind: v.literal('redis'),
  /** Nodes to start from; the others of a cluster are found. */
  nodes: v.pipe(list(v.strictObject({ host: text(), port: v.optional(whole(1, 65_535), 6379) })), v.nonEmpty('is empty')),
  /** `auto` asks the first node that answers whether it is part of a cluster. */
  mode: v.optional(v.picklist(['auto', 'cluster', 'standalone']), 'auto'),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  /** `true`: TLS with the system's authorities, certificate verified. */
  tls: v.optional(tlsSchema, false),
  /** Where reads go. Replica reads may be late by the replication lag; the version floor keeps them from going back in time. */
  readMode: v.optional(v.picklist(['master', 'replica-preferred', 'replica']), 'master'),
  /** Start of every key of this cache. No braces: they would be taken for a hash tag. */
  keyPrefix: v.optional(v.pipe(v.string(), v.maxCodePoints(128, 'has more than 128 characters'), v.regex(/^[^{}]*$/, 'may hold no { or }')), 'profile:'),
  /**
   * Hash-tag buckets: wallets that share one travel in one MGET. 0 gives plain `<prefix><wallet>` keys.
   * At least ten buckets a master; more spread hot wallets better, fewer make larger batches.
   */
  buckets: v.optional(whole(0, 16_384), 256),
});

const embeddedSchema = v.strictObject({
  kind: v.literal('embedded'),
  /** Folder of the store; made if absent. Several processes of one machine may share it. */
  path: v.optional(text(), '.profilecache'),
  /** Bytes of disk that the store may take; the profiles nearest to their expiry go first. */
  maxBytes: v.optional(whole(1 * MIB, 1024 * GIB), 1 * GIB),
  /** Refuses to write when the disk has less free than this, so that the rest of the machine lives. */
  minFreeBytes: v.optional(whole(0, 1024 * GIB), 32 * MIB),
  /** How often expired rows are swept. */
  sweepIntervalMs: v.optional(positiveMs(3_600_000), 1_000),
  /** How often the folder is looked at for updates by other processes. */
  pollIntervalMs: v.optional(positiveMs(60_000), 50),
});

const noneSchema = v.strictObject({ kind: v.literal('none') });

const l2Schema = v.variant('kind', [redisSchema, embeddedSchema, noneSchema]);

/** What a call of getOrLoad may set for itself; the names and bounds of `load` and of the call are the same. */
const loadFields = {
  /** How long beyond its life a profile is kept, in both tiers, for getOrLoad to fall back on when its load fails or is slow. */
  graceSeconds: amount(0, 366 * DAY_SECONDS),
  /** A profile that expired less than this ago is served at once and refreshed in the background. At most `graceSeconds`. */
  staleWhileRevalidateSeconds: amount(0, 366 * DAY_SECONDS),
  /** After a failed load, the profile in its grace is served this long before the loader is called again, in each process. */
  graceBackoffMs: whole(0, 86_400_000),
  /** A load that takes longer is not waited for where a profile in its grace can be served; it goes on in the background. */
  softTimeoutMs: positiveMs(86_400_000),
  /** Nobody waits longer for a load (ERR_LOAD_TIMEOUT); it goes on, and may still fill the cache. */
  hardTimeoutMs: positiveMs(86_400_000),
  /** Share of its life after which a profile that getOrLoad hits in L1 is refreshed in the background. */
  eagerRefreshThreshold: v.pipe(v.number(), v.gtValue(0), v.ltValue(1)),
  /** How long a process remembers that a loader had no profile (`undefined`, `null`, ERR_NOT_FOUND). 0: not at all. */
  negativeTtlSeconds: amount(0, 366 * DAY_SECONDS),
};

const loadObject = named({
  graceSeconds: v.optional(loadFields.graceSeconds, 0),
  staleWhileRevalidateSeconds: v.optional(loadFields.staleWhileRevalidateSeconds, 0),
  graceBackoffMs: v.optional(loadFields.graceBackoffMs, 5_000),
  softTimeoutMs: v.optional(loadFields.softTimeoutMs),
  hardTimeoutMs: v.optional(loadFields.hardTimeoutMs),
  eagerRefreshThreshold: v.optional(loadFields.eagerRefreshThreshold),
  negativeTtlSeconds: v.optional(loadFields.negativeTtlSeconds, 0),
  /** Wallets without a profile, and failed loads, that a process remembers; past it the oldest are forgotten. */
  maxNegatives: v.optional(whole(1, 10_000_000), 10_000),
});
const loadSchema: v.GenericSchema<v.InferInput<typeof loadObject>, v.InferOutput<typeof loadObject>> = v.pipe(
  loadObject,
  v.forward(v.check((load) => load.staleWhileRevalidateSeconds <= load.graceSeconds, 'is at most graceSeconds'), ['staleWhileRevalidateSeconds']),
);

const loadCallObject = v.object(loadFields);
const loadCallSchema: v.GenericSchema<Partial<v.InferInput<typeof loadCallObject>>> = v.partial(loadCallObject);

const schema = named({
  l1: v.optional(l1Schema, {}),
  l2: v.optional(v.union([v.string(), v.looseObject({ kind: v.string() })], 'is neither a URL nor an object with a kind'), { kind: 'embedded' }),
  /** Life of a profile, in L2 and in L1, in seconds. */
  l2TtlSeconds: v.optional(amount(0.001, 366 * DAY_SECONDS), 300),
  /** Up to this share of the life is taken off at random, so that what was written together does not expire together. */
  l2TtlJitter: v.optional(amount(0, 0.9), 0),
  /** No L2 operation, bulk parts included, is waited for longer. */
  l2TimeoutMs: v.optional(positiveMs(600_000), 250),
  /** Deadline of the first connection at `open`. */
  connectTimeoutMs: v.optional(positiveMs(600_000), 5_000),
  /** Worker threads for L2 I/O, LZ4 and transcoding. As many as there are cores beside the caller's share the work; more stand by for one that dies or is stuck. */
  workers: v.optional(whole(1, 64), 2),
  /** Largest profile, encoded and before compression. What fits here but not into L1 is kept in L2 alone. */
  maxProfileBytes: v.optional(whole(64, 64 * MIB), 1 * MIB),
  /** Wallets that do not match are refused. `base58` is a Solana address: 32 to 44 base58 characters. */
  walletPattern: v.optional(v.union([v.literal('base58'), v.instance(RegExp)])),
  codec: v.optional(named({
    /** `structured`: msgpack with a shared structure table. `portable`: plain msgpack maps that any language reads. */
    format: v.optional(v.picklist(['structured', 'portable']), 'structured'),
    compression: v.optional(v.picklist(['lz4', 'none']), 'lz4'),
  }), {}),
  channel: v.optional(named({
    /** Name of the Redis pub/sub channel. */
    name: v.optional(text(256), 'godmode:profile_updates'),
    /** Off: this process neither tells nor hears of updates. */
    enabled: v.optional(v.boolean(), true),
  }), {}),
  /** The lease on loading a wallet, renewed while the load runs, 20 times this long at the most; the death of its holder costs the others at most this. */
  loadLeaseMs: v.optional(positiveMs(600_000), 10_000),
  /** How getOrLoad and getOrLoadMany load. Each call may set these for itself, but for `maxNegatives`. */
  load: v.optional(loadSchema, {}),
  /** Writes kept for L2 while it is away: newest of each wallet, at most this many. */
  maxQueuedWrites: v.optional(whole(0, 10_000_000), 100_000),
});

export type ProfileCacheOptions = Omit<v.InferInput<typeof schema>, 'l2'> & { l2?: L2OptionsInput | string };
export type L2OptionsInput = v.InferInput<typeof l2Schema>;
export type RedisL2Options = v.InferOutput<typeof redisSchema>;
export type EmbeddedL2Options = v.InferOutput<typeof embeddedSchema>;
export type L2Options = v.InferOutput<typeof l2Schema>;
export type L1Options = v.InferOutput<typeof l1Schema>;
export type LoadSettings = v.InferOutput<typeof loadSchema>;
/** What a call of getOrLoad sets for itself; where absent, the option of the same name in `load` holds. */
export type LoadCallOptions = v.InferInput<typeof loadCallSchema>;
export type ResolvedOptions = Omit<v.InferOutput<typeof schema>, 'l2'> & { l2: L2Options };

/** Throws ERR_OPTION that names the option, says what it takes, and never repeats a password. */
export function parseOptions(input: ProfileCacheOptions = {}): ResolvedOptions {
  const parsed = checked(schema, input);
  const l2 = checked(l2Schema, typeof parsed.l2 === 'string' ? parseL2Url(parsed.l2) : parsed.l2, 'l2');
  return { ...parsed, l2 };
}

/** The settings of one call. Throws ERR_OPTION; a call can keep nothing longer than the cache does. */
export function parseLoadCall(call: LoadCallOptions, cache: LoadSettings): LoadSettings {
  const given = Object.entries(checked(loadCallSchema, call)).filter(([, value]) => value !== undefined);
  const merged = { ...cache, ...Object.fromEntries(given) } as LoadSettings;
  if (merged.graceSeconds > cache.graceSeconds) {
    throw new ProfileCacheError('ERR_OPTION', `graceSeconds: is at most what the cache keeps, ${cache.graceSeconds} s; open it with a longer load.graceSeconds`, { option: 'load.graceSeconds', path: 'graceSeconds' });
  }
  // Who narrows the grace of a call narrows what lies within.
  if (call.staleWhileRevalidateSeconds === undefined) merged.staleWhileRevalidateSeconds = Math.min(merged.staleWhileRevalidateSeconds, merged.graceSeconds);
  return checked(loadSchema, merged);
}

/**
 * `redis://user:pass@h1:p1,h2:p2?buckets=0`, `rediss://…` (TLS), `file:./folder`, `none:`.
 * User and password are percent-decoded. Query parameters are the scalar options of the kind.
 */
export function parseL2Url(url: string): L2OptionsInput {
  const bad = (why: string): never => {
    throw new ProfileCacheError('ERR_OPTION', `l2: ${why}; it takes redis://user:pass@host:port,host:port, rediss://…, file:./folder or none:`, { option: 'l2' });
  };
  if (url === 'none:' || url === 'none') return { kind: 'none' };
  const scheme = /^(redis|rediss|file):(.*)$/s.exec(url);
  if (!scheme) return bad('is not a URL of a known kind');
  const [beforeQuery, query = ''] = split2(scheme[2], '?');
  const parameters = scalarParameters(query);
  if (scheme[1] === 'file') {
    const path = beforeQuery.replace(/^\/\/(?=\/)/, '');
    if (path === '') return bad('file: names no folder');
    return { ...parameters, kind: 'embedded', path: decode(path) } as L2OptionsInput;
  }
  if (!beforeQuery.startsWith('//')) return bad('// is missing after the scheme');
  const authority = beforeQuery.slice(2).replace(/\/.*$/s, '');
  const at = authority.lastIndexOf('@');
  const [user, pass] = at < 0 ? ['', undefined] : split2(authority.slice(0, at), ':');
  const nodes = authority.slice(at + 1).split(',').map((part) => {
    const m = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d+))?$/.exec(part.trim());
    if (!m) return bad('a node is not host:port');
    return { host: m[1].replace(/^\[|\]$/g, ''), port: m[2] === undefined ? 6379 : Number(m[2]) };
  });
  return {
    ...parameters,
    kind: 'redis',
    nodes,
    ...(user ? { username: decode(user) } : {}),
    ...(pass === undefined ? {} : { password: decode(pass) }),
    ...(scheme[1] === 'rediss' ? { tls: true } : {}),
  } as L2OptionsInput;

  function decode(text: string): string {
    try {
      return decodeURIComponent(text);
    } catch {
      return bad('a % is not followed by two hex digits');
    }
  }
}

function split2(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function scalarParameters(query: string): Record<string, string | number | boolean> {
  const out: Record<string, string | number | boolean> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    out[name] = value === 'true' ? true : value === 'false' ? false : /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  }
  return out;
}

/** The L2 address for people and logs: no user, no password. */
export function describeL2(l2: L2Options): string {
  if (l2.kind === 'none') return 'none';
  if (l2.kind === 'embedded') return `file:${l2.path}`;
  return `${l2.tls ? 'rediss' : 'redis'}://${l2.nodes.map((n) => `${n.host}:${n.port}`).join(',')}`;
}
