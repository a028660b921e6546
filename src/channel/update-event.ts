/**
 * The update event: JSON on the update channel, at most MAX_EVENT_BYTES.
 *
 *   {"wallet":"7xKX…","timestamp":"2026-11-22T13:41:38.000Z","type":"updated","publisher":"3f9c…","seq":17,"version":889…}
 *
 * `wallet` and `timestamp` are everybody's; the rest is this project's. A publisher that sends only those two is understood: the
 * wallet has changed, version unknown. An event never carries a profile: it can only make a cache ask L2 again.
 * `clear` has no wallet: everything up to `version` is gone.
 */
export type UpdateType = 'updated' | 'invalidated' | 'cleared';

export interface UpdateEvent {
  type: UpdateType;
  /** Empty for `cleared`. */
  wallet: string;
  /** ISO 8601. */
  timestamp: string;
  /** Process (cache instance) that published; undefined for a foreign publisher. */
  publisher?: string;
  /** Counts the events of one publisher from 1. */
  seq?: number;
  /** Version stamp of the update or the tombstone. */
  version?: number;
}

/** A wallet of 1,024 bytes may take six times that in escapes; the rest is small. */
export const MAX_EVENT_BYTES = 8 * 1024;
const MAX_WALLET_UNITS = 1024;
const TYPES: readonly string[] = ['updated', 'invalidated', 'cleared'] satisfies UpdateType[];

export function formatEvent(event: UpdateEvent): string {
  const { wallet, timestamp, type, publisher, seq, version } = event;
  // What JSON.stringify makes of the object, in a fifth of the time: a bulk update makes thousands of them.
  let text = `{"wallet":${quoted(wallet)},"timestamp":${quoted(timestamp)},"type":"${type}"`;
  if (publisher !== undefined) text += `,"publisher":${quoted(publisher)}`;
  if (seq !== undefined) text += `,"seq":${seq}`;
  if (version !== undefined) text += `,"version":${version}`;
  return `${text}}`;
}

/** Nothing in it that JSON would escape. */
const PLAIN_TEXT = /^[\w.:-]*$/;

const quoted = (text: string): string => (PLAIN_TEXT.test(text) ? `"${text}"` : JSON.stringify(text));

/** The fields of a message of bearable length; `undefined` for anything else, never throws. */
export function fieldsOf(text: string): Record<string, unknown> | undefined {
  if (text.length > MAX_EVENT_BYTES) return undefined;
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `undefined` for anything that is no update event; never throws, whatever the text. */
export function parseEvent(text: string): UpdateEvent | undefined {
  const fields = fieldsOf(text);
  if (fields === undefined) return undefined;
  const { wallet, timestamp, type = 'updated', publisher, seq, version } = fields;
  if (typeof type !== 'string' || !TYPES.includes(type)) return undefined;
  if (typeof wallet !== 'string' || wallet.length > MAX_WALLET_UNITS || (wallet === '') !== (type === 'cleared')) return undefined;
  if (typeof timestamp !== 'string' || timestamp.length > 64 || Number.isNaN(Date.parse(timestamp))) return undefined;
  if (publisher !== undefined && (typeof publisher !== 'string' || publisher.length > 64)) return undefined;
  if (!optionalStamp(seq) || !optionalStamp(version)) return undefined;
  if (type === 'cleared' && version === undefined) return undefined;
  return { type: type as UpdateType, wallet, timestamp, publisher, seq, version };
}

function optionalStamp(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) > 0);
}
