// A thread of bench/attach.ts: times what it does first. Plain JavaScript: no loader in the way. Each thread does one of these once and ends.
import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads';

const { what, handles, wallets, channel } = workerData;
const timed = async (work) => {
  const startedMs = performance.now();
  const value = await work();
  return [performance.now() - startedMs, value];
};
/** As `timed`, without a turn of the event loop. */
const timedNow = (work) => {
  const startedMs = performance.now();
  const value = work();
  return [performance.now() - startedMs, value];
};

/** What any library pays that has something to ask of another thread: its first channel, and one message there and back. */
async function empty() {
  let heard;
  const answered = new Promise((resolve) => (heard = resolve));
  const [openMs, common] = timedNow(() => {
    const opened = new BroadcastChannel(channel);
    opened.onmessage = heard;
    return opened;
  });
  const [channelMs] = await timed(() => {
    common.postMessage('ask');
    return answered;
  });
  common.close();
  const [portMs] = await timed(() => new Promise((resolve) => {
    parentPort.once('message', resolve);
    parentPort.postMessage('ask');
  }));
  return { openMs, channelMs: openMs + channelMs, portMs };
}

async function attach() {
  const [importMs, { ProfileCache }] = await timed(() => import('profilecache'));
  const attaches = handles.map((handle, which) => {
    const [attachMs, cache] = timedNow(() => ProfileCache.attach(handle));
    const [readMs, profile] = timedNow(() => cache.getProfileSync(wallets[which]));
    if (profile?.wallet_address !== wallets[which]) throw new Error('the first read found nothing, or another profile');
    return { attachMs, readMs, cache };
  });
  const [healthMs] = await timed(() => attaches[0].cache.health());
  const [secondHealthMs] = await timed(() => attaches[0].cache.health());
  await Promise.all(attaches.map(({ cache }) => cache.close()));
  return { importMs, healthMs, secondHealthMs, attaches: attaches.map(({ attachMs, readMs }) => ({ attachMs, readMs })) };
}

const answer = what === 'empty' ? await empty() : await attach();
parentPort.postMessage(answer);
parentPort.close();
