/** Litmus shapes between two threads of this machine: how often each outcome came, and whether it may (after JCStress). */
import { Worker } from 'node:worker_threads';

/** Outcomes are two digits; what they mean stands in `reads`. */
interface Shape { readonly name: string; readonly reads: string; readonly forbidden: readonly string[]; readonly why: string }

export const SHAPES: readonly Shape[] = [
  { name: 'message passing', reads: 'flag, data', forbidden: ['10'], why: 'forward: who saw the atomic signal sees the plain data before it' },
  { name: 'seqlock close', reads: 'data, seq changed', forbidden: ['10'], why: 'backward: who saw new plain data sees the changed seq when closing' },
  { name: 'store buffering, plain', reads: 'y, x', forbidden: [], why: '00 may come: it shows that this run notices reordering' },
  { name: 'store buffering, Atomics', reads: 'y, x', forbidden: ['00'], why: 'Atomics have one order' },
  { name: 'near cache', reads: 'late, 0 old 1 new 2 not accepted 3 mixed', forbidden: ['03', '10', '11', '12', '13'], why: 'content and version are one pair; an acknowledged put has changed the version' },
];

export interface LitmusResult { readonly shape: Shape; readonly rounds: number; readonly outcomes: readonly { outcome: string; count: number; forbidden: boolean }[] }

const CELLS = 4_096;
const CELL_BYTES = 64;

export async function litmus(shape: Shape, rounds: number): Promise<LitmusResult> {
  const buffer = new SharedArrayBuffer(256 + CELLS * CELL_BYTES);
  const dist = new URL('../../dist/src', import.meta.url).href;
  const workers = ['a', 'b'].map((side) => new Worker(new URL('./litmus-thread.mjs', import.meta.url), { workerData: { dist, buffer, side, shape: shape.name, rounds, cells: CELLS } }));
  try {
    const [histogram] = await Promise.all(workers.map((worker) => new Promise<Record<string, number>>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    })));
    const outcomes = Object.entries(histogram).sort().map(([outcome, count]) => ({ outcome, count, forbidden: shape.forbidden.includes(outcome) }));
    return { shape, rounds, outcomes };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
