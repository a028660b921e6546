// Owns a cache and writes into it without a pause; answers nothing while `blocked` is 1.
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';

const { options, blocked } = workerData;
const cache = await ProfileCache.open(options);
for (let i = 0; i < 200; i++) await cache.updateProfile(`w${i}`, { i, n: 0 });
parentPort.postMessage(cache.handle);
for (let n = 1; ; n++) {
  await cache.updateProfiles(Array.from({ length: 200 }, (_, i) => [`w${i}`, { i, n }]));
  while (Atomics.load(blocked, 0) === 1);
}
