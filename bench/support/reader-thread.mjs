// A thread of bench/threads.ts: attaches to every cache and reads as fast as it can when told to. Plain JavaScript: no loader in the way.
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';

const { handles, wallets, startAt } = workerData;
const BATCH = 256;
const mask = wallets.length - 1;

const attachMs = [];
const caches = {};
for (const [name, handle] of Object.entries(handles)) {
  const started = performance.now();
  const cache = ProfileCache.attach(handle);
  const first = cache.getProfileSync(wallets[0]);
  attachMs.push(performance.now() - started);
  if (first === undefined) throw new Error(`${name}: the first read found nothing`);
  caches[name] = cache;
}
parentPort.postMessage({ attachMs });

const unique = [...new Set(wallets)];
// What a thread does that shares nothing: its own decoded copy of everything.
const own = new Map(unique.map((wallet) => [wallet, caches.cold.getProfileSync(wallet)]));
for (const wallet of unique) {
  for (const cache of Object.values(caches)) {
    if (cache.getProfileSync(wallet)?.wallet_address !== wallet) throw new Error(`${wallet}: not its profile`);
  }
}

const json = new Map([...own].map(([wallet, profile]) => [wallet, JSON.stringify(profile)]));
/** CPU time of this thread so far, where the system tells (Linux); else the clock on the wall. */
const cpuMs = () => {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
  } catch {
    return performance.now();
  }
};
const spin = new Int32Array(2);

const readers = {
  near: (wallet) => caches.near.getProfileSync(wallet),
  cold: (wallet) => caches.cold.getProfileSync(wallet),
  map: (wallet) => own.get(wallet),
  json: (wallet) => JSON.parse(json.get(wallet)),
  spin: (wallet) => {
    let x = wallet.length | 1;
    for (let i = 0; i < 500; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
    }
    return (spin[0] = x);
  },
};
// Each its own loop: one that is shared would be compiled for all of them at once.
const loops = Object.fromEntries(Object.keys(readers).map((name) => [name, new Function('read', 'wallets', 'mask', 'batch', 'forMs', 'at', `
  let reads = 0, wrong = 0;
  const started = performance.now();
  let elapsed = 0;
  do {
    for (let i = 0; i < batch; i++) if (read(wallets[at++ & mask]) === undefined) wrong++;
    reads += batch;
    elapsed = performance.now() - started;
  } while (elapsed < forMs);
  return { reads, wrong, elapsedMs: elapsed, at };
`)]));

let at = startAt;
parentPort.on('message', ({ reader, forMs }) => {
  if (reader === undefined) {
    for (const cache of Object.values(caches)) void cache.close();
    parentPort.close();
    return;
  }
  const cpuBefore = cpuMs();
  const done = loops[reader](readers[reader], wallets, mask, BATCH, forMs, at);
  at = done.at;
  parentPort.postMessage({ ...done, cpuMs: cpuMs() - cpuBefore });
});
