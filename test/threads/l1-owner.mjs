/** An owner thread that writes as fast as it can until somebody terminates it, wherever it then is. */
import { parentPort, workerData } from 'node:worker_threads';

const { dist, buffer, wallets, seed } = workerData;
const [{ openRegion }, { L1Writer }, { WalletKey }, { POLICIES }] = await Promise.all(
  ['l1/region', 'l1/writer', 'l1/wallet-key', 'eviction/index'].map((name) => import(`${dist}/${name}.js`)),
);
const region = openRegion(buffer);
const writer = new L1Writer(region, POLICIES.lru);
const key = new WalletKey(region.hashKey0, region.hashKey1);
const payload = new Uint32Array(64);
let state = seed;
parentPort.postMessage('writing');
for (let version = 1; ; version++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  const wallet = state % wallets;
  key.set(`wallet-${wallet}`);
  if (version % 8 === 0) {
    writer.remove(key);
    continue;
  }
  for (let i = 0; i < payload.length; i += 2) {
    payload[i] = wallet;
    payload[i + 1] = version;
  }
  writer.put(key, new Uint8Array(payload.buffer), { schemaId: 1, version, expiresAtMs: 1e15, createdAtMs: 0 });
}
