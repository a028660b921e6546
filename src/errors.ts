/**
 * Every error this package throws or emits. An error has a `code` that programs can match, a message that ends with the way
 * out, the `cause` it wraps, and, where one option decides, the name of that option.
 */

export const ERROR_CODES = {
  ERR_OPTION: 'an option has a bad value or an unknown name; `option` is its path',
  ERR_CLOSED: 'the cache is closed (or closing); open a new one',
  ERR_ABORTED: 'the caller aborted with its AbortSignal; `cause` is the reason of the signal',
  ERR_HANDLE: 'attach() was given something that cache.handle did not make, or the owner is gone',
  ERR_OWNER_GONE: 'the thread that owns L1 did not answer; L1 reads go on, writes and L2 reads do not',
  ERR_WALLET: 'a wallet is empty, over-long, not a string, not well-formed Unicode, or not of the pattern asked for',
  ERR_PROFILE: 'a profile holds what cannot be carried (function, symbol, cycle, …); `path` says where',
  ERR_PROFILE_TOO_LARGE: 'an encoded profile is over maxProfileBytes',
  ERR_UPDATE_REFUSED: 'updateProfiles refused some entries; `refused` lists them, all others were written',
  ERR_L2_CONNECT: 'L2 could not be reached or refused us within connectTimeoutMs',
  ERR_L2_AUTH: 'L2 refused the user, the password or a permission',
  ERR_L2_TIMEOUT: 'an L2 operation took longer than l2TimeoutMs',
  ERR_L2_UNAVAILABLE: 'L2 failed an operation, or is known to be down',
  ERR_L2_CORRUPT: 'bytes from L2 are damaged, foreign or hostile; they count as a miss',
  ERR_L2_STORAGE: 'L2 cannot write (disk full, no permission, not a folder; Redis out of memory); reads go on',
  ERR_LOADER: 'the loader of getOrLoad returned what is no profile',
  ERR_LOAD_TIMEOUT: 'a load took longer than its time limit; it goes on without this caller',
  ERR_NOT_FOUND: 'the loader has no profile of this wallet; remembered for load.negativeTtlSeconds, or until the wallet changes',
  ERR_OVERLOADED: 'a bounded queue is full; `option` names the bound',
  ERR_WORKER: 'a worker thread died while doing this; it has been replaced',
  ERR_TRADES_FILE: 'a file of trades is missing, unreadable, or cut in the middle',
  ERR_TRADES_FORMAT: 'a file does not hold trades, or too large a share of its rows is malformed',
  ERR_USAGE: 'the command line is wrong; the message says what it takes',
  ERR_WALLETS_FILE: 'a list of wallets for the command is missing, unreadable, or holds what is no wallet',
  ERR_TRACE: 'a key trace for `simulate` is missing, unreadable, or not of its format',
  ERR_OUTPUT: 'the command cannot write its results where it was told to',
  ERR_CLUSTER: 'local test cluster: redis-server is missing, a port is taken, or a node did not come up',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  cause?: unknown;
  /** Path of the option to change, such as `l1.maxBytes`. */
  option?: string;
  /** The wallet concerned. */
  wallet?: string;
  /** Redis node concerned, `host:port`. */
  node?: string;
  /** Where in a profile or an options object: `trades[3].when`. */
  path?: string;
  /** 1-based line of an input file. */
  line?: number;
}

export class ProfileCacheError extends Error {
  readonly code: ErrorCode;
  readonly option?: string;
  readonly wallet?: string;
  readonly node?: string;
  readonly path?: string;
  readonly line?: number;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ProfileCacheError';
    this.code = code;
    if (details.option !== undefined) this.option = details.option;
    if (details.wallet !== undefined) this.wallet = details.wallet;
    if (details.node !== undefined) this.node = details.node;
    if (details.path !== undefined) this.path = details.path;
    if (details.line !== undefined) this.line = details.line;
  }

  /** Plain form that survives a thread boundary (structured clone loses own properties of errors). */
  toWire(): WireError {
    const { code, message, option, wallet, node, path, line } = this;
    return { code, message, option, wallet, node, path, line };
  }

  static fromWire(wire: WireError): ProfileCacheError {
    return new ProfileCacheError(wire.code, wire.message, wire);
  }

  /** The error itself where it is one of ours, else ours around it. */
  static from(error: unknown, code: ErrorCode, details: ErrorDetails = {}): ProfileCacheError {
    if (error instanceof ProfileCacheError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new ProfileCacheError(code, message, { ...details, cause: error });
  }
}

export interface WireError extends Omit<ErrorDetails, 'cause'> {
  code: ErrorCode;
  message: string;
}

/** `updateProfiles` wrote every good entry and lists the refused ones here. */
export class UpdateRefusedError extends ProfileCacheError {
  readonly refused: ReadonlyArray<{ wallet: unknown; error: ProfileCacheError }>;
  /** What became of the entries that were not refused. */
  readonly written: { l1: number; stored: number; queued: number; skipped: number };

  constructor(
    refused: ReadonlyArray<{ wallet: unknown; error: ProfileCacheError }>,
    written: { l1: number; stored: number; queued: number; skipped: number },
  ) {
    super('ERR_UPDATE_REFUSED', `${refused.length} of the entries were refused, the first because: ${refused[0]?.error.message}`, {
      cause: refused[0]?.error,
    });
    this.refused = refused;
    this.written = written;
  }
}
