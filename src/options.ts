/**
 * Every option: name, unit, default, bounds. The only home of defaults; `parseOptions` is the only way in.
 */
import { ProfileCacheError } from './errors.ts';
import { anyOf, byKind, checked, flag, list, number, object, oneOf, partial, passing, text, whole, type InputOf, type OutputOf } from './schema.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const positiveMs = (max: number) => whole(1, max);
const DAY_SECONDS = 86_400;

const l1Schema = object({
  /** Most profiles resident at once. */
  maxProfiles: whole(1, 16_000_000).default(5_000),
  /** Bytes of the arena: record headers, keys and payloads together never exceed it. */
  maxBytes: whole(16 * KIB, 16 * GIB).default(64 * MIB),
  /** Which entry goes when L1 is full: `adaptive` learns it from the requests, `lru` is exact for the thread that owns the cache. */
  eviction: oneOf('lru', 's3-fifo', 'w-tinylfu', 'adaptive').default('adaptive'),
  /**
   * Decoded profiles that each thread keeps at hand: a hit on one costs 0.1 us, on any other it is decoded, 4 to 6 us. The default covers
   * the default L1; 5,000 profiles of 2 KB are about 20 MB of each thread's heap. 0 turns the near cache off.
   */
  nearProfiles: whole(0, 16_000_000).default(5_000),
});

const tlsSchema = anyOf(
  flag(),
  object({
    /** PEM texts. */
    ca: text().optional(),
    cert: text().optional(),
    key: text().optional(),
    servername: text().optional(),
    rejectUnauthorized: flag().optional(),
  }),
);

const redisSchema = object({
  kind: oneOf('redis'),
  /** Nodes to start from; the others of a cluster are found. */
  nodes: list(object({ host: text({ min: 1 }), port: whole(1, 65_535).default(6379) }), 1),
  /** `auto` asks the first node that answers whether it is part of a cluster. */
  mode: oneOf('auto', 'cluster', 'standalone').default('auto'),
  username: text().optional(),
  password: text().optional(),
  /** `true`: TLS with the system's authorities, certificate verified. */
  tls: tlsSchema.default(false),
  /** Where reads go. Replica reads may be late by the replication lag; the version floor keeps them from going back in time. */
  readMode: oneOf('master', 'replica-preferred', 'replica').default('master'),
  /** Start of every key of this cache. No braces: they would be taken for a hash tag. */
  keyPrefix: text({ max: 128, matches: { pattern: /^[^{}]*$/, text: 'may hold no { or }' } }).default('profile:'),
  /**
   * Hash-tag buckets: wallets that share one travel in one MGET. 0 gives plain `<prefix><wallet>` keys.
   * At least ten buckets a master; more spread hot wallets better, fewer make larger batches.
   */
  buckets: whole(0, 16_384).default(256),
});

const embeddedSchema = object({
  kind: oneOf('embedded'),
  /** Folder of the store; made if absent. Several processes of one machine may share it. */
  path: text({ min: 1 }).default('.profilecache'),
  /** Bytes of disk that the store may take; the profiles nearest to their expiry go first. */
  maxBytes: whole(1 * MIB, 1024 * GIB).default(1 * GIB),
  /** Refuses to write when the disk has less free than this, so that the rest of the machine lives. */
  minFreeBytes: whole(0, 1024 * GIB).default(32 * MIB),
  /** How often expired rows are swept. */
  sweepIntervalMs: positiveMs(3_600_000).default(1_000),
  /** How often the folder is looked at for updates by other processes. */
  pollIntervalMs: positiveMs(60_000).default(50),
});

const noneSchema = object({ kind: oneOf('none') });

const l2Schema = byKind({ redis: redisSchema, embedded: embeddedSchema, none: noneSchema });

/** What a call of getOrLoad may set for itself; the names and bounds of `load` and of the call are the same. */
const loadFields = {
  /** How long beyond its life a profile is kept, in both tiers, for getOrLoad to fall back on when its load fails or is slow. */
  graceSeconds: number({ min: 0, max: 366 * DAY_SECONDS }),
  /** A profile that expired less than this ago is served at once and refreshed in the background. At most `graceSeconds`. */
  staleWhileRevalidateSeconds: number({ min: 0, max: 366 * DAY_SECONDS }),
  /** After a failed load, the profile in its grace is served this long before the loader is called again, in each process. */
  graceBackoffMs: whole(0, 86_400_000),
  /** A load that takes longer is not waited for where a profile in its grace can be served; it goes on in the background. */
  softTimeoutMs: positiveMs(86_400_000),
  /** Nobody waits longer for a load (ERR_LOAD_TIMEOUT); it goes on, and may still fill the cache. */
  hardTimeoutMs: positiveMs(86_400_000),
  /** Share of its life after which a profile that getOrLoad hits in L1 is refreshed in the background. */
  eagerRefreshThreshold: number({ above: 0, below: 1 }),
  /** How long a process remembers that a loader had no profile (`undefined`, `null`, ERR_NOT_FOUND). 0: not at all. */
  negativeTtlSeconds: number({ min: 0, max: 366 * DAY_SECONDS }),
};

const loadSchema = object({
  graceSeconds: loadFields.graceSeconds.default(0),
  staleWhileRevalidateSeconds: loadFields.staleWhileRevalidateSeconds.default(0),
  graceBackoffMs: loadFields.graceBackoffMs.default(5_000),
  softTimeoutMs: loadFields.softTimeoutMs.optional(),
  hardTimeoutMs: loadFields.hardTimeoutMs.optional(),
  eagerRefreshThreshold: loadFields.eagerRefreshThreshold.optional(),
  negativeTtlSeconds: loadFields.negativeTtlSeconds.default(0),
  /** Wallets without a profile, and failed loads, that a process remembers; past it the oldest are forgotten. */
  maxNegatives: whole(1, 10_000_000).default(10_000),
}).refine((load) => load.staleWhileRevalidateSeconds <= load.graceSeconds, 'is at most graceSeconds', ['staleWhileRevalidateSeconds']);

const loadCallSchema = object(partial(loadFields), 'dropped');

const schema = object({
  l1: l1Schema.default({}),
  l2: anyOf(text(), object({ kind: text() }, 'kept')).default({ kind: 'embedded' }),
  /** Life of a profile, in L2 and in L1, in seconds. */
  l2TtlSeconds: number({ min: 0.001, max: 366 * DAY_SECONDS }).default(300),
  /** Up to this share of the life is taken off at random, so that what was written together does not expire together. */
  l2TtlJitter: number({ min: 0, max: 0.9 }).default(0),
  /** No L2 operation, bulk parts included, is waited for longer. */
  l2TimeoutMs: positiveMs(600_000).default(250),
  /** Deadline of the first connection at `open`. */
  connectTimeoutMs: positiveMs(600_000).default(5_000),
  /** Worker threads for L2 I/O, LZ4 and transcoding. As many as there are cores beside the caller's share the work; more stand by for one that dies or is stuck. */
  workers: whole(1, 64).default(2),
  /** Largest profile, encoded and before compression. What fits here but not into L1 is kept in L2 alone. */
  maxProfileBytes: whole(64, 64 * MIB).default(1 * MIB),
  /** Wallets that do not match are refused. `base58` is a Solana address: 32 to 44 base58 characters. */
  walletPattern: anyOf(oneOf('base58'), passing<RegExp>((value) => value instanceof RegExp, 'Invalid input: expected RegExp')).optional(),
  codec: object({
    /** `structured`: msgpack with a shared structure table. `portable`: plain msgpack maps that any language reads. */
    format: oneOf('structured', 'portable').default('structured'),
    compression: oneOf('lz4', 'none').default('lz4'),
  }).default({}),
  channel: object({
    /** Name of the Redis pub/sub channel. */
    name: text({ min: 1, max: 256 }).default('godmode:profile_updates'),
    /** Off: this process neither tells nor hears of updates. */
    enabled: flag().default(true),
  }).default({}),
  /** The lease on loading a wallet, renewed while the load runs, 20 times this long at the most; the death of its holder costs the others at most this. */
  loadLeaseMs: positiveMs(600_000).default(10_000),
  /** How getOrLoad and getOrLoadMany load. Each call may set these for itself, but for `maxNegatives`. */
  load: loadSchema.default({}),
  /** Writes kept for L2 while it is away: newest of each wallet, at most this many. */
  maxQueuedWrites: whole(0, 10_000_000).default(100_000),
});

export type ProfileCacheOptions = Omit<InputOf<typeof schema>, 'l2'> & { l2?: L2OptionsInput | string };
export type L2OptionsInput = InputOf<typeof l2Schema>;
export type RedisL2Options = OutputOf<typeof redisSchema>;
export type EmbeddedL2Options = OutputOf<typeof embeddedSchema>;
export type L2Options = OutputOf<typeof l2Schema>;
export type L1Options = OutputOf<typeof l1Schema>;
export type LoadSettings = OutputOf<typeof loadSchema>;
/** What a call of getOrLoad sets for itself; where absent, the option of the same name in `load` holds. */
export type LoadCallOptions = InputOf<typeof loadCallSchema>;
export type ResolvedOptions = Omit<OutputOf<typeof schema>, 'l2'> & { l2: L2Options };

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
