/** The one place where a policy's name becomes a policy; nothing else asks its name. */
import { LruPolicy } from './lru.ts';
import type { PolicyFactory } from './policy.ts';

export const POLICIES: Record<'lru', PolicyFactory> = {
  lru: (slotCount) => new LruPolicy(slotCount),
};
