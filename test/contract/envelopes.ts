/** Envelopes for tests of stores: real header positions, any body. */
const HEADER_BYTES = 48;
const VERSION_AT = 24;

function build(wallet: string, version: number, body: string | Uint8Array): Uint8Array {
  const key = Buffer.from(wallet, 'utf8');
  const tail = Buffer.from(body);
  const out = Buffer.alloc(HEADER_BYTES + key.length + tail.length);
  out.writeDoubleLE(version, VERSION_AT);
  key.copy(out, HEADER_BYTES);
  tail.copy(out, HEADER_BYTES + key.length);
  return new Uint8Array(out.buffer, out.byteOffset, out.length).slice();
}

export const recordEnvelope = (wallet: string, version: number, body: string | Uint8Array = ''): Uint8Array => build(wallet, version, body);
export const tombstoneEnvelope = (wallet: string, version: number): Uint8Array => build(wallet, version, 'tombstone');
