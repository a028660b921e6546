/**
 * The heartbeat of a publisher: JSON on the update channel, among the events, four times a second.
 *
 *   {"wallet":"","timestamp":"2026-11-22T13:41:38.000Z","type":"heartbeat","publisher":"3f9c…","settled":17,"sent":15,"beat":4}
 *
 * It says: of my numbers up to `settled`, exactly `sent` went out as events; the others were refused by L2 and never will. Who has
 * heard fewer has lost some. Totals, not differences: a heartbeat that gets lost costs nothing, the next one says it all.
 */
import { fieldsOf } from './update-event.ts';

export interface Heartbeat {
  publisher: string;
  /** All numbers up to this one are decided. */
  settled: number;
  /** So many of them went out. */
  sent: number;
  /** Counts the heartbeats, from 1. */
  beat: number;
  /** The publisher closes: nobody need wonder at its silence. */
  last?: boolean;
}

/** Inside a JSON text these quotes cannot be part of a value. */
const MARK = '"type":"heartbeat"';

export const isHeartbeat = (text: string): boolean => text.includes(MARK);

export function formatHeartbeat({ publisher, settled, sent, beat, last }: Heartbeat, timestamp: string): string {
  return JSON.stringify({ wallet: '', timestamp, type: 'heartbeat', publisher, settled, sent, beat, last });
}

/** `undefined` for anything that is no heartbeat; never throws, whatever the text. */
export const parseHeartbeat = (text: string): Heartbeat | undefined => heartbeatOf(fieldsOf(text));

/** The heartbeat that these fields are, if they are one. */
export function heartbeatOf(fields: Record<string, unknown> | undefined): Heartbeat | undefined {
  if (fields === undefined) return undefined;
  const { type, publisher, settled, sent, beat, last } = fields;
  if (type !== 'heartbeat' || typeof publisher !== 'string' || publisher === '' || publisher.length > 64) return undefined;
  if (!isCount(settled) || !isCount(sent) || !isCount(beat) || sent > settled) return undefined;
  return { publisher, settled, sent, beat, last: last === true };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
