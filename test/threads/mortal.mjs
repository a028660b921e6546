// An attached thread that is in the middle of something when it ends. `witness` and `watch` live; they judge, and time, what they read.
import { parentPort, workerData } from 'node:worker_threads';
import { ProfileCache } from 'profilecache';
import { Stalls } from '../support/stalls.mjs';

const { handle, caches: count, act } = workerData;
if (act === 'attach') parentPort.postMessage('begun');
const caches = Array.from({ length: count }, () => ProfileCache.attach(handle));
const [cache] = caches;
const wallet = () => `w${Math.floor(Math.random() * 300)}`;
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function witness() {
  const faults = [];
  let rounds = 0;
  let n = 0;
  let going = true;
  parentPort.on('message', (message) => {
    if (message === 'block') for (const endMs = performance.now() + 2_000; performance.now() < endMs; );
    if (message === 'read') cache.getProfileSync('witness');
    if (message === 'report') going = false;
    else parentPort.postMessage({});
  });
  while (going) {
    await cache.updateProfile('witness', { n: ++n });
    // It may have been evicted since, or hidden after the process stood still: L2 has it then.
    const seen = cache.getProfileSync('witness') ?? (await cache.getProfile('witness'));
    if (seen?.n !== n) faults.push(`wrote ${n}, read ${seen?.n}`);
    const other = wallet();
    const profile = await cache.getProfile(other);
    if (profile !== undefined && `w${profile.i}` !== other) faults.push(`${other}: ${JSON.stringify(profile)}`);
    rounds++;
    await rest(1);
  }
  parentPort.postMessage({ rounds, faults });
}

/** Times every read, and a piece of work without a cache beside it. */
async function watch() {
  const stalls = new Stalls();
  const faults = [];
  let going = true;
  parentPort.on('message', () => (going = false));
  parentPort.postMessage('begun');
  while (going) {
    stalls.restart();
    for (const stopMs = performance.now() + 5; performance.now() < stopMs; ) {
      const name = wallet();
      const startMs = performance.now();
      const profile = cache.getProfileSync(name);
      const readMs = performance.now();
      for (let spin = 0; spin < 200; spin++) Math.sqrt(spin);
      stalls.note(startMs, readMs, performance.now());
      if (profile !== undefined && `w${profile.i}` !== name) faults.push(`${name}: ${JSON.stringify(profile)}`);
    }
    await rest(1);
  }
  parentPort.postMessage({ faults, ...stalls.report() });
}

async function forEver(what) {
  parentPort.postMessage('begun');
  for (;;) {
    await Promise.allSettled(caches.map(what));
    await rest(0);
  }
}

switch (act) {
  case 'witness':
    await witness();
    break;
  case 'watch':
    await watch();
    break;
  case 'read':
    await forEver((one) => (Math.random() < 0.5 ? one.getProfileSync(wallet()) : one.bulkPrefetch([wallet(), wallet(), `absent${Math.random()}`])));
    break;
  case 'write':
    await forEver((one) => {
      const name = wallet();
      return Math.random() < 0.9 ? one.updateProfile(name, { i: Number(name.slice(1)) }) : one.invalidate(name);
    });
    break;
  case 'load':
    await forEver((one) => one.getOrLoad(`loaded${Math.random()}`, () => rest(5).then(() => ({ i: 1 }))));
    break;
  case 'block':
    parentPort.postMessage('begun');
    for (;;) caches[Math.floor(Math.random() * count)].getProfileSync(wallet());
  case 'exit':
    parentPort.postMessage('begun');
    void cache.updateProfile('w1', { i: 1 });
    process.exit(1);
  case 'throw':
    parentPort.postMessage('begun');
    throw new Error('nobody catches this');
  case 'attach':
    for (;;) void ProfileCache.attach(handle).close();
}
