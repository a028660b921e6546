import { channelRows } from './chaos-rows-channel.ts';
import { floodRows } from './chaos-rows-flood.ts';
import { clockRows } from './chaos-rows-clock.ts';
import { dataRows } from './chaos-rows-data.ts';
import { networkRows } from './chaos-rows-net.ts';
import { nodeRows } from './chaos-rows-nodes.ts';
import { processRows } from './chaos-rows-process.ts';
import type { Row } from './chaos-row.ts';

const numberOf = (id: string): number => Number(/\d+/.exec(id)?.[0] ?? 99);

/** The whole matrix, in the order of its numbers. */
export const chaosRows: readonly Row[] = [...nodeRows, ...networkRows, ...dataRows, ...channelRows, ...processRows, ...clockRows, ...floodRows].sort((a, b) => numberOf(a.id) - numberOf(b.id));
