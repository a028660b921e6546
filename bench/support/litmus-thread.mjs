/**
 * One side of a litmus shape. Both threads walk the same cells, each cell a fresh round of the shape; a barrier stands only between
 * batches, within a batch the sides wait for each other a moment before each cell. Plain JavaScript: a worker thread runs it under any loader.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { dist, buffer, side, shape, rounds, cells } = workerData;
const { closeRead } = await import(`${dist}/l1/seqlock.js`);

/** Words of one cell: a cache line, so that rounds do not help each other. */
const STRIDE = 16;
const [X, Y, VERSION, OFFSET, ACK] = [0, 1, 2, 3, 4];
/** What each side saw. */
const [SAW_A, SAW_B] = [8, 9];
const words = new Int32Array(buffer, 256);
const barrier = new Int32Array(buffer, 0, 2);
/** How far each side is, stored plainly: an atomic store would empty the store buffer, and with it what is looked for. */
const progress = new Int32Array(buffer, 64, 32);
const MAX_WAIT_SPINS = 80;

function meet(phase) {
  if (Atomics.add(barrier, 0, 1) === 2 * phase - 1) {
    Atomics.store(barrier, 1, phase);
    Atomics.notify(barrier, 1);
  }
  for (let spins = 0; Atomics.load(barrier, 1) < phase; ) if (++spins > 5_000) Atomics.wait(barrier, 1, phase - 1, 5);
}

/** Each side's accesses; both return what goes into the histogram. */
const SHAPES = {
  'message passing': {
    a: (at) => { words[at + X] = 1; Atomics.store(words, at + Y, 1); return 0; },
    b: (at) => { const flag = Atomics.load(words, at + Y); return 10 * flag + words[at + X]; },
  },
  'seqlock close': {
    a: (at) => { Atomics.store(words, at + Y, 1); words[at + X] = 1; return 0; },
    b: (at) => { const data = words[at + X]; return 10 * data + (closeRead(words, at + Y, 0) ? 0 : 1); },
  },
  'store buffering, plain': {
    a: (at) => { words[at + X] = 1; return words[at + Y]; },
    b: (at) => { words[at + Y] = 1; return words[at + X]; },
  },
  'store buffering, Atomics': {
    a: (at) => { Atomics.store(words, at + X, 1); return Atomics.load(words, at + Y); },
    b: (at) => { Atomics.store(words, at + Y, 1); return Atomics.load(words, at + X); },
  },
  'near cache': {
    // The owner's put: seq odd, version, offset, seq even, acknowledged. Y is seq.
    a: (at) => {
      Atomics.store(words, at + Y, 1);
      Atomics.store(words, at + VERSION, 1);
      Atomics.store(words, at + OFFSET, 1);
      Atomics.store(words, at + Y, 2);
      Atomics.store(words, at + ACK, 1);
      return 0;
    },
    // 0: old pair, 1: new pair, 2: not accepted, 3: a pair of two contents. Plus 10: version 0 stood after the put was acknowledged.
    b: (at) => {
      const seq = Atomics.load(words, at + Y);
      const offset = words[at + OFFSET];
      const version = words[at + VERSION];
      const accepted = (seq & 1) === 0 && closeRead(words, at + Y, seq);
      const acked = Atomics.load(words, at + ACK);
      const late = acked === 1 && Atomics.load(words, at + VERSION) === 0;
      return (late ? 10 : 0) + (!accepted ? 2 : offset !== version ? 3 : offset);
    },
  },
};

const mine = SHAPES[shape][side];
const [ownAt, otherAt] = side === 'a' ? [0, 16] : [16, 0];
const sawAt = side === 'a' ? SAW_A : SAW_B;
const histogram = {};
let phase = 0;
for (let left = rounds; left > 0; left -= cells) {
  const count = Math.min(cells, left);
  meet(++phase);
  for (let cell = 0; cell < count; cell++) {
    progress[ownAt] = cell + 1;
    // Wait for the other side, not for ever: it may be off the CPU.
    for (let spins = 0; Atomics.load(progress, otherAt) <= cell && spins < MAX_WAIT_SPINS; ) spins++;
    words[cell * STRIDE + sawAt] = mine(cell * STRIDE);
  }
  meet(++phase);
  if (side === 'a') {
    for (let cell = 0; cell < count; cell++) {
      const at = cell * STRIDE;
      const outcome = shape.startsWith('store') ? `${words[at + SAW_A]}${words[at + SAW_B]}` : String(words[at + SAW_B]).padStart(2, '0');
      histogram[outcome] = (histogram[outcome] ?? 0) + 1;
    }
    words.fill(0);
    progress.fill(0);
  }
}
parentPort.postMessage(histogram);
