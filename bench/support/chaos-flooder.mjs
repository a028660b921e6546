// A process that publishes as much as it can, until it is killed: forged, foreign and malformed messages. Says how many, every 100 ms.
import { Redis } from 'ioredis';

const { host, port, password, channel, wallets } = JSON.parse(process.argv[2]);
const BATCH = 500;
const redis = new Redis({ host, port, password, protocol: 2, enableReadyCheck: false, disableClientInfo: true });
const timestamp = new Date().toISOString();
const far = Number.MAX_SAFE_INTEGER;
let sent = 0;

function message(i) {
  const wallet = wallets[i % wallets.length];
  switch (i % 10) {
    case 0: return '{"wallet":';
    case 1: return JSON.stringify({ wallet, timestamp, version: far });
    case 2: return JSON.stringify({ wallet: '', timestamp, type: 'heartbeat', publisher: `made-up-${i % 5_000}`, settled: i, sent: i, beat: i });
    case 3: return JSON.stringify({ wallet: `nobody${i}`, timestamp });
    case 4: return JSON.stringify({ wallet, timestamp, publisher: `made-up-${i % 5_000}`, seq: i + 1, version: 1 });
    default: return JSON.stringify({ wallet: `nobody${i}`, timestamp, type: 'updated', publisher: `made-up-${i % 50}`, seq: i + 1, version: i + 1 });
  }
}

setInterval(() => process.send(sent), 100);
for (;;) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < BATCH; i++) pipeline.publish(channel, message(sent + i));
  await pipeline.exec();
  sent += BATCH;
}
