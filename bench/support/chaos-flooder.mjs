// A process that publishes as much as it can, until it is killed, and says how many, every 100 ms. `mixed`: events of a busy peer, one in ten malformed or
// forged. `forged`: whatever is worst for who listens.
import { Redis } from 'ioredis';

const { host, port, password, channel, wallets, kind } = JSON.parse(process.argv[2]);
const BATCH = 500;
const redis = new Redis({ host, port, password, protocol: 2, enableReadyCheck: false, disableClientInfo: true });
const timestamp = new Date().toISOString();
let sent = 0;

const version = 4096 * (Date.now() - Date.UTC(2020, 0, 1));
const event = (fields) => JSON.stringify({ timestamp, ...fields });

function mixed(i) {
  if (i % 20 === 0) return '{"wallet":';
  if (i % 20 === 10) return event({ wallet: wallets[i % wallets.length], version: Number.MAX_SAFE_INTEGER });
  return event({ wallet: `nobody${i}`, type: 'updated', publisher: 'a busy peer', seq: i + 1, version: version + i });
}

function forged(i) {
  switch (i % 5) {
    case 0: return event({ wallet: wallets[i % wallets.length], version: Number.MAX_SAFE_INTEGER });
    case 1: return event({ wallet: '', type: 'heartbeat', publisher: `made-up-${i % 5_000}`, settled: i, sent: i, beat: i });
    case 2: return event({ wallet: wallets[i % wallets.length], publisher: `made-up-${i % 5_000}`, seq: i + 1, version: 1 });
    case 3: return event({ wallet: `nobody${i}` });
    default: return '['.repeat(4_000);
  }
}

const message = kind === 'mixed' ? mixed : forged;

setInterval(() => process.send(sent), 100);
for (;;) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < BATCH; i++) pipeline.publish(channel, message(sent + i));
  await pipeline.exec();
  sent += BATCH;
}
