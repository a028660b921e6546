/**
 * Every option: name, unit, default, bounds. The only home of defaults; `parseOptions` is the only way in.
 */
import { z } from 'zod';
import { ProfileCacheError } from './errors.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const count = (min: number, max: number) => z.number().int().min(min).max(max);
const positiveMs = (max: number) => z.number().int().min(1).max(max);
const DAY_SECONDS = 86_400;

const l1Schema = z.strictObject({
  /** Most profiles resident at once. */
  maxProfiles: count(1, 16_000_000).default(5_000),
  /** Bytes of the arena: record headers, keys and payloads together never exceed it. */
  maxBytes: count(16 * KIB, 16 * GIB).default(64 * MIB),
  /** Which entry goes when L1 is full: `adaptive` learns it from the requests, `lru` is exact for the thread that owns the cache. */
  eviction: z.enum(['lru', 's3-fifo', 'w-tinylfu', 'adaptive']).default('adaptive'),
  /**
   * Decoded profiles that each thread keeps at hand: a hit on one costs 0.1 us, on any other it is decoded, 4 to 6 us. The default covers
   * the default L1; 5,000 profiles of 2 KB are about 20 MB of each thread's heap. 0 turns the near cache off.
   */
  nearProfiles: count(0, 16_000_000).default(5_000),
});

const tlsSchema = z.union([
  z.boolean(),
  z.strictObject({
    /** PEM texts. */
    ca: z.string().optional(),
    cert: z.string().optional(),
    key: z.string().optional(),
    servername: z.string().optional(),
    rejectUnauthorized: z.boolean().optional(),
  }),
]);

const redisSchema = z.strictObject({
  kind: z.literal('redis'),
  /** Nodes to start from; the others of a cluster are found. */
  nodes: z.array(z.strictObject({ host: z.string().min(1), port: count(1, 65_535).default(6379) })).min(1),
  /** `auto` asks the first node that answers whether it is part of a cluster. */
  mode: z.enum(['auto', 'cluster', 'standalone']).default('auto'),
  username: z.string().optional(),
  password: z.string().optional(),
  /** `true`: TLS with the system's authorities, certificate verified. */
  tls: tlsSchema.default(false),
  /** Where reads go. Replica reads may be late by the replication lag; the version floor keeps them from going back in time. */
  readMode: z.enum(['master', 'replica-preferred', 'replica']).default('master'),
  /** Start of every key of this cache. No braces: they would be taken for a hash tag. */
  keyPrefix: z.string().max(128).regex(/^[^{}]*$/, 'may hold no { or }').default('profile:'),
  /**
   * Hash-tag buckets: wallets that share one travel in one MGET. 0 gives plain `<prefix><wallet>` keys.
   * At least ten buckets a master; more spread hot wallets better, fewer make larger batches.
   */
  buckets: count(0, 16_384).default(256),
});

const embeddedSchema = z.strictObject({
  kind: z.literal('embedded'),
  /** Folder of the store; made if absent. Several processes of one machine may share it. */
  path: z.string().min(1).default('.profilecache'),
  /** Bytes of disk that the store may take; the profiles nearest to their expiry go first. */
  maxBytes: count(1 * MIB, 1024 * GIB).default(1 * GIB),
  /** Refuses to write when the disk has less free than this, so that the rest of the machine lives. */
  minFreeBytes: count(0, 1024 * GIB).default(32 * MIB),
  /** How often expired rows are swept. */
  sweepIntervalMs: positiveMs(3_600_000).default(1_000),
  /** How often the folder is looked at for updates by other processes. */
  pollIntervalMs: positiveMs(60_000).default(50),
});

const noneSchema = z.strictObject({ kind: z.literal('none') });

const l2Schema = z.discriminatedUnion('kind', [redisSchema, embeddedSchema, noneSchema]);

/** What a call of getOrLoad may set for itself; the names and bounds of `load` and of the call are the same. */
const loadFields = {
  /** How long beyond its life a profile is kept, in both tiers, for getOrLoad to fall back on when its load fails or is slow. */
  graceSeconds: z.number().min(0).max(366 * DAY_SECONDS),
  /** A profile that expired less than this ago is served at once and refreshed in the background. At most `graceSeconds`. */
  staleWhileRevalidateSeconds: z.number().min(0).max(366 * DAY_SECONDS),
  /** After a failed load, the profile in its grace is served this long before the loader is called again, in each process. */
  graceBackoffMs: count(0, 86_400_000),
  /** A load that takes longer is not waited for where a profile in its grace can be served; it goes on in the background. */
  softTimeoutMs: positiveMs(86_400_000),
  /** Nobody waits longer for a load (ERR_LOAD_TIMEOUT); it goes on, and may still fill the cache. */
  hardTimeoutMs: positiveMs(86_400_000),
  /** Share of its life after which a profile that getOrLoad hits in L1 is refreshed in the background. */
  eagerRefreshThreshold: z.number().gt(0).lt(1),
  /** How long a process remembers that a loader had no profile (`undefined`, `null`, ERR_NOT_FOUND). 0: not at all. */
  negativeTtlSeconds: z.number().min(0).max(366 * DAY_SECONDS),
};

const withinGrace = { message: 'is at most graceSeconds', path: ['staleWhileRevalidateSeconds'] };

const loadSchema = z
  .strictObject({
    graceSeconds: loadFields.graceSeconds.default(0),
    staleWhileRevalidateSeconds: loadFields.staleWhileRevalidateSeconds.default(0),
    graceBackoffMs: loadFields.graceBackoffMs.default(5_000),
    softTimeoutMs: loadFields.softTimeoutMs.optional(),
    hardTimeoutMs: loadFields.hardTimeoutMs.optional(),
    eagerRefreshThreshold: loadFields.eagerRefreshThreshold.optional(),
    negativeTtlSeconds: loadFields.negativeTtlSeconds.default(0),
    /** Wallets without a profile, and failed loads, that a process remembers; past it the oldest are forgotten. */
    maxNegatives: count(1, 10_000_000).default(10_000),
  })
  .refine((load) => load.staleWhileRevalidateSeconds <= load.graceSeconds, withinGrace);

const loadCallSchema = z.object(loadFields).partial();

const schema = z.strictObject({
  l1: l1Schema.prefault({}),
  l2: z
    .union([z.string(), z.looseObject({ kind: z.string() })])
    .default({ kind: 'embedded' }),
  /** Life of a profile, in L2 and in L1, in seconds. */
  l2TtlSeconds: z.number().min(0.001).max(366 * DAY_SECONDS).default(300),
  /** Up to this share of the life is taken off at random, so that what was written together does not expire together. */
  l2TtlJitter: z.number().min(0).max(0.9).default(0),
  /** No L2 operation, bulk parts included, is waited for longer. */
  l2TimeoutMs: positiveMs(600_000).default(250),
  /** Deadline of the first connection at `open`. */
  connectTimeoutMs: positiveMs(600_000).default(5_000),
  /** Worker threads for L2 I/O, LZ4 and transcoding. */
  workers: count(1, 64).default(2),
  /** Largest profile, encoded and before compression. What fits here but not into L1 is kept in L2 alone. */
  maxProfileBytes: count(64, 64 * MIB).default(1 * MIB),
  /** Wallets that do not match are refused. `base58` is a Solana address: 32 to 44 base58 characters. */
  walletPattern: z.union([z.literal('base58'), z.instanceof(RegExp)]).optional(),
  codec: z
    .strictObject({
      /** `structured`: msgpack with a shared structure table. `portable`: plain msgpack maps that any language reads. */
      format: z.enum(['structured', 'portable']).default('structured'),
      compression: z.enum(['lz4', 'none']).default('lz4'),
    })
    .prefault({}),
  channel: z
    .strictObject({
      /** Name of the Redis pub/sub channel. */
      name: z.string().min(1).max(256).default('godmode:profile_updates'),
      /** Off: this process neither tells nor hears of updates. */
      enabled: z.boolean().default(true),
    })
    .prefault({}),
  /** The lease on loading a wallet, renewed while the load runs, 20 times this long at the most; the death of its holder costs the others at most this. */
  loadLeaseMs: positiveMs(600_000).default(10_000),
  /** How getOrLoad and getOrLoadMany load. Each call may set these for itself, but for `maxNegatives`. */
  load: loadSchema.prefault({}),
  /** Writes kept for L2 while it is away: newest of each wallet, at most this many. */
  maxQueuedWrites: count(0, 10_000_000).default(100_000),
});

export type ProfileCacheOptions = Omit<z.input<typeof schema>, 'l2'> & { l2?: L2OptionsInput | string };
export type L2OptionsInput = z.input<typeof l2Schema>;
export type RedisL2Options = z.output<typeof redisSchema>;
export type EmbeddedL2Options = z.output<typeof embeddedSchema>;
export type L2Options = z.output<typeof l2Schema>;
export type L1Options = z.output<typeof l1Schema>;
export type LoadSettings = z.output<typeof loadSchema>;
/** What a call of getOrLoad sets for itself; where absent, the option of the same name in `load` holds. */
export type LoadCallOptions = z.input<typeof loadCallSchema>;
export type ResolvedOptions = Omit<z.output<typeof schema>, 'l2'> & { l2: L2Options };

/** Throws ERR_OPTION that names the option, says what it takes, and never repeats a password. */
export function parseOptions(input: ProfileCacheOptions = {}): ResolvedOptions {
  const parsed = check(schema, input, '');
  const l2 = check(l2Schema, typeof parsed.l2 === 'string' ? parseL2Url(parsed.l2) : parsed.l2, 'l2');
  return { ...parsed, l2 };
}

/** The settings of one call. Throws ERR_OPTION; a call can keep nothing longer than the cache does. */
export function parseLoadCall(call: LoadCallOptions, cache: LoadSettings): LoadSettings {
  const given = Object.entries(check(loadCallSchema, call, '')).filter(([, value]) => value !== undefined);
  const merged = { ...cache, ...Object.fromEntries(given) } as LoadSettings;
  if (merged.graceSeconds > cache.graceSeconds) {
    throw new ProfileCacheError('ERR_OPTION', `graceSeconds: is at most what the cache keeps, ${cache.graceSeconds} s; open it with a longer load.graceSeconds`, { option: 'load.graceSeconds', path: 'graceSeconds' });
  }
  // Who narrows the grace of a call narrows what lies within.
  if (call.staleWhileRevalidateSeconds === undefined) merged.staleWhileRevalidateSeconds = Math.min(merged.staleWhileRevalidateSeconds, merged.graceSeconds);
  return check(loadSchema, merged, '');
}

function check<S extends z.ZodType>(type: S, input: unknown, at: string): z.output<S> {
  const result = type.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = [...(at === '' ? [] : [at]), ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys') path.push(issue.keys[0]);
  const option = path.join('.') || 'options';
  const problem = issue.code === 'unrecognized_keys' ? 'is not an option' : lowerFirst(issue.message);
  throw new ProfileCacheError('ERR_OPTION', `${option}: ${problem}`, { option, path: option, cause: result.error.issues.length > 1 ? new Error(`${result.error.issues.length} options are wrong in all`) : undefined });
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

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
