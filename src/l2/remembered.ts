/** How long L2 remembers what was deleted and what was cleared: nobody may bring it a write that is older than that. */
import type { ResolvedOptions } from '../options.ts';

export const MIN_REMEMBERED_MS = 60_000;
const MAX_REMEMBERED_MS = 86_400_000;

/** As long as what was deleted could have lived, were it written once more by someone late. */
export const rememberedMs = ({ l2TtlSeconds, load }: Pick<ResolvedOptions, 'l2TtlSeconds' | 'load'>): number =>
  Math.min(Math.max((l2TtlSeconds + load.graceSeconds) * 1000, MIN_REMEMBERED_MS), MAX_REMEMBERED_MS);
