// One of several processes that ask for the same cold wallet. Imports the package as its users do.
import { ProfileCache } from 'profilecache';

const { options, readers, loadMs } = JSON.parse(process.argv[2]);
const cache = await ProfileCache.open(options);

process.on('message', async (wallet) => {
  let loads = 0;
  const loader = async () => {
    loads++;
    process.send({ loading: true });
    if (loadMs < 0) return new Promise(() => {});
    await new Promise((resolve) => setTimeout(resolve, loadMs));
    return { by: process.pid, endedAt: Date.now() };
  };
  const profiles = await Promise.all(Array.from({ length: readers }, () => cache.getOrLoad(wallet, loader)));
  process.send({ loads, by: [...new Set(profiles.map((profile) => profile.by))], waitedMs: Date.now() - profiles[0].endedAt });
  await cache.close();
  process.disconnect();
});
process.send({ ready: true });
