// Reads all wallets over and over; before each read it looks what the owner has announced, and judges the answer by that.
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';

const { handle, words, wallets, writes, broken } = workerData;
const cache = ProfileCache.attach(handle);
const names = Array.from({ length: wallets }, (_, i) => `w${i}`);
// A near cache that never looks whether its slot stands.
const kept = new Map();
const read = (name) => {
  const profile = (broken ? kept.get(name) : undefined) ?? cache.getProfileSync(name);
  if (broken) kept.set(name, profile);
  return profile;
};
const faults = [];
let checks = 0;
for (const name of names) read(name);
parentPort.postMessage('warm');

let written = 0;
do {
  for (let lap = 0; lap < 20; lap++) {
    for (let wallet = 0; wallet < wallets; wallet++) {
      const announced = Atomics.load(words, wallet);
      const n = read(names[wallet])?.n ?? 0;
      checks++;
      // A change that is being made may be seen before it is announced; what was announced may not be missed.
      if (announced > 0 && n !== 0 && n < announced) faults.push(`${names[wallet]}: read ${n}, announced ${announced}`);
      if (announced < 0 && n !== 0 && n <= -announced) faults.push(`${names[wallet]}: read ${n} after its removal at ${-announced}`);
    }
  }
  if (writes) {
    await cache.updateProfile('written', { by: 'thread', n: ++written });
    const seen = cache.getProfileSync('written')?.n;
    // A clear of the owner may have come in between.
    if (seen !== undefined && seen !== written) faults.push(`wrote ${written}, read ${seen}`);
  }
  if (faults.length > 5) break;
} while (Atomics.load(words, wallets + 1) === 0);
if (writes) await cache.updateProfile('written', { by: 'thread', n: written });
parentPort.postMessage({ faults, checks, near: cache.getStats().nearHits });
