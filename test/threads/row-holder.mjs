/** A thread that claims rows, counts once in each, and then rests, blocks or ends; `half` stops between its claim and its first waiter. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

const { dist, buffer, what, rows } = workerData;
const [{ openRegion }, { ThreadRow }] = await Promise.all(['region', 'thread-row'].map((name) => import(`${dist}/l1/${name}.js`)));
const region = openRegion(buffer);

if (what === 'half') {
  const { waitAsync } = Atomics;
  Atomics.waitAsync = (words, at, epoch) => {
    Atomics.waitAsync = waitAsync;
    // Dies here when it is terminated: with a claim, and no waiter.
    parentPort.postMessage({ row: (at * 4 - 512 - region.rowsStart) / 1_664, epoch });
    while (receiveMessageOnPort(parentPort) === undefined);
    return Atomics.waitAsync(words, at, epoch);
  };
}
let row;
for (let i = 0; i < rows; i++) {
  row = ThreadRow.claim(region);
  row.count(0);
}
parentPort.postMessage({ row: row.row, epoch: row.claimed.epoch });
if (what === 'block') for (;;);
if (what === 'die') process.exit(1);
if (what !== 'end') parentPort.on('message', () => {});
