/** The weathers that the model is run in: what callers do, and what may go wrong. */
import type { Fate } from '../support/world-l2.ts';
import type { Weather } from '../support/world-plan.ts';

const TROUBLE: readonly Fate[] = ['ok', 'ok', 'ok', 'ok', 'request-lost', 'reply-lost', 'refused'];
const PATIENT = { hurries: [Infinity] };
const HASTY = { hurries: [Infinity, 2, 6] };
const ACTS = { get: 5, update: 4, invalidate: 3, load: 4, bulk: 1, 'load-many': 1, evict: 1 };

export const WEATHERS = {
  calm: { acts: ACTS, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT },
  'clocks that disagree': { acts: ACTS, skews: [0, 40, -40, 5_000], calendarSteps: [0, 0, 10_000], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT },
  'three processes': { acts: ACTS, skews: [0, 5_000], calendarSteps: [0, 10_000], fates: ['ok'], maxFates: 0, attached: false, nodes: 3, ...PATIENT },
  'requests and replies get lost': { acts: ACTS, skews: [0, 0, 5_000], calendarSteps: [0, 0, 10_000], fates: TROUBLE, maxFates: 8, attached: false, nodes: 2, ...HASTY },
  'clocks that disagree, and requests that get lost': { acts: { get: 3, update: 2, invalidate: 3 }, skews: [], skewsByNode: [5_000, 0], onlyA: true, calendarSteps: [0], fates: ['ok', 'request-lost'], maxFates: 4, attached: false, nodes: 2, fewestCallers: 2, slowMessages: true, hurries: [3, 6] },
  'clocks that disagree, and many requests that get lost': { acts: { get: 1, update: 4, invalidate: 4 }, skews: [], skewsByNode: [5_000, 0], onlyA: true, calendarSteps: [0], fates: ['ok', 'request-lost', 'request-lost'], maxFates: 8, attached: false, nodes: 2, fewestCallers: 2, slowMessages: true, hurries: [3, 6], share: 0.5 },
  'updates that yield to later ones': { acts: { update: 6, get: 1 }, skews: [], skewsByNode: [5_000, 0], onlyA: true, calendarSteps: [0], fates: ['ok', 'ok', 'request-lost'], maxFates: 6, attached: false, nodes: 2, fewestCallers: 3, slowMessages: true, hurries: [3, 6], share: 0.5 },
  'the subscription breaks': { acts: { get: 5, update: 4, invalidate: 1, load: 1, bulk: 1, gap: 4 }, skews: [0], calendarSteps: [0], fates: TROUBLE, maxFates: 1, attached: false, nodes: 2, ...HASTY },
  'a gap while reading': { acts: { get: 3, update: 2, gap: 3 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, fewestCallers: 2, slowReplies: true, ...PATIENT },
  'loads and invalidations': { acts: { load: 4, invalidate: 3 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT },
  'loads above all': { acts: { load: 8, invalidate: 3, 'load-many': 2, update: 1, evict: 1, get: 1 }, skews: [0], calendarSteps: [0], fates: TROUBLE, maxFates: 2, attached: false, nodes: 2, ...HASTY },
  'attached threads': { acts: ACTS, skews: [0], calendarSteps: [0], fates: TROUBLE, maxFates: 2, attached: true, nodes: 2, ...HASTY },
  'foreign publishers': { acts: { ...ACTS, foreign: 3 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT },
  'L2 goes back in time': { acts: { ...ACTS, lag: 1, 'catch-up': 1, save: 1, failover: 1 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT },
  'messages get lost': { acts: { get: 5, update: 4, invalidate: 2, load: 1, gap: 1 }, skews: [0], calendarSteps: [0], fates: TROUBLE, maxFates: 2, attached: false, nodes: 2, fewestCallers: 2, maxMessageFates: 12, share: 0.03, ...HASTY },
  'everything is cleared': { acts: { ...ACTS, clear: 2 }, skews: [0], calendarSteps: [0], fates: TROUBLE, maxFates: 2, attached: false, nodes: 2, ...HASTY },
  'everything is cleared, by calendars that disagree': { acts: { ...ACTS, clear: 3 }, skews: [0, 5_000, 10_000], calendarSteps: [0], fates: TROUBLE, maxFates: 4, attached: false, nodes: 2, fewestCallers: 2, ...HASTY },
  'profiles that expire': { acts: { get: 3, load: 6, age: 4, update: 2, invalidate: 3, bulk: 1, 'load-many': 1, evict: 1, 'load-absent': 1 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT, ttlSeconds: 0.003, load: { graceSeconds: 3_600, staleWhileRevalidateSeconds: 3_600, negativeTtlSeconds: 3_600 } },
  'slow loads of what has expired': { acts: { get: 2, load: 6, age: 4, update: 2, invalidate: 3, 'load-many': 1, evict: 1 }, skews: [0], calendarSteps: [0], fates: TROUBLE, maxFates: 3, attached: true, nodes: 2, hurries: [2, 6], ttlSeconds: 0.003, load: { graceSeconds: 3_600, softTimeoutMs: 5, graceBackoffMs: 20, negativeTtlSeconds: 3_600 } },
  'refreshed ahead of expiry': { acts: { get: 1, load: 8, age: 1, update: 2, invalidate: 3, 'load-many': 1, 'load-absent': 1 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: true, nodes: 2, ...PATIENT, ttlSeconds: 0.005, load: { eagerRefreshThreshold: 0.001 } },
  'loads that find nothing': { acts: { get: 1, 'load-absent': 6, load: 2, update: 2, invalidate: 3, 'load-many': 1 }, skews: [0], calendarSteps: [0], fates: ['ok'], maxFates: 0, attached: false, nodes: 2, ...PATIENT, load: { negativeTtlSeconds: 3_600 } },
} as const satisfies Record<string, Weather>;
