/**
 * Where messages of the update channel come from. Publishing is the store's part (a message goes out with the write it tells
 * of); a source only listens. `redis-source.ts` and `embedded-source.ts` implement it.
 */
export interface ChannelListener {
  /** One message, as text, in the order received. */
  onMessage(text: string): void;
  /** Messages may have been lost since the last one (reconnect, log trimmed, silence): what L1 holds may be stale. */
  onGap(reason: string): void;
}

export interface ChannelSource {
  /** Resolves when messages published from now on will be received. */
  start(listener: ChannelListener): Promise<void>;
  close(): Promise<void>;
}
