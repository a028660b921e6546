// A process that publishes as much as it can, or `perSecond`, until it is killed, and says how many, every 100 ms. By hand: a client library would be the bound. `mixed`: events of a busy peer, one in ten malformed or
// forged. `forged`: whatever is worst for who listens.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

const { host, port, password, channel, wallets, kind, perSecond } = JSON.parse(process.argv[2]);
const BATCH = 500;
const command = (...parts) => `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`;
const socket = connect(port, host);
// What it answers is of no interest, but has to be taken.
socket.resume();
if (password !== undefined) socket.write(command('AUTH', password));
const timestamp = new Date().toISOString();
let sent = 0;

const version = 4096 * (Date.now() - Date.UTC(2020, 0, 1));
// In the order of a peer.
const event = ({ wallet, ...fields }) => JSON.stringify({ wallet, timestamp, ...fields });

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
for (const startMs = performance.now(); ; ) {
  const due = perSecond === undefined ? Infinity : Math.floor(((performance.now() - startMs) / 1e3) * perSecond) - sent;
  if (due < 1) {
    await sleep(1);
    continue;
  }
  let text = '';
  const end = sent + Math.min(BATCH, due);
  for (; sent < end; sent++) text += command('PUBLISH', channel, message(sent));
  if (socket.write(text)) await turn();
  else await once(socket, 'drain');
}
