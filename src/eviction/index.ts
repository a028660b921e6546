/** The one place where a policy's name becomes a policy; nothing else asks its name. */
import { AdaptivePolicy } from './adaptive.ts';
import { LruPolicy } from './lru.ts';
import type { PolicyFactory } from './policy.ts';
import { S3FifoPolicy } from './s3-fifo.ts';
import { WTinyLfuPolicy } from './w-tinylfu.ts';

export const POLICIES: Record<'lru' | 's3-fifo' | 'w-tinylfu' | 'adaptive', PolicyFactory> = {
  lru: (slotCount) => new LruPolicy(slotCount),
  's3-fifo': (slotCount, hashes) => new S3FifoPolicy(slotCount, {}, hashes),
  'w-tinylfu': (slotCount, hashes) => new WTinyLfuPolicy(slotCount, {}, hashes),
  adaptive: (slotCount, hashes) => new AdaptivePolicy(slotCount, hashes),
};
