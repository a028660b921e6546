// An attached thread under remote control: runs verbs of its cache and answers with their results. It imports the package as its users do.
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';

const startedMs = performance.now();
const cache = ProfileCache.attach(workerData.handle);
const attachMs = performance.now() - startedMs;
const events = [];
for (const name of ['profileUpdated', 'profileInvalidated', 'l2Down']) cache.on(name, (detail) => events.push([name, detail]));

const loaders = {
  slow: async (wallet) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    return { wallet, loadedBy: workerData.name };
  },
  failing: async () => {
    throw new Error('the source is down');
  },
  dying: () => process.exit(1),
};

const local = {
  attachMs: () => attachMs,
  events: () => events,
  getOrLoadWith: (wallet, loader) => cache.getOrLoad(wallet, loaders[loader]),
  /** Reads one wallet for as long as the flag is 0; what was seen, in order, without repeats. */
  readUntil: async (wallet, flag) => {
    const seen = [];
    while (Atomics.load(flag, 0) === 0) {
      const n = cache.getProfileSync(wallet)?.n;
      if (n !== seen.at(-1)) seen.push(n);
    }
    return { seen, after: cache.getProfileSync(wallet)?.n };
  },
  mutate: (wallet) => {
    const profile = cache.getProfileSync(wallet);
    profile.n = 99;
  },
};

parentPort.on('message', async ({ id, verb, args }) => {
  try {
    const value = await (local[verb] ?? cache[verb].bind(cache))(...args);
    parentPort.postMessage({ id, value });
  } catch (error) {
    parentPort.postMessage({ id, error: { name: error.name, code: error.code, message: error.message } });
  }
  if (verb === 'close') parentPort.close();
});
