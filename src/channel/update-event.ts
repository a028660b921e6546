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
  // What JSON.parse throws takes five times as long to make as a message to read: not for half messages.
  if (!isBraced(text)) return undefined;
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const OPENING_BRACE = 123;
const CLOSING_BRACE = 125;

/** Begins and ends as an object does. */
export function isBraced(text: string): boolean {
  const body = text.trim();
  return body.charCodeAt(0) === OPENING_BRACE && body.charCodeAt(body.length - 1) === CLOSING_BRACE;
}

/** As `formatEvent` writes it, with nothing escaped: a third of the time that JSON takes. Whatever it does not match is left to JSON. */
const USUAL = /^\{"wallet":"([^"\\\x00-\x1f]{1,1024})","timestamp":"([^"\\\x00-\x1f]{1,64})","type":"(updated|invalidated)"(?:,"publisher":"([^"\\\x00-\x1f]{1,64})")?(?:,"seq":([1-9]\d{0,15}))?(?:,"version":([1-9]\d{0,15}))?\}$/;

/** `undefined` for anything that is no update event; never throws, whatever the text. */
export function parseEvent(text: string): UpdateEvent | undefined {
  return parseUsual(text) ?? eventOf(fieldsOf(text));
}

/** As `parseEvent`, for an event as a peer of this version writes it; `undefined` also where JSON has to be asked. */
export function parseUsual(text: string): UpdateEvent | undefined {
  const match = text.length > MAX_EVENT_BYTES ? null : USUAL.exec(text);
  if (match === null) return undefined;
  const seq = match[5] === undefined ? undefined : Number(match[5]);
  const version = match[6] === undefined ? undefined : Number(match[6]);
  if (!isTime(match[2]) || !optionalStamp(seq) || !optionalStamp(version)) return undefined;
  return { type: match[3] as UpdateType, wallet: match[1], timestamp: match[2], publisher: match[4], seq, version };
}

/** The event that these fields are, if they are one. */
export function eventOf(fields: Record<string, unknown> | undefined): UpdateEvent | undefined {
  if (fields === undefined) return undefined;
  const { wallet, timestamp, type = 'updated', publisher, seq, version } = fields;
  if (typeof type !== 'string' || !TYPES.includes(type)) return undefined;
  if (typeof wallet !== 'string' || wallet.length > MAX_WALLET_UNITS || (wallet === '') !== (type === 'cleared')) return undefined;
  if (typeof timestamp !== 'string' || timestamp.length > 64 || !isTime(timestamp)) return undefined;
  if (publisher !== undefined && (typeof publisher !== 'string' || publisher.length > 64)) return undefined;
  if (!optionalStamp(seq) || !optionalStamp(version)) return undefined;
  if (type === 'cleared' && version === undefined) return undefined;
  return { type: type as UpdateType, wallet, timestamp, publisher, seq, version };
}

let lastTime = '';

/** Events come by the dozen from one millisecond, and reading a date is a quarter of what reading an event takes. */
function isTime(text: string): boolean {
  if (text === lastTime) return true;
  if (Number.isNaN(Date.parse(text))) return false;
  lastTime = text;
  return true;
}

function optionalStamp(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) > 0);
}
