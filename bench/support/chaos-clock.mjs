// Loaded before everything else (--import), in every thread: a calendar that is off by as many milliseconds as the file says.
// The monotonic clock goes on as it is.
import { readFileSync } from 'node:fs';

const file = process.env.PROFILECACHE_CHAOS_CLOCK;
const LOOK_MS = 2;
const trueNow = Date.now;
let offsetMs = 0;
let lookedMs = -Infinity;

function now() {
  const nowMs = performance.now();
  if (nowMs - lookedMs > LOOK_MS) {
    lookedMs = nowMs;
    offsetMs = Number(readFileSync(file, 'utf8'));
  }
  return trueNow() + offsetMs;
}

globalThis.Date = class extends Date {
  static now = now;
  constructor(...given) {
    if (given.length === 0) super(now());
    else super(...given);
  }
};
