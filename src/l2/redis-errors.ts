/**
 * What an error reply of Redis, or a lost connection, means for the keys of the command that met it.
 * Messages are made here and carry no argument of a command: ioredis hangs the arguments, a password among them, on its errors.
 */
import { ProfileCacheError } from '../errors.ts';

export type Verdict =
  /** The slot lives elsewhere, for good (MOVED) or for this one command (ASK). The command took no effect. */
  | { kind: 'moved' | 'ask'; slot: number; host: string; port: number }
  /** The keys of a multi-key command lie on both sides of a slot on the move: ask for each alone. No effect. */
  | { kind: 'split' }
  /** The script is not loaded there. No effect. */
  | { kind: 'noscript' }
  /** The node cannot do it at this moment (loading, just demoted). No effect. */
  | { kind: 'later' }
  /** The connection is gone; the command may have taken effect. */
  | { kind: 'lost' }
  | { kind: 'fatal'; error: ProfileCacheError };

const AUTH = /^(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|invalid username-password|user executing the script can't|ACL failure in script/i;
/** Alive, and takes no writes: out of memory, cannot save, too few replicas. */
const NO_WRITES = /^(OOM|MISCONF|NOREPLICAS)\b/;
const REPLY = /^[A-Z][A-Z0-9]*\b/;

export function verdictOf(error: unknown, node: string): Verdict {
  const message = error instanceof Error ? error.message : String(error);
  const [word, slot, address] = message.split(' ', 3);
  switch (word) {
    case 'MOVED':
    case 'ASK': {
      const target = parseAddress(address ?? '', node);
      const slotNumber = Number(slot);
      // A slot number from the wire is an index into our table: take nothing else.
      if (!target || !Number.isInteger(slotNumber) || slotNumber < 0 || slotNumber > 16_383) break;
      return { kind: word === 'MOVED' ? 'moved' : 'ask', slot: slotNumber, ...target };
    }
    case 'TRYAGAIN':
    case 'CROSSSLOT':
      return { kind: 'split' };
    case 'NOSCRIPT':
      return { kind: 'noscript' };
    case 'LOADING':
    case 'MASTERDOWN':
    case 'READONLY':
      return { kind: 'later' };
    default:
  }
  if (isLoss(error)) return { kind: 'lost' };
  return { kind: 'fatal', error: replyError(message, node) };
}

/** The text of an error, without the arguments of the command: of AUTH they are the user and the password. */
export function safeText(error: unknown): string {
  const text = error instanceof Error ? error.message || ((error as NodeJS.ErrnoException).code ?? error.name) : String(error);
  return text.replace(/,? *with args beginning with:.*$/s, '').slice(0, 200);
}

/** ERR_L2_AUTH where Redis refused the user or a permission, ERR_L2_STORAGE where it takes no writes, else ERR_L2_UNAVAILABLE. */
export function replyError(message: string, node: string): ProfileCacheError {
  const text = safeText(message);
  if (AUTH.test(message)) {
    return new ProfileCacheError('ERR_L2_AUTH', `redis node ${node} refused: ${text}; check l2.username, l2.password and the ACL of that user (native-notes/redis-cluster.md lists what it needs)`, { node, option: 'l2.password' });
  }
  if (NO_WRITES.test(message)) {
    return new ProfileCacheError('ERR_L2_STORAGE', `redis node ${node} takes no writes: ${text}; give it memory or disk (maxmemory, maxmemory-policy), reads go on`, { node });
  }
  return new ProfileCacheError('ERR_L2_UNAVAILABLE', `redis node ${node} answered: ${text}`, { node });
}

export const isAuthError = (error: unknown): boolean => error instanceof Error && AUTH.test(error.message);

/** Errors of the connection have a system code or one of the sentences of ioredis; error replies begin with an upper-case word. */
function isLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ((error as NodeJS.ErrnoException).code !== undefined) return true;
  return error.name === 'MaxRetriesPerRequestError' || error.name === 'AbortError' || !REPLY.test(error.message) || /^(Connection|Stream|Socket|Reached)\b/.test(error.message);
}

export function timeoutError(timeoutMs: number, node?: string): ProfileCacheError {
  return new ProfileCacheError('ERR_L2_TIMEOUT', `${node === undefined ? 'redis' : `redis node ${node}`} did not answer within ${timeoutMs} ms; raise l2TimeoutMs, or look at the node (health())`, { node, option: 'l2TimeoutMs' });
}

export function unavailableError(node: string, why: string): ProfileCacheError {
  return new ProfileCacheError('ERR_L2_UNAVAILABLE', `redis node ${node} cannot be used (${why}); it is tried again by itself, health() tells when it is back`, { node });
}

/** `host:port`, `[v6]:port` or `v6:port`; an empty host means the node that said so. */
export function parseAddress(address: string, from: string): { host: string; port: number } | undefined {
  const at = address.lastIndexOf(':');
  const port = Number(address.slice(at + 1));
  if (at < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  return { host: host === '' || host === '?' ? from.slice(0, from.lastIndexOf(':')) : host, port };
}
