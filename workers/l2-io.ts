/** Entry of an I/O worker thread: opens the store of this thread once, then runs the tasks that Piscina brings. */
import { workerData as piscinaWorkerData } from 'node:worker_threads';
import { systemClock } from '../src/clock.ts';
import type { L2Store } from '../src/l2/store.ts';
import { makeStore } from '../src/l2/make-store.ts';
import { InboxView } from '../src/workers-pool/inbox.ts';
import type { Reply, Task, WorkerData } from '../src/workers-pool/protocol.ts';
import { StoreSlot } from '../src/workers-pool/store-slot.ts';
import { TaskRunner } from '../src/workers-pool/task-runner.ts';

const workerData = piscinaWorkerData as WorkerData;

async function storeOfThisThread(): Promise<L2Store> {
  if (workerData.storeModule === undefined) return makeStore(workerData.l2, workerData);
  const { createStore } = (await import(workerData.storeModule)) as { createStore(data: WorkerData): L2Store };
  return createStore(workerData);
}

const slot = new StoreSlot(storeOfThisThread, systemClock);
const runner = new TaskRunner(slot, new InboxView(workerData.inbox), workerData, systemClock);

async function run(task: Task): Promise<Reply> {
  const { reply, transfer } = await runner.run(task);
  if (transfer.length === 0) return reply;
  // Few replies move bytes, and the thread is up sooner without the pool's half of Piscina, which is what its main module is.
  const piscina = await import('piscina');
  return piscina.move({ [piscina.transferableSymbol]: transfer, [piscina.valueSymbol]: reply }) as unknown as Reply;
}

/** Piscina calls a thread ready when this has settled: the store is open then, or has failed and tasks are told why. */
const ready: Promise<typeof run> = slot.get(Infinity).then(
  () => run,
  () => run,
);
export default ready;
