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
  /** Single messages may get lost unseen: publishers send heartbeats, and listeners count. */
  readonly isLossy: boolean;
  /** False while it is being connected anew. */
  readonly isListening: boolean;
  /** Resolves when messages published from now on will be received. */
  start(listener: ChannelListener): Promise<void>;
  /** It hears nothing although others speak: the subscription is to be made anew, elsewhere. */
  renew(reason: string): void;
  close(): Promise<void>;
}
