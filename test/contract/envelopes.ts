/** Envelopes for tests of stores: real ones, of any body, the same bytes for the same arguments. */
import { packRecord, packTombstone } from '../../src/codec/transcode.ts';

const CREATED_AT_MS = 1_795_000_000_000;
const NEVER = 0;

export function recordEnvelope(wallet: string, version: number, body: string | Uint8Array = 'body'): Uint8Array {
  const raw = typeof body === 'string' ? Buffer.from(body) : body;
  return packRecord({ wallet, raw, schemaId: 0, version, createdAtMs: CREATED_AT_MS, expiresAtMs: NEVER }, 'none');
}

export const tombstoneEnvelope = (wallet: string, version: number): Uint8Array => packTombstone(wallet, version, CREATED_AT_MS, NEVER);
