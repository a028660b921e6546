/** The attached thread of bench/soak.ts: reads at random, reports once a second, stops when told. */
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';

const { handle, wallets } = workerData;
const cache = ProfileCache.attach(handle);
const counts = { hits: 0, misses: 0, wrong: 0 };
let stopped = false;
parentPort.on('message', () => (stopped = true));
let reportMs = performance.now();
while (!stopped) {
  for (let i = 0; i < 200; i++) {
    const wallet = wallets[Math.floor(Math.random() ** 3 * wallets.length)];
    const profile = cache.getProfileSync(wallet);
    if (profile === undefined) counts.misses++;
    else if (profile.wallet === wallet) counts.hits++;
    else counts.wrong++;
  }
  if (performance.now() - reportMs > 1_000) {
    reportMs = performance.now();
    parentPort.postMessage(counts);
  }
  // Leaves the core to the owner: this is about memory, not speed.
  await new Promise((resolve) => setTimeout(resolve, 2));
}
await cache.close();
parentPort.close();
