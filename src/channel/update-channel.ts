/** Listens to the update channel on behalf of one process: parses, leaves out what this process published, reports gaps. */
import type { ThreadRow } from '../l1/thread-row.ts';
import { COUNTER } from '../stats/metrics.ts';
import type { ChannelSource } from './source.ts';
import { parseEvent, type UpdateEvent } from './update-event.ts';

export interface ChannelHandler {
  onEvent(event: UpdateEvent): void;
  /** Events may have been lost. */
  onGap(reason: string): void;
}

export class UpdateChannel {
  private readonly source: ChannelSource;
  /** What only a message of our own holds: inside a JSON text these quotes cannot be part of a value. */
  private readonly ownMark: string;
  private readonly row: ThreadRow;

  constructor(source: ChannelSource, publisher: string, row: ThreadRow) {
    this.source = source;
    this.ownMark = `"publisher":${JSON.stringify(publisher)}`;
    this.row = row;
  }

  start(handler: ChannelHandler): Promise<void> {
    return this.source.start({
      onMessage: (text) => {
        // Own events come back by the thousand after a bulk update: they are not worth parsing.
        if (text.includes(this.ownMark)) return this.row.count(COUNTER.eventsIgnored);
        const event = parseEvent(text);
        if (event === undefined) return this.row.count(COUNTER.eventsMalformed);
        this.row.count(COUNTER.eventsReceived);
        handler.onEvent(event);
      },
      onGap: (reason) => {
        this.row.count(COUNTER.channelGaps);
        handler.onGap(reason);
      },
    });
  }

  close(): Promise<void> {
    return this.source.close();
  }
}
